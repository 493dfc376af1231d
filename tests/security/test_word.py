"""Whose word is enough for root to write somewhere: anybody may run a program behind root's proxy."""
import contextlib
import ctypes
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any
from typing import Dict
from typing import Iterator
from typing import Sequence

import pytest

from certbot_autowebroot.order import evidence
from certbot_autowebroot.order import messages
from certbot_autowebroot.order.hints import Hint
from certbot_autowebroot.order.inquiry import Verdict
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders import safe_directories
from certbot_autowebroot.responders.factory import where_it_takes_writes
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.servers.common.file_cache import RecordingView
from certbot_autowebroot.servers.nginx import log
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.views import NotRegular
from certbot_autowebroot.system.views import View
from tests.lab import programs
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import OWNER
from tests.lab.hostile_site import STRANGER
from tests.lab.hostile_site import TOKEN
from tests.lab.hostile_site import Site
from tests.lab.hostile_site import new_site
from tests.lab.nginx import Nginx
from tests.lab.orders import NAME
from tests.lab.orders import ask
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved
from tests.security import children

__all__ = ["names", "place"]  # fixtures

USUAL = ".well-known/acme-challenge/" + TOKEN
SERVICE = 33
GROUP = 61003


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as site:
        yield site


@contextlib.contextmanager
def view(uid: int, confined: bool = False, gids: Sequence[int] = ()) -> Iterator[View]:
    """Ours, as a process of this user's sees it, or a container's with the same files."""
    found = View(os.open("/", os.O_RDONLY | os.O_DIRECTORY), confined, uid=uid, gids=gids or [uid])
    yield found
    found.close()


def publish(site: Site, view: View, root: str, name: str) -> bool:
    """Whether it was; all else that there is has stayed as it was, and a refusal names directory and user."""
    before = site.tree()
    responder = WebrootResponder(view, Directory(PathInView(root), name), site.journal)
    try:
        responder.publish(CONTENT)
        return True
    except PublishError as error:
        assert f"is named by a program of uid {view.uid}, who may not write there" in str(error)
        assert site.tree() == before
        return False
    finally:
        responder.withdraw()
        assert site.tree() == before


@pytest.mark.parametrize("owner, mode, uid, expected", [
    (OWNER, 0o755, OWNER, True),
    (0, 0o755, OWNER, False), (STRANGER, 0o755, OWNER, False), (SERVICE, 0o755, OWNER, False),
    (0, 0o775, OWNER, True), (STRANGER, 0o775, OWNER, True), (0, 0o777, OWNER, True),
    (0, 0o775, STRANGER, False),
    (0, 0o755, SERVICE, True), (STRANGER, 0o755, SERVICE, True), (0, 0o755, 0, True), (0, 0o755, 65534, True),
    (0, 0o1777, OWNER, False), (OWNER, 0o1777, OWNER, True), (0, 0o755, 61184, True), (0, 0o755, 1_000_000, False),
])
def test_what_a_user_could_write_himself(site: Site, owner: int, mode: int, uid: int, expected: bool) -> None:
    """A user's program names his directory, or one that he may write in. A service's, and root's, names any."""
    os.chown(site.root, owner, GROUP)
    os.chmod(site.root, mode)
    with view(uid, gids=[uid, GROUP] if uid == OWNER else [uid]) as its:
        assert publish(site, its, site.root, USUAL) == expected


@pytest.mark.parametrize("owner", [0, STRANGER])
def test_what_is_below_a_directory_of_his(site: Site, owner: int) -> None:
    """``sudo mkdir`` in one's own document root: he could give its name to another directory."""
    site.make("www/.well-known", owner)
    site.make("www/.well-known/acme-challenge", owner)
    with view(OWNER) as its:
        assert publish(site, its, site.root, USUAL)


@pytest.mark.parametrize("owner, name, expected", [
    (0, USUAL, True), (SERVICE, USUAL, True), (STRANGER, USUAL, False), (SERVICE, TOKEN, False),
    (0, TOKEN, False), (0, f"hooks.d/{TOKEN}", False),
    (0, USUAL + ".conf", False), (0, f".well-known/acme-challenge/x/{TOKEN}", False), (0, "x/" + USUAL, True)])
@pytest.mark.parametrize("confined", [False, True], ids=["web root", "container"])
def test_web_roots_of_roots(site: Site, monkeypatch: pytest.MonkeyPatch, owner: int, name: str, expected: bool,
                            confined: bool) -> None:
    """In /srv and the like, and in a container, root's directories too: for a file called as the CA asks for it."""
    if not confined:
        monkeypatch.setattr(safe_directories, "_WEB_ROOTS", ("/srv", site.top))
    os.chown(site.root, owner, owner)
    with view(OWNER, confined) as its:
        assert publish(site, its, site.root, name) == expected


