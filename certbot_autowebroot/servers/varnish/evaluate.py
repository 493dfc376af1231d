"""The backend that Varnish asks, with Host and path: ``vcl_recv`` and ``vcl_backend_fetch``, vcl(7)."""
import re
from typing import Dict
from typing import List
from typing import Sequence
from typing import Tuple
from typing import Union

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.route import host_of
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.assumptions import Assumptions
from certbot_autowebroot.servers.common.assumptions import alternatives
from certbot_autowebroot.servers.varnish.vcl import Backend
from certbot_autowebroot.servers.varnish.vcl import Statement
from certbot_autowebroot.servers.varnish.vcl import Token
from certbot_autowebroot.servers.varnish.vcl import Tokens
from certbot_autowebroot.servers.varnish.vcl import Vcl

Value = Union[str, int, bool, Tuple[Backend, ...]]

#: Actions of ``return`` that lead to a backend.
_GOES_ON = frozenset(("hash", "pass", "pipe", "lookup", "fetch", "deliver", "hit", "miss"))

_COMPARISONS = ("~", "!~", "==", "!=", "<=", ">=", "<", ">")

#: Headers that no CA sends and no proxy adds.
_ABSENT = frozenset(f"req.http.{name}" for name in (
    "authorization", "cache-control", "cookie", "if-modified-since", "if-none-match", "origin", "pragma", "range",
    "upgrade"))

_MAX_CALLS = 50


class UnknowableError(Exception):
    """Only the running Varnish knows a value; the text is its name."""


class _EndOfRequest(Exception):
    """Varnish answers here; not an error."""

    def __init__(self, destination: Destination) -> None:
        super().__init__()
        self.destination = destination


class _Return(Exception):
    """The subroutine returns."""


def destinations(vcl: Vcl, request: Request) -> List[Destination]:
    """The destinations of a request in a VCL."""
    return alternatives(lambda assumptions: [_Run(vcl, request, assumptions).destination()])


