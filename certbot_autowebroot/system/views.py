"""The file system as a process sees it.

``readlink /proc/PID/root`` looks like a host path and is not one: a server in a container has a mount namespace of
its own, and reading "its" ``/etc/nginx/nginx.conf`` from ours would read the *host's*. And an absolute symlink below
``/proc/PID/root/`` leads back into the host's file system. So everything is opened relative to a descriptor of that
process's root, and resolved inside it (openat2(2), RESOLVE_IN_ROOT).
"""
import ctypes
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

#: No configuration file that a person or a tool writes is larger; ten thousand sites in one file are 3 MB.
MAX_FILE_SIZE = 64 * 1024 * 1024
#: Nor are all files of one configuration; a hundred links to a file as large as that are soon made.
MAX_READ = 2 * MAX_FILE_SIZE
#: Paths that a pattern finds: ``*/../*/../*`` finds as many as there is memory for.
MAX_FOUND = 100_000
#: Attempts at a path with ``..`` in it. Whoever renames something in a loop can keep the kernel from being sure of it.
_MAX_ATTEMPTS = 1000

#: Another Unix may have none, nor any view but our own.
O_PATH = getattr(os, "O_PATH", os.O_RDONLY)
_TO_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_SYS_OPENAT2 = 437  # the same number on every architecture: Linux, include/uapi/asm-generic/unistd.h
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10


#: A user namespace's users, user_namespaces(7): first uid inside, first uid as we count, how many.
UidMap = Tuple[Tuple[int, int, int], ...]
_OUR_USERS: UidMap = ((0, 0, 2 ** 32),)


class _OpenHow(ctypes.Structure):
    """struct open_how of openat2(2)."""

    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


