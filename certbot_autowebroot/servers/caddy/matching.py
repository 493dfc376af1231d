"""Caddy's matchers and placeholders. Caddy documentation, "JSON Config Structure", apps/http.

The configuration may have any form: the code reads each part with :func:`as_map` and :func:`as_list`, so that a number
in place of an object is an empty object.
"""
import json
import posixpath
import re
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Mapping
from typing import Optional

from certbot_autowebroot.route import Request
from certbot_autowebroot.route import host_of
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.assumptions import Assumptions

#: Forty routes, each of which invokes the next one twice, run 2^40 handlers.
_MAX_HANDLERS = 10_000

_PLACEHOLDER = re.compile(r"\{([^{}\s\"]+)\}")


class UnknowableError(Exception):
    """Only the running Caddy knows a value; the text names it."""


class Matching:
    """A request, which the routes may change.

    :ivar variables: the values of the handler ``vars``.
    :ivar matched: the placeholders of the matchers, by name.
    :ivar maps: the handlers ``map`` so far.
    """

    def __init__(self, request: Request, is_file: Callable[[str], bool], cwd: str, environment: Mapping[str, str],
                 assumptions: Assumptions) -> None:
        self.request = request
        self.is_file = is_file
        self.cwd = cwd
        self.environment = environment
        self.assumptions = assumptions
        self.host = request.host_header
        self.path = request.path
        self.query = request.query
        self.variables: Dict[str, str] = {}
        self.matched: Dict[str, str] = {}
        self.maps: List[Dict[str, Any]] = []
        self._handled = 0

    def count(self) -> None:
        """Count a handler.

        :raises UnknowableError: there are too many.
        """
        self._handled += 1
        if self._handled > _MAX_HANDLERS:
            raise UnknowableError(f"what comes after {_MAX_HANDLERS} handlers")

    def matches(self, sets: Any) -> bool:
        """Whether all matchers of one of the sets match."""
        return not as_list(sets) or any(
            all(self.matcher(name, value) for name, value in as_map(one).items()) for one in as_list(sets))

    def matcher(self, name: str, value: Any) -> bool:
        """One matcher; the answer of one on the client, or of an unknown one, is assumed."""
        matcher: Optional[Callable[[Any], bool]] = getattr(self, f"_match_{name}", None)
        if matcher is not None:
            return matcher(value)
        return self.assumptions.holds(f"{name} {json.dumps(value)}", usually=False)

    def _match_not(self, value: Any) -> bool:
        return not self.matches(value)

    def _match_host(self, value: Any) -> bool:
        own = host_of(self.host)
        return any(_host_matches(self.expanded(str(host)).lower(), own) for host in as_list(value))

    def _match_path(self, value: Any) -> bool:
        path = posixpath.normpath(self.path) + ("/" if self.path.endswith("/") and self.path != "/" else "")
        return any(_path_matches(self.expanded(str(pattern)).lower(), path.lower()) for pattern in as_list(value))

    def _match_path_regexp(self, value: Any) -> bool:
        return self.regexp(as_map(value), self.path)

    def _match_vars_regexp(self, value: Any) -> bool:
        return any(self.regexp(as_map(rule), self.expanded(_braced(key))) for key, rule in as_map(value).items())

    def _match_vars(self, value: Any) -> bool:
        return all(self.expanded(_braced(key)) in map(self.expanded, map(str, as_list(wanted)))
                   for key, wanted in as_map(value).items())

    def regexp(self, rule: Dict[str, Any], text: str) -> bool:
        """A regular expression, whose groups become placeholders."""
        match = regex.search(str(rule.get("pattern", "")), text)
        if match:
            groups = {str(number): group for number, group in enumerate((match[0], *match.groups("")))}
            for key, group in {**groups, **match.groupdict("")}.items():
                self.matched[f"http.regexp.{rule.get('name', '')}.{key}"] = group
                self.matched[f"http.regexp.{key}"] = group
        return match is not None

    def _match_header(self, value: Any) -> bool:
        """Each header with one of its values, ``*`` at the beginning or the end of one for any text."""
        def matches(sent: str, values: Any) -> bool:
            return any(_value_matches(self.expanded(str(text)), sent) for text in as_list(values))
        return all(self._header(name, values, matches) for name, values in as_map(value).items())

    def _match_header_regexp(self, value: Any) -> bool:
        def matches(sent: str, rule: Any) -> bool:
            return self.regexp(as_map(rule), sent)
        return all(self._header(name, rule, matches) for name, rule in as_map(value).items())

    def _header(self, name: str, rule: Any, matches: Callable[[str, Any], bool]) -> bool:
        """Whether a header that the CA sends matches; of others it is assumed."""
        sent = self.host if name.lower() == "host" else self.request.header(name.lower())
        if sent is None:
            return self.assumptions.holds(f"header {json.dumps({name: rule})}", usually=False)
        return bool(sent) and matches(sent, rule)

    def _match_method(self, value: Any) -> bool:
        return "GET" in as_list(value)

    def _match_protocol(self, value: Any) -> bool:
        return value in (self.request.scheme, "http/1", "http/1.0+", "http/1.1", "http/1.1+")

    def _match_file(self, value: Any) -> bool:
        """Whether a file of ``try_files`` exists; the challenge's file counts as existing."""
        rule = as_map(value)
        root = posixpath.join(self.cwd, self.expanded(str(rule.get("root", "{http.vars.root}"))) or ".")
        for pattern in as_list(rule.get("try_files")) or ["{http.request.uri.path}"]:
            name = self.expanded(str(pattern))
            if name.startswith("="):
                return False
            path = posixpath.normpath(posixpath.join(root, name.lstrip("/")))
            if posixpath.basename(path) == self.request.token or (not name.endswith("/") and self.is_file(path)):
                self.matched["http.matchers.file.relative"] = name
                self.matched["http.matchers.file.absolute"] = path
                return True
        return False

    def expanded(self, text: str) -> str:
        """The text with the values of its placeholders."""
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
        header = re.fullmatch(r"http\.request\.header\.(.+)", name)
        sent = self.request.header(header[1].lower()) if header else None
        if sent is not None:
            return sent
        request, query = self.request, f"?{self.query}" if self.query else ""
        values = {
            "http.request.host": self.host, "http.request.hostport": self.host, "http.request.scheme": request.scheme,
            "http.request.method": "GET", "http.request.uri": self.path + query, "http.request.uri.path": self.path,
            "http.request.uri.query": self.query, "http.request.port": str(request.endpoint.port),
            "http.request.uri.path.dir": posixpath.dirname(self.path).rstrip("/") + "/",
            "http.request.uri.path.file": posixpath.basename(self.path), "http.request.orig_uri.path": request.path,
            "http.request.orig_uri": request.path + (f"?{request.query}" if request.query else ""), **self.matched}
        if name not in values:
            return self.mapped(f"{{{name}}}")
        return values[name]

    def mapped(self, placeholder: str) -> str:
        """The output of the first ``map`` with this destination.

        :raises UnknowableError: there is none.
        """
        self.count()
        for number, rule in enumerate(self.maps):
            destinations = as_list(rule.get("destinations"))
            if placeholder not in destinations:
                continue
            index, earlier = destinations.index(placeholder), self.maps[:number]
            self.maps, whole = earlier, self.maps  # its source may be the destination of an earlier map, not its own
            try:
                return self.output(rule, index, self.expanded(str(rule.get("source", ""))))
            finally:
                self.maps = whole
        raise UnknowableError(placeholder)

    def output(self, rule: Dict[str, Any], index: int, source: str) -> str:
        """The output of the first mapping that matches and has one for the destination; else the default."""
        for mapping in map(as_map, as_list(rule.get("mappings"))):
            output = "".join(map(str, filter(None, as_list(mapping.get("outputs"))[index:index + 1])))
            pattern = mapping.get("input_regexp")
            match = regex.search(str(pattern), source) if output and pattern else None
            if match:
                return regex.groups_in(output, r"\$\{?([0-9])\}?", match)
            if output and not pattern and str(mapping.get("input", "")) == source:
                return self.expanded(output)
        return "".join(map(str, filter(None, as_list(rule.get("defaults"))[index:index + 1])))


def as_map(value: Any) -> Dict[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> List[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else []


def _braced(key: str) -> str:
    return key if key.startswith("{") else f"{{http.vars.{key}}}"


def _host_matches(pattern: str, host: str) -> bool:
    """``*`` is one whole label."""
    labels, parts = pattern.split("."), host.split(".")
    return len(labels) == len(parts) and all(label in ("*", part) for label, part in zip(labels, parts))


def _value_matches(pattern: str, value: str) -> bool:
    """A value of the matcher ``header``: ``*`` at the start, the end, or both, is any text."""
    inner = pattern.strip("*")
    start, end = pattern.startswith("*"), pattern.endswith("*")
    if start and end:
        return inner in value
    return value.endswith(inner) if start else value.startswith(inner) if end else value == inner


def _path_matches(pattern: str, path: str) -> bool:
    """``*`` at the start, the end, or both, is any text; elsewhere, any text without a slash."""
    if pattern == "*":
        return True
    inner = pattern.strip("*")
    if "*" not in inner and pattern != inner:
        return _value_matches(pattern, path)
    return re.fullmatch("".join("[^/]*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", pattern)),
                        path) is not None