class _Run:
    """One evaluation of one request under given assumptions."""

    def __init__(self, vcl: Vcl, request: Request, assumptions: Assumptions) -> None:
        self.vcl = vcl
        self.request = request
        self.assumptions = assumptions
        self.steps: List[Step] = []
        self.calls = 0
        #: Headers that the VCL sets itself: absent before.
        self.own_headers = {_name(name) for name in vcl.assigned if ".http." in name}
        endpoint = request.endpoint
        self.values: Dict[str, Value] = {
            "req.url": request.path + (f"?{request.query}" if request.query else ""),
            "req.http.host": request.host_header, "req.method": "GET", "req.proto": "HTTP/1.1",
            "req.restarts": 0, "req.esi_level": 0, "server.ip": endpoint.host, "local.ip": endpoint.host,
            "true": True, "false": False}
        if vcl.backends:
            first = vcl.backends.get("default", next(iter(vcl.backends.values())))
            self.values["req.backend_hint"] = (first,)

    def destination(self) -> Destination:
        try:
            for subroutine in ("vcl_recv", "vcl_backend_fetch"):
                try:
                    self.run(self.vcl.subroutines.get(subroutine, ()))
                except _Return:
                    pass
            return self.upstream()
        except _EndOfRequest as ended:
            return ended.destination
        except (UnknowableError, regex.RegexError) as error:
            reason = f"only the running Varnish knows {error}" if isinstance(error, UnknowableError) else str(error)
            return Unknown(reason, tuple(self.steps))

    def upstream(self) -> Destination:
        backends = self.values.get("req.backend_hint")
        members = [backend for backend in backends if backend.host] if isinstance(backends, tuple) else []
        if not members:
            return DeadEnd("Varnish has no backend for it: 503", tuple(self.steps))
        host, url = host_of(str(self.values["req.http.host"])), str(self.values["req.url"])
        steps = [Step(f"backend {backend.name}", backend.source) for backend in members]
        return Upstream(tuple(map(_endpoint, members)), host, url.partition("?")[0],
                        proxy_protocol=any(backend.proxy_header for backend in members), trail=(*self.steps, *steps))

    def run(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            words = statement.words
            if statement.kind == "if":
                holds = self.holds(words)
                if holds:
                    self.steps.append(Step(str(statement), statement.source))
                self.run(statement.body if holds else statement.otherwise)
            elif statement.kind == "set" and len(words) > 2:
                self.assign(statement, _name(words[0].text), words[1].text, words[2:])
            elif statement.kind == "unset" and words:
                self.values.pop(_name(words[0].text), None)
            elif statement.kind == "call" and words:
                self.call_subroutine(words[0].text)
            elif statement.kind == "return":
                self.return_action(statement)

    def call_subroutine(self, name: str) -> None:
        self.calls += 1
        if self.calls > _MAX_CALLS:
            raise UnknowableError("a subroutine that calls itself")
        self.run(self.vcl.subroutines.get(name, ()))

    def assign(self, statement: Statement, name: str, operator: str, words: Tokens) -> None:
        try:
            value = self.value(words)
            if operator == "+=":
                value = regex.bounded(_text(self.values.get(name, "")) + _text(value))
            self.values[name] = value
        except UnknowableError:
            # Where only the running server knows the backend, each declared one is an alternative.
            backend = next((backend for backend in self.vcl.backends.values() if name == "req.backend_hint"
                            and self.assumptions.holds(f"{statement} is {backend.name}", True)), None)
            if backend is not None:
                self.values[name] = (backend,)
            elif name in ("req.url", "req.http.host", "req.backend_hint", "resp.http.location"):
                self.steps.append(Step(str(statement), statement.source))
                raise
            else:
                # A header that decides nothing here, or is not known either where it decides.
                self.values.pop(name, None)
        if name in ("req.url", "req.http.host", "req.backend_hint"):
            self.steps.append(Step(str(statement), statement.source))

    def return_action(self, statement: Statement) -> None:
        words = [token for token in statement.words if token.text not in ("(", ")") or token.kind == "string"]
        action = words[0].text if words else ""
        trail = (*self.steps, Step(str(statement), statement.source))
        if not words or action in _GOES_ON:
            raise _Return
        if action in ("synth", "error"):
            raise _EndOfRequest(self.synthetic(statement, trail))
        if action == "vcl":
            self.steps.append(trail[-1])
            raise UnknowableError(f"the VCL {words[1].text if len(words) > 1 else ''}")
        raise _EndOfRequest(DeadEnd(f"Varnish answers itself: {action}", trail))

    def synthetic(self, statement: Statement, trail: Tuple[Step, ...]) -> Destination:
        """``return (synth(status, reason))`` runs ``vcl_synth``, which may set a redirect."""
        inner = statement.words[1:-1] if _is_group(statement.words) else statement.words
        arguments = _split(inner[2:-1], ",")
        status = self.value(arguments[0]) if arguments and arguments[0] else 503
        self.values["resp.status"] = status
        self.values["resp.reason"] = self.value(arguments[1]) if len(arguments) > 1 else ""
        self.steps = list(trail)
        try:
            self.call_subroutine("vcl_synth")
        except _Return:
            pass
        if "resp.status" not in self.values:
            raise UnknowableError("resp.status")
        location, status = self.values.get("resp.http.location"), self.values["resp.status"]
        if location and status in (301, 302, 303, 307, 308):
            return Redirect(_text(location), int(_text(status)), tuple(self.steps))
        return DeadEnd(f"Varnish answers itself with status {status}", tuple(self.steps))

    def holds(self, words: Tokens) -> bool:
        """A condition; ``!`` binds more than ``&&``, and that more than ``||``."""
        parts = _split(words, "||")
        if len(parts) > 1:
            return any(self.holds(part) for part in parts)
        parts = _split(words, "&&")
        if len(parts) > 1:
            return all(self.holds(part) for part in parts)
        negations = next((n for n, t in enumerate(words) if t.kind != "operator" or t.text != "!"), len(words))
        if negations:
            return self.holds(words[negations:]) != bool(negations % 2)
        if _is_group(words):
            return self.holds(words[1:-1])
        try:
            return self.compare(words)
        except UnknowableError:
            operator = next((t.text for t in words if t.kind == "operator" and t.text in ("!~", "!=")), "")
            text = " ".join(token.text.replace(operator, operator[1:].replace("=", "==") or "~") if operator and
                            token.kind == "operator" else token.text for token in words)
            return self.assumptions.holds(text, usually=False) != bool(operator)

    def compare(self, words: Tokens) -> bool:
        for position, token in enumerate(words):
            if token.kind == "operator" and token.text in _COMPARISONS and _depth(words[:position]) == 0:
                left, right = self.value(words[:position]), words[position + 1:]
                if token.text in ("~", "!~"):
                    if len(right) != 1 or right[0].kind != "string":
                        raise UnknowableError(right[0].text if right else "nothing")
                    return (regex.search(right[0].text, _text(left)) is not None) == (token.text == "~")
                return _ordered(left, token.text, self.value(right))
        return bool(self.value(words))

    def value(self, words: Tokens) -> Value:
        """An expression: one value, or several strings, with or without ``+``."""
        values: List[Value] = []
        rest = list(words)
        while rest:
            token = rest.pop(0)
            if token.kind == "operator" and token.text == "+":
                continue
            if token.kind == "operator" and token.text == "(":
                inner, rest = _group(rest)
                values.append(self.value(inner))
            elif token.kind == "string":
                values.append(token.text)
            elif token.kind == "number":
                values.append(int(token.text) if re.fullmatch("[0-9]{1,9}", token.text) else token.text)
            elif token.kind == "name" and rest and rest[0].kind == "operator" and rest[0].text == "(":
                arguments, rest = _group(rest[1:])
                values.append(self.call(token.text, arguments))
            elif token.kind == "name":
                values.append(self.named(token.text))
            else:
                raise UnknowableError(token.text)
        if len(values) == 1:
            return values[0]
        joined = ""
        for value in values:
            joined = regex.bounded(joined + _text(value))
        return joined

    def named(self, name: str) -> Value:
        key = _name(name)
        if key in self.values:
            return self.values[key]
        sent = self.request.header(key[len("req.http."):]) if key.startswith("req.http.") else None
        if sent is not None:
            return sent
        if key in _ABSENT or key in self.own_headers:
            return ""
        members = self.vcl.members(name)
        if members:
            return tuple(members)
        raise UnknowableError(name)

    def call(self, name: str, words: Tokens) -> Value:
        owner, _, method = name.rpartition(".")
        if method == "backend" and owner in self.vcl.directors:
            return tuple(self.vcl.members(owner))
        arguments = _split(words, ",") if words else []
        if method in ("lower", "upper") and owner in ("req.http.host", "req.url", "req.http.Host"):
            return _text(self.named(owner)).lower() if method == "lower" else _text(self.named(owner)).upper()
        if name in ("std.tolower", "std.toupper") and arguments:
            text = _text(self.value(arguments[0]))
            return text.lower() if name == "std.tolower" else text.upper()
        if name == "std.querysort" and arguments:
            path, mark, query = _text(self.value(arguments[0])).partition("?")
            return path + mark + "&".join(sorted(filter(None, query.split("&"))))
        if name == "std.port" and arguments and arguments[0] and arguments[0][0].text in ("server.ip", "local.ip"):
            return self.request.endpoint.port
        if name in ("regsub", "regsuball") and len(arguments) == 3 and arguments[1] and arguments[2]:
            replacement = _text(self.value(arguments[2]))
            return regex.substitute(arguments[1][0].text, lambda m: regex.groups_in(replacement, r"\\([0-9])", m),
                                    _text(self.value(arguments[0])), name == "regsuball")
        raise UnknowableError(f"{name}()")


def _name(name: str) -> str:
    """The key of a variable: header names in lower case, ``bereq`` as ``req``, whose value it begins with."""
    head, mark, header = name.partition(".http.")
    name = head + mark + header.lower()
    if name in ("bereq.backend", "req.backend"):
        return "req.backend_hint"
    return re.sub(r"^bereq\.", "req.", name)


def _text(value: Value) -> str:
    if isinstance(value, tuple):
        raise UnknowableError("a backend as text")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _ordered(left: Value, operator: str, right: Value) -> bool:
    if isinstance(left, tuple) or isinstance(right, tuple) or operator in ("==", "!="):
        return (left == right) == (operator == "==")
    if not (isinstance(left, int) and isinstance(right, int)):
        raise UnknowableError(f"{left} {operator} {right}")
    return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator]


