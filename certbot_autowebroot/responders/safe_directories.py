"""Enter directories of other users safely, and act in them with their owner's rights alone.

The owner of a directory can swap its content at any moment. Certbot's own webroot makes a directory and then changes
its owner *by path*: an owner who puts a symbolic link there in between gets a directory of root. So this module does
nothing by path. It opens each component by itself and never through a link; it reads and checks a link first; and it
creates and removes files as the owner of their directory. An attack gains its owner no right that this user does not
have already.
"""
import errno
import functools
import os
import pwd
import stat
import weakref
from typing import Any
from typing import Callable
from typing import Optional
from typing import Tuple
from typing import TypeVar

from certbot_autowebroot.system.identity import act_as
from certbot_autowebroot.system.identity import is_ordinary
from certbot_autowebroot.system.identity import primary_group
from certbot_autowebroot.system.views import NotRegularFileError
from certbot_autowebroot.system.views import View
from certbot_autowebroot.system.views import open_regular

T = TypeVar("T")

#: Device and inode: they identify a file while it is open.
Key = Tuple[int, int]

#: As many as Linux itself follows, path_resolution(7).
MAX_LINKS = 40

#: Without O_PATH (macOS, FreeBSD before 14) a directory has to be readable to be walked through.
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_A_DIRECTORY = (errno.ENOTDIR, errno.ELOOP, errno.EMLINK)  # EMLINK: a link with O_NOFOLLOW on FreeBSD

#: No file is put into these or below them if they belong to root.
_SYSTEM_TREES = frozenset((
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/sbin", "/sys",
    "/usr/bin", "/usr/include", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/libexec", "/usr/sbin",
    "/usr/src", "/usr/local/bin", "/usr/local/etc", "/usr/local/lib", "/usr/local/libexec", "/usr/local/sbin",
    "/run/systemd", "/run/udev", "/var/backups", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/pacman", "/var/lib/rpm",
    "/var/lib/systemd", "/var/log", "/var/mail", "/var/spool", "/System", "/Library/LaunchDaemons",
))
#: No file is put into these. Directories below may be a document root of a package (/usr/share/nginx/html,
#: /usr/share/caddy, /usr/local/www/nginx) or one that tutorials recommend (/var/lib/letsencrypt, /run/acme).
_SYSTEM_PARENTS = frozenset(("/", "/run", "/usr", "/usr/local", "/usr/share", "/var", "/var/cache", "/var/lib"))

#: Trees for public files: an ordinary user's program may name directories of root and of services here.
_WEB_ROOTS = ("/opt", "/srv", "/usr/local/www", "/usr/share/caddy", "/usr/share/nginx", "/var/www")


class UnsafePathError(Exception):
    """A path is not followed. The text is a whole sentence for the user: the path, the obstacle and its owner."""


class _NotADirectoryError(UnsafePathError):
    """A path is no directory. The message about a link to it names the link, too."""


class OpenDirectory:
    """An open directory: the descriptor leads to the same directory after a rename.

    :ivar path: its path at first, links resolved, in its view.
    :ivar key: its device and inode.
    """

    fd = -1

    def __init__(self, fd: int, path: str, view: View) -> None:
        self.fd = fd
        self.path = path
        self.view = view
        status = os.fstat(fd)
        self.key: Key = (status.st_dev, status.st_ino)

    @property
    def uid(self) -> int:
        """Its owner now."""
        return os.fstat(self.fd).st_uid

    def child(self, name: str) -> str:
        """The path of a file in it."""
        return os.path.join(self.path, name)

    def __del__(self) -> None:
        # Reset before it is closed: the number of a closed descriptor is soon reused, and an exception from a signal
        # handler in here may keep this object alive.
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


#: One descriptor for each directory: an order of a hundred names opens the same few directories again and again. The
#: key has the view, for another mount of the same directory may be read-only.
_open_directories: "weakref.WeakValueDictionary[Tuple[int, str, Key], OpenDirectory]" = weakref.WeakValueDictionary()


def _shared(fd: int, path: str, view: View) -> OpenDirectory:
    new = OpenDirectory(fd, path, view)
    directory = _open_directories.get((id(view), path, new.key))
    if directory is None or directory.fd < 0:
        directory = _open_directories[id(view), path, new.key] = new
    return directory


