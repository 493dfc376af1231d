"""The file system as a process sees it.

``readlink /proc/PID/root`` looks like a host path and is none: a server in a container has a mount namespace of its
own, and ``/etc/nginx/nginx.conf`` in certbot's namespace is the *host's* file. An absolute symlink below
``/proc/PID/root/`` leads back into the host's file system. So every path is opened relative to a descriptor of that
process's root, and resolved inside it (openat2(2), RESOLVE_IN_ROOT).
"""
import errno
import fnmatch
import functools
import itertools
import os
import stat
import sys
from typing import Any
from typing import Callable
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import PathInView
from certbot_autowebroot.system.identity import act_as
from certbot_autowebroot.system.identity import is_ordinary
from certbot_autowebroot.system.identity import responsible_user

#: Bytes of one configuration file. Ten thousand sites in one file are 3 MB.
MAX_FILE_SIZE = 64 * 1024 * 1024
#: Bytes of all files of one configuration: a user can make a hundred links to one large file.
MAX_READ = 2 * MAX_FILE_SIZE
#: Paths that match a pattern: ``*/../*/../*`` matches until the memory is full.
MAX_MATCHES = 100_000

#: Another Unix may lack it, and has no view but the host's.
O_PATH = getattr(os, "O_PATH", os.O_RDONLY)
_TO_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

#: The users of a user namespace, user_namespaces(7): first uid inside, first uid on the host, count.
UidMap = Tuple[Tuple[int, int, int], ...]
_HOST_USERS: UidMap = ((0, 0, 2 ** 32),)


class View:
    """The file system below one root directory, for reading.

    Paths that an ordinary user's process names are read with that user's rights. Otherwise a configuration could
    include a file that only root can read, and its content would show in a path or a choice. Links of ``/proc`` are
    refused: ``/proc/self/cwd`` and ``/proc/self/fd`` would be certbot's own directories.

    :ivar root_fd: an open descriptor of the root directory.
    :ivar uid: the responsible user of the process, by the host's uids; 0 for the host's own view.
    :ivar gids: the groups of that process, the primary one first; empty for a process of root.
    """

    def __init__(self, root_fd: int, confined: bool, uid_map: UidMap = _HOST_USERS, uid: int = 0,
                 gids: Sequence[int] = ()) -> None:
        self.root_fd = root_fd
        self.uid = uid
        self.gids = gids
        self._confined = confined
        self._uid_map = uid_map
        self._bytes_left = MAX_READ
        self._open_in_root: Optional[Callable[[int, str, int], int]] = None
        if confined or is_ordinary(uid):
            # Late for speed: with ctypes, two milliseconds. Not when it is called, with the rights of another user.
            from certbot_autowebroot.system.openat2 import open_in_root
            self._open_in_root = open_in_root

    @classmethod
    def of_host(cls) -> "View":
        """The view of certbot itself."""
        return cls(os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), confined=False)

    @classmethod
    def of_process(cls, pid: int) -> "View":
        """The view of a process; the host's where it shares certbot's mount namespace and root.

        :raises OSError: the process has ended, or its root directory is not visible to this user.
        """
        root_fd = os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            same_mounts = os.stat(f"/proc/{pid}/ns/mnt").st_ino == os.stat("/proc/self/ns/mnt").st_ino
            same_root = os.path.samestat(os.fstat(root_fd), os.stat("/"))
            uid_map = _uid_map(pid)
            uid, gid, groups = responsible_user(pid)
        except OSError:
            os.close(root_fd)
            raise
        return cls(root_fd, not (same_mounts and same_root), uid_map, uid, [gid, *groups] if uid else ())

    def with_rights_of(self, other: "View") -> "View":
        """The same view with the rights of another view's process."""
        return View(os.dup(self.root_fd), self._confined, self._uid_map, other.uid, other.gids)

    def on_host(self) -> "View":
        """The host's view, for a path that a process in this view has named; with its users and rights."""
        root_fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        view = View(root_fd, False, self._uid_map, self.uid, self.gids)
        view.is_contained = self.is_contained
        return view

    @functools.cached_property
    def is_contained(self) -> bool:
        """Whether the view is a container's.

        A systemd unit with ``PrivateTmp=`` (Debian's Apache and Caddy) has mounts of its own, and the host's ``/`` and
        ``/etc``. A container may have the host's ``/etc`` as a volume, but another ``/``.
        """
        return not all(map(self.has_host_file, ("/", "/etc")))

    def has_host_file(self, path: str) -> bool:
        """Whether a path leads to the same file in this view and on the host, or to nothing in both."""
        if self.is_host:
            return True
        file = self.stat(path)
        try:
            return file is not None and os.path.samestat(file, os.stat(path))
        except OSError:
            return file is None

    @property
    def is_host(self) -> bool:
        """Whether a path in this view is a host path."""
        return not self._confined

    @property
    def root_uid(self) -> int:
        """The host's uid of root in this view: not 0 in a user namespace of its own; -1 if it has no root."""
        return next((on_host - inside for inside, on_host, count in self._uid_map if inside <= 0 < inside + count), -1)

    def has_user(self, uid: int) -> bool:
        """Whether a user of the host exists in the user namespace. Its root has no rights over files of others."""
        return any(on_host <= uid < on_host + count for _, on_host, count in self._uid_map)

    def close(self) -> None:
        """Close the descriptor."""
        # Reset before it is closed: an exception from a signal handler in between must not lead to closing it twice.
        root_fd, self.root_fd = self.root_fd, -1
        if root_fd >= 0:
            os.close(root_fd)

    def __del__(self) -> None:
        self.close()

    def open(self, path: str, flags: int) -> int:
        """Open an absolute path inside the view and return a descriptor.

        :raises OSError: as open(2).
        """
        return self._with_rights(self._open, path, flags | os.O_CLOEXEC)

    def _open(self, path: str, flags: int) -> int:
        if not path.startswith("/") or not _is_valid(path):  # a relative path would start at certbot's own directory
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if self._open_in_root is not None:
            try:
                return self._open_in_root(self.root_fd, path, flags)
            except OSError as error:
                if self._confined or error.errno != errno.ENOSYS:
                    raise  # ENOSYS: Linux before 5.6, where the user's own rights have to do
        return os.open(path, flags)

    def _with_rights(self, act: Callable[..., int], *args: Any, **kwargs: Any) -> int:
        if is_ordinary(self.uid):
            return act_as(self.uid, self.gids, act, *args, **kwargs)
        return act(*args, **kwargs)

    def read(self, path: str) -> bytes:
        """The content of a regular file.

        :raises OSError: it cannot be opened, is not a regular file or is larger than :data:`MAX_FILE_SIZE`; or this
            view has read twice that in all.
        """
        fd = self._with_rights(open_regular, functools.partial(self._open, path), path)
        try:
            status = os.fstat(fd)
            if status.st_size > min(MAX_FILE_SIZE, self._bytes_left):
                raise OSError(errno.EFBIG, "file too large to be a configuration", path)
            # A file object and a buffer for the largest would double the time for ten thousand files. /proc/kmsg has
            # the type of a regular file: without O_NONBLOCK it would block here, with it it raises EAGAIN.
            content = os.read(fd, status.st_size + 1)
            while len(content) <= MAX_FILE_SIZE:
                more = os.read(fd, 1 << 20)
                if not more:
                    break
                content += more
        finally:
            os.close(fd)
        self._bytes_left -= len(content)
        return content

    def stat(self, path: str) -> Optional[os.stat_result]:
        """The status of a path, links followed; None if there is nothing."""
        try:
            if self.is_host and not is_ordinary(self.uid) and path.startswith("/"):
                return os.stat(path)
            fd = self.open(path, O_PATH)
            try:
                return os.fstat(fd)
            finally:
                os.close(fd)
        except (OSError, ValueError):
            return None

    def is_dir(self, path: str) -> bool:
        """Whether the path is a directory, links followed."""
        status = self.stat(path)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def is_file(self, path: str) -> bool:
        """Whether the path is a regular file, links followed."""
        status = self.stat(path)
        return status is not None and stat.S_ISREG(status.st_mode)

    def list_dir(self, path: str) -> List[str]:
        """The names in a directory, sorted; empty if it does not exist or cannot be read."""
        try:
            fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return []
        try:
            return sorted(os.listdir(fd))
        except OSError:
            return []
        finally:
            os.close(fd)

    def glob(self, pattern: str) -> List[PathInView]:
        """The paths that match an absolute glob(7) pattern, in the order of glob(3), as in nginx and Apache.

        A pattern without wildcards gives its path if that exists.

        :raises OSError: more than ``MAX_MATCHES`` paths match.
        """
        paths = ["/"]
        for part in pattern.split("/"):
            if not part:
                continue
            if any(c in part for c in "*?["):
                matches = (os.path.join(directory, name) for directory in paths for name in self.list_dir(directory)
                           if fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith(".")))
                paths = list(itertools.islice(matches, MAX_MATCHES + 1))
                if len(paths) > MAX_MATCHES:
                    raise OSError(errno.E2BIG, f"more than {MAX_MATCHES} paths match", pattern)
            else:
                paths = [os.path.join(directory, part) for directory in paths]
        return [PathInView(path) for path in paths if self.stat(path) is not None]


