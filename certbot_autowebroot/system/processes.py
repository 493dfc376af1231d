"""A running program: what it was started with, and its own view of the file system. Linux, proc(5)."""
import contextlib
import errno
import functools
import glob
import os
import re
from dataclasses import dataclass
from typing import Dict
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Set
from typing import Tuple

from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.system.identity import Rights
from certbot_autowebroot.system.identity import responsible_user
from certbot_autowebroot.system.identity import users_of
from certbot_autowebroot.system.views import O_PATH
from certbot_autowebroot.system.views import View

#: Bytes of arguments or environment: a quarter of the usual stack of 8 MB, execve(2).
_MAX_ARGUMENTS = 2 * 1024 * 1024
#: It starts whoever a socket is for, and is not who answers; and all that happens on the machine happens below it.
INIT = 1


@dataclass(frozen=True)
class Process:
    """One process, as it was when we looked.

    :ivar name: the name of the executable file, such as ``nginx`` or ``python3.11``.
    :ivar argv: the arguments; for nginx the title that it has overwritten them with.
    :ivar exe: the executable in the process's view. A binary deleted by an upgrade keeps its name and still runs.
    :ivar cwd: the working directory in the process's view.
    :ivar start_time: clock ticks since boot.
    """

    pid: int
    parent: int
    start_time: int
    name: str
    argv: Tuple[str, ...]
    exe: PathInView
    cwd: PathInView
    uid: int

    @property
    def program(self) -> Program:
        """The process as plain data for a route."""
        return Program(self.name, self.pid, self.start_time)

    @functools.cached_property
    def view(self) -> View:
        """Its view of the file system.

        :raises OSError: the process is gone, or its root is not ours to see.
        """
        view = View.of_process(self.pid)
        if start_time_of(self.pid) != self.start_time:
            raise ProcessLookupError(f"process {self.pid} has ended")
        return view

    @functools.cached_property
    def environment(self) -> Dict[str, str]:
        """Its environment; empty where we may not see it (nginx overwrites its own)."""
        try:
            pairs = _beginning(f"/proc/{self.pid}/environ").split(b"\0")
        except OSError:
            return {}
        decoded = [os.fsdecode(pair).partition("=") for pair in pairs if b"=" in pair]
        return {name: value for name, _, value in decoded}


def has_our_files(process: Process) -> bool:
    """Whether a configuration that a process names is a file of ours: it is no container's.

    A unit of systemd's with ``PrivateTmp=`` (Debian's Apache and Caddy) has mounts of its own, and our ``/`` and
    ``/etc``. A container may have been given our ``/etc``, and its programs are its own all the same.
    """
    try:
        if os.stat(f"/proc/{process.pid}/ns/mnt").st_ino == os.stat("/proc/self/ns/mnt").st_ino:
            return True
        return all(_is_same(process.view.stat(path), os.stat(path)) for path in ("/", "/etc"))
    except OSError:  # it has ended, or is not ours to see
        return False


def _is_same(one: Optional[os.stat_result], other: os.stat_result) -> bool:
    return one is not None and os.path.samestat(one, other)


class Opened(NamedTuple):
    """What it takes to run the program of a process once more.

    :ivar program: a descriptor of the file that it runs.
    :ivar directory: a path of its working directory, for as long as this is open: it stays that one whatever has its
        name by then, and whoever has its pid.
    :ivar rights: what it runs with.
    """

    program: int
    directory: str
    rights: Rights


@contextlib.contextmanager
def opened_program(process: Process) -> Iterator[Opened]:
    """The program that a process runs, for us to run it as well.

    A user's process may be root for a moment, by a set-user-ID program such as newgrp(1), and go on with a program,
    arguments and an environment of his. So whose it is, is asked when all that is open, and of all its four users.

    :raises OSError: it has ended, or has the rights of several users.
    """
    with contextlib.ExitStack() as stack:
        program = os.open(f"/proc/{process.pid}/exe", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, program)
        directory = os.open(f"/proc/{process.pid}/cwd", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, directory)
        users = users_of(process.pid)
        if len({user.uid for user in users}) > 1:
            raise PermissionError(errno.EPERM, "it runs with the rights of several users", str(process.program))
        if start_time_of(process.pid) != process.start_time:
            raise ProcessLookupError(errno.ESRCH, "it has ended", str(process.program))
        yield Opened(program, f"/proc/self/fd/{directory}", users[1])


def start_time_of(pid: int) -> Optional[int]:
    """When a process started, in clock ticks since boot; None when there is none."""
    stat = _stat_fields(pid)
    return int(stat[19]) if stat else None


def process(pid: int) -> Optional[Process]:
    """Look at a process; None when there is none (any more), or nobody knows whose word it gives."""
    stat = _stat_fields(pid)
    if stat is None:
        return None
    try:
        argv = tuple(os.fsdecode(a) for a in _beginning(f"/proc/{pid}/cmdline").rstrip(b"\0").split(b"\0"))
        uid = responsible_user(pid).uid
    except OSError:
        return None
    exe = _link(pid, "exe")
    return Process(pid=pid, parent=int(stat[1]), start_time=int(stat[19]),
                   name=os.path.basename(exe) or comm(pid), argv=argv, exe=PathInView(exe),
                   cwd=_working_directory(pid), uid=uid)


def _beginning(path: str) -> bytes:
    """As much as any program can be started with: afterwards it may say, prctl(2), that it has gigabytes of it."""
    with open(path, "rb") as file:
        return file.read(_MAX_ARGUMENTS)


def all_pids() -> List[int]:
    """Every process that we can see; none where there is no ``/proc``."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _stat_fields(pid: int) -> Optional[List[str]]:
    """The fields of proc(5)'s stat after the name in parentheses: [0] is the state, [1] the parent's pid."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def parent_of(pid: int) -> int:
    """The pid of a process's parent; 0 when there is no such process."""
    stat = _stat_fields(pid)
    return int(stat[1]) if stat else 0


def children_of(pid: int) -> List[int]:
    """What a process has started; none where the kernel does not tell (CONFIG_PROC_CHILDREN)."""
    found: List[int] = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            found += map(int, file.read().split())
    return found


def sockets(pid: int) -> Set[int]:
    """The inodes of the sockets that a process holds.

    :raises OSError: it has ended, or is not ours to see.
    """
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{name}"))
        except OSError:  # closed since
            continue
        if match:
            found.add(int(match[1]))
    return found


def comm(pid: int) -> str:
    """The name of a process, at most 15 characters, proc(5); empty when there is none."""
    # Asked of every process there is: open() would take twice as long.
    try:
        fd = os.open(f"/proc/{pid}/comm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 64).decode(errors="replace").rstrip("\n")
    except OSError:
        return ""
    finally:
        os.close(fd)


def _working_directory(pid: int) -> PathInView:
    """In the process's view: the kernel tells it below our root, and a chroot (mini_httpd -r) is below that."""
    root, cwd = _link(pid, "root"), _link(pid, "cwd")
    if root not in ("", "/") and (cwd + "/").startswith(root + "/"):
        cwd = cwd[len(root):] or "/"
    return PathInView(cwd)


def _link(pid: int, name: str) -> str:
    """Where a link of a process leads; empty where we may not see it (another user's process, without root)."""
    try:
        return re.sub(r" \(deleted\)$", "", os.readlink(f"/proc/{pid}/{name}"))
    except OSError:
        return ""
