"""Files in a document root: owner, modes, and their removal."""
import errno
import gc
import itertools
import os
import pwd
import shutil
import signal
import stat
import threading
from typing import Any
from typing import Iterator

import pytest
from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IResponder
from certbot_autowebroot.responders import AlreadyPublishedError
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders import drafts
from certbot_autowebroot.responders import footprints
from certbot_autowebroot.responders import safe_directories
from certbot_autowebroot.responders.webroot import WebrootResponder
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import DIRECTORY
from tests.lab.hostile_site import OWNER
from tests.lab.hostile_site import STRANGER
from tests.lab.hostile_site import TOKEN
from tests.lab.hostile_site import Site

pytestmark = pytest.mark.lab


def test_is_a_responder() -> None:
    """The class has the interface's methods."""
    assert verifyClass(IResponder, WebrootResponder)


@pytest.fixture(params=[0, 0o022, 0o077, 0o777], ids="umask {:03o}".format)
def umask(request: Any) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_modes(site: Site) -> None:
    """All users can read the file and pass the directories, whatever the umask; the owner of the root owns them."""
    os.makedirs(site.journal_directory)
    site.responder().publish(CONTENT)
    entries = {name: (oct(mode), uid, gid, content)  # type: ignore[call-overload]
               for name, (_, mode, uid, gid, content, _) in site.tree().items() if name != "."}
    assert entries == {
        ".well-known": ("0o40755", OWNER, 65534, ""),
        DIRECTORY: ("0o40755", OWNER, 65534, ""),
        f"{DIRECTORY}/{TOKEN}": ("0o100644", OWNER, 65534, CONTENT),
    }


def test_group_of_a_user_in_passwd(site: Site) -> None:
    """A user in passwd makes files with the primary group."""
    www_data = pwd.getpwnam("www-data")
    os.chown(site.root, www_data.pw_uid, 0)
    site.responder().publish(CONTENT)
    assert (os.stat(site.file).st_uid, os.stat(site.file).st_gid) == (www_data.pw_uid, www_data.pw_gid)


def test_setgid_directory(site: Site) -> None:
    """Files in a set-group-ID directory get its group, and directories the bit."""
    os.chown(site.root, OWNER, STRANGER)
    os.chmod(site.root, 0o2750)
    site.responder().publish(CONTENT)
    well_known = os.stat(f"{site.root}/.well-known")
    assert (stat.S_IMODE(well_known.st_mode), well_known.st_gid) == (0o2755, STRANGER)
    assert (stat.S_IMODE(os.stat(site.file).st_mode), os.stat(site.file).st_gid) == (0o644, STRANGER)


def test_document_root_of_root(site: Site) -> None:
    """In a directory of root, root makes the file."""
    os.chown(site.root, 0, 0)
    site.responder().publish(CONTENT)
    assert (os.stat(site.file).st_uid, os.stat(site.file).st_gid) == (0, 0)


def test_withdraw_restores_the_tree(site: Site) -> None:
    """Other users' files in the same directories stay, with all their attributes."""
    site.make("www/.well-known", STRANGER, 0o775)
    site.write("www/.well-known/security.txt", b"Contact: mailto:me@sample.com", STRANGER)
    site.make(f"www/{DIRECTORY}", OWNER, 0o700)
    site.write(f"www/{DIRECTORY}/another-client", b"its token", OWNER)
    before = site.tree()
    responder = site.responder()
    responder.publish(CONTENT)
    assert site.tree() != before
    responder.withdraw()
    assert site.tree() == before


def test_withdraw_may_come_first_and_twice(site: Site) -> None:
    """Certbot cleans up challenges that were never published, and more than once."""
    before = site.tree()
    responder = site.responder()
    responder.withdraw()
    responder.publish(CONTENT)
    responder.withdraw()
    responder.withdraw()
    assert site.tree() == before
    assert os.listdir(site.journal_directory) == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_withdraw_in_any_order(site: Site, order: Any) -> None:
    """A directory goes with its last file, whichever responder has made it."""
    before = site.tree()
    responders = [site.responder(token) for token in ("one", "two", "three")]
    for responder in responders:
        responder.publish(CONTENT)
    for done, number in enumerate(order, 1):
        responders[number].withdraw()
        assert os.path.isdir(f"{site.root}/{DIRECTORY}") == (done < 3)
    assert site.tree() == before


