"""A process and a file system made of one input's bytes, so that a target runs without touching the disk.

An input is several files in one: a line ``%% NAME`` begins the file /etc/NAME; the lines before the first are the main
file. The first line may be a request: ``GET http://host/path?query address port``.
"""
import errno
import fnmatch
import os
import posixpath
import re
import stat
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Request
from certbot_autowebroot.system.processes import Process
from tests.lab.table import FRONT
from tests.lab.table import TOKEN

MAIN = "/etc/main"
_FILE = re.compile(rb"^%% ?([^\n]*)\n?", re.MULTILINE)
_REQUEST = re.compile(r"GET (https?)://([^/\n]*)(/[^?\n]*)(?:\?([^\n]*))? (\S+) ([0-9]{1,5})\n")
#: What lies on every machine. Directories at which a challenge may lie exist as well.
_DIRECTORIES = ("/", "/etc", "/srv", "/srv/www", "/srv/a", "/srv/b", "/var", "/var/www", "/var/www/public")


class FakeView:
    """The part of a :class:`~certbot_autowebroot.system.views.View` that the parsers use; with the same refusals."""

    is_host = False
    is_contained = True

    def __init__(self, files: Dict[str, bytes], directories: Sequence[str] = _DIRECTORIES) -> None:
        self._files = files
        self._directories = {*directories, *map(posixpath.dirname, files)}

    def read(self, path: str) -> bytes:
        content = self._files.get(posixpath.normpath(path))
        if content is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return content

    def stat(self, path: str) -> Optional[os.stat_result]:
        mode = stat.S_IFDIR if self.is_dir(path) else stat.S_IFREG if self.is_file(path) else 0
        # Changed in the future, so that nothing of one input is kept for the next.
        return os.stat_result((mode, *[0] * 8, 1 << 40)) if mode else None

    def is_dir(self, path: str) -> bool:
        return posixpath.normpath(path) in self._directories

    def is_file(self, path: str) -> bool:
        return posixpath.normpath(path) in self._files

    def list_dir(self, path: str) -> List[str]:
        top = posixpath.normpath(path)
        return sorted(posixpath.basename(one) for one in (*self._files, *self._directories)
                      if one != "/" and posixpath.dirname(one) == top)

    def glob(self, pattern: str) -> List[PathInView]:
        paths = sorted(path for path in (*self._files, *self._directories) if path.count("/") == pattern.count("/")
                       and fnmatch.fnmatchcase(path, pattern))
        return [PathInView(path) for path in paths]


def split(data: bytes) -> Tuple[Request, Dict[str, bytes]]:
    """The request and the files of an input."""
    request = request_for("www.sample.com")
    first, _, rest = data.partition(b"\n")
    match = _REQUEST.fullmatch(first.decode("utf-8", "surrogateescape") + "\n")
    if match:
        data = rest
        scheme, host, path, query, address, port = match.groups()
        try:
            request = Request(host.lower(), path, TOKEN, endpoint(address, int(port)), scheme, query or "")
        except ValueError:
            pass
    parts = _FILE.split(data)
    names = [posixpath.normpath(f"/etc/{os.fsdecode(name)}") for name in parts[1::2]]
    return request, {MAIN: parts[0], **dict(zip(names, parts[2::2]))}


def request_for(host: str) -> Request:
    """The request as the CA makes it."""
    return Request(host, CHALLENGE_PATH + TOKEN, TOKEN, FRONT)


def endpoint(address: str, port: int) -> Endpoint:
    """A local endpoint. Raises ValueError: no connection arrives at a text that is no address."""
    endpoint = Endpoint(address, port if not address.startswith("unix:") else 0)
    if not endpoint.is_unix and not 0 < port < 65536:
        raise ValueError(f"{port} is no port")
    assert endpoint.is_loopback in (True, False)
    return endpoint


def process(name: str, argv: Sequence[str], files: Dict[str, bytes], cwd: str = "/srv") -> Process:
    """A process in a container, with these files and no other."""
    process = Process(0, 0, 0, name, tuple(argv), PathInView(f"/usr/sbin/{name}"), PathInView(cwd), 0)
    vars(process)["view"] = FakeView(files)
    vars(process)["environment"] = {"HOME": "/srv", "SITE": "www.sample.com", "EMPTY": ""}
    return process
