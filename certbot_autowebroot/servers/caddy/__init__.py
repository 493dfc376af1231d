"""Caddy: its running configuration, from its admin API or its files, evaluated."""
from typing import Any
from typing import Dict
from typing import Sequence

from zope.interface import implementer

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.caddy.routes import destinations
from certbot_autowebroot.servers.caddy.source import NoConfigurationError
from certbot_autowebroot.servers.caddy.source import configuration
from certbot_autowebroot.servers.registry import executables
from certbot_autowebroot.system.processes import Process


@implementer(IWebServer)
class CaddyServer:
    """Caddy 2."""

    name = "Caddy"

    def __init__(self) -> None:
        self._configs: Dict[int, Any] = {}

    def recognises(self, process: Process) -> bool:
        """Whether the executable is caddy, or FrankenPHP, which is one with PHP in it."""
        return process.name in executables("caddy")

    def ask(self, process: Process, request: Request) -> Sequence[Destination]:
        """The destinations in its configuration; see :meth:`~certbot_autowebroot.interfaces.IWebServer.ask`."""
        if process.pid not in self._configs:
            try:
                self._configs[process.pid] = configuration(process, request)
            except NoConfigurationError as error:
                self._configs[process.pid] = error
        config = self._configs[process.pid]
        if isinstance(config, NoConfigurationError):
            return [Unknown(f"Caddy's configuration is not available: {config}")]
        return destinations(config, request, process.view.is_file, process.cwd or "/", process.environment)
