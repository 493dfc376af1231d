"""lighttpd(8): ``-tt``, and SIGUSR1: it starts anew in the same process, with the sockets that it has.

Without root's rights it cannot read its key again, and ends: the test, under the same rights, shows that before.
"""
import os
import signal
import socket
import time
from typing import Sequence

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import IRestarts
from certbot_autowebroot.interfaces import ReloadError
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.servers import lighttpd
from certbot_autowebroot.servers.common import config_test
from certbot_autowebroot.servers.common import control
from certbot_autowebroot.system import processes
from certbot_autowebroot.system import tls
from certbot_autowebroot.system.processes import Process

moduleProvides(IRestarts)

tolerates_bad_config = False

#: Seconds after which a signal has been noticed, and that lighttpd may wait for its clients.
_NOTICED_AFTER = 0.2
_WAIT_FOR_CLIENTS = 3.0


def main_process(process: Process) -> Process:
    """The parent of ``server.max-worker``; for the wrapper lighttpd-angel, the server that it has started."""
    if process.name == "lighttpd-angel":
        children = map(processes.process, processes.children_of(process.pid))
        process = next((child for child in children if child is not None and child.name == "lighttpd"), process)
    return control.ancestor(process)


def config_error(process: Process) -> str:
    """What ``-tt`` says."""
    path = lighttpd.config_path(process.argv)
    if path is None:
        raise ReloadError("it was started without -f, or reads its configuration from standard input")
    if not os.path.samefile(f"/proc/{process.pid}/root", "/"):
        raise ReloadError("it has gone into a chroot, where its configuration is not, and a reload would end it: "
                          "start it anew")
    return config_test.config_error(process, ["-tt", "-f", path], process.environment)


def config_error_of_command(command: Sequence[str]) -> str:
    """What ``-tt`` says with our rights."""
    path = lighttpd.config_path(command)
    if path is None:
        raise ReloadError("its unit does not say which configuration it is started with")
    return config_test.run([command[0], "-tt", "-f", path], os.environ)


def reload(process: Process, endpoint: Endpoint) -> str:
    """SIGUSR1."""
    return control.send(process, signal.SIGUSR1)


def finish_reload(process: Process, endpoint: Endpoint) -> str:
    """End its wait for clients by a second signal.

    Meanwhile it answers no visitor: a client that sent half a request, or none at all, kept 1.4.69 away for minutes.
    """
    time.sleep(_NOTICED_AFTER)
    try:
        tls.certificate_of(endpoint, endpoint.host, _WAIT_FOR_CLIENTS)
    except socket.timeout:
        return control.send(process, signal.SIGINT)
    except OSError:
        pass
    return ""
