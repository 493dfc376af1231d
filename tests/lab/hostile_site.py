"""A document root of another user, and a record of all files in it."""
import contextlib
import os
import shutil
import stat
import tempfile
import threading
from dataclasses import dataclass
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List
from typing import Sequence
from typing import Tuple

import pytest

from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.system.views import View

#: Users without an entry in passwd, as containers and deleted accounts have.
OWNER = 61001
STRANGER = 61002
#: A supplementary group.
GROUP = 61003

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
CONTENT = TOKEN.encode() + b".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
DIRECTORY = ".well-known/acme-challenge"
CHALLENGE_FILE = f"{DIRECTORY}/{TOKEN}"
#: A line of a journal.
ENTRY: Dict[str, Any] = {"number": 1, "path": "/var/www", "parent": [1, 2], "name": ".well-known", "draft": ".draft",
                         "uid": 33, "sha256": "", "made": None}


@dataclass
class Site:
    """A document root with a journal beside it.

    :ivar top: a directory of root that every user can pass.
    """

    top: str
    journal: Journal
    view: View

    @property
    def root(self) -> str:
        return self.path("www")

    @property
    def journal_directory(self) -> str:
        return self.path("work/autowebroot")

    @property
    def file(self) -> str:
        return f"{self.root}/{DIRECTORY}/{TOKEN}"

    def path(self, name: str) -> str:
        return os.path.join(self.top, name)

    def make(self, name: str, owner: int = OWNER, mode: int = 0o755) -> str:
        """A directory of a user below the top."""
        path = self.path(name)
        os.mkdir(path)
        os.chown(path, owner, owner)
        os.chmod(path, mode)
        return path

    def link(self, name: str, target: str, owner: int) -> str:
        """A symbolic link of a user below the top."""
        path = self.path(name)
        os.symlink(target, path)
        os.chown(path, owner, owner, follow_symlinks=False)
        return path

    def write(self, name: str, content: bytes, owner: int = OWNER) -> str:
        """A file of a user below the top."""
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content)
        os.chown(path, owner, owner)
        os.chmod(path, 0o640)
        return path

    def responder(self, token: str = TOKEN, root: str = "", directory: str = DIRECTORY) -> WebrootResponder:
        return WebrootResponder(self.view, Directory(PathInView(root or self.root), f"{directory}/{token}"),
                                self.journal)

    def journals(self) -> List[str]:
        """The journals on the disk."""
        return os.listdir(self.journal_directory) if os.path.isdir(self.journal_directory) else []

    def tree(self, name: str = "www") -> Dict[str, Tuple[object, ...]]:
        return tree(self.path(name))


@contextlib.contextmanager
def new_site() -> Iterator[Site]:
    """An empty document root."""
    # Not tmp_path: only root can pass a directory above it, and the owner has to come here.
    top = os.path.realpath(tempfile.mkdtemp(prefix="site-"))
    os.chmod(top, 0o755)
    view = View.of_host()
    try:
        site = Site(top, Journal(os.path.join(top, "work/autowebroot")), view)
        site.make("www")
        yield site
    finally:
        view.close()
        shutil.rmtree(top)


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as site:
        yield site


def tree(top: str) -> Dict[str, Tuple[object, ...]]:
    """All files below a directory, with all their attributes."""
    files_by_path: Dict[str, Tuple[object, ...]] = {}
    for directory, directories, files in os.walk(top):
        for name in (".", *directories, *files):
            path = os.path.normpath(os.path.join(directory, name))
            status = os.lstat(path)
            kind = stat.S_IFMT(status.st_mode)
            content: object = ""
            if kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    content = file.read()
            elif kind == stat.S_IFLNK:
                content = os.readlink(path)
            # A directory's time changes when a file in it is made and removed again; no other time does.
            when = 0 if kind == stat.S_IFDIR else status.st_mtime_ns
            files_by_path[os.path.relpath(path, top)] = (status.st_ino, status.st_mode, status.st_uid, status.st_gid,
                                                         content, when)
    return files_by_path


@contextlib.contextmanager
def view(uid: int, confined: bool = False, gids: Sequence[int] = ()) -> Iterator[View]:
    """The host's view, as a process of this user has it; or a container's with the same files."""
    view = View(os.open("/", os.O_RDONLY | os.O_DIRECTORY), confined, uid=uid, gids=gids or [uid])
    view.is_contained = confined  # a container has another / than the host
    yield view
    view.close()


@pytest.fixture
def bell(site: Site) -> Iterator[Any]:
    """A FIFO in place of a device with side effects: whether any process has opened it for reading."""
    path = site.path("bell")
    os.mkfifo(path)
    os.chmod(path, 0o666)
    rung = threading.Event()

    def wait() -> None:
        os.close(os.open(path, os.O_WRONLY))
        rung.set()
    thread = threading.Thread(target=wait)
    thread.start()
    yield lambda: rung.wait(0.1)
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    thread.join()
