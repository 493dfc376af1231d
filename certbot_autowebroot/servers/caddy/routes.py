"""The destinations of a request in Caddy's JSON. Caddy documentation, "JSON Config Structure", apps/http."""
import fnmatch
import functools
import ipaddress
import json
import posixpath
import re
from dataclasses import replace
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Tuple

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Trail
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.route import host_of
from certbot_autowebroot.servers.caddy.automatic import with_redirects
from certbot_autowebroot.servers.caddy.matching import Matching
from certbot_autowebroot.servers.caddy.matching import UnknowableError
from certbot_autowebroot.servers.caddy.matching import as_list
from certbot_autowebroot.servers.caddy.matching import as_map
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.assumptions import Assumptions
from certbot_autowebroot.servers.common.assumptions import alternatives
from certbot_autowebroot.servers.common.paths import file_at

#: Handlers that pass the request on without a relevant change.
_PASSING = frozenset(("encode", "templates", "push", "request_body", "tracing", "headers", "log_append", "intercept",
                      "metrics_wrapper", "rate_limit", "crowdsec", "geoip"))


def destinations(config: Any, request: Request, is_file: Callable[[str], bool], cwd: str,
                 environment: Mapping[str, str]) -> List[Destination]:
    """The destinations of a request in a configuration.

    :param config: the answer of the admin API.
    :param is_file: whether a path is a file, for ``try_files``. The challenge's own file counts as existing.
    :param cwd: Caddy's working directory, the base of a relative root.
    :param environment: Caddy's environment, for ``{env.X}``.
    """
    http = as_map(as_map(as_map(config).get("apps")).get("http"))
    try:
        name, server = _server(with_redirects(http), request.endpoint)
        if server is None:
            return [Unknown(f"no server of Caddy's configuration listens on {request.endpoint}")]
        return alternatives(lambda assumptions: [
            _Run(server, Step(f"server {name}"), request, is_file, cwd, environment, assumptions).destination()])
    except RecursionError:
        return [Unknown("Caddy's configuration has no end")]


