"""Act as another user for one call, as OpenSSH's ``temporarily_use_uid`` does."""
import errno
import functools
import os
import pwd
import signal
import stat
from typing import Any
from typing import Callable
from typing import Iterable
from typing import List
from typing import NamedTuple
from typing import Tuple
from typing import TypeVar

T = TypeVar("T")

#: The group of a user without an entry in passwd: Linux shows it for ids that are unknown in a namespace.
_OVERFLOW_GID = 65534
#: On macOS, root is in more groups than setgroups(2) accepts, and needs none of them.
_MAX_GROUPS = os.sysconf("SC_NGROUPS_MAX")
#: System users of packages, dynamic users of systemd, and nobody: "Users, Groups, UIDs and GIDs on systemd Systems".
_SERVICES = (range(0, 1000), range(61184, 65520), range(65534, 65535))

#: Signals whose handlers raise exceptions: of Certbot, of Python itself, of ``limits.py``. Plain numbers, and few:
#: Python makes an enum member of each at each call, which was a third of the time of an order of a hundred names.
_SIGNALS = frozenset(map(int, (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGTERM,
    signal.SIGXCPU, signal.SIGXFSZ, signal.SIGVTALRM, signal.SIGPROF)))


class Rights(NamedTuple):
    """User, group and supplementary groups of a process, credentials(7)."""

    uid: int
    gid: int
    groups: Tuple[int, ...]


@functools.cache  # called for each of ten thousand files
def is_ordinary(uid: int) -> bool:
    """Whether a user is neither root nor a service, but a person or an account for people."""
    return not any(uid in services for services in _SERVICES)


def users_of(pid: int) -> List[Rights]:
    """The real, effective, saved and file system user of a process, proc(5).

    :raises OSError: it has ended.
    """
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        status = {name: tuple(map(int, value.split())) for name, _, value in (line.partition(":") for line in file)
                  if name in ("Uid", "Gid", "Groups")}
    return [Rights(uid, gid, status["Groups"]) for uid, gid in zip(status["Uid"], status["Gid"])]


def responsible_user(pid: int) -> Rights:
    """The user who controls the arguments, working directory and files of a process.

    It is the effective user; for a set-user-ID program, the ordinary user who has started it. su(1) runs as root while
    it waits for a password, with arguments and a listening socket of that user's choice.

    :raises OSError: it has ended, or it is a set-user-ID program that hides who has started it, as sudo(8) does.
    """
    users = users_of(pid)
    ordinary = [user for user in users if is_ordinary(user.uid)]
    if not ordinary and _is_set_user_id(f"/proc/{pid}/exe"):
        raise PermissionError(errno.EPERM, "it is a set-user-ID program, which anybody may have started", str(pid))
    return (ordinary or users[1:])[0]


def _is_set_user_id(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_ISUID)
    except OSError:  # a kernel thread; or another user's process, and certbot does not run as root, so acts as no other
        return False


def act_as(uid: int, gids: Iterable[int], act: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call ``act`` with the rights of a user in these groups, the primary one first, and with umask 022.

    Root takes on the effective user and groups for the call. As in sshd, the real and saved user stay root, so the user
    can neither signal nor trace this process. The change holds for the whole process: no other thread may touch files.
    Without root, ``act`` is called as it is.

    The umask sets the modes, not a chmod afterwards: between mkdir and chmod, a directory can be swapped for one that
    has to stay closed.

    A call, and no ``with``: signals are blocked during it, because Certbot's signal handlers raise exceptions, and one
    between the end of a block and the way back would leave the process as another user. With threads, another thread
    may receive the signal, and the exception comes all the same, after any call (Python 3.12). So each step back has a
    ``finally`` of its own.
    """
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        if os.getuid() == 0 != os.geteuid():
            os.seteuid(0)  # Python before 3.12 may be interrupted on the way into a finally
        umask = os.umask(0o022)
        try:
            if os.geteuid() != 0 or uid == 0:
                return act(*args, **kwargs)
            return _as_user(uid, list(gids), act, *args, **kwargs)
        finally:
            os.umask(umask)
    finally:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
        except BaseException:
            signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)  # the first call may have been interrupted before it
            raise


def _as_user(uid: int, gids: "list[int]", act: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    our_gid = os.getegid()
    our_groups = os.getgroups()[:_MAX_GROUPS]
    try:
        os.setgroups(gids)
        os.setegid(gids[0])
        os.seteuid(uid)
        return act(*args, **kwargs)
    finally:
        try:
            os.seteuid(0)
        finally:
            try:
                os.setegid(our_gid)
            finally:
                os.setgroups(our_groups)


@functools.cache
def primary_group(uid: int) -> int:
    """The primary group of a user."""
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return _OVERFLOW_GID
