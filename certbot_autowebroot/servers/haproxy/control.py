"""HAProxy: ``-c``, and SIGUSR2 to the master of ``-W``, ``-Ws`` or ``master-worker``.

Management Guide, sections 3 and 4.
"""
import posixpath
import signal

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import IReloads
from certbot_autowebroot.interfaces import ReloadError
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.servers import haproxy
from certbot_autowebroot.servers.common import config_test
from certbot_autowebroot.servers.common import control
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process

moduleProvides(IReloads)

tolerates_bad_config = True


def main_process(process: Process) -> Process:
    """The master."""
    return control.ancestor(process)


def config_error(process: Process) -> str:
    """What ``-c`` says."""
    directory = haproxy.directory(process)
    files = [word for path in haproxy.config_paths(process.argv) for word in ("-f", posixpath.join(directory, path))]
    # By these variables a master talks to the master that it becomes at a reload: they would make the test a worker's.
    environment = {name: value for name, value in process.environment.items()
                   if not name.startswith("HAPROXY_MWORKER")}
    return config_test.config_error(process, ["-c", "-C", directory, *files], environment)


def reload(process: Process, endpoint: Endpoint) -> str:
    """SIGUSR2."""
    if not {"-W", "-Ws"} & set(process.argv) and not _has_worker(process):
        raise ReloadError("it was started without a master (-W), and has no way to reload: start it anew")
    return control.send(process, signal.SIGUSR2)


def _has_worker(process: Process) -> bool:
    children = map(processes.process, processes.children_of(process.pid))
    return any(child is not None and child.name == process.name for child in children)
