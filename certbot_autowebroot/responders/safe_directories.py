"""The way into directories that belong to others, and acting there with their owner's rights alone.

Whoever owns a directory can swap what lies in it at any moment; Certbot's own webroot makes a directory, then changes
its owner *by path*, and an owner who put a symbolic link there in between was given a directory of root's. So nothing
is done by path here. Each component is opened on its own and never through a link; a link is read and judged first;
and what is made or removed is made or removed by the owner of the directory it lies in, so that a trick played on us
gets its player nothing that he could not have done himself.
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

#: Device and inode: what names a file for as long as somebody holds it.
Key = Tuple[int, int]

#: As many as Linux itself follows, path_resolution(7).
MAX_LINKS = 40

#: Without O_PATH (macOS, FreeBSD before 14) a directory has to be readable to be walked through.
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_A_DIRECTORY = (errno.ENOTDIR, errno.ELOOP, errno.EMLINK)  # EMLINK: FreeBSD's word for a link under O_NOFOLLOW

#: Nothing is ever put into these when they are root's, nor anywhere below them.
_SYSTEM_TREES = frozenset((
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/sbin", "/sys",
    "/usr/bin", "/usr/include", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/libexec", "/usr/sbin",
    "/usr/src", "/usr/local/bin", "/usr/local/etc", "/usr/local/lib", "/usr/local/libexec", "/usr/local/sbin",
    "/run/systemd", "/run/udev", "/var/backups", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/pacman", "/var/lib/rpm",
    "/var/lib/systemd", "/var/log", "/var/mail", "/var/spool", "/System", "/Library/LaunchDaemons",
))
#: Nor into these themselves. What lies below may be a document root that a package ships (/usr/share/nginx/html,
#: /usr/share/caddy, /usr/local/www/nginx) or one that tutorials recommend (/var/lib/letsencrypt, /run/acme).
_SYSTEM_PARENTS = frozenset(("/", "/run", "/usr", "/usr/local", "/usr/share", "/var", "/var/cache", "/var/lib"))

#: Where root keeps what is public: an ordinary user's program may name directories of root's and of services here.
_WEB_ROOTS = ("/opt", "/srv", "/usr/local/www", "/usr/share/caddy", "/usr/share/nginx", "/var/www")


class UnsafePathError(Exception):
    """We do not go there. The text is a whole sentence for a person: the path, what is in the way, whose it is."""


class _NotADirectoryError(UnsafePathError):
    """Something else is there; the link that leads to it, if any, is to be named too."""


class OpenDirectory:
    """A directory that we hold open: it stays the same one whatever it is renamed to.

    :ivar path: where it was found, links resolved, in the view that it was found in.
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
        """Who owns it now."""
        return os.fstat(self.fd).st_uid

    def child(self, name: str) -> str:
        """The path of something in it."""
        return os.path.join(self.path, name)

    def __del__(self) -> None:
        # Forgotten before it is closed: the number of a closed descriptor is soon another directory's, and a signal's
        # exception in here may keep us alive.
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


#: An order of a hundred names holds the same few directories again and again: one descriptor for each. The view is
#: part of the name, for another mount of the same directory may be read-only.
_held: "weakref.WeakValueDictionary[Tuple[int, str, Key], OpenDirectory]" = weakref.WeakValueDictionary()


def _hold(fd: int, path: str, view: View) -> OpenDirectory:
    new = OpenDirectory(fd, path, view)
    held = _held.get((id(view), path, new.key))
    if held is None or held.fd < 0:
        held = _held[id(view), path, new.key] = new
    return held


#: The directories from the root of a view down to where a walk has come, none of them a link.
Chain = Tuple[OpenDirectory, ...]