#: The directories from the root of a view down to the current one of a walk, none of them a link.
Chain = Tuple[OpenDirectory, ...]


class Walk:
    """One walk through a view, component by component.

    :raises UnsafePathError: (all methods) a component must not be followed.
    :raises OSError: (all methods) as open(2); FileNotFoundError only for a component itself, never for the target of a
        link.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._links = 0

    def to(self, path: str) -> Chain:
        """Go to an absolute path of the view."""
        return self._along((_shared(os.dup(self._view.root_fd), "/", self._view),), path)

    def enter(self, chain: Chain, name: str) -> Chain:
        """Go one component further, a directory or a link that is safe to follow."""
        try:
            return self.enter_directory(chain, name)
        except NotADirectoryError:
            return self._follow(chain, name, *_lstat_and_target(chain[-1], name))

    def enter_directory(self, chain: Chain, name: str) -> Chain:
        """Go one component further, into a real directory.

        :raises NotADirectoryError: it is no directory, or a link.
        """
        try:
            # O_DIRECTORY also triggers an automount (often of home directories), which O_PATH alone does not.
            fd = os.open(name, _SEARCH | os.O_DIRECTORY, dir_fd=chain[-1].fd)
        except OSError as error:
            if error.errno in _NOT_A_DIRECTORY:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from None
            raise
        return (*chain, _shared(fd, chain[-1].child(name), self._view))

    def _along(self, chain: Chain, path: str) -> Chain:
        if path.startswith("/"):
            chain = chain[:1]
        for name in path.split("/"):
            if name == "..":
                chain = chain[:-1] or chain
            elif name not in ("", "."):
                chain = self.enter(chain, name)
        return chain

    def _follow(self, chain: Chain, name: str, status: os.stat_result, target: str) -> Chain:
        here = chain[-1]
        path = here.child(name)
        if not stat.S_ISLNK(status.st_mode):
            raise _NotADirectoryError(f"{path} is {describe(status)}, and not a directory.")
        self._links += 1
        if self._links > MAX_LINKS:
            raise UnsafePathError(f"{path} leads through more than {MAX_LINKS} symbolic links.")
        link = f"{path} is a symbolic link of {user(status.st_uid)} to {target}"
        if not hasattr(os, "O_PATH") and _others_may_write(here):
            # It may have been swapped between lstat(2) and readlink(2).
            raise UnsafePathError(f"{link}, in a directory where others than root may swap it. It is not followed.")
        try:
            end = self._along(chain, target)
        except FileNotFoundError:
            raise UnsafePathError(f"{link}, which does not exist.") from None
        except _NotADirectoryError as error:
            raise UnsafePathError(f"{link}. {error}") from None
        owner = end[-1].uid
        if status.st_uid == owner:
            return end
        if status.st_uid != self._view.root_uid:
            raise UnsafePathError(f"{link}, a directory of {user(owner)}. It is not followed: only a link of root's, "
                                  f"or of the directory's own owner, is (chown -h {user(owner)} {path}).")
        # Without fs.protected_hardlinks, any user can make a hard link of root's link anywhere.
        if status.st_nlink > 1 and here.uid != status.st_uid:
            raise UnsafePathError(f"{link}, and a hard link in a directory of {user(here.uid)}. It is not followed.")
        return end


def _lstat_and_target(directory: OpenDirectory, name: str) -> Tuple[os.stat_result, str]:
    """The status of a file and, for a link, its target. With O_PATH, both are of the same file."""
    if not hasattr(os, "O_PATH"):
        status = os.lstat(name, dir_fd=directory.fd)
        return status, os.readlink(name, dir_fd=directory.fd) if stat.S_ISLNK(status.st_mode) else ""
    fd = os.open(name, _SEARCH, dir_fd=directory.fd)
    try:
        status = os.fstat(fd)
        return status, os.readlink("", dir_fd=fd) if stat.S_ISLNK(status.st_mode) else ""
    finally:
        os.close(fd)


def _others_may_write(directory: OpenDirectory) -> bool:
    status = os.fstat(directory.fd)
    return status.st_uid != 0 or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def check_place(chain: Chain, is_challenge_path: bool) -> None:
    """Refuse a directory that no server serves, or that the view's user may not name.

    The end of the walk counts, not the path by which it came there.

    :param is_challenge_path: the file's path ends as the path of the CA's request.
    :raises UnsafePathError: a system directory of root's; a directory of a user that the server's container does not
        have; one that an ordinary user's program names and that user could not write in.
    """
    here = chain[-1]
    view = here.view
    owner = here.uid
    if not view.has_user(owner):
        # Any user can be root in a user namespace, and has no rights over files of the host's other users.
        raise UnsafePathError(f"{here.path} belongs to {user(owner)}, a user that the server's container does not "
                              "have. Nothing is put there.")
    if here.path == "/":
        # The root of a server may be its document root by chroot(2), as mini_httpd's.
        refused = os.path.samestat(os.fstat(here.fd), os.stat("..", dir_fd=here.fd))
    else:
        refused = owner == view.root_uid and is_system_directory(here.path)
    if refused:
        raise UnsafePathError(f"{here.path} is a system directory. Nothing is put there: please let the server answer "
                              "/.well-known/acme-challenge/ from a directory such as /var/www/acme.")
    if os.geteuid() == 0 and not _may_name(chain, is_challenge_path):
        raise UnsafePathError(f"{here.path} belongs to {user(owner)}. The program that names it runs as "
                              f"{user(view.uid)}, and that user may not write there. Nothing is put there: please give "
                              f"the directory to {user(view.uid)}, or confirm it with --autowebroot-path.")


def _may_name(chain: Chain, is_challenge_path: bool) -> bool:
    """Whether root may write to a directory because the view's user names it.

    Any user may run a program behind root's proxy, whose configuration names any directory. An ordinary user may name
    directories below one that this user may write in; directories of root and of services below the web roots; and, in
    a container, which root has made and filled, all directories of root and of services.
    """
    here = chain[-1]
    view = here.view
    if not is_ordinary(view.uid) or any(map(_user_may_write, chain)):
        return True
    public = view.is_contained or any((here.path + "/").startswith(top + "/") for top in _WEB_ROOTS)
    return (here.uid == view.root_uid or not is_ordinary(here.uid)) and public and is_challenge_path


def _user_may_write(directory: OpenDirectory) -> bool:
    """Whether the view's user may create and replace any file in a directory."""
    status, view = os.fstat(directory.fd), directory.view
    writable = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and status.st_gid in view.gids)
    return status.st_uid == view.uid or bool(writable and not status.st_mode & stat.S_ISVTX)