class NotRegularFileError(OSError):
    """It is a directory, a device, a FIFO, a socket or a link."""


def open_regular(opener: Callable[[int], int], path: str) -> int:
    """Open a regular file for reading and return a descriptor.

    On Linux, the type is checked by ``O_PATH``, before the file is opened for reading: a FIFO would block, and to open
    a device may start it, watchdog(4). Root in a container can make devices, or mount one over a file, and any user can
    make ``.htaccess``, which root's httpd reads, a link to one.

    :param opener: opens it with the given flags.
    :raises NotRegularFileError: it is no regular file.
    :raises OSError: as open(2).
    """
    has_proc = sys.platform.startswith("linux")
    fd = opener(O_PATH | os.O_CLOEXEC if has_proc else _TO_READ)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise NotRegularFileError(errno.EINVAL, "not a regular file", path)
        if not has_proc:
            result, fd = fd, -1
            return result
        return os.open(f"/proc/self/fd/{fd}", _TO_READ)
    finally:
        if fd >= 0:
            os.close(fd)


def _uid_map(pid: int) -> UidMap:
    try:
        own = os.readlink("/proc/self/ns/user")
    except FileNotFoundError:
        return _HOST_USERS  # a kernel without user namespaces
    if os.readlink(f"/proc/{pid}/ns/user") == own:
        return _HOST_USERS
    with open(f"/proc/{pid}/uid_map", encoding="ascii") as file:
        lines = [[int(number) for number in line.split()] for line in file]
    return tuple((inside, on_host, count) for inside, on_host, count in lines)


def _is_valid(path: str) -> bool:
    """Whether a file can have this path. At a NUL, Python would raise a ValueError, and ctypes would cut the path."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False