def _depth(words: Sequence[Token]) -> int:
    return sum({"(": 1, ")": -1}.get(token.text, 0) for token in words if token.kind == "operator")


def _is_group(words: Tokens) -> bool:
    """Whether one pair of parentheses encloses all words."""
    return bool(words) and words[0].text == "(" and words[0].kind == "operator" and not _group(list(words[1:]))[1]


def _group(words: List[Token]) -> Tuple[Tokens, List[Token]]:
    """The tokens before the closing parenthesis, and those after it."""
    depth = 0
    for number, token in enumerate(words):
        if token.kind == "operator" and token.text == ")":
            if depth == 0:
                return tuple(words[:number]), words[number + 1:]
            depth -= 1
        elif token.kind == "operator" and token.text == "(":
            depth += 1
    return tuple(words), []


def _split(words: Tokens, separator: str) -> List[Tokens]:
    parts: List[List[Token]] = [[]]
    depth = 0
    for token in words:
        if token.kind == "operator":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if token.text == separator and depth == 0:
                parts.append([])
                continue
        parts[-1].append(token)
    return [tuple(part) for part in parts]


def _endpoint(backend: Backend) -> Endpoint:
    if backend.host.startswith("/"):
        return Endpoint(f"unix:{backend.host}", 0)
    port = {"http": "80", "https": "443"}.get(backend.port, backend.port)
    return Endpoint(backend.host.strip("[]"), int(port) if re.fullmatch("[0-9]{1,5}", port) else 0)
