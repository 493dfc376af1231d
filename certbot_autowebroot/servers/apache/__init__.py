"""Apache httpd: from a running process to where its configuration sends a request."""
import functools
from typing import Dict
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Union

from zope.interface import implementer

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.apache import includes
from certbot_autowebroot.servers.apache import parser
from certbot_autowebroot.servers.apache.configuration import Configuration
from certbot_autowebroot.servers.apache.directives import ConfigurationError
from certbot_autowebroot.servers.apache.directives import Evaluated
from certbot_autowebroot.servers.apache.dump import dump
from certbot_autowebroot.servers.apache.evaluator import evaluate
from certbot_autowebroot.servers.apache.htaccess import Htaccess
from certbot_autowebroot.servers.common.file_cache import FileCache
from certbot_autowebroot.servers.common.file_cache import RecordingView
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.processes import process as look_at

#: The executable's name: Debian's, everybody else's, and a few builds of the latter.
NAMES = frozenset({"apache2", "httpd", "httpd.worker", "httpd.event", "httpd2", "httpd-prefork"})


#: By pid and start time of the process that the workers come from.
_cache: FileCache[Configuration] = FileCache()


@implementer(IWebServer)
class ApacheServer:
    """Looks at the evaluated configuration once per process and order, and answers from it."""

    name = "Apache httpd"

    def __init__(self) -> None:
        self._configurations: Dict[Tuple[int, int], Union[Configuration, str]] = {}

    def recognises(self, process: Process) -> bool:
        """Whether the executable is httpd's. BusyBox's httpd is a link to busybox, and so has another name."""
        return process.name in NAMES

    def ask(self, process: Process, request: Request) -> Sequence[Destination]:
        """Where the request goes by the configuration on disk."""
        configuration = self._configuration(master_of(process))
        if isinstance(configuration, str):
            return [Unknown(configuration)]
        return evaluate(configuration, request, process.view, Htaccess(configuration, process.view))

    def _configuration(self, process: Process) -> Union[Configuration, str]:
        key = (process.pid, process.start_time)
        if key not in self._configurations:
            try:
                self._configurations[key] = _cache.get(key, process.view,
                                                      lambda view: Configuration(evaluated(process, view)))
            except (ConfigurationError, OSError) as error:
                self._configurations[key] = str(error)
        return self._configurations[key]


def evaluated(process: Process, recording: Optional[RecordingView] = None) -> Evaluated:
    """The configuration as the binary says it; where it does not, as we read it from the files.

    :param recording: the process's view, which records the files that the configuration is read from.
    :raises ConfigurationError: neither is to be had.
    :raises OSError: the process is gone, or its root is not ours to see.
    """
    view = recording or RecordingView(process.view)
    try:
        return dump(process, functools.partial(includes.note, process, view))
    except ConfigurationError as error:
        found = parser.read(process, view)
        found.complaints = (str(error), *found.complaints)
        # Why the binary refuses may lie in files that are not of the configuration: a certificate, a module.
        view.cacheable = False
        return found


def master_of(process: Process) -> Process:
    """The process that the workers come from: it was started by a person or by init, the arguments are the same."""
    while process.parent > 1:
        parent = look_at(process.parent)
        if parent is None or parent.name != process.name:
            break
        process = parent
    return process


