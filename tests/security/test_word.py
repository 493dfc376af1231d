"""Directories that a user's program may name: any user may run a program behind root's proxy."""
import contextlib
import ctypes
import os
import signal
import subprocess
from pathlib import Path
from typing import Any
from typing import Dict
from typing import Iterator

import pytest

from certbot_autowebroot.order import guessed_roots
from certbot_autowebroot.order import messages
from certbot_autowebroot.order.hints import Hint
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders import safe_directories
from certbot_autowebroot.responders.factory import writable
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.servers.common import error_log
from certbot_autowebroot.servers.common.file_cache import RecordingView
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.views import NotRegularFileError
from certbot_autowebroot.system.views import View
from tests.lab import children
from tests.lab import programs
from tests.lab.hostile_site import CHALLENGE_FILE
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import GROUP
from tests.lab.hostile_site import OWNER
from tests.lab.hostile_site import STRANGER
from tests.lab.hostile_site import TOKEN
from tests.lab.hostile_site import Site
from tests.lab.hostile_site import view
from tests.lab.nginx import Nginx
from tests.lab.orders import NAME
from tests.lab.orders import ask
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved

__all__ = ["names", "place"]  # fixtures

pytestmark = pytest.mark.lab

SERVICE = 33


def publish(site: Site, view: View, root: str, name: str) -> bool:
    """Whether it succeeds; all other files stay as they were, and a refusal names directory and user."""
    before = site.tree()
    responder = WebrootResponder(view, Directory(PathInView(root), name), site.journal)
    try:
        responder.publish(CONTENT)
        return True
    except PublishError as error:
        assert f"The program that names it runs as uid {view.uid}, and that user may not write there" in str(error)
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
def test_directories_that_the_user_may_write(site: Site, owner: int, mode: int, uid: int, expected: bool) -> None:
    """A user's program may name directories that the user may write; programs of services and root, any."""
    os.chown(site.root, owner, GROUP)
    os.chmod(site.root, mode)
    with view(uid, gids=[uid, GROUP] if uid == OWNER else [uid]) as its:
        assert publish(site, its, site.root, CHALLENGE_FILE) == expected


@pytest.mark.parametrize("owner", [0, STRANGER])
def test_directory_of_root_in_the_users_document_root(site: Site, owner: int) -> None:
    """After ``sudo mkdir`` in a document root, its owner may rename that directory anyway."""
    site.make("www/.well-known", owner)
    site.make("www/.well-known/acme-challenge", owner)
    with view(OWNER) as its:
        assert publish(site, its, site.root, CHALLENGE_FILE)


@pytest.mark.parametrize("owner, name, expected", [
    (0, CHALLENGE_FILE, True), (SERVICE, CHALLENGE_FILE, True), (STRANGER, CHALLENGE_FILE, False),
    (SERVICE, TOKEN, False), (0, TOKEN, False), (0, f"hooks.d/{TOKEN}", False), (0, CHALLENGE_FILE + ".conf", False),
    (0, f".well-known/acme-challenge/x/{TOKEN}", False), (0, "x/" + CHALLENGE_FILE, True)])
@pytest.mark.parametrize("confined", [False, True], ids=["web root", "container"])
def test_web_roots_of_root(site: Site, monkeypatch: pytest.MonkeyPatch, owner: int, name: str, expected: bool,
                            confined: bool) -> None:
    """In /srv and the like, and in a container, root's directories too, for a challenge's path."""
    if not confined:
        monkeypatch.setattr(safe_directories, "_WEB_ROOTS", ("/srv", site.top))
    os.chown(site.root, owner, owner)
    with view(OWNER, confined) as its:
        assert publish(site, its, site.root, name) == expected


def test_existing_files_are_not_revealed(site: Site) -> None:
    """No request is made for files of a directory that the user may not name: it would reveal them."""
    os.chown(site.root, 0, 0)
    os.chmod(site.root, 0o700)
    os.chmod(site.write("www/favicon.ico", b"icon"), 0o644)
    guess = Directory(PathInView(site.root), CHALLENGE_FILE, guessed=True)
    with view(OWNER) as his, view(0) as roots:
        assert guessed_roots._samples(guess, his) == []
        assert guessed_roots._samples(guess, roots) == [("favicon.ico", b"icon")]


@pytest.fixture(params=[True, False], ids=["host", "container"])
def of_process(request: Any) -> Iterator[View]:
    """The view of a program of a user with a supplementary group, in the host's mount namespace or in another."""
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


