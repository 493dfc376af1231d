"""httpd(8): ``-t``, and SIGUSR1 to the parent ("Stopping and Restarting Apache HTTP Server").

It ends where the configuration on disk is broken.
"""
import signal

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import IReloads
from certbot_autowebroot.interfaces import ReloadError
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.servers import apache
from certbot_autowebroot.servers.apache import key_pairs
from certbot_autowebroot.servers.apache.directives import ConfigurationError
from certbot_autowebroot.servers.common import config_test
from certbot_autowebroot.servers.common import control
from certbot_autowebroot.system.processes import Process

moduleProvides(IReloads)

tolerates_bad_config = False


def main_process(process: Process) -> Process:
    """The parent of the workers."""
    return apache.master_of(process)


def config_error(process: Process) -> str:
    """What ``-t`` says; then whether certificates and keys belong together, which it does not test."""
    error = config_test.config_error(process, [*process.argv[1:], "-t"], process.environment)
    if error:
        return error
    try:
        return key_pairs.complaint(apache.evaluated(process), process.view)
    except ConfigurationError as unreadable:
        raise ReloadError(str(unreadable)) from unreadable


def reload(process: Process, endpoint: Endpoint) -> str:
    """SIGUSR1."""
    return control.send(process, signal.SIGUSR1)
