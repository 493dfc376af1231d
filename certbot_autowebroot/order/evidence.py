"""Evidence before footprints: whether a program serves a directory that is only guessed.

Asked with a file that already lies there, so that nothing is written on a guess alone.
"""
import os
import stat
import time
from typing import List
from typing import Tuple

from certbot_autowebroot.responders.safe_directories import UnsafePathError
from certbot_autowebroot.responders.safe_directories import Walk
from certbot_autowebroot.responders.safe_directories import check_place
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Hop
from certbot_autowebroot.routing import probe
from certbot_autowebroot.system.views import NotRegularFileError
from certbot_autowebroot.system.views import View
from certbot_autowebroot.system.views import open_regular

#: What is made to be fetched; nothing else of a directory is asked for.
_PUBLIC = (".ico", ".txt", ".html", ".css", ".js", ".svg", ".png", ".jpg", ".webp", ".json")
_MAX_FILES = 3


def is_served(directory: Directory, hop: Hop, view: View, attempts: int, seconds: float) -> bool:
    """Whether the program at the last hop answers with a file of this directory.

    :param view: the program's view of the file system.
    :param attempts: how often it is asked for a file; more than once where others answer at its endpoint by turns.
    :param seconds: after which it is asked no more.
    :raises socket.timeout: it does not answer at all.
    """
    deadline = time.monotonic() + seconds
    return any(time.monotonic() < deadline
               and probe.get_directly(hop.request.endpoint, hop.request.host, "/" + name) == content
               for name, content in _samples(directory, view) for _ in range(attempts))


def _samples(directory: Directory, view: View) -> List[Tuple[str, bytes]]:
    """Some files, the least usual type last: an application may make index.html itself, but no favicon.ico."""
    try:
        # Whoever asks a program for a file tells it that there is one: so not where we would not write on its word.
        check_place(Walk(view).to(directory.root), is_challenge_path=True)
        fd = view.open(directory.root, os.O_RDONLY | os.O_DIRECTORY)
    except (OSError, UnsafePathError):
        return []
    found = []
    try:
        names = [name for name in os.listdir(fd) if name.endswith(_PUBLIC) and not name.startswith(".")]
        names.sort(key=lambda name: (_PUBLIC.index(os.path.splitext(name)[1]), name))
        for name in names[:_MAX_FILES]:
            content = _content(fd, name)
            if content:
                found.append((name, content))
    except OSError:
        pass
    finally:
        os.close(fd)
    return found


def _content(directory_fd: int, name: str) -> bytes:
    """The beginning of a file that everybody may read; empty for anything else."""
    try:
        fd = open_regular(lambda flags: os.open(name, flags | os.O_NOFOLLOW, dir_fd=directory_fd), name)
    except NotRegularFileError:
        return b""
    try:
        return os.read(fd, probe.MAX_BODY) if os.fstat(fd).st_mode & stat.S_IROTH else b""
    finally:
        os.close(fd)