class _Run(Matching):
    """One evaluation of one request under given assumptions."""

    def __init__(self, server: Mapping[str, Any], step: Step, request: Request, is_file: Callable[[str], bool],
                 cwd: str, environment: Mapping[str, str], assumptions: Assumptions) -> None:
        super().__init__(request, is_file, cwd, environment, assumptions)
        self.server = server
        self.groups: Set[str] = set()
        self.steps: List[Step] = [step]
        self.password = False

    def destination(self) -> Destination:
        try:
            destination = self.routes(self.server.get("routes"))
        except (UnknowableError, regex.RegexError) as error:
            reason = f"only the running Caddy knows {error}" if isinstance(error, UnknowableError) else str(error)
            return Unknown(reason, self.trail)
        if isinstance(destination, Directory) and self.password:
            return replace(destination, depends_on_client=True)
        return destination or DeadEnd("no route of Caddy's answers: it sends 200 without content", self.trail)

    @property
    def trail(self) -> Trail:
        return tuple(self.steps)

    def routes(self, routes: Any) -> Optional[Destination]:
        """The destination in a list of routes; None where all pass the request on."""
        for route in map(as_map, as_list(routes)):
            group = str(route.get("group", ""))
            if group in self.groups or not self.matches(route.get("match")):
                continue
            if group:
                self.groups.add(group)
            if route.get("match"):
                self.steps.append(Step(f"route {json.dumps(route['match'])}"))
            for handler in map(as_map, as_list(route.get("handle"))):
                destination = self.handle(handler)
                if destination is not None:
                    return destination
            if route.get("terminal"):
                return DeadEnd("no handler of Caddy's answers: it sends 200 without content", self.trail)
        return None

    def handle(self, handler: Dict[str, Any]) -> Optional[Destination]:
        name = str(handler.get("handler"))
        self.count()
        handle: Optional[Callable[[Dict[str, Any]], Optional[Destination]]] = getattr(self, f"_handle_{name}", None)
        if handle is not None:
            return handle(handler)
        if name not in _PASSING and not self.assumptions.holds(f"the handler {name} passes the request on", True):
            return Unknown(f"what the handler {name} does is not known", self.trail)
        return None

    def _handle_subroute(self, handler: Dict[str, Any]) -> Optional[Destination]:
        return self.routes(handler.get("routes"))

    def _handle_invoke(self, handler: Dict[str, Any]) -> Optional[Destination]:
        route = as_map(self.server.get("named_routes")).get(str(handler.get("name")))
        return self.routes([route])

    def _handle_vars(self, handler: Dict[str, Any]) -> Optional[Destination]:
        self.variables.update({key: self.expanded(str(value)) for key, value in handler.items() if key != "handler"})
        return None

    def _handle_map(self, handler: Dict[str, Any]) -> Optional[Destination]:
        self.maps.append(handler)
        return None

    def _handle_headers(self, handler: Dict[str, Any]) -> Optional[Destination]:
        self.host = self.host_header(handler, self.host)
        return None

    def _handle_authentication(self, handler: Dict[str, Any]) -> Optional[Destination]:
        self.password = True
        return None

    def _handle_error(self, handler: Dict[str, Any]) -> Optional[Destination]:
        return DeadEnd(f"Caddy answers with the error {handler.get('status_code', 500)}", self.trail)

    def _handle_acme_server(self, handler: Dict[str, Any]) -> Optional[Destination]:
        return None if not self.path.startswith("/acme/") else DeadEnd("Caddy's ACME server answers", self.trail)

    def _handle_static_response(self, handler: Dict[str, Any]) -> Optional[Destination]:
        locations = as_list(as_map(handler.get("headers")).get("Location"))
        status = self.expanded(str(handler.get("status_code", 200)))
        if locations and re.fullmatch("30[12378]", status):
            url = self.expanded(str(locations[0]))
            return Redirect(url, int(status), (*self.steps, Step(f"redirect to {locations[0]}")))
        return DeadEnd(f"Caddy answers itself, with status {status}, and not from a file", self.trail)

    def _handle_rewrite(self, handler: Dict[str, Any]) -> Optional[Destination]:
        self.steps.append(Step("rewrite " + json.dumps({k: v for k, v in handler.items() if k != "handler"})))
        self.rewrite(handler)
        return None

    def rewrite(self, handler: Dict[str, Any]) -> None:
        if "uri" in handler:
            # A new URI without a question mark keeps the query.
            path, mark, query = self.expanded(str(handler["uri"])).partition("?")
            self.path, self.query = path or self.path, query if mark else self.query
        prefix = self.expanded(str(handler.get("strip_path_prefix", "")))
        if prefix and self.path.startswith(prefix):
            self.path = self.path[len(prefix):]
        suffix = self.expanded(str(handler.get("strip_path_suffix", "")))
        if suffix and self.path.endswith(suffix):
            self.path = self.path[:-len(suffix)]
        for change in map(as_map, as_list(handler.get("uri_substring"))):
            limit = change.get("limit")
            count = limit if isinstance(limit, int) and limit > 0 else -1
            find, new = str(change.get("find", "")), self.expanded(str(change.get("replace", "")))
            if find:
                self.path = regex.bounded(regex.bounded(new).join(self.path.split(find, count)))
        for change in map(as_map, as_list(handler.get("path_regexp"))):
            new = str(change.get("replace", ""))
            self.path = regex.substitute(str(change.get("find", "")), functools.partial(
                regex.groups_in, new, r"\$\{?([0-9])\}?"), self.path)

    def _handle_reverse_proxy(self, handler: Dict[str, Any]) -> Optional[Destination]:
        transport = as_map(handler.get("transport"))
        if transport.get("protocol") == "fastcgi":
            return DeadEnd("a FastCGI program answers, not a file", self.trail)
        if handler.get("dynamic_upstreams"):
            raise UnknowableError("dynamic_upstreams")
        here = self.path, self.query
        self.rewrite(as_map(handler.get("rewrite")))
        dials = [self.expanded(str(as_map(upstream).get("dial"))) for upstream in as_list(handler.get("upstreams"))]
        members = tuple(endpoint for endpoint in map(_endpoint, dials) if endpoint is not None)
        if not members or len(members) != len(dials):
            raise UnknowableError(f"the upstream {dials}")
        self.variables["upstream"] = members[0].host.partition("unix:")[2] or members[0].host
        host = self.host_header(as_map(handler.get("headers")), self.host)
        step = Step("reverse_proxy " + " ".join(dials))
        upstream = Upstream(members, host_of(host), self.path, "https" if "tls" in transport else "http",
                            bool(transport.get("proxy_protocol")), (*self.steps, step))
        # Caddy may handle the upstream's answer itself: after a positive one, forward_auth continues.
        for response in map(as_map, as_list(handler.get("handle_response"))):
            wanted = response.get("match")
            if not wanted or self.assumptions.holds(f"{step.text} answers {json.dumps(wanted)}", usually=False):
                self.path, self.query = here
                return self.routes(response.get("routes"))
        return upstream

    def host_header(self, headers: Dict[str, Any], host: str) -> str:
        for name, values in as_map(as_map(headers.get("request")).get("set")).items():
            if name.lower() == "host" and as_list(values):
                host = self.expanded(str(as_list(values)[0])).lower()
        return host

    def _handle_file_server(self, handler: Dict[str, Any]) -> Optional[Destination]:
        root = self.expanded(str(handler.get("root", "{http.vars.root}"))) or "."
        file = file_at(posixpath.join(self.cwd, root), "/" + self.path, self.request, (*self.steps, Step(
            f"file_server in {root}")))
        if isinstance(file, Directory):
            for pattern in map(self.expanded, map(str, as_list(handler.get("hide")))):
                if _hides(pattern, str(file), self.cwd):
                    return None if handler.get("pass_thru") else DeadEnd(f"file_server hides {pattern}", file.trail)
        return file if isinstance(file, Directory) or not handler.get("pass_thru") else None

