"""Where Caddy's JSON configuration sends a request. Caddy documentation, "JSON Config Structure", apps/http.

The configuration comes from outside: every part of it is looked at with :func:`_map` and :func:`_list`, so that a
number where an object belongs is an empty object.
"""
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
from certbot_autowebroot.servers import regex
from certbot_autowebroot.servers.assumptions import Assumptions
from certbot_autowebroot.servers.assumptions import alternatives
from certbot_autowebroot.servers.caddy.automatic import with_redirects
from certbot_autowebroot.servers.paths import file_at

#: Handlers that pass the request on and change nothing that matters here.
_PASSING = frozenset(("encode", "templates", "push", "request_body", "tracing", "headers", "log_append", "intercept",
                      "metrics_wrapper", "map", "rate_limit", "crowdsec", "geoip"))

#: Forty routes that each invoke the next one twice take 2^40 of them.
_MAX_HANDLERS = 10_000

_PLACEHOLDER = re.compile(r"\{([^{}\s\"]+)\}")


class _NotKnown(Exception):
    """The text names what only the running Caddy knows."""


def destinations(config: Any, request: Request, is_file: Callable[[str], bool], cwd: str,
                 environment: Mapping[str, str]) -> List[Destination]:
    """Where a configuration sends a request.

    :param config: as the admin API gives it.
    :param is_file: whether a path leads to a file, for ``try_files``. The challenge's own file counts as there.
    :param cwd: what a relative root is relative to.
    :param environment: Caddy's, for ``{env.X}``.
    """
    http = _map(_map(_map(config).get("apps")).get("http"))
    try:
        name, server = _server(with_redirects(http), request.endpoint)
        if server is None:
            return [Unknown(f"no server of Caddy's configuration listens on {request.endpoint}")]
        return alternatives(lambda assumptions: [
            _Run(server, Step(f"server {name}"), request, is_file, cwd, environment, assumptions).destination()])
    except RecursionError:
        return [Unknown("Caddy's configuration has no end")]


