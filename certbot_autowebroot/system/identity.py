"""Acting as another user for the time of one call, in the way of OpenSSH's ``temporarily_use_uid``."""
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

#: For a user who has no entry in passwd: the group that Linux shows for "nobody we know".
_OVERFLOW_GID = 65534
#: On macOS root is in more groups than setgroups(2) takes, and needs none of them.
_MAX_GROUPS = os.sysconf("SC_NGROUPS_MAX")
#: Users that packages and systemd make, and nobody: "Users, Groups, UIDs and GIDs on systemd Systems".
_SERVICES = (range(0, 1000), range(61184, 65520), range(65534, 65535))

#: Those that programs have handlers for which raise exceptions: Certbot, Python itself, ``limits.py``. As numbers, and
#: no more than that, for Python makes an enum member of each at each call: once a third of an order of a hundred names.
_SIGNALS = frozenset(map(int, (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGTERM,
    signal.SIGXCPU, signal.SIGXFSZ, signal.SIGVTALRM, signal.SIGPROF)))


class Rights(NamedTuple):
    """A user as a process is one: with a group, the primary one mostly, and all others that he is in."""

    uid: int
    gid: int
    groups: Tuple[int, ...]


@functools.cache  # asked for each of ten thousand files
def is_ordinary(uid: int) -> bool:
    """Whether a user is a person, or an account that somebody else than root may use: neither root nor a service."""
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
    """Whose word it is that a process gives, by its arguments, its working directory and its files.

    The effective user's. But what a user has started stays his word when it is a set-user-ID program: su(1) that waits
    for a password is root, and has the arguments that he has chosen, and his listening socket.

    :raises OSError: it has ended, or it is a set-user-ID program that no longer says who has started it, as sudo(8) is.
    """
    users = users_of(pid)
    ordinary = [user for user in users if is_ordinary(user.uid)]
    if not ordinary and _is_set_user_id(f"/proc/{pid}/exe"):
        raise PermissionError(errno.EPERM, "it is a set-user-ID program, which anybody may have started", str(pid))
    return (ordinary or users[1:])[0]


def _is_set_user_id(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_ISUID)
    except OSError:  # a thread of the kernel's; or another user's, and we are not root: then we act as nobody else
        return False


def act_as(uid: int, gids: Iterable[int], act: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call ``act`` with the rights of a user in these groups, the primary one first, and with umask 022.

    Root takes on effective user and groups for as long as the call takes (as sshd does: the real and saved user stay
    root, so the user can neither signal nor trace us meanwhile). That is for the whole process: no other thread of ours
    touches files. Anybody else acts as himself.

    Modes come from the umask and not from a chmod afterwards: between mkdir and chmod a directory can be swapped for
    one that ought to stay closed.

    It is a call and not a ``with``, and signals wait until it is over: Certbot raises an exception from its signal
    handlers, and one between the end of the block and the way back would leave us somebody else. With threads, one
    of them may take the signal, and the exception comes all the same, after any call (Python 3.12): so each step back
    is in a ``finally`` of its own.
    """
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        if os.getuid() == 0 != os.geteuid():
            os.seteuid(0)  # Python before 3.12 may be interrupted on the way into a finally, too
        umask = os.umask(0o022)
        try:
            if os.geteuid() != 0 or uid == 0:
                return act(*args, **kwargs)
            return _as_user(uid, list(gids), act, *args, **kwargs)
        finally:
            os.umask(umask)
    finally:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
        except BaseException:
            signal.pthread_sigmask(signal.SIG_SETMASK, waiting)  # interrupted before it, perhaps
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
    """The group that a user's files have."""
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return _OVERFLOW_GID