class View:
    """The file system below one root directory, for reading.

    What an ordinary user's process names is read with that user's rights: he could have us find out what is in a file
    of root's, by a configuration that includes it and makes a path, or a choice, of what it says. And not through
    ``/proc/self/cwd`` or ``/proc/self/fd``: that would be our working directory, and directories that we hold.

    :ivar root_fd: an open descriptor of the root directory.
    :ivar uid: whose process sees it so, as we count; 0 for our own view.
    :ivar gids: the groups of that process, the primary one first; empty for a process of root's.
    :ivar is_contained: that process has another root directory or other mounts than we have.
    """

    def __init__(self, root_fd: int, confined: bool, uid_map: UidMap = _OUR_USERS, uid: int = 0,
                 gids: Sequence[int] = ()) -> None:
        self.root_fd = root_fd
        self.uid = uid
        self.gids = gids
        self.is_contained = confined
        self._confined = confined
        self._uid_map = uid_map
        self._left = MAX_READ

    @classmethod
    def of_host(cls) -> "View":
        """Our own view."""
        return cls(os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), confined=False)

    @classmethod
    def of_process(cls, pid: int) -> "View":
        """The view of a process; our own where it shares our mount namespace and root.

        :raises OSError: the process is gone, or its root is not ours to see.
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
        """The same, as the process sees it whose view the other is."""
        return View(os.dup(self.root_fd), self._confined, self._uid_map, other.uid, other.gids)

    def on_host(self) -> "View":
        """Our own view, for what a process in this one has named: whom it does not know stays unknown."""
        root_fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        view = View(root_fd, False, self._uid_map, self.uid, self.gids)
        view.is_contained = self.is_contained
        return view

    @property
    def is_host(self) -> bool:
        """Whether a path in this view is a path of ours."""
        return not self._confined

    @property
    def root_uid(self) -> int:
        """Who is root there, as we count: another than 0 in a user namespace of its own; -1 where nobody is."""
        return next((ours - theirs for theirs, ours, count in self._uid_map if theirs <= 0 < theirs + count), -1)

    def knows(self, uid: int) -> bool:
        """Whether a user of ours is one there too. Whom it does not know, its root has no power over."""
        return any(ours <= uid < ours + count for _, ours, count in self._uid_map)

    def close(self) -> None:
        """Give the descriptor back."""
        # Forgotten before it is closed: a signal's exception in between must not lead to closing it twice.
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
        if not path.startswith("/") or not _is_name(path):  # else it would be below our own working directory
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if self._confined or is_ordinary(self.uid):
            try:
                return _open_in_root(self.root_fd, path, flags)
            except OSError as error:
                if self._confined or error.errno != errno.ENOSYS:
                    raise  # else it is Linux before 5.6, where his programs are to be read all the same
        return os.open(path, flags)

    def _with_rights(self, act: Callable[..., int], *args: Any, **kwargs: Any) -> int:
        if is_ordinary(self.uid):
            return act_as(self.uid, self.gids, act, *args, **kwargs)
        return act(*args, **kwargs)

    def read(self, path: str) -> bytes:
        """The content of a regular file.

        :raises OSError: it cannot be opened, is not a regular file, or is larger than :data:`MAX_FILE_SIZE`; or twice
            that has been read.
        """
        fd = self._with_rights(open_regular, functools.partial(self._open, path), path)
        try:
            status = os.fstat(fd)
            if status.st_size > min(MAX_FILE_SIZE, self._left):
                raise OSError(errno.EFBIG, "file too large to be a configuration", path)
            # Ten thousand of them: a file object, and a buffer for the largest, would double the time. /proc/kmsg is
            # regular by its type, and where nothing is there without waiting this raises EAGAIN.
            content = os.read(fd, status.st_size + 1)
            while len(content) <= MAX_FILE_SIZE:
                more = os.read(fd, 1 << 20)
                if not more:
                    break
                content += more
        finally:
            os.close(fd)
        self._left -= len(content)
        return content

    def stat(self, path: str) -> Optional[os.stat_result]:
        """The status of what a path leads to, or None where it leads nowhere."""
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
        """Whether the path leads to a directory."""
        status = self.stat(path)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def is_file(self, path: str) -> bool:
        """Whether the path leads to a regular file."""
        status = self.stat(path)
        return status is not None and stat.S_ISREG(status.st_mode)

    def list_dir(self, path: str) -> List[str]:
        """The names in a directory, sorted. Empty where there is none or it cannot be read."""
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
        """The paths that match an absolute glob(7) pattern, in the order that glob(3) and so nginx and Apache take.

        A pattern without wildcards gives its path where that exists.

        :raises OSError: more match than any configuration has files.
        """
        found = ["/"]
        for part in pattern.split("/"):
            if not part:
                continue
            if any(c in part for c in "*?["):
                matches = (os.path.join(directory, name) for directory in found for name in self.list_dir(directory)
                           if fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith(".")))
                found = list(itertools.islice(matches, MAX_FOUND + 1))
                if len(found) > MAX_FOUND:
                    raise OSError(errno.E2BIG, f"more than {MAX_FOUND} paths match", pattern)
            else:
                found = [os.path.join(directory, part) for directory in found]
        return [PathInView(path) for path in found if self.stat(path) is not None]


class NotRegularFileError(OSError):
    """It is a directory, a device, a FIFO, a socket or a link."""


def open_regular(opened: Callable[[int], int], path: str) -> int:
    """A descriptor of a regular file, for reading.

    A FIFO would let us wait for ever. To open a device may start it, watchdog(4). Whoever is root in a container makes
    devices, or mounts one over a file, and any user can make his ``.htaccess``, which root's httpd reads, a link to
    one: so it is only looked at, before it is opened.

    :param opened: opens it with the flags that it is given.
    :raises NotRegularFileError: it is another thing.
    :raises OSError: as open(2).
    """
    looks = sys.platform.startswith("linux")
    fd = opened(O_PATH | os.O_CLOEXEC if looks else _TO_READ)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise NotRegularFileError(errno.EINVAL, "not a regular file", path)
        if not looks:
            fd, found = -1, fd
            return found
        return os.open(f"/proc/self/fd/{fd}", _TO_READ)
    finally:
        if fd >= 0:
            os.close(fd)


def _uid_map(pid: int) -> UidMap:
    try:
        ours = os.readlink("/proc/self/ns/user")
    except FileNotFoundError:
        return _OUR_USERS  # a kernel without user namespaces
    if os.readlink(f"/proc/{pid}/ns/user") == ours:
        return _OUR_USERS
    with open(f"/proc/{pid}/uid_map", encoding="ascii") as file:
        lines = [[int(number) for number in line.split()] for line in file]
    return tuple((theirs, ours_first, count) for theirs, ours_first, count in lines)


def _is_name(path: str) -> bool:
    """Whether a file can have such a name. Python would raise a ValueError, and ctypes end the name at the NUL."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _open_in_root(root_fd: int, path: str, flags: int) -> int:
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOSYS, "another process's view of the file system is Linux only", path)
    libc = _libc()
    how = _OpenHow(flags, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    for _ in range(_MAX_ATTEMPTS):
        fd: int = libc.syscall(_SYS_OPENAT2, root_fd, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        # EAGAIN: something was renamed while the kernel resolved a "..", openat2(2); it is safe to ask again.
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code), path)