def _hides(pattern: str, path: str, cwd: str) -> bool:
    """``hide``: without a slash a component of the path, else the path or a directory above it."""
    if "/" not in pattern:
        return any(fnmatch.fnmatchcase(part, pattern) for part in path.split("/"))
    pattern = posixpath.normpath(posixpath.join(cwd, pattern))
    return path == pattern or path.startswith(pattern.rstrip("/") + "/") or fnmatch.fnmatchcase(path, pattern)


def _endpoint(dial: str) -> Optional[Endpoint]:
    """A network address: ``host:port``, ``tcp/host:port``, ``unix//run/x.sock``."""
    network, slash, address = dial.partition("/")
    if slash and network.startswith("unix"):
        return Endpoint(f"unix:{address}", 0)
    address = address if slash else dial
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port):
        return None
    return Endpoint(host.strip("[]") or "localhost", int(port))


def _server(servers: Sequence[Tuple[str, Dict[str, Any]]],
            endpoint: Endpoint) -> Tuple[str, Optional[Dict[str, Any]]]:
    """The server of an endpoint. As the kernel, prefer the exact address."""
    wide: Tuple[str, Optional[Dict[str, Any]]] = ("", None)
    for name, server in servers:
        for address in map(str, as_list(server.get("listen"))):
            for kind in _accepts(address, endpoint):
                if kind == "exact":
                    return name, server
                wide = (name, server) if wide[1] is None else wide
    return wide


def _accepts(address: str, endpoint: Endpoint) -> Iterator[str]:
    network, slash, rest = address.partition("/")
    if endpoint.is_unix:
        if network.startswith("unix") and rest.partition("|")[0] == endpoint.host[len("unix:"):]:
            yield "exact"
        return
    host, _, ports = (rest if slash else address).rpartition(":")
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", ports)
    if match is None or network.startswith(("udp", "unix")):
        return
    if not int(match[1]) <= endpoint.port <= int(match[2] or match[1]):
        return
    host = host.strip("[]")
    if host in ("", "0.0.0.0", "::"):  # noqa: S104
        yield "wide"
    elif host == "localhost":
        if endpoint.is_loopback:
            yield "exact"
    else:
        try:
            if ipaddress.ip_address(host) == ipaddress.ip_address(endpoint.host):
                yield "exact"
        except ValueError:
            yield "wide"