def test_files_are_read_as_the_programs_user(site: Site, of_process: View) -> None:
    """A configuration that includes a file of root, or asks whether it exists, learns nothing."""
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


def test_no_device_is_opened(site: Site, bell: Any) -> None:
    """A device or FIFO in a file's place is not opened: by a container, a user's program or a directory's owner.

    Not for root's httpd either: a user's .htaccess may be a link to it.
    """
    directory = safe_directories.Walk(site.view).to(site.top)[-1]
    with view(0, confined=True) as containers, view(OWNER) as his, view(0) as roots:
        for its in (containers, his, roots):
            with pytest.raises(NotRegularFileError):
                its.read(site.path("bell"))
    assert safe_directories.read_file(directory, "bell") is None
    fd = os.open(site.top, os.O_RDONLY)
    assert guessed_roots._content(fd, "bell") == b""
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


def test_open_log_is_read_as_its_user(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's nginx: its log is read; an O_PATH descriptor does not lead root to open other files."""
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
        snapshot = processes.process(process.pid)
        assert snapshot is not None and snapshot.view
        monkeypatch.setattr(os, "open", noted)
        assert list(error_log.ends_of_logs(snapshot)) == [b"content"]
        process.kill()
    assert paths[0] in opened
    assert not {*paths[1:]} & {*opened}


@pytest.fixture
def served(place: Path) -> Iterator[Path]:
    """A user's own program, to which root's nginx passes all requests."""
    (place / "root").mkdir()
    (place / "root" / "index.html").write_text("there")
    argv = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", f"--groups={OWNER},{GROUP}", "busybox", "httpd", "-f",
            "-p", "127.0.0.1:8081", "-h", str(place / "root")]
    (place / "cwd").mkdir()
    with programs.Program(argv, place / "cwd", port=8081), \
            Nginx(place / "nginx", "server { listen 80; location / { proxy_pass http://127.0.0.1:8081; } }"):
        yield place / "root"


def changed(path: Path) -> Dict[str, int]:
    """The times of the last change in a directory, and of its owner or mode."""
    status = path.stat()
    return {"mtime": status.st_mtime_ns, "ctime": status.st_ctime_ns}


def test_users_program_behind_roots_proxy(served: Path, place: Path) -> None:
    """It is used with a directory of its user; with one of root, nothing is published, and the reason is given."""
    before = changed(served)
    with solved(place) as solver:
        assert solver.unanswered == [NAME]
        message = messages.failure(solver.outcomes[NAME])
    assert f"{served} belongs to root. The program that names it runs as uid {OWNER}, and that user" in message
    assert "--autowebroot-path" in message
    assert changed(served) == before
    os.chown(served, 0, GROUP)
    os.chmod(served, 0o775)
    with solved(place) as solver:
        assert solver.outcomes[NAME].verdict is Verdict.PROVEN
    os.chown(served, OWNER, OWNER)
    os.chmod(served, 0o755)
    with solved(place) as solver:
        assert solver.outcomes[NAME].verdict is Verdict.PROVEN
        assert ask().startswith(TOKEN[:-2].encode())


def test_given_directory_is_accepted(served: Path, place: Path) -> None:
    """--autowebroot-path is root's own choice, for the same directory."""
    with solved(place, hints={NAME: [Hint(str(served), "--autowebroot-path")]}) as solver:
        assert solver.outcomes[NAME].verdict is Verdict.PROVEN


@contextlib.contextmanager
def read_only_in_a_namespace_of(uid: int, path: str) -> Iterator[int]:
    """A process of a user who is root in a user namespace and has made a directory read-only there."""
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
def test_volume_of_a_users_namespace(site: Site, owner: int, expected: bool) -> None:
    """A directory that is read-only in a namespace is written on the host, but not where its root has no rights."""
    os.chown(site.root, owner, owner)
    with read_only_in_a_namespace_of(OWNER, site.root) as pid:
        inside: Any = View.of_process(pid)
        end = Directory(PathInView(site.root), CHALLENGE_FILE)
        its, directory = writable(inside, end, Program("x", pid))
        assert its.is_host
        responder = WebrootResponder(its, directory, site.journal)
        if expected:
            responder.publish(CONTENT)
            assert os.stat(f"{site.root}/{CHALLENGE_FILE}").st_uid == OWNER
        else:
            with pytest.raises(PublishError, match="a user that the server's container does not have"):
                responder.publish(CONTENT)
        responder.withdraw()
        assert os.listdir(site.root) == []
        inside.close()
        its.close()