def test_failed_responder_removes_only_its_own(site: Site) -> None:
    """A responder that fails removes its own directories, and none that another responder needs."""
    good, bad = site.responder("good"), site.responder("bad", directory=f"{DIRECTORY}/deeper/" + "x" * 256)
    good.publish(CONTENT)
    with pytest.raises(PublishError, match="File name too long"):
        bad.publish(CONTENT)
    assert os.listdir(f"{site.root}/{DIRECTORY}") == ["good"]
    good.withdraw()
    assert os.listdir(site.root) == []


def test_two_members_with_one_directory(site: Site) -> None:
    """A file with two users stays until both release it."""
    first, second = site.responder(), site.responder()
    first.publish(CONTENT)
    second.publish(CONTENT)
    first.withdraw()
    assert os.path.exists(site.file)
    second.withdraw()
    assert os.listdir(site.root) == []


def test_same_file_with_other_content(site: Site) -> None:
    """One file cannot have two contents; the first stays whole."""
    first = site.responder()
    first.publish(CONTENT)
    with pytest.raises(AlreadyPublishedError, match=TOKEN):
        site.responder().publish(b"another")
    with open(site.file, "rb") as file:
        assert file.read() == CONTENT
    first.withdraw()
    assert os.listdir(site.root) == []


def test_other_users_file_with_other_content(site: Site) -> None:
    """It is named with its owner, and stays."""
    os.makedirs(os.path.dirname(site.file))
    site.write(f"www/{DIRECTORY}/{TOKEN}", b"another", OWNER)
    before = site.tree()
    with pytest.raises(PublishError, match=f"{TOKEN} exists already: a file of uid {OWNER}") as refused:
        site.responder().publish(CONTENT)
    assert not isinstance(refused.value, AlreadyPublishedError)
    assert site.tree() == before


def test_other_users_file_with_the_right_content(site: Site) -> None:
    """A token that another run of Certbot's webroot has left is used, and not removed."""
    os.makedirs(os.path.dirname(site.file))
    site.write(f"www/{DIRECTORY}/{TOKEN}", CONTENT, 0)
    before = site.tree()
    responder = site.responder()
    responder.publish(CONTENT)
    responder.withdraw()
    assert site.tree() == before


