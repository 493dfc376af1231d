"""Running programs: their arguments, and their own view of the file system. Linux, proc(5)."""
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
from typing import Tuple

from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.system.identity import Rights
from certbot_autowebroot.system.identity import responsible_user
from certbot_autowebroot.system.identity import users_of
from certbot_autowebroot.system.terminal import printable
from certbot_autowebroot.system.views import O_PATH
from certbot_autowebroot.system.views import View

#: Bytes of arguments or environment: a quarter of the usual stack of 8 MB, execve(2).
_MAX_ARGUMENTS = 2 * 1024 * 1024
#: The pid of init. systemd holds the sockets of socket-activated services, and does not answer on them; and it is the
#: ancestor of every process.
INIT = 1


@dataclass(frozen=True)
class Process:
    """Snapshot of one process.

    :ivar name: the name of the executable file, such as ``nginx`` or ``python3.11``.
    :ivar argv: the arguments; for nginx, the title by which it overwrites them.
    :ivar exe: the executable in the process's view. A binary deleted by an upgrade keeps its name and still runs.
    :ivar cwd: the working directory in the process's view.
    :ivar uid: its responsible user, who controls its arguments and files.
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
        """The process as plain data for a route. Its name is safe to print: the user who runs it may choose any."""
        return Program(printable(self.name), self.pid, self.start_time)

    @functools.cached_property
    def view(self) -> View:
        """Its view of the file system.

        :raises OSError: the process has ended, or its root directory is not visible to this user.
        """
        view = View.of_process(self.pid)
        if start_time_of(self.pid) != self.start_time:
            raise ProcessLookupError(f"process {self.pid} has ended")
        return view

    @functools.cached_property
    def environment(self) -> Dict[str, str]:
        """Its environment; empty if not visible to this user. nginx overwrites its own."""
        try:
            pairs = _beginning(f"/proc/{self.pid}/environ").split(b"\0")
        except OSError:
            return {}
        decoded = [os.fsdecode(pair).partition("=") for pair in pairs if b"=" in pair]
        return {name: value for name, _, value in decoded}


def has_our_files(process: Process, *paths: str) -> bool:
    """Whether a process has the host's files, so that a configuration that it names is the host's file.

    :param paths: files that matter besides.
    """
    try:
        if shares_namespace(process, "mnt"):
            return True
        return not process.view.is_contained and all(map(process.view.has_host_file, paths))
    except OSError:  # it has ended, or is not visible to this user
        return False


def shares_namespace(process: Process, kind: str) -> bool:
    """Whether a process is in certbot's own namespace of a kind, namespaces(7).

    :raises OSError: it has ended, or is not visible to this user.
    """
    return os.stat(f"/proc/{process.pid}/ns/{kind}").st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino


class OpenedProgram(NamedTuple):
    """Everything needed to run the program of a process once more.

    :ivar program: a descriptor of the executable.
    :ivar directory: a path of its working directory, by a descriptor: it stays the same directory when that is renamed,
        or when the pid is reused.
    :ivar rights: its effective user and groups.
    """

    program: int
    directory: str
    rights: Rights


@contextlib.contextmanager
def opened_program(process: Process) -> Iterator[OpenedProgram]:
    """Open the program that a process runs, to run it again.

    A user's process may be root for a moment, by a set-user-ID program such as newgrp(1), and then run another program
    with arguments and environment of that user. So the four users of the process are read after the program is open.

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
        yield OpenedProgram(program, f"/proc/self/fd/{directory}", users[1])


def start_time_of(pid: int) -> Optional[int]:
    """The start time of a process, in clock ticks since boot; None if there is no such process."""
    stat = _stat_fields(pid)
    return int(stat[19]) if stat else None


def process(pid: int) -> Optional[Process]:
    """A snapshot of a process; None if it has ended or its responsible user is unknown."""
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
    """The first bytes, as many as execve(2) accepts: by prctl(2), a program may then claim gigabytes."""
    with open(path, "rb") as file:
        return file.read(_MAX_ARGUMENTS)


def all_pids() -> List[int]:
    """Every visible process; none without ``/proc``."""
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
    """The pid of a process's parent; 0 if there is no such process."""
    stat = _stat_fields(pid)
    return int(stat[1]) if stat else 0


def is_running(pid: int) -> bool:
    """Whether a thread of a process runs, or waits for a CPU or a disk, proc(5)."""
    threads = [_stat_fields(int(path.rpartition("/")[2])) for path in glob.glob(f"/proc/{pid}/task/*")]
    return any(stat[0] in ("R", "D") for stat in threads if stat)


def children_of(pid: int) -> List[int]:
    """The children of a process; none without CONFIG_PROC_CHILDREN."""
    pids: List[int] = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            pids += map(int, file.read().split())
    return pids


def sockets(pid: int) -> Iterator[int]:
    """The inodes of the sockets that a process holds, one for each descriptor.

    A generator: a server may hold 20,000 connections, and a search ends at its last match.

    :raises OSError: it has ended, or its descriptors are not visible to this user.
    """
    with os.scandir(f"/proc/{pid}/fd") as descriptors:
        for descriptor in descriptors:
            try:
                target = os.readlink(descriptor.path)
            except OSError:  # closed meanwhile
                continue
            if target.startswith("socket:["):
                yield int(target[len("socket:["):-1])


def comm(pid: int) -> str:
    """The name of a process, at most 15 characters, proc(5); empty if there is no such process."""
    # Called for every process: open() would take twice as long.
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
    """The working directory in the process's view. The kernel reports it with the path of a chroot (mini_httpd -r)."""
    root, cwd = _link(pid, "root"), _link(pid, "cwd")
    if root not in ("", "/") and (cwd + "/").startswith(root + "/"):
        cwd = cwd[len(root):] or "/"
    return PathInView(cwd)


def _link(pid: int, name: str) -> str:
    """The target of a link in ``/proc/PID``; empty if not visible (another user's process, without root)."""
    try:
        return re.sub(r" \(deleted\)$", "", os.readlink(f"/proc/{pid}/{name}"))
    except OSError:
        return ""
