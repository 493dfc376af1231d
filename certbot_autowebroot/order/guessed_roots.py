"""Verify a guessed document root by fetching an existing file, so that nothing is written on a guess alone."""
import os
import stat
import time
from typing import List
from typing import Tuple

from certbot_autowebroot.responders.safe_directories import Refused
from certbot_autowebroot.responders.safe_directories import Walk
from certbot_autowebroot.responders.safe_directories import check_place
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Hop
from certbot_autowebroot.routing import probe
from certbot_autowebroot.system.views import NotRegular
from certbot_autowebroot.system.views import View
from certbot_autowebroot.system.views import open_regular

#: Files that a site publishes; no other file of a directory is fetched.
_PUBLIC = (".ico", ".txt", ".html", ".css", ".js", ".svg", ".png", ".jpg", ".webp", ".json")
_MAX_FILES = 3


def is_served(directory: Directory, hop: Hop, view: View, attempts: int, seconds: float) -> bool:
    """Whether the program at the last hop answers with a file of this directory.

    :param view: the program's view of the file system.
    :param attempts: requests for each file; more than one where several programs answer at its endpoint by turns.
    :param seconds: after which no further request is made.
    :raises socket.timeout: the program does not answer.
    """
    deadline = time.monotonic() + seconds
    return any(time.monotonic() < deadline
               and probe.get_directly(hop.request.endpoint, hop.request.host, "/" + name) == content
               for name, content in _samples(directory, view) for _ in range(attempts))


def _samples(directory: Directory, view: View) -> List[Tuple[str, bytes]]:
    """Some files, the least usual type last: an application may make index.html itself, but no favicon.ico."""
    try:
        # A request for a file reveals that the file exists: so only where we would also write at the program's word.
        check_place(Walk(view).to(directory.root), usual=True)
        fd = view.open(directory.root, os.O_RDONLY | os.O_DIRECTORY)
    except (OSError, Refused):
        return []
    samples = []
    try:
        names = [name for name in os.listdir(fd) if name.endswith(_PUBLIC) and not name.startswith(".")]
        names.sort(key=lambda name: (_PUBLIC.index(os.path.splitext(name)[1]), name))
        for name in names[:_MAX_FILES]:
            content = _content(fd, name)
            if content:
                samples.append((name, content))
    except OSError:
        pass
    finally:
        os.close(fd)
    return samples


def _content(directory_fd: int, name: str) -> bytes:
    """The beginning of a world-readable regular file; empty for anything else."""
    try:
        fd = open_regular(lambda flags: os.open(name, flags | os.O_NOFOLLOW, dir_fd=directory_fd), name)
    except NotRegular:
        return b""
    try:
        return os.read(fd, probe.MAX_BODY) if os.fstat(fd).st_mode & stat.S_IROTH else b""
    finally:
        os.close(fd)
