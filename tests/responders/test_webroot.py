"""Files in a document root: owner, modes, and their removal."""
import itertools
import os
import pwd
import stat
from typing import Any
from typing import Iterator

import pytest
from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IResponder
from certbot_autowebroot.responders import AlreadyPublishedError
from certbot_autowebroot.responders import PublishError
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
