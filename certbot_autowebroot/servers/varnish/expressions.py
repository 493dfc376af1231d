"""Conditions and values of VCL, vcl(7), "Expressions" and "Built-in functions"."""
import re
from typing import Dict
from typing import List
from typing import Sequence
from typing import Tuple
from typing import Union

from certbot_autowebroot.route import Request
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.assumptions import Assumptions
from certbot_autowebroot.servers.varnish.vcl import Backend
from certbot_autowebroot.servers.varnish.vcl import Token
from certbot_autowebroot.servers.varnish.vcl import Tokens
from certbot_autowebroot.servers.varnish.vcl import Vcl

Value = Union[str, int, bool, Tuple[Backend, ...]]

_COMPARISONS = ("~", "!~", "==", "!=", "<=", ">=", "<", ">")

#: Headers that no CA sends and no proxy adds.
_ABSENT = frozenset(f"req.http.{name}" for name in (
    "authorization", "cache-control", "cookie", "if-modified-since", "if-none-match", "origin", "pragma", "range",
    "upgrade"))


class UnknowableError(Exception):
    """Only the running Varnish knows a value; the text is its name."""


class Expressions:
    """What expressions depend on: the request, and the variables that the VCL has set.

    :ivar values: of the variables, by :func:`name_of`.
    :ivar own_headers: headers that the VCL sets itself: absent before.
    """

    def __init__(self, vcl: Vcl, request: Request, assumptions: Assumptions) -> None:
        self.vcl = vcl
        self.request = request
        self.assumptions = assumptions
        self.own_headers = {name_of(name) for name in vcl.assigned if ".http." in name}
        endpoint = request.endpoint
        self.values: Dict[str, Value] = {
            "req.url": request.path + (f"?{request.query}" if request.query else ""),
            "req.http.host": request.host_header, "req.method": "GET", "req.proto": "HTTP/1.1",
            "req.restarts": 0, "req.esi_level": 0, "server.ip": endpoint.host, "local.ip": endpoint.host,
            "true": True, "false": False}
        if vcl.backends:
            first = vcl.backends.get("default", next(iter(vcl.backends.values())))
            self.values["req.backend_hint"] = (first,)

    def holds(self, words: Tokens) -> bool:
        """A condition; ``!`` binds more than ``&&``, and that more than ``||``."""
        parts = split(words, "||")
        if len(parts) > 1:
            return any(self.holds(part) for part in parts)
        parts = split(words, "&&")
        if len(parts) > 1:
            return all(self.holds(part) for part in parts)
        negations = next((n for n, t in enumerate(words) if t.kind != "operator" or t.text != "!"), len(words))
        if negations:
            return self.holds(words[negations:]) != bool(negations % 2)
        if is_group(words):
            return self.holds(words[1:-1])
        try:
            return self.compare(words)
        except UnknowableError:
            operator = next((t.text for t in words if t.kind == "operator" and t.text in ("!~", "!=")), "")
            text = " ".join(token.text.replace(operator, operator[1:].replace("=", "==") or "~") if operator and
                            token.kind == "operator" else token.text for token in words)
            return self.assumptions.holds(text, usually=False) != bool(operator)

    def compare(self, words: Tokens) -> bool:
        """One comparison, or a value that is true."""
        for position, token in enumerate(words):
            if token.kind == "operator" and token.text in _COMPARISONS and _depth(words[:position]) == 0:
                left, right = self.value(words[:position]), words[position + 1:]
                if token.text in ("~", "!~"):
                    if len(right) != 1 or right[0].kind != "string":
                        raise UnknowableError(right[0].text if right else "nothing")
                    return (regex.search(right[0].text, text_of(left)) is not None) == (token.text == "~")
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
            joined = regex.bounded(joined + text_of(value))
        return joined

    def named(self, name: str) -> Value:
        """The value of a variable.

        :raises UnknowableError: only the running Varnish knows it.
        """
        key = name_of(name)
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
        """The value of a function.

        :raises UnknowableError: it is not implemented here.
        """
        owner, _, method = name.rpartition(".")
        if method == "backend" and owner in self.vcl.directors:
            return tuple(self.vcl.members(owner))
        arguments = split(words, ",") if words else []
        if method in ("lower", "upper") and owner in ("req.http.host", "req.url", "req.http.Host"):
            return text_of(self.named(owner)).lower() if method == "lower" else text_of(self.named(owner)).upper()
        if name in ("std.tolower", "std.toupper") and arguments:
            text = text_of(self.value(arguments[0]))
            return text.lower() if name == "std.tolower" else text.upper()
        if name == "std.querysort" and arguments:
            path, mark, query = text_of(self.value(arguments[0])).partition("?")
            return path + mark + "&".join(sorted(filter(None, query.split("&"))))
        if name == "std.port" and arguments and arguments[0] and arguments[0][0].text in ("server.ip", "local.ip"):
            return self.request.endpoint.port
        if name in ("regsub", "regsuball") and len(arguments) == 3 and arguments[1] and arguments[2]:
            replacement = text_of(self.value(arguments[2]))
            return regex.substitute(arguments[1][0].text, lambda m: regex.groups_in(replacement, r"\\([0-9])", m),
                                    text_of(self.value(arguments[0])), name == "regsuball")
        raise UnknowableError(f"{name}()")


def name_of(name: str) -> str:
    """The key of a variable: header names in lower case, ``bereq`` as ``req``, whose value it begins with."""
    head, mark, header = name.partition(".http.")
    name = head + mark + header.lower()
    if name in ("bereq.backend", "req.backend"):
        return "req.backend_hint"
    return re.sub(r"^bereq\.", "req.", name)


def text_of(value: Value) -> str:
    """A value as a string, as Varnish joins it with others.

    :raises UnknowableError: it is a backend.
    """
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


def is_group(words: Tokens) -> bool:
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


def split(words: Tokens, separator: str) -> List[Tokens]:
    """The parts between separators outside of parentheses."""
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
