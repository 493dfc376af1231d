"""nginx(8): ``-t``, and SIGHUP to the master."""
import signal

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import IReloads
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.servers import nginx
from certbot_autowebroot.servers.common import config_test
from certbot_autowebroot.servers.common import control
from certbot_autowebroot.system.processes import Process

moduleProvides(IReloads)

tolerates_bad_config = True


def main_process(process: Process) -> Process:
    """The master. After an upgrade of the binary, the new master is a child of the old one."""
    return control.ancestor(process, lambda found: "master process" in found.argv[0])


def config_error(process: Process) -> str:
    """With an empty environment: nginx has overwritten its own with its title."""
    options = [word for name, value in nginx.options(process.argv).items() for word in (f"-{name}", value)]
    return config_test.config_error(process, ["-t", *options], {})


def reload(process: Process, endpoint: Endpoint) -> str:
    """SIGHUP."""
    return control.send(process, signal.SIGHUP)