class Walk:
    """One walk through a view, component by component.

    :raises UnsafePathError: (all methods) something on the way is not to be followed.
    :raises OSError: (all methods) as open(2); FileNotFoundError only for the component itself, never for what a link
        on the way leads to.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._links = 0

    def to(self, path: str) -> Chain:
        """Go to an absolute path of the view."""
        return self._along((_hold(os.dup(self._view.root_fd), "/", self._view),), path)

    def enter(self, chain: Chain, name: str) -> Chain:
        """Go one component further, which may be a link that deserves trust."""
        try:
            return self.enter_directory(chain, name)
        except NotADirectoryError:
            return self._follow(chain, name, *_look(chain[-1], name))

    def enter_directory(self, chain: Chain, name: str) -> Chain:
        """Go one component further, into a real directory.

        :raises NotADirectoryError: it is another thing, or a link.
        """
        try:
            # O_DIRECTORY also makes an automounted directory (homes, often) appear, which O_PATH alone does not.
            fd = os.open(name, _SEARCH | os.O_DIRECTORY, dir_fd=chain[-1].fd)
        except OSError as error:
            if error.errno in _NOT_A_DIRECTORY:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from None
            raise
        return (*chain, _hold(fd, chain[-1].child(name), self._view))

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
            # It may have been swapped between our look at its owner and our look at its target.
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
                                  "or of the directory's own owner, is.")
        # Where fs.protected_hardlinks is off, anybody can have a second name for a link of root's at any place.
        if status.st_nlink > 1 and here.uid != status.st_uid:
            raise UnsafePathError(f"{link}, and a hard link in a directory of {user(here.uid)}. It is not followed.")
        return end


def _look(directory: OpenDirectory, name: str) -> Tuple[os.stat_result, str]:
    """What something is, and where it leads to when it is a link: of one and the same thing, where there is O_PATH."""
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


def check_place(chain: Chain, usual: bool) -> None:
    """Refuse a place where nobody serves files from, or that whoever named it has no business with.

    Recognised by where the walk ended, not by what it was called on the way.

    :param usual: the file is to be called as the CA asks for it, and nothing else is made for it.
    :raises UnsafePathError: a system directory of root's; a directory of a user that the server's container does not
        have; one that an ordinary user's program names and that user could not write in.
    """
    here = chain[-1]
    view = here.view
    owner = here.uid
    if not view.has_user(owner):
        # Root in a user namespace of its own, which anybody can have, is nobody among the machine's other users.
        raise UnsafePathError(f"{here.path} belongs to {user(owner)}, a user that the server's container does not "
                              "have. Nothing is put there.")
    if here.path == "/":
        # Unless it is the root of a server that is chrooted into its document root, as mini_httpd is.
        refused = os.path.samestat(os.fstat(here.fd), os.stat("..", dir_fd=here.fd))
    else:
        refused = owner == view.root_uid and is_system_directory(here.path)
    if refused:
        raise UnsafePathError(f"{here.path} is a system directory. Nothing is put there: please let the server answer "
                              "/.well-known/acme-challenge/ from a directory such as /var/www/acme.")
    if os.geteuid() == 0 and not _may_name(chain, usual):
        raise UnsafePathError(f"{here.path} belongs to {user(owner)}. The program that names it runs as "
                              f"{user(view.uid)}, and that user may not write there. Nothing is put there: please give "
                              f"the directory to {user(view.uid)}, or confirm it with --autowebroot-path.")


def _may_name(chain: Chain, usual: bool) -> bool:
    """Whether the word of whoever named a directory is enough for root to write there.

    Anybody may run a program behind root's proxy, and have it say that it serves any directory there is. An ordinary
    user is believed about what is below a directory of his, or below one that he may write in; about what is root's or
    a service's among the web roots; and in a container, which root has made and filled, about all that is.
    """
    here = chain[-1]
    view = here.view
    if not is_ordinary(view.uid) or any(_is_his(held) for held in chain):
        return True
    public = view.is_contained or any((here.path + "/").startswith(top + "/") for top in _WEB_ROOTS)
    return (here.uid == view.root_uid or not is_ordinary(here.uid)) and public and usual


def _is_his(directory: OpenDirectory) -> bool:
    """Whether the user whose view it is may give the names in a directory to what he likes."""
    status, view = os.fstat(directory.fd), directory.view
    writable = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and status.st_gid in view.gids)
    return status.st_uid == view.uid or bool(writable and not status.st_mode & stat.S_ISVTX)


def is_system_directory(path: str) -> bool:
    """Whether no document root can be there. ``path`` is absolute and has no links."""
    path = path[len("/private"):] if path.startswith("/private/") else path  # where macOS keeps etc and var
    parts = path.strip("/").split("/")
    return path in _SYSTEM_PARENTS or any("/" + "/".join(parts[:n]) in _SYSTEM_TREES
                                          for n in range(1, len(parts) + 1))


def as_owner(directory: OpenDirectory, act: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call ``act`` with the rights of the directory's owner, without further groups, and with umask 022."""
    owner = directory.uid
    return act_as(owner, [primary_group(owner)] if owner else [], act, *args, **kwargs)


def read_file(directory: OpenDirectory, name: str, limit: int = 65536) -> Optional[bytes]:
    """What lies in a regular file; None where it is another thing. To be called as the directory's owner.

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
    """What a person calls a user."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def describe(status: os.stat_result) -> str:
    """What a thing is and whose, such as ``a FIFO of mallory``."""
    kinds = {stat.S_IFREG: "a file", stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link",
             stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a character device",
             stat.S_IFBLK: "a block device"}
    return f"{kinds.get(stat.S_IFMT(status.st_mode), 'something')} of {user(status.st_uid)}"
