"""The web servers that we know, and which of them a process is."""
import functools
import importlib
import logging
from itertools import chain
from typing import Any
from typing import Callable
from typing import Iterator
from typing import List

from certbot_autowebroot.system.entry_points import registered
from certbot_autowebroot.system.processes import Process

logger = logging.getLogger(__name__)

#: Our own, in the order in which they are asked whether they recognise a process.
BUILT_IN = (
    "nginx:NginxServer",
    "apache:ApacheServer",
    "lighttpd:LighttpdServer",
    "caddy:CaddyServer",
    "haproxy:HaproxyServer",
    "varnish:VarnishServer",
    "forwarder:Forwarder",
    "static:StaticServer",
    "guess:AnyProgram",
)


class WebServers:
    """Every web server that we know of, for one order: other packages' first, our own after them.

    A module is imported only when all before it have been asked in vain: all together take 40 ms.
    """

    def __init__(self) -> None:
        self._made: List[Any] = []
        self._waiting = chain(_registered(), map(_built_in, BUILT_IN))

    def for_process(self, process: Process) -> Any:
        """The first that recognises a process; the last of our own recognises every one."""
        for web_server in chain(self._made, self._make()):
            if web_server.recognises(process):
                return web_server
        raise LookupError(f"no web server recognises {process.program}")

    def _make(self) -> Iterator[Any]:
        for make in self._waiting:
            try:
                self._made.append(make())
            except Exception as error:  # somebody else's package must not stop a renewal
                logger.warning("A web server of another package cannot be used: %s", error)
                continue
            yield self._made[-1]


def _built_in(name: str) -> Callable[[], Any]:
    module, _, attribute = name.partition(":")
    return lambda: getattr(importlib.import_module(f"{__package__}.{module}"), attribute)()


def _registered() -> Iterator[Callable[[], Any]]:
    """What makes those in the entry point group ``certbot_autowebroot.web_servers``."""
    return (functools.partial(_load, entry_point) for entry_point in registered("certbot_autowebroot.web_servers"))


def _load(entry_point: Any) -> Any:
    return entry_point.load()()
