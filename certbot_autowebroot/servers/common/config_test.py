"""A running server's own program, run once more with the server's arguments, environment and rights: its own test.

With its own rights, for its program and its configuration may be another user's: root must not run them as root. And it
is the running file, ``/proc/PID/exe``, for an upgrade may have put another in its place.
"""
import os
import subprocess
from typing import Any
from typing import Dict
from typing import Mapping
from typing import Sequence

from certbot_autowebroot.interfaces import ReloadError
from certbot_autowebroot.system import output
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.identity import Rights
from certbot_autowebroot.system.processes import Process

#: Seconds for a test. nginx with ten thousand sites takes four, and resolves the name of every upstream.
TIMEOUT = 60.0
#: Lines of an error that are passed on. A warning for each of ten thousand sites is 2 MB.
_LINES = 5
_MAX_OUTPUT = 16 * 1024 * 1024
#: By these systemd and its service talk, systemd.exec(5): a test must not say "ready" in the service's name.
_SYSTEMD = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


def config_error(process: Process, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The first lines of what its program prints with these arguments; empty where it ends with status 0.

    :raises ReloadError: it is another user's and we are not root, it has ended, or takes longer than :data:`TIMEOUT`.
    """
    try:
        with processes.opened_program(process) as (fd, directory, rights):
            if os.geteuid() not in (0, rights.uid):
                raise ReloadError(f"{process.program} belongs to another user; root could test its configuration")
            return run([process.name, *arguments], environment, executable=f"/proc/self/fd/{fd}", pass_fds=(fd,),
                       cwd=directory, **_as_popen_takes(rights))
    except OSError as error:
        raise ReloadError(f"the program of {process.program} cannot be run: {error.strerror or error}") from error


def run(argv: Sequence[str], environment: Mapping[str, str], **options: Any) -> str:
    """The first lines of what a command prints where it fails; empty where it does not.

    :param options: of :class:`subprocess.Popen`.
    :raises ReloadError: it takes longer than :data:`TIMEOUT`, or prints without end.
    :raises OSError: there is no such command.
    """
    wanted = {name: value for name, value in environment.items() if name not in _SYSTEMD}
    with subprocess.Popen(argv, env=wanted, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True, **options) as child:
        try:
            printed = output.read(child, TIMEOUT, _MAX_OUTPUT)
        except output.TooMuch as error:
            raise ReloadError(f"the test of its configuration by {argv[0]} {error}") from error
    lines = [line.strip() for line in printed.decode(errors="replace").splitlines() if line.strip()]
    return "" if child.returncode == 0 else "\n".join(lines[:_LINES]) or f"status {child.returncode}"


def _as_popen_takes(rights: Rights) -> Dict[str, Any]:
    """User and groups; nothing where they are our own, which need no right."""
    if rights.uid == os.geteuid():
        return {}
    return {"user": rights.uid, "group": rights.gid, "extra_groups": rights.groups}
