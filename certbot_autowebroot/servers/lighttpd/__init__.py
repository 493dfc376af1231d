"""lighttpd: the configuration of the running process, read and evaluated.

``lighttpd -p`` would print it, but also execute every ``include_shell``: the plugin only reads files.
"""
import posixpath
from typing import Dict
from typing import Optional
from typing import Sequence
from typing import Union

from zope.interface import implementer

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.common.configuration import readable
from certbot_autowebroot.servers.lighttpd.config import Config
from certbot_autowebroot.servers.lighttpd.config import ConfigError
from certbot_autowebroot.servers.lighttpd.config import Files
from certbot_autowebroot.servers.lighttpd.config import parse
from certbot_autowebroot.servers.lighttpd.evaluate import destinations
from certbot_autowebroot.servers.registry import executables
from certbot_autowebroot.system.processes import Process


@implementer(IWebServer)
class LighttpdServer:
    """lighttpd 1.4."""

    name = "lighttpd"

    def __init__(self) -> None:
        self._configs: Dict[int, Union[Config, str]] = {}

    def recognises(self, process: Process) -> bool:
        """Whether the executable is lighttpd, or the wrapper that restarts it."""
        return process.name in executables("lighttpd")

    def ask(self, process: Process, request: Request) -> Sequence[Destination]:
        """The destinations in its configuration; see :meth:`~certbot_autowebroot.interfaces.IWebServer.ask`."""
        if process.pid not in self._configs:
            self._configs[process.pid] = _read(process)
        config = self._configs[process.pid]
        if isinstance(config, str):
            return [Unknown(config)]
        return destinations(config, request, process.view.is_dir)


def _read(process: Process) -> Union[Config, str]:
    """The configuration, or the reason why there is none."""
    path = config_path(process.argv)
    if path is None:
        return "lighttpd was started without -f, or reads its configuration from standard input"
    if not path.startswith("/"):
        # A daemon has changed into /; its former directory is lost.
        path = posixpath.join(process.cwd or "/", path)
    try:
        view = readable(process, path)
        files = Files(view.read, view.glob, process.environment)
        return parse(path, files)
    except OSError as error:
        return f"lighttpd's configuration {path} cannot be read: {error.strerror or error}"
    except ConfigError as error:
        return f"lighttpd's configuration is not understood: {error}"


def config_path(argv: Sequence[str]) -> Optional[str]:
    """lighttpd(8): ``-f filename``, also as one word; ``-`` is standard input."""
    path = None
    for number, arg in enumerate(argv):
        if arg == "-f" and number + 1 < len(argv):
            path = argv[number + 1]
        elif arg.startswith("-f") and arg != "-f":
            path = arg[2:]
    return None if path in (None, "-", "/dev/stdin") else path