@pytest.fixture(params=[None, errno.ENOSYS, errno.EINVAL], ids=["Linux", "macOS", "NFS"])
def renames(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With renameat2(2), without it, and on a file system without its flags."""
    if request.param:
        monkeypatch.setattr(drafts, "_rename_new", lambda *args: request.param)


@pytest.mark.usefixtures("renames")
def test_directories_are_made(site: Site) -> None:
    """Only the needed directories are there meanwhile, and none afterwards."""
    responder = site.responder()
    responder.publish(CONTENT)
    assert sorted(site.tree()) == [".", ".well-known", DIRECTORY, f"{DIRECTORY}/{TOKEN}"]
    responder.withdraw()
    assert os.listdir(site.root) == []


@pytest.mark.usefixtures("renames")
def test_directory_made_by_another_client(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that another client makes just before mkdir is used, and not removed."""
    mkdir = os.mkdir

    def first(name: str, *args: Any, **kwargs: Any) -> None:
        if "dir_fd" in kwargs:
            mkdir(".well-known", *args, **kwargs)
        mkdir(name, *args, **kwargs)

    responder = site.responder(directory=".well-known")
    monkeypatch.setattr(os, "mkdir", first)
    responder.publish(CONTENT)
    assert os.listdir(site.root) == [".well-known"]
    assert os.listdir(f"{site.root}/.well-known") == [TOKEN]
    responder.withdraw()
    assert os.listdir(site.root) == [".well-known"]


def test_directories_renamed_meanwhile(site: Site) -> None:
    """Renamed files and directories are found and removed."""
    responder = site.responder()
    responder.publish(CONTENT)
    os.rename(site.root, site.path("elsewhere"))
    responder.withdraw()
    assert os.listdir(site.path("elsewhere")) == []


def test_document_root_replaced_meanwhile(site: Site) -> None:
    """A deployment replaces the directory: the new one is not touched, the old one is cleaned."""
    responder = site.responder()
    responder.publish(CONTENT)
    os.rename(site.root, site.path("old"))
    site.make("www")
    os.makedirs(os.path.dirname(site.file))
    site.write(f"www/{DIRECTORY}/{TOKEN}", CONTENT)
    before = site.tree()
    responder.withdraw()
    assert site.tree() == before
    assert os.listdir(site.path("old")) == []


@pytest.mark.parametrize("gone", ["www", "www/.well-known", f"www/{DIRECTORY}", f"www/{DIRECTORY}/{TOKEN}"])
def test_gone_meanwhile(site: Site, gone: str, caplog: pytest.LogCaptureFixture) -> None:
    """A file that another process has removed is no error, and the rest goes too."""
    responder = site.responder()
    responder.publish(CONTENT)
    if gone.endswith(TOKEN):
        os.unlink(site.path(gone))
    else:
        shutil.rmtree(site.path(gone))
    responder.withdraw()
    assert not os.path.exists(f"{site.root}/.well-known")
    assert not caplog.records


def test_file_replaced_meanwhile(site: Site) -> None:
    """A file that the responder has not made stays, with the directories around it."""
    responder = site.responder()
    responder.publish(CONTENT)
    site.write("other", b"another client's")
    os.rename(site.path("other"), site.file)
    responder.withdraw()
    with open(site.file, "rb") as file:
        assert file.read() == b"another client's"


def test_directory_replaced_meanwhile(site: Site) -> None:
    """An empty directory that the responder has not made stays."""
    responder = site.responder()
    responder.publish(CONTENT)
    os.rename(f"{site.root}/.well-known", f"{site.root}/ours")
    site.make("www/.well-known")
    responder.withdraw()
    assert os.path.isdir(f"{site.root}/.well-known")
    assert os.listdir(f"{site.root}/ours") == []


def test_failed_removal_is_reported(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Withdrawing never raises; it reports what is left, and tries again at the next removal."""
    first, second = site.responder("first"), site.responder("second")
    first.publish(CONTENT)
    second.publish(CONTENT)
    os.chmod(os.path.dirname(site.file), 0o555)
    first.withdraw()
    assert f"{site.root}/{DIRECTORY}/first could not be removed: Permission denied" in caplog.text
    os.chmod(os.path.dirname(site.file), 0o755)
    second.withdraw()
    assert os.listdir(site.root) == []


def test_failed_removal_names_the_draft(
        site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that could neither be renamed nor removed (append-only, chattr(1)) is reported by its draft name."""
    def closed(footprint: footprints.Footprint, directory: safe_directories.OpenDirectory) -> None:
        os.chmod(site.root, 0o555)
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(drafts, "give_name", closed)
    with pytest.raises(PublishError, match="well-known cannot be made: Operation not permitted"):
        site.responder().publish(CONTENT)
    (left,) = os.listdir(site.root)
    assert f"{site.root}/{left} could not be removed: Permission denied" in caplog.text
    os.chmod(site.root, 0o755)
    site.journal.release_all()
    assert os.listdir(site.root) == []


@pytest.mark.parametrize("name", ["www", f"www/{DIRECTORY}"])
def test_failed_creation_is_not_removed(site: Site, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """The owner has closed the directory: nothing is left, and only the failure is reported."""
    site.make("www/.well-known")
    site.make(f"www/{DIRECTORY}")
    if name == "www":
        os.rename(f"{site.root}/.well-known", site.path("away"))
    os.chmod(site.path(name), 0)
    with pytest.raises(PublishError, match=r"(made|written): Permission denied"):
        site.responder().publish(CONTENT)
    assert caplog.text == ""
    assert site.journals() == []


@pytest.mark.parametrize("root, text", [
    ("missing", "missing cannot be used: No such file or directory"),
    ("file", "file is a file of uid 61001, and not a directory"),
    ("dangling", "dangling is a symbolic link of uid 61001 to nowhere, which does not exist"),
    ("/", "/ is a system directory"),
    ("\0", "null"),
])
def test_missing_document_root(site: Site, root: str, text: str) -> None:
    """A document root must exist; it is never made."""
    site.write("file", b"")
    site.link("dangling", "nowhere", OWNER)
    before = site.tree(".")
    with pytest.raises(PublishError, match=text):
        site.responder(root=site.path(root)).publish(CONTENT)
    assert site.tree(".") == before


@pytest.mark.parametrize("name", ["", "a/", "../a", "a/../b", ".."])
def test_name_outside_of_the_document_root(site: Site, name: str) -> None:
    """The file is below the document root and has a name."""
    before = site.tree(".")
    with pytest.raises(PublishError, match="does not name a file below"):
        site.responder(name, directory="d").publish(CONTENT)
    assert site.tree(".") == before


def test_file_in_the_document_root_itself(site: Site) -> None:
    """An alias may lead straight to the directory of the challenges."""
    responder = site.responder(TOKEN, directory="")
    responder.publish(CONTENT)
    assert os.listdir(site.root) == [TOKEN]
    responder.withdraw()
    assert os.listdir(site.root) == []


def identity() -> Any:
    umask = os.umask(0)
    os.umask(umask)
    return os.getresuid(), os.getresgid(), os.getgroups(), umask, signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.fixture(params=[False, True], ids=["alone", "with a thread"])
def thread(request: Any) -> Iterator[None]:
    """A thread of a responder, which receives the signals that the main thread has blocked."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    if request.param:
        thread.start()
    yield
    stop.set()
    if request.param:
        thread.join()


@pytest.mark.usefixtures("thread")
@pytest.mark.parametrize("function", ["mkdir", "open", "write", "fstat"])
def test_interrupted(site: Site, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    """Certbot raises from its signal handlers: no file is left, and the process has its own user again."""
    ourselves = identity()
    real = getattr(os, function)
    before = site.tree()

    def interrupted(*args: Any, **kwargs: Any) -> None:
        result = real(*args, **kwargs)
        if os.geteuid() == OWNER:
            monkeypatch.undo()
            os.kill(os.getpid(), signal.SIGINT)
        elif function == "fstat" and os.path.exists(site.file):
            monkeypatch.undo()
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(os, function, interrupted)
    responder = site.responder()
    with pytest.raises(KeyboardInterrupt):
        responder.publish(CONTENT)
    assert identity() == ourselves
    assert site.tree() == before


def test_identity_is_restored(site: Site) -> None:
    """After an act as the owner, failed or not, user, groups, umask and signals are as before."""
    held = safe_directories.Walk(site.view).to(site.root)[-1]
    before = identity()
    during = safe_directories.as_owner(held, identity)
    assert during[:4] == ((0, OWNER, 0), (0, 65534, 0), [65534], 0o022)
    assert during[4] >= {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    with pytest.raises(ZeroDivisionError):
        safe_directories.as_owner(held, lambda: 1 // 0)
    assert identity() == before


def test_root_is_restored_at_the_next_act(site: Site) -> None:
    """If an exception has left the process as another user, the next act restores root."""
    responder = site.responder()
    responder.publish(CONTENT)
    os.seteuid(STRANGER)
    responder.withdraw()
    assert os.geteuid() == 0
    assert os.listdir(site.root) == []


@pytest.mark.usefixtures("thread")
def test_with_threads(site: Site) -> None:
    """A thread that serves meanwhile does not interfere."""
    responder = site.responder()
    responder.publish(CONTENT)
    assert os.stat(site.file).st_uid == OWNER
    responder.withdraw()
    assert os.listdir(site.root) == []


def test_descriptors_of_a_large_order(site: Site) -> None:
    """A hundred names in a hundred document roots stay far below the usual limit of 1024 descriptors."""
    gc.collect()  # tracebacks of other tests
    before = len(os.listdir("/proc/self/fd"))
    responders = []
    for number in range(100):
        for token in ("one", "two"):
            root = site.path(f"www{number}") if token == "two" else site.make(f"www{number}")
            responders.append(site.responder(token, root=root))
            responders[-1].publish(CONTENT)
    assert len(os.listdir("/proc/self/fd")) - before < 400
    for responder in responders:
        responder.withdraw()
    del responder, responders
    assert len(os.listdir("/proc/self/fd")) == before
    assert all(os.listdir(site.path(f"www{number}")) == [] for number in range(100))