def is_system_directory(path: str) -> bool:
    """Whether a path can be no document root. It is absolute and has no links."""
    path = path[len("/private"):] if path.startswith("/private/") else path  # macOS has etc and var there
    parts = path.strip("/").split("/")
    return path in _SYSTEM_PARENTS or any("/" + "/".join(parts[:n]) in _SYSTEM_TREES
                                          for n in range(1, len(parts) + 1))


def as_owner(directory: OpenDirectory, act: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call ``act`` with the rights of the directory's owner, without supplementary groups, and with umask 022."""
    owner = directory.uid
    return act_as(owner, [primary_group(owner)] if owner else [], act, *args, **kwargs)


def read_file(directory: OpenDirectory, name: str, limit: int = 65536) -> Optional[bytes]:
    """The content of a regular file; None if it is no regular file. Call it as the directory's owner.

    :raises OSError: as open(2).
    """
    try:
        fd = open_regular(lambda flags: os.open(name, flags | os.O_NOFOLLOW, dir_fd=directory.fd), name)
    except NotRegularFileError:
        return None
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


@functools.cache
def user(uid: int) -> str:
    """The name of a user."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def describe(status: os.stat_result) -> str:
    """The type and owner of a file, such as ``a FIFO of mallory``."""
    kinds = {stat.S_IFREG: "a file", stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link",
             stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a character device",
             stat.S_IFBLK: "a block device"}
    return f"{kinds.get(stat.S_IFMT(status.st_mode), 'something')} of {user(status.st_uid)}"
