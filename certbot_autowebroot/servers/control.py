"""How each web server tests its configuration, and how it is told to read it anew: what ``reload`` knows of them.

What real servers do with a configuration that is broken on disk decides whether they may be told without a test:
nginx, HAProxy's master and Caddy go on with what they have. Apache httpd and lighttpd end.
"""
import os
import posixpath
import signal
import socket
import time
from typing import Callable
from typing import List
from typing import Optional
from typing import Protocol
from typing import Sequence

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.servers import apache
from certbot_autowebroot.servers import haproxy
from certbot_autowebroot.servers import lighttpd
from certbot_autowebroot.servers import nginx
from certbot_autowebroot.servers.apache import key_pairs
from certbot_autowebroot.servers.caddy import CaddyServer
from certbot_autowebroot.servers.caddy import admin
from certbot_autowebroot.servers.common import config_test
from certbot_autowebroot.system import processes
from certbot_autowebroot.system import tls
from certbot_autowebroot.system.processes import Process

#: Seconds after which a signal has been noticed, and that lighttpd may wait for its clients.
_TO_NOTICE = 0.2
_LIGHTTPD_WAITS = 3.0


class Unable(Exception):
    """It cannot be reloaded from here; the text is a phrase that says why, and what to do."""


class Program(Protocol):
    """One web server program.

    :ivar survives: a broken configuration does not end it: it tests what it reads, and goes on with what it has.
    :ivar gives_up_root: once it has, it cannot read its key again: only a start anew lets it.
    """

    survives: bool
    gives_up_root: bool

    def recognises(self, process: Process) -> bool:
        """Whether a process is one of this program."""

    def leader(self, process: Process) -> Process:
        """The process that is told: the master of a worker."""

    def complaint(self, leader: Process) -> str:
        """The first lines of what its own test says of the configuration on disk; empty where that is good.

        :raises config_test.CannotRun: it could not be tested.
        """

    def reload(self, leader: Process, door: Endpoint) -> str:
        """Tell it, gracefully, and say how. It need not have happened yet when this returns.

        :raises Unable: it cannot be told.
        :raises OSError: it has ended, or is not ours to tell.
        """


    def urge(self, leader: Process, door: Endpoint) -> str:
        """What is left to do once it has been told, by whomever; says what was done, or nothing."""


def program_of(process: Process) -> Optional[Program]:
    """What is known of the program of a process; None for nothing."""
    return next((program for program in _PROGRAMS if program.recognises(process)), None)


class _Patient:
    """What goes on answering while it reads its configuration."""

    def urge(self, leader: Process, door: Endpoint) -> str:
        return ""


class _Nginx(_Patient):
    """nginx(8): ``-t``, and SIGHUP to the master."""

    survives = True
    gives_up_root = False
    recognises = staticmethod(nginx.NginxServer().recognises)

    def leader(self, process: Process) -> Process:
        # After an upgrade of the binary, the new master is a child of the old one.
        return _first(process, lambda found: "master process" in found.argv[0])

    def complaint(self, leader: Process) -> str:
        options = [word for name, value in nginx.options(leader.argv).items() for word in (f"-{name}", value)]
        # Its own environment is lost: the title lies over it.
        return config_test.complaint(leader, ["-t", *options], {})

    def reload(self, leader: Process, door: Endpoint) -> str:
        return _signal(leader, signal.SIGHUP)


class _Apache(_Patient):
    """httpd(8): ``-t``, and SIGUSR1 to the parent ("Stopping and Restarting Apache HTTP Server").

    It ends where what is on disk is broken. And ``-t`` does not look into the certificates.
    """

    survives = False
    gives_up_root = False
    recognises = staticmethod(apache.ApacheServer().recognises)

    def leader(self, process: Process) -> Process:
        return apache.master_of(process)

    def complaint(self, leader: Process) -> str:
        return config_test.complaint(leader, [*leader.argv[1:], "-t"], leader.environment) or \
            key_pairs.complaint(apache.evaluated(leader), leader.view)

    def reload(self, leader: Process, door: Endpoint) -> str:
        return _signal(leader, signal.SIGUSR1)


