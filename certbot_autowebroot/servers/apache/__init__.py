"""Apache httpd: from a running process to the destination of a request by its configuration."""
import functools
from typing import Dict
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Union

from zope.interface import implementer

from certbot_autowebroot.interfaces import ILogsErrors
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.apache import includes
from certbot_autowebroot.servers.apache import log
from certbot_autowebroot.servers.apache import parser
from certbot_autowebroot.servers.apache.configuration import Configuration
from certbot_autowebroot.servers.apache.directives import ConfigurationError
from certbot_autowebroot.servers.apache.directives import ConfigurationTree
from certbot_autowebroot.servers.apache.dump import dump
from certbot_autowebroot.servers.apache.evaluator import evaluate
from certbot_autowebroot.servers.apache.htaccess import Htaccess
from certbot_autowebroot.servers.common.file_cache import FileCache
from certbot_autowebroot.servers.common.file_cache import RecordingView
from certbot_autowebroot.servers.registry import executables
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.processes import process as look_at

#: By pid and start time of the process that the workers come from.
_cache: FileCache[Configuration] = FileCache()


@implementer(ILogsErrors)
class ApacheServer:
    """Reads the configuration once per process and order, and answers from it."""

    name = "Apache httpd"

    def __init__(self) -> None:
        self._configurations: Dict[Tuple[int, int], Union[Configuration, str]] = {}

    def recognises(self, process: Process) -> bool:
        """Whether the executable is httpd's."""
        return process.name in executables("apache")

    def ask(self, process: Process, request: Request) -> Sequence[Destination]:
        """The destinations of the request by the configuration on disk."""
        configuration = self._configuration(master_of(process))
        if isinstance(configuration, str):
            return [Unknown(configuration)]
        return evaluate(configuration, request, process.view, Htaccess(configuration, process.view))

    def logged_errors(self, process: Process, request: Request) -> Sequence[str]:
        """Its lines of a request, from its error logs."""
        files = [str(end) for end in self.ask(process, request) if isinstance(end, Directory)]
        return log.errors(master_of(process), request, files)

    def _configuration(self, process: Process) -> Union[Configuration, str]:
        key = (process.pid, process.start_time)
        if key not in self._configurations:
            try:
                self._configurations[key] = _cache.get(key, process.view,
                                                      lambda view: Configuration(evaluated(process, view)))
            except (ConfigurationError, OSError) as error:
                self._configurations[key] = str(error)
        return self._configurations[key]


def evaluated(process: Process, recording: Optional[RecordingView] = None) -> ConfigurationTree:
    """The configuration as the binary dumps it; where it does not, as our parser reads it from the files.

    :param recording: a view of the process that records the files of the configuration.
    :raises ConfigurationError: neither works.
    :raises OSError: the process has ended, or we may not see its root.
    """
    view = recording or RecordingView(process.view)
    try:
        return dump(process, functools.partial(includes.record, process, view))
    except ConfigurationError as error:
        tree = parser.read(process, view)
        tree.problems = (str(error), *tree.problems)
        # The cause may be another file than those of the configuration: a certificate, a module.
        view.cacheable = False
        return tree


def master_of(process: Process) -> Process:
    """The parent process of the workers: a person or init has started it, with the same arguments."""
    while process.parent > 1:
        parent = look_at(process.parent)
        if parent is None or parent.name != process.name:
            break
        process = parent
    return process


