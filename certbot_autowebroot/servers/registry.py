"""One record for each web server, and the web servers of other packages.

A record names the parts of a server as text: they are imported when they are needed, for all together take 40 ms of a
renewal. So a server's modules can look up their executable names here, and no import goes round.
"""
import functools
import importlib
import logging
from typing import Any
from typing import Dict
from typing import FrozenSet
from typing import Iterator
from typing import NamedTuple
from typing import Optional
from typing import Tuple

from certbot_autowebroot.system.entry_points import registered
from certbot_autowebroot.system.processes import Process

logger = logging.getLogger(__name__)

#: The entry point group of other packages' web servers.
GROUP = "certbot_autowebroot.web_servers"
#: The optional parts of a server: modules of its package. ``snippet`` provides IHasSnippet, ``control`` IReloads,
#: ``forwarding`` IForwardsChallenges.
SNIPPET = "snippet"
CONTROL = "control"
FORWARDING = "forwarding"


class Server(NamedTuple):
    """What is known of one web server.

    :ivar name: the name for the command line.
    :ivar evaluator: the class that provides IWebServer, as ``module:class`` below this package.
    :ivar executables: the names of its executable file, and of those of its builds and forks. Without any, the
        evaluator itself is asked about a process.
    :ivar parts: the modules of its package that exist.
    :ivar authenticator: the authenticator of Certbot's that edits its configuration.
    :ivar authenticator_root: where the configuration lies that this edits without ``--NAME-server-root``.
    :ivar serves_files: it may have a directory for an HTTP request.
    """

    name: str
    evaluator: str
    executables: Tuple[str, ...] = ()
    parts: Tuple[str, ...] = ()
    authenticator: str = ""
    authenticator_root: str = "/"
    serves_files: bool = True

    def part(self, name: str) -> Any:
        """One of its optional parts."""
        return importlib.import_module(f"{__package__}.{self.name}.{name}")

    def make_evaluator(self) -> Any:
        """A new instance, which has not read anything yet."""
        module, _, attribute = self.evaluator.partition(":")
        return getattr(importlib.import_module(f"{__package__}.{module}"), attribute)()


#: Those without executable names come last, in the order in which they are asked.
BUILT_IN = (
    Server("nginx", "nginx:NginxServer", ("nginx", "nginx-debug", "openresty", "angie", "tengine"),
           (SNIPPET, CONTROL, FORWARDING), "nginx", "/etc/nginx/"),
    # BusyBox's httpd is a link to busybox, and so has another name. Certbot's looks in /etc/apache2 or /etc/httpd.
    Server("apache", "apache:ApacheServer", ("apache2", "httpd", "httpd2", "httpd.worker", "httpd.event",
                                             "httpd-prefork"), (SNIPPET, CONTROL, FORWARDING), "apache", "/etc/"),
    Server("lighttpd", "lighttpd:LighttpdServer", ("lighttpd", "lighttpd-angel"), (SNIPPET, CONTROL, FORWARDING)),
    Server("caddy", "caddy:CaddyServer", ("caddy", "frankenphp"), (SNIPPET, CONTROL, FORWARDING)),
    Server("haproxy", "haproxy:HaproxyServer", ("haproxy",), (SNIPPET, CONTROL, FORWARDING), serves_files=False),
    Server("varnish", "varnish:VarnishServer", ("varnishd",), (SNIPPET, FORWARDING), serves_files=False),
    Server("forwarder", "forwarder:Forwarder", ("docker-proxy", "socat", "socat1"), serves_files=False),
    Server("static", "static:StaticServer"),
    Server("guess", "guess:AnyProgram"),
)

BY_NAME = {server.name: server for server in BUILT_IN}
_BY_EXECUTABLE = {executable: server for server in BUILT_IN for executable in server.executables}

#: Names as proc(5), "comm", has them (15 characters) of the processes that are the likeliest to hold a web server's
#: port: web servers, also those that we know nothing more of (cache-main is Varnish's child); then programs that run
#: many other things.
LIKELY: Tuple[FrozenSet[str], ...] = (
    frozenset({executable[:15] for executable in _BY_EXECUTABLE}
              | {"cache-main", "envoy", "litespeed", "rootlessport", "traefik"}),
    frozenset({"busybox", "node", "php", "python3"}))


def by_executable(name: str) -> Optional[Server]:
    """The record of the server that has an executable of this name."""
    return _BY_EXECUTABLE.get(name)


def by_header(header: str) -> Optional[Server]:
    """The record of the server that sends this ``Server`` header (RFC 9110 section 10.2.4)."""
    name = header.partition("/")[0].partition(" ")[0].lower()
    return BY_NAME.get(name) or by_executable(name)


def executables(name: str) -> Tuple[str, ...]:
    """The executable names of a server."""
    return BY_NAME[name].executables


class Part(NamedTuple):
    """An optional part of a server.

    :ivar server: the server's name.
    :ivar provider: the object that provides the part's interface.
    """

    server: str
    provider: Any


def part_of(process: Process, name: str) -> Optional[Part]:
    """A part of the server that a process runs; None where there is none. Other packages come first."""
    interface = _interface(name)
    for server, web_server in _external():
        if interface.providedBy(web_server) and web_server.recognises(process):
            return Part(server, web_server)
    record = by_executable(process.name)
    return Part(record.name, record.part(name)) if record and name in record.parts else None


def part_named(server: str, name: str) -> Any:
    """A part of a server by the server's name; None where it does not have it."""
    if server in BY_NAME:
        return BY_NAME[server].part(name) if name in BY_NAME[server].parts else None
    return next((web_server for other, web_server in _external()
                 if other == server and _interface(name).providedBy(web_server)), None)


def names_with(part: str) -> Tuple[str, ...]:
    """The names of the servers that have a part; of other packages all, for none is loaded."""
    return (*(server.name for server in BUILT_IN if part in server.parts),
            *(entry_point.name for entry_point in registered(GROUP)))


def _interface(part: str) -> Any:
    from certbot_autowebroot import interfaces
    return {SNIPPET: interfaces.IHasSnippet, CONTROL: interfaces.IReloads,
            FORWARDING: interfaces.IForwardsChallenges}[part]


class WebServers:
    """The evaluators of one order: other packages' first, ours after them."""

    def __init__(self) -> None:
        self._made: Dict[Server, Any] = {}

    @functools.cached_property
    def _others(self) -> Tuple[Any, ...]:
        return tuple(web_server for _, web_server in _external())

    def for_process(self, process: Process) -> Any:
        """The first that recognises a process; the last of ours recognises every one."""
        return next(web_server for web_server in self._candidates(process) if web_server.recognises(process))

    def _candidates(self, process: Process) -> Iterator[Any]:
        yield from self._others
        record = by_executable(process.name)
        for server in [record] if record else [server for server in BUILT_IN if not server.executables]:
            if server not in self._made:
                self._made[server] = server.make_evaluator()
            yield self._made[server]


def _external() -> Iterator[Tuple[str, Any]]:
    """The names and new instances of other packages' web servers."""
    for entry_point in registered(GROUP):
        try:
            web_server = entry_point.load()()
        except Exception as error:  # another package must not stop a renewal
            logger.warning("A web server of another package cannot be used: %s", error)
            continue
        yield entry_point.name, web_server