class _Lighttpd:
    """lighttpd(8): ``-tt``, and SIGUSR1: it starts anew in the same process, with the sockets that it has.

    Without root's rights it cannot read its key again, and ends: the test, under the same rights, shows that before.
    """

    survives = False
    gives_up_root = True

    def recognises(self, process: Process) -> bool:
        return process.name == "lighttpd"

    def leader(self, process: Process) -> Process:
        return _first(process, lambda found: False)

    def complaint(self, leader: Process) -> str:
        path = lighttpd.config_path(leader.argv)
        if path is None:
            raise Unable("it was started without -f, or reads its configuration from standard input")
        if not os.path.samefile(f"/proc/{leader.pid}/root", "/"):
            raise Unable("it has gone into a chroot, where its configuration is not, and a reload would end it: "
                         "start it anew")
        return config_test.complaint(leader, ["-tt", "-f", path], leader.environment)

    def reload(self, leader: Process, door: Endpoint) -> str:
        return _signal(leader, signal.SIGUSR1)

    def urge(self, leader: Process, door: Endpoint) -> str:
        time.sleep(_TO_NOTICE)
        try:
            tls.certificate_of(door, door.host, _LIGHTTPD_WAITS)
        except socket.timeout:
            # It waits for the clients that it has, and answers nobody meanwhile: one that sent half a request, or
            # none at all, kept 1.4.69 away for minutes. A second signal ends the waiting.
            return _signal(leader, signal.SIGINT)
        except OSError:
            pass
        return ""


def complaint_of_lighttpd(command: Sequence[str]) -> str:
    """The same of one that is to be started by a command: with our rights, as it is started.

    :raises Unable: the command names no configuration.
    :raises OSError: there is no such program.
    """
    path = lighttpd.config_path(command)
    if path is None:
        raise Unable("its unit does not say which configuration it is started with")
    return config_test.run([command[0], "-tt", "-f", path], os.environ)


class _Haproxy(_Patient):
    """``-c``, and SIGUSR2 to the master of ``-W``, ``-Ws`` or ``master-worker``: Management Guide, sections 3 and 4."""

    survives = True
    gives_up_root = False
    recognises = staticmethod(haproxy.HaproxyServer().recognises)

    def leader(self, process: Process) -> Process:
        return _first(process, lambda found: False)

    def complaint(self, leader: Process) -> str:
        directory = haproxy.directory(leader)
        files = [word for path in haproxy.config_paths(leader.argv) for word in ("-f", posixpath.join(directory, path))]
        # What a master tells the master that it becomes at a reload would make the test a worker's.
        environment = {name: value for name, value in leader.environment.items()
                       if not name.startswith("HAPROXY_MWORKER")}
        return config_test.complaint(leader, ["-c", "-C", directory, *files], environment)

    def reload(self, leader: Process, door: Endpoint) -> str:
        if not {"-W", "-Ws"} & set(leader.argv) and not _has_child_of_same_name(leader):
            raise Unable("it was started without a master (-W), and has no way to reload: start it anew")
        return _signal(leader, signal.SIGUSR2)


class _Caddy(_Patient):
    """Its admin API loads the running configuration once more, and tests it while it does."""

    survives = True
    gives_up_root = False
    recognises = staticmethod(CaddyServer().recognises)

    def leader(self, process: Process) -> Process:
        return process

    def complaint(self, leader: Process) -> str:
        return ""

    def reload(self, leader: Process, door: Endpoint) -> str:
        try:
            running = admin.running(leader, door)
        except admin.AdminError as error:
            raise Unable(f"{error} to us: reload it by caddy reload where it runs, or start it anew") from error
        try:
            admin.load(leader, running)
        except admin.AdminError as error:
            raise Unable(f"it goes on with what it has, for it says: {error}") from error
        return "its admin API"


_PROGRAMS: List[Program] = [_Nginx(), _Apache(), _Lighttpd(), _Haproxy(), _Caddy()]


def _first(process: Process, is_leader: Callable[[Process], bool]) -> Process:
    """The first process upwards that is the leader, else the last one of the same program."""
    while not is_leader(process):
        parent = processes.process(process.parent)
        if parent is None or parent.name != process.name:
            break
        process = parent
    return process


def _signal(process: Process, number: signal.Signals) -> str:
    if processes.start_time_of(process.pid) != process.start_time:
        raise ProcessLookupError(f"{process.program} has ended")
    os.kill(process.pid, number)
    return f"{number.name} to process {process.pid}"


def _has_child_of_same_name(process: Process) -> bool:
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
        children = [processes.process(int(pid)) for pid in file.read().split()]
    return any(child is not None and child.name == process.name for child in children)
