"""The roads that are open to a name which has no directory: what could be done, once, so that its renewals go through.

Which roads there are is decided on the routes; what is asked of the machine is whether a server is a container's.
"""
from dataclasses import dataclass
from typing import Callable
from typing import Iterator
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Union

from certbot_autowebroot import settings
from certbot_autowebroot.order import other_authenticators
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.servers import snippets
from certbot_autowebroot.servers.caddy import sites
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process

#: By the name of the executable, the server that it is.
_SERVERS = {"nginx": "nginx", "openresty": "nginx", "angie": "nginx", "tengine": "nginx", "nginx-debug": "nginx",
            "apache2": "apache", "httpd": "apache", "lighttpd": "lighttpd", "caddy": "caddy", "haproxy": "haproxy"}
#: Where Certbot's own authenticators look for a configuration, if nothing else is said: /etc/apache2 or /etc/httpd.
_LOOKS_IN = {"nginx": "/etc/nginx/", "apache": "/etc/"}


@dataclass(frozen=True)
class Lines:
    """Lines in the configuration of a server on the way, which then answers from the shared directory.

    :ivar server: one of :data:`snippets.LINES`.
    :ivar block: the section that they belong into; for lighttpd a line of the file, at whose end they belong.
    :ivar at_the_end: a section for the end of the file, which the lines name.
    :ivar replaces: a section for the same path, which cannot stay beside them.
    :ivar beaten_by: a line that is taken before them.
    """

    server: str
    program: Program
    block: Step
    lines: Tuple[str, ...]
    at_the_end: Tuple[str, ...] = ()
    replaces: Optional[Step] = None
    beaten_by: Optional[Step] = None


@dataclass(frozen=True)
class Fallback:
    """``--autowebroot-fallback``, with an installed authenticator that belongs to who holds the port.

    :ivar server_root: the option without which it edits another configuration than the one that runs; or empty.
    """

    authenticator: str
    server_root: str = ""


@dataclass(frozen=True)
class GivenPath:
    """``--autowebroot-path``: the program may serve a directory, and nothing tells which."""

    program: Program


Road = Union[Lines, Fallback, GivenPath]


def open_to(outcome: Outcome, door: Endpoint) -> List[Road]:
    """The roads that lead to an answer at a door, for a name that has none there, the most lasting first."""
    routes = outcome.routes.get(door, [])
    lines = None if any(map(_has_lines, routes)) else next(filter(None, map(_lines, routes)), None)
    tried = {reason.partition(":")[0] for reason in outcome.rejected}
    found: List[Road] = [lines] if lines else []
    found += [Fallback(name, server_root(name, routes)) for name in other_authenticators.fitting(outcome)
              if f"the authenticator {name}" not in tried]
    return [*found, *given_paths(routes, _is_contained)]


def _has_lines(route: Route) -> bool:
    """Whether the lines are in already: then something else is wrong."""
    return (isinstance(route.end, Directory) and str(route.end).startswith(settings.SHARED_DIRECTORY + "/")) or (
        isinstance(route.end, Vacant) and str(route.end.endpoint) == snippets.LISTENER)


def server_root(authenticator: str, routes: Sequence[Route]) -> str:
    """The option that an authenticator needs besides, where nothing of the road at the front lies where it looks."""
    files = [step.source.file for route in routes for hop in route.hops[:1] for step in hop.trail if step.source]
    usual = _LOOKS_IN.get(authenticator, "/")
    return "" if not files or any(file.startswith(usual) for file in files) else f"--{authenticator}-server-root"


def _lines(route: Route) -> Optional[Lines]:
    """For the last server on the way that is no container's, where the request still asks for the file of the CA."""
    for hop in reversed(route.hops):
        process = processes.process(hop.program.pid) if hop.program.pid else None
        if process is not None and processes.has_our_files(process):
            found = lines_at(hop, _site(process, hop))
            if found:
                return found
    return None


def _site(process: Process, hop: Hop) -> Optional[Step]:
    """The site of a Caddy, whose running configuration does not tell where it was written."""
    return sites.site(process, hop.request.host) if _SERVERS.get(hop.program.name) == "caddy" else None


def _is_contained(program: Program) -> bool:
    process = processes.process(program.pid) if program.pid else None
    return process is not None and not processes.has_our_files(process)


def given_paths(routes: Sequence[Route], is_contained: Callable[[Program], bool]) -> Iterator[GivenPath]:
    """The programs that may serve a directory that cannot be told from their configuration."""
    doubtful = [route for route in routes if isinstance(route.end, Unknown)
                or (isinstance(route.end, Directory) and route.end.guessed)]
    programs = {route.program: None for route in doubtful
                if route.program and not route.hops[-1].request.endpoint.namespace}
    return (GivenPath(program) for program in programs
            if program.name not in ("haproxy", "varnishd") and not is_contained(program))


def lines_at(hop: Hop, site: Optional[Step] = None) -> Optional[Lines]:
    """The lines that make a server answer at this stop.

    :param site: where a Caddy's site is written.
    :returns: None where there are none: another server, another path than the CA's, a stream that is only passed on.
    """
    server = _SERVERS.get(hop.program.name, "")
    if hop.request.path != CHALLENGE_PATH + hop.request.token or hop.request.endpoint.namespace:
        return None
    block = site if server == "caddy" else _BLOCKS[server](hop.trail) if server in _BLOCKS else None
    if block is None or block.source is None:
        return None
    if server == "apache":
        refuses = any(step.text.lower().startswith(("order ", "deny ", "allow ")) for step in hop.trail)
        lines = snippets.apache(settings.SHARED_DIRECTORY, with_order=refuses)
    else:
        lines = snippets.LINES[server](settings.SHARED_DIRECTORY)
    return Lines(server, hop.program, block, tuple(lines),
                 at_the_end=tuple(snippets.haproxy_backend()) if server == "haproxy" else (),
                 replaces=_first(hop, *_REPLACED.get(server, ())), beaten_by=_first(hop, *_BEATEN_BY.get(server, ())))


def _nginx_block(trail: Sequence[Step]) -> Optional[Step]:
    return next((step for step in trail if step.text.startswith("server ")), None)


def _apache_block(trail: Sequence[Step]) -> Optional[Step]:
    """The virtual host; else the main server, by the last line that it says of the request."""
    host = next((step for step in trail if step.text.startswith("<VirtualHost")), None)
    return host or next((step for step in reversed(trail) if step.source), None)


def _lighttpd_block(trail: Sequence[Step]) -> Optional[Step]:
    return next((step for step in reversed(trail) if step.source), None)


def _haproxy_block(trail: Sequence[Step]) -> Optional[Step]:
    """The frontend; none where it passes connections on without a look at what is asked."""
    section = next((step for step in trail if step.text.startswith(("frontend ", "listen "))), None)
    return None if section is None or "(mode tcp)" in section.text else section


_BLOCKS: "dict[str, Callable[[Sequence[Step]], Optional[Step]]]" = {
    "nginx": _nginx_block, "apache": _apache_block, "lighttpd": _lighttpd_block, "haproxy": _haproxy_block}
#: How the lines begin that cannot stay: nginx refuses the same location twice.
_REPLACED = {"nginx": (f"location {CHALLENGE_PATH}", f"location ^~ {CHALLENGE_PATH}")}
#: How the lines begin that are taken first, whatever order they stand in.
_BEATEN_BY = {"caddy": ("redirect to ", "rewrite "), "haproxy": ("redirect ",)}


def _first(hop: Hop, *beginnings: str) -> Optional[Step]:
    return next((step for step in hop.trail if step.text.startswith(beginnings)), None) if beginnings else None