def test_what_lies_there_already_is_not_told(site: Site) -> None:
    """A program is not asked for files of a directory that its user may not name: he would learn what is there."""
    os.chown(site.root, 0, 0)
    os.chmod(site.root, 0o700)
    os.chmod(site.write("www/favicon.ico", b"icon"), 0o644)
    guess = Directory(PathInView(site.root), USUAL, guessed=True)
    with view(OWNER) as his, view(0) as roots:
        assert evidence._samples(guess, his) == []
        assert evidence._samples(guess, roots) == [("favicon.ico", b"icon")]


@pytest.fixture(params=[True, False], ids=["host", "container"])
def of_process(request: Any) -> Iterator[View]:
    """The view of a program of the user's, who is in a further group, in our mount namespace or in one of its own."""
    argv = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", f"--groups={GROUP}", "sh", "-c", "echo; exec sleep 60"]
    with subprocess.Popen([*([] if request.param else ["unshare", "--mount"]), *argv],
                          stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        view = View.of_process(process.pid)
        assert view.is_host == request.param
        yield view
        view.close()
        process.kill()


def test_what_a_program_names_is_read_as_its_user(site: Site, of_process: View) -> None:
    """A configuration that includes a file of root's, or asks whether one is there, says nothing of it."""
    site.make("closed", 0, 0o700)
    site.make("groups", 0)
    for name, gid, mode in (("secret", 0, 0o600), ("closed/file", 0, 0o644), ("groups/file", GROUP, 0o640)):
        os.chown(site.write(name, b"content", 0), 0, gid)
        os.chmod(site.path(name), mode)
    assert (of_process.uid, of_process.gids) == (OWNER, [OWNER, GROUP])
    recording = RecordingView(of_process)
    for its in (of_process, recording):
        assert its.read(site.path("groups/file")) == b"content"
        for name in ("secret", "closed/file"):
            with pytest.raises(PermissionError):
                its.read(site.path(name))
    recording.close()
    assert of_process.stat(site.path("closed/file")) is None
    assert of_process.list_dir(site.path("closed")) == []
    assert of_process.glob(site.path("*/file")) == [site.path("groups/file")]
    assert os.geteuid() == 0


@pytest.fixture
def bell(site: Site) -> Iterator[Any]:
    """A FIFO, in place of a device that does something when it is opened: whether anybody has opened it for reading."""
    path = site.path("bell")
    os.mkfifo(path)
    os.chmod(path, 0o666)
    rung = threading.Event()
    thread = threading.Thread(target=lambda: (os.close(os.open(path, os.O_WRONLY)), rung.set()))
    thread.start()
    yield lambda: rung.wait(0.1)
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    thread.join()


def test_no_device_is_opened(site: Site, bell: Any) -> None:
    """What a container, a user's program or a directory's owner has put in a file's place is looked at, not opened.

    Not for root's httpd either: a user's .htaccess may be a link to it.
    """
    directory = safe_directories.Walk(site.view).to(site.top)[-1]
    with view(0, confined=True) as containers, view(OWNER) as his, view(0) as roots:
        for its in (containers, his, roots):
            with pytest.raises(NotRegular):
                its.read(site.path("bell"))
    assert safe_directories.read_file(directory, "bell") is None
    fd = os.open(site.top, os.O_RDONLY)
    assert evidence._content(fd, "bell") == b""
    os.close(fd)
    assert not bell()


#: Holds its log, and what it may not open: root's secret, and a FIFO for a device.
HOLDER = """
import os, sys, time
log, secret, fifo = sys.argv[1:]
held = [os.open(log, os.O_WRONLY), os.open(secret, os.O_PATH), os.open(fifo, os.O_PATH)]
print(flush=True)
time.sleep(60)
"""


def test_what_a_program_holds_is_opened_as_its_user(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's nginx: its log is read; by an O_PATH descriptor we are not led to open what he could not."""
    paths = [site.write("log", b"content", OWNER), site.write("secret", b"content", 0), site.path("fifo")]
    os.mkfifo(paths[-1], 0o600)
    opened = []
    real = os.open

    def noted(path: Any, flags: int, **keywords: Any) -> int:
        fd = real(path, flags, **keywords)
        if str(path).startswith("/proc/") and not flags & os.O_PATH:
            opened.append(os.readlink(f"/proc/self/fd/{fd}"))
        return fd

    argv = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups", "/usr/bin/python3", "-c", HOLDER]
    with subprocess.Popen([*argv, *paths], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = processes.process(process.pid)
        assert found is not None and found.view
        monkeypatch.setattr(os, "open", noted)
        assert list(log._ends_of_logs(found)) == [b"content"]
        process.kill()
    assert paths[0] in opened
    assert not {*paths[1:]} & {*opened}


@pytest.fixture
def served(place: Path) -> Iterator[Path]:
    """What a user's own program serves, that root's nginx passes all requests on to."""
    (place / "root").mkdir()
    (place / "root" / "index.html").write_text("there")
    argv = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", f"--groups={OWNER},{GROUP}", "busybox", "httpd", "-f",
            "-p", "127.0.0.1:8081", "-h", str(place / "root")]
    (place / "cwd").mkdir()
    with programs.Program(argv, place / "cwd", port=8081), \
            Nginx(place / "nginx", "server { listen 80; location / { proxy_pass http://127.0.0.1:8081; } }"):
        yield place / "root"


def changed(path: Path) -> Dict[str, int]:
    """When something was made or removed in a directory, and when its owner or mode was changed."""
    status = path.stat()
    return {"mtime": status.st_mtime_ns, "ctime": status.st_ctime_ns}


def test_a_users_program_behind_roots_proxy(served: Path, place: Path) -> None:
    """It answers with his own directory; with one of root's nothing is put there, and the reason is told."""
    before = changed(served)
    with solved(place) as solver:
        assert solver.unanswered == [NAME]
        said = messages.failure(solver.inquiries[NAME])
    assert f"{served} belongs to root, and is named by a program of uid {OWNER}, who may not write there" in said
    assert "--autowebroot-path" in said
    assert changed(served) == before
    os.chown(served, 0, GROUP)
    os.chmod(served, 0o775)
    with solved(place) as solver:
        assert solver.inquiries[NAME].verdict is Verdict.PROVEN
    os.chown(served, OWNER, OWNER)
    os.chmod(served, 0o755)
    with solved(place) as solver:
        assert solver.inquiries[NAME].verdict is Verdict.PROVEN
        assert ask().startswith(TOKEN[:-2].encode())


def test_root_may_say_so(served: Path, place: Path) -> None:
    """--autowebroot-path is root's word, for the same directory."""
    with solved(place, hints={NAME: [Hint(str(served), "--autowebroot-path")]}) as solver:
        assert solver.inquiries[NAME].verdict is Verdict.PROVEN


@contextlib.contextmanager
def read_only_in_a_namespace_of(uid: int, path: str) -> Iterator[int]:
    """A process of a user's, who is root in a namespace of his own and has made a directory read-only there."""
    libc = ctypes.CDLL(None, use_errno=True)
    mapped, unshared = os.pipe(), os.pipe()

    def act() -> None:
        call(libc.unshare(0x10000000 | 0x00020000))  # CLONE_NEWUSER, CLONE_NEWNS
        os.write(unshared[1], b"x")
        os.read(mapped[0], 1)
        os.setuid(0)
        call(libc.mount(path.encode(), path.encode(), None, 0x1000, None))  # MS_BIND
        call(libc.mount(None, path.encode(), None, 0x1000 | 0x20 | 0x1, None))  # with MS_REMOUNT, MS_RDONLY
        os.write(unshared[1], b"x")
        signal.pause()

    def call(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    child = children.start(act)
    try:
        os.read(unshared[0], 1)
        Path(f"/proc/{child}/uid_map").write_text(f"0 {uid} 1")
        os.write(mapped[1], b"x")
        os.read(unshared[0], 1)
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for fd in (*mapped, *unshared):
            os.close(fd)


@pytest.mark.parametrize("owner, expected", [(0, False), (STRANGER, False), (OWNER, True)])
def test_a_volume_that_a_user_has_made_himself(site: Site, owner: int, expected: bool) -> None:
    """What is read-only in a namespace is written on the host, and never where its root has no power."""
    os.chown(site.root, owner, owner)
    with read_only_in_a_namespace_of(OWNER, site.root) as pid:
        inside: Any = View.of_process(pid)
        end = Directory(PathInView(site.root), USUAL)
        its, directory = where_it_takes_writes(inside, end, Program("x", pid))
        assert its.is_host
        responder = WebrootResponder(its, directory, site.journal)
        if expected:
            responder.publish(CONTENT)
            assert os.stat(f"{site.root}/{USUAL}").st_uid == OWNER
        else:
            with pytest.raises(PublishError, match="whom the server's container has no power over"):
                responder.publish(CONTENT)
        responder.withdraw()
        assert os.listdir(site.root) == []
        inside.close()
        its.close()