class _Run:
    """One evaluation of one request under given assumptions."""

    def __init__(self, server: Mapping[str, Any], step: Step, request: Request, is_file: Callable[[str], bool],
                 cwd: str, environment: Mapping[str, str], assumptions: Assumptions) -> None:
        self.server = server
        self.request = request
        self.is_file = is_file
        self.cwd = cwd
        self.environment = environment
        self.assumptions = assumptions
        self.host = request.host
        self.path = request.path
        self.query = request.query
        self.variables: Dict[str, str] = {}
        self.found: Dict[str, str] = {}
        self.groups: Set[str] = set()
        self.handled = 0
        self.steps: List[Step] = [step]
        self.password = False

    def destination(self) -> Destination:
        try:
            found = self.routes(self.server.get("routes"))
        except (_NotKnown, regex.RegexError) as error:
            reason = f"what {error} is, only the running Caddy knows" if isinstance(error, _NotKnown) else str(error)
            return Unknown(reason, self.trail)
        if isinstance(found, Directory) and self.password:
            return replace(found, depends_on_client=True)
        return found or DeadEnd("no route of Caddy's answers: it says 200 and nothing else", self.trail)

    @property
    def trail(self) -> Trail:
        return tuple(self.steps)

    def routes(self, routes: Any) -> Optional[Destination]:
        """A list of routes; None when all of them pass the request on."""
        for route in map(_map, _list(routes)):
            group = str(route.get("group", ""))
            if group in self.groups or not self.matches(route.get("match")):
                continue
            if group:
                self.groups.add(group)
            if route.get("match"):
                self.steps.append(Step(f"route {json.dumps(route['match'])}"))
            for handler in map(_map, _list(route.get("handle"))):
                found = self.handle(handler)
                if found is not None:
                    return found
            if route.get("terminal"):
                return DeadEnd("no handler of Caddy's answers: it says 200 and nothing else", self.trail)
        return None

    def handle(self, handler: Dict[str, Any]) -> Optional[Destination]:
        name = str(handler.get("handler"))
        self.handled += 1
        if self.handled > _MAX_HANDLERS:
            raise _NotKnown(f"what comes after {_MAX_HANDLERS} handlers")
        known: Optional[Callable[[Dict[str, Any]], Optional[Destination]]] = getattr(self, f"_handle_{name}", None)
        if known is not None:
            return known(handler)
        if name not in _PASSING and not self.assumptions.holds(f"the handler {name} passes the request on", True):
            return Unknown(f"what the handler {name} does is not known", self.trail)
        return None

    def _handle_subroute(self, handler: Dict[str, Any]) -> Optional[Destination]:
        return self.routes(handler.get("routes"))

    def _handle_invoke(self, handler: Dict[str, Any]) -> Optional[Destination]:
        route = _map(self.server.get("named_routes")).get(str(handler.get("name")))
        return self.routes([route])

    def _handle_vars(self, handler: Dict[str, Any]) -> Optional[Destination]:
        self.variables.update({key: self.expanded(str(value)) for key, value in handler.items() if key != "handler"})
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
        locations = _list(_map(handler.get("headers")).get("Location"))
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
            # Without a question mark of its own, a new URI keeps the query.
            path, mark, query = self.expanded(str(handler["uri"])).partition("?")
            self.path, self.query = path or self.path, query if mark else self.query
        prefix = self.expanded(str(handler.get("strip_path_prefix", "")))
        if prefix and self.path.startswith(prefix):
            self.path = self.path[len(prefix):]
        suffix = self.expanded(str(handler.get("strip_path_suffix", "")))
        if suffix and self.path.endswith(suffix):
            self.path = self.path[:-len(suffix)]
        for change in map(_map, _list(handler.get("uri_substring"))):
            limit = change.get("limit")
            count = limit if isinstance(limit, int) and limit > 0 else -1
            find, new = str(change.get("find", "")), self.expanded(str(change.get("replace", "")))
            if find:
                self.path = regex.bounded(regex.bounded(new).join(self.path.split(find, count)))
        for change in map(_map, _list(handler.get("path_regexp"))):
            new = str(change.get("replace", ""))
            self.path = regex.substitute(str(change.get("find", "")), functools.partial(
                regex.groups_in, new, r"\$\{?([0-9])\}?"), self.path)

    def _handle_reverse_proxy(self, handler: Dict[str, Any]) -> Optional[Destination]:
        transport = _map(handler.get("transport"))
        if transport.get("protocol") == "fastcgi":
            return DeadEnd("a FastCGI program answers, not a file", self.trail)
        if handler.get("dynamic_upstreams"):
            raise _NotKnown("dynamic_upstreams")
        self.rewrite(_map(handler.get("rewrite")))
        dials = [self.expanded(str(_map(upstream).get("dial"))) for upstream in _list(handler.get("upstreams"))]
        members = tuple(endpoint for endpoint in map(_endpoint, dials) if endpoint is not None)
        if not members or len(members) != len(dials):
            raise _NotKnown(f"the upstream {dials}")
        self.variables["upstream"] = members[0].host.partition("unix:")[2] or members[0].host
        host = self.host_header(_map(handler.get("headers")), self.host)
        step = Step("reverse_proxy " + " ".join(dials))
        return Upstream(members, host, self.path, "https" if "tls" in transport else "http",
                        bool(transport.get("proxy_protocol")), (*self.steps, step))

    def host_header(self, headers: Dict[str, Any], host: str) -> str:
        for name, values in _map(_map(headers.get("request")).get("set")).items():
            if name.lower() == "host" and _list(values):
                host = self.expanded(str(_list(values)[0])).partition(":")[0]
        return host

    def _handle_file_server(self, handler: Dict[str, Any]) -> Optional[Destination]:
        root = self.expanded(str(handler.get("root", "{http.vars.root}"))) or "."
        found = file_at(posixpath.join(self.cwd, root), "/" + self.path, self.request, (*self.steps, Step(
            f"file_server in {root}")))
        if isinstance(found, Directory):
            for pattern in map(self.expanded, map(str, _list(handler.get("hide")))):
                if _hides(pattern, str(found), self.cwd):
                    return None if handler.get("pass_thru") else DeadEnd(f"file_server hides {pattern}", found.trail)
        return found if isinstance(found, Directory) or not handler.get("pass_thru") else None

    def matches(self, sets: Any) -> bool:
        """A list of matcher sets: one of them, and in it all."""
        return not _list(sets) or any(
            all(self.matcher(name, value) for name, value in _map(one).items()) for one in _list(sets))

    def matcher(self, name: str, value: Any) -> bool:
        known: Optional[Callable[[Any], bool]] = getattr(self, f"_match_{name}", None)
        if known is not None:
            return known(value)
        return self.assumptions.holds(f"{name} {json.dumps(value)}", usually=False)

    def _match_not(self, value: Any) -> bool:
        return not self.matches(value)

    def _match_host(self, value: Any) -> bool:
        return any(_host_matches(self.expanded(str(host)).lower(), self.host) for host in _list(value))

    def _match_path(self, value: Any) -> bool:
        path = posixpath.normpath(self.path) + ("/" if self.path.endswith("/") and self.path != "/" else "")
        return any(_path_matches(self.expanded(str(pattern)).lower(), path.lower()) for pattern in _list(value))

    def _match_path_regexp(self, value: Any) -> bool:
        return self.regexp(_map(value), self.path)

    def _match_vars_regexp(self, value: Any) -> bool:
        return any(self.regexp(_map(rule), self.expanded(_braced(key))) for key, rule in _map(value).items())

    def _match_vars(self, value: Any) -> bool:
        return all(self.expanded(_braced(key)) in map(self.expanded, map(str, _list(wanted)))
                   for key, wanted in _map(value).items())

    def regexp(self, rule: Dict[str, Any], text: str) -> bool:
        match = regex.search(str(rule.get("pattern", "")), text)
        if match:
            groups = {str(number): group for number, group in enumerate((match[0], *match.groups("")))}
            for key, group in {**groups, **match.groupdict("")}.items():
                self.found[f"http.regexp.{rule.get('name', '')}.{key}"] = group
                self.found[f"http.regexp.{key}"] = group
        return match is not None

    def _match_method(self, value: Any) -> bool:
        return "GET" in _list(value)

    def _match_protocol(self, value: Any) -> bool:
        return value in (self.request.scheme, "http/1", "http/1.0+", "http/1.1", "http/1.1+")

    def _match_file(self, value: Any) -> bool:
        """The first of ``try_files`` that exists; the challenge's file does, once it matters."""
        rule = _map(value)
        root = posixpath.join(self.cwd, self.expanded(str(rule.get("root", "{http.vars.root}"))) or ".")
        for pattern in _list(rule.get("try_files")) or ["{http.request.uri.path}"]:
            name = self.expanded(str(pattern))
            if name.startswith("="):
                return False
            path = posixpath.normpath(posixpath.join(root, name.lstrip("/")))
            if posixpath.basename(path) == self.request.token or (not name.endswith("/") and self.is_file(path)):
                self.found["http.matchers.file.relative"] = name
                self.found["http.matchers.file.absolute"] = path
                return True
        return False

    def expanded(self, text: str) -> str:
        done, position = "", 0
        for match in _PLACEHOLDER.finditer(text):
            done = regex.bounded(done + text[position:match.start()] + self.placeholder(match[1]))
            position = match.end()
        return regex.bounded(done + text[position:])

    def placeholder(self, name: str) -> str:
        """Caddy documentation, "Placeholders", of apps/http and of Caddy itself."""
        if name.startswith("http.vars."):
            return self.variables.get(name[len("http.vars."):], "")
        if name.startswith("env."):
            return self.environment.get(name[len("env."):], "")
        if name.startswith("http.reverse_proxy.upstream.") and "upstream" in self.variables:
            return self.variables["upstream"]
        labels = self.host.split(".")[::-1]
        match = re.fullmatch(r"http\.request\.host\.labels\.([0-9]{1,3})", name)
        if match:
            return labels[int(match[1])] if int(match[1]) < len(labels) else ""
        request, query = self.request, f"?{self.query}" if self.query else ""
        known = {
            "http.request.host": self.host, "http.request.hostport": self.host, "http.request.scheme": request.scheme,
            "http.request.method": "GET", "http.request.uri": self.path + query, "http.request.uri.path": self.path,
            "http.request.uri.query": self.query, "http.request.port": str(request.endpoint.port),
            "http.request.uri.path.dir": posixpath.dirname(self.path).rstrip("/") + "/",
            "http.request.uri.path.file": posixpath.basename(self.path), "http.request.orig_uri.path": request.path,
            "http.request.orig_uri": request.path + (f"?{request.query}" if request.query else ""), **self.found}
        if name not in known:
            raise _NotKnown(f"{{{name}}}")
        return known[name]


def _map(value: Any) -> Dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> List[Any]:
    return value if isinstance(value, list) else []


def _braced(key: str) -> str:
    return key if key.startswith("{") else f"{{http.vars.{key}}}"


def _host_matches(pattern: str, host: str) -> bool:
    """``*`` stands for one whole label."""
    labels, parts = pattern.split("."), host.split(".")
    return len(labels) == len(parts) and all(label in ("*", part) for label, part in zip(labels, parts))


def _path_matches(pattern: str, path: str) -> bool:
    """One ``*`` at an end, or at both, stands for anything; within, for anything but a slash."""
    if pattern == "*":
        return True
    inner = pattern.strip("*")
    if "*" not in inner and pattern != inner:
        start, end = pattern.startswith("*"), pattern.endswith("*")
        if start and end:
            return inner in path
        return path.startswith(inner) if end else path.endswith(inner)
    return re.fullmatch("".join("[^/]*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", pattern)),
                        path) is not None


def _hides(pattern: str, path: str, cwd: str) -> bool:
    """``hide``: without a slash any component of the path, else the path or what lies below it."""
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
    """The server that listens at the endpoint; one for its very address is preferred, as the kernel does."""
    wide: Tuple[str, Optional[Dict[str, Any]]] = ("", None)
    for name, server in servers:
        for address in map(str, _list(server.get("listen"))):
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
