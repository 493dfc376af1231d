"""HAProxy's sample expressions and conditions. HAProxy Configuration Manual, chapter 7.

A sample that only the running server knows (the client's address, a counter, a header that the CA may or may not
send) raises :class:`UnknowableError`.
"""
import ipaddress
import re
from dataclasses import dataclass
from dataclasses import field
from typing import Callable
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Union
from urllib.parse import unquote

from certbot_autowebroot.route import Request
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.assumptions import Assumptions
from certbot_autowebroot.servers.haproxy.config import ConfigError
from certbot_autowebroot.servers.haproxy.config import Line

Sample = Union[str, int, bool, None]

_CALL = re.compile(r"(?P<name>[\w.\-]+)(?:\((?P<args>(?:[^()\\]|\\.|\([^()]*\))*)\))?")
_FORMAT = re.compile(r"%%|%(?:\{[^}]*\})?\[(?P<expression>(?:[^\[\]]|\[[^\]]*\])*)\]|%(?:\{[^}]*\})?(?P<alias>\w+)")

#: Chapter 7.1.2 and 7.3.6: the suffix of a fetch is the matching method.
_METHODS = ("beg", "dir", "dom", "end", "len", "reg", "sub")

#: Chapter 7.4, for a GET request; LOCALHOST and the like depend on the client.
_PREDEFINED = {
    "TRUE": ("always_true",), "FALSE": ("always_false",), "HTTP": ("always_true",), "HTTP_1.1": ("always_true",),
    "HTTP_1.0": ("always_false",), "HTTP_2.0": ("always_false",), "METH_GET": ("method", "GET", "HEAD"),
    "METH_HEAD": ("method", "HEAD"), "METH_POST": ("method", "POST"), "METH_PUT": ("method", "PUT"),
    "METH_DELETE": ("method", "DELETE"), "METH_OPTIONS": ("method", "OPTIONS"), "METH_CONNECT": ("method", "CONNECT"),
    "METH_TRACE": ("method", "TRACE"), "HTTP_URL_ABS": ("always_false",), "HTTP_URL_SLASH": ("always_true",),
    "HTTP_URL_STAR": ("always_false",), "HTTP_CONTENT": ("always_false",), "REQ_CONTENT": ("always_true",),
    "LOCALHOST": ("src", "127.0.0.1/8", "::1"),
}


#: Chapter 8.2.6: the aliases for the received request line.
_ALIASES = {"HM": "capture.req.method", "HU": "capture.req.uri", "HP": "capture.req.uri,field(1,?)",
            "HPO": "capture.req.uri,field(1,?)"}


class _NoWord(str):
    """The word that a text does not have: empty in HAProxy 2.6, no sample in 3.0."""


_NO_WORD = _NoWord()


class UnknowableError(Exception):
    """Only the running server knows the value of a sample; the text is its name."""


@dataclass
class State:
    """A request, which the rules may change.

    :ivar files: reads the lines of a file of a condition or a map.
    """

    request: Request
    host: str
    path: str
    query: str
    secure: bool
    assumptions: Assumptions
    files: Callable[[str], Sequence[str]]
    frontend: str = ""
    variables: Dict[str, Sample] = field(default_factory=dict)

    @property
    def pathq(self) -> str:
        """The path with the query."""
        return self.path + (f"?{self.query}" if self.query else "")

    def sample(self, expression: str) -> Sample:
        """The value of a fetch with its converters, ``req.hdr(host),lower``; None where there is none.

        :raises UnknowableError: only the running server knows it.
        """
        match = _CALL.match(expression)
        if match is None:
            raise UnknowableError(expression)
        value = self.fetch(match["name"], match["args"] or "")
        position = match.end()
        while expression[position:position + 1] == ",":
            match = _CALL.match(expression, position + 1)
            if match is None:
                raise UnknowableError(expression)
            value = self.convert(value, match["name"], _arguments(match["args"] or ""))
            position = match.end()
        if position < len(expression.rstrip()):
            raise UnknowableError(expression)
        return value

    def fetch(self, name: str, args: str) -> Sample:
        """One fetch, chapter 7.3."""
        name = re.sub(r"^(hdr|cook|fhdr)$", r"req.\1", name)
        # Of a connection whose TLS HAProxy passes through.
        name = re.sub(r"^req_ssl_(sni|hello_type)$", r"req.ssl_\1", name)
        in_tls = self.request.scheme == "https" and not self.secure
        if name in ("req.hdr", "req.fhdr"):
            header = args.split(",")[0].strip().lower()
            sent = self.host if header == "host" else self.request.header(header)
            if sent is not None:
                return sent or None
            raise UnknowableError(f"{name}({args})")
        if name == "var":
            if args.split(",")[0] in self.variables:
                return self.variables[args.split(",")[0]]
            raise UnknowableError(f"{name}({args})")
        if name == "bool":
            return args == "true"
        if name in ("str", "int"):
            return int(args) if name == "int" and re.fullmatch("[0-9]{1,9}", args) else args
        endpoint = self.request.endpoint
        received = self.request.path + (f"?{self.request.query}" if self.request.query else "")
        samples: Dict[str, Sample] = {
            "capture.req.uri": received, "capture.req.method": "GET",
            "path": self.path, "pathq": self.pathq, "url": self.pathq, "base": self.host + self.path,
            "query": self.query, "method": "GET", "req.ver": "1.1", "fc_http_major": 1, "fe_name": self.frontend,
            "req.ssl_sni": self.host if in_tls else None, "req.ssl_hello_type": 1 if in_tls else None,
            "ssl_fc": self.secure, "ssl_fc_sni": self.host if self.secure else None,
            "dst": endpoint.host, "dst_port": endpoint.port, "always_true": True, "always_false": False}
        if name not in samples:
            raise UnknowableError(f"{name}({args})" if args else name)
        return samples[name]

    def convert(self, value: Sample, name: str, args: List[str]) -> Sample:
        """One converter, chapter 7.3.1."""
        if value is None:
            return None
        if value is _NO_WORD:
            raise UnknowableError(f"word,{name}")
        text = str(value)
        if name in ("lower", "upper"):
            return text.lower() if name == "lower" else text.upper()
        if name == "host_only":
            return text
        if name == "url_dec":
            return unquote(text)
        if name == "length":
            return len(text)
        if name in ("field", "word") and len(args) == 2 and args[1] and re.fullmatch(r"-?[0-9]{1,4}", args[0]):
            parts, number = re.split(f"[{re.escape(args[1])}]", text), int(args[0])
            parts = parts if name == "field" else list(filter(None, parts))
            if not 0 < abs(number) <= len(parts):
                return None if name == "field" else _NO_WORD
            return parts[number - 1] if number > 0 else parts[number]
        if name == "regsub" and len(args) >= 2:
            return self.substituted(args[0], args[1], text, "".join(args[2:]))
        if name.startswith("map") and args:
            return self.mapped(text, name.partition("_")[2] or "str", args)
        raise UnknowableError(f"{name}({','.join(args)})" if args else name)

    def mapped(self, text: str, method: str, args: List[str]) -> Sample:
        """The value of the first line of a map file whose key matches; the longest key for ``map_beg``."""
        best: Optional[str] = None
        length = -1
        for line in self.files(args[0]):
            key, value = (*line.split(None, 1), "", "")[:2]
            better = len(key) > length if method == "beg" else best is None
            if key and not key.startswith("#") and better and matches(method, text, key, False):
                best, length = value.strip(), len(key)
        return best if best is not None else args[1] if len(args) > 1 else None

    def substituted(self, pattern: str, replacement: str, text: str, flags: str = "") -> str:
        """Replace the first match, or all with the flag ``g``; a backslash and a digit is a group."""
        return regex.substitute(pattern, lambda match: regex.groups_in(replacement, r"\\([0-9])", match), text,
                                "g" in flags, "i" in flags)

    def formatted(self, text: str) -> str:
        """The value of a log-format string of samples, chapter 8.2.6.

        :raises UnknowableError: only the running server knows a part of it.
        """
        done, position = "", 0
        for match in _FORMAT.finditer(text):
            alias = match["alias"]
            if alias and alias not in _ALIASES:
                raise UnknowableError(match[0])
            sample = "%" if match[0] == "%%" else self.sample(_ALIASES[alias] if alias else match["expression"])
            value = "" if sample is None else str(int(sample) if isinstance(sample, bool) else sample)
            done = regex.bounded(done + text[position:match.start()] + value)
            position = match.end()
        return regex.bounded(done + text[position:])


class Conditions:
    """The named conditions of one section."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._named: Dict[str, List[Tuple[str, ...]]] = {}
        for line in lines:
            if line.words[0] == "acl" and len(line.words) > 2:
                self._named.setdefault(line.words[1], []).append(line.words[2:])

    def hold(self, words: Sequence[str], state: State) -> bool:
        """Whether a rule with this ``if …`` or ``unless …`` applies; a rule without one does.

        :raises ConfigError: it is not a condition.
        """
        if not words:
            return True
        if words[0] not in ("if", "unless"):
            raise ConfigError(f"{' '.join(words)} is no condition")
        result, conjunction = False, True
        rest = iter(words[1:])
        for word in rest:
            if word in ("or", "||"):
                result, conjunction = result or conjunction, True
                continue
            negated = False
            while word.startswith("!"):
                negated, word = not negated, word[1:] or next(rest, "")
            if word == "{":
                anonymous = []
                for word in rest:
                    if word == "}":
                        break
                    anonymous.append(word)
                value = conjunction and self._one(tuple(anonymous), state)
            else:
                value = conjunction and self._by_name(word, state)
            conjunction = conjunction and value != negated
        return (result or conjunction) == (words[0] == "if")

    def _by_name(self, name: str, state: State) -> bool:
        definitions = self._named.get(name) or ([_PREDEFINED[name]] if name in _PREDEFINED else [])
        if not definitions:
            raise ConfigError(f"there is no acl {name}")
        return any(self._one(definition, state) for definition in definitions)

    def _one(self, words: Tuple[str, ...], state: State) -> bool:
        """One criterion with its flags and values: true where any value matches."""
        if not words:
            raise ConfigError("an empty condition")
        try:
            return _criterion(words, state)
        except UnknowableError:
            return state.assumptions.holds(" ".join(words), usually=False)


def _criterion(words: Tuple[str, ...], state: State) -> bool:
    expression, method = _method_of(words[0])
    ignore_case = False
    patterns: List[str] = []
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        if flag == "--":
            break
        if flag == "-i":
            ignore_case = True
        elif flag == "-m" and rest:
            method = rest.pop(0)
        elif flag == "-f" and rest:
            patterns.extend(line.strip() for line in state.files(rest.pop(0)) if not line.startswith("#"))
        elif flag not in ("-n", "-u") or not rest:
            raise UnknowableError(" ".join(words))
    sample = state.sample(expression)
    if sample is _NO_WORD and method in ("found", "len", "reg"):
        raise UnknowableError(expression)
    if method == "found":
        return sample is not None
    if sample is None:
        return False
    patterns.extend(rest)
    if isinstance(sample, bool) or method == "bool":
        return bool(sample)
    if isinstance(sample, int) or method in ("int", "len"):
        # Of a text, the number with which it begins counts; without one, 0: c_str2int in HAProxy's src/sample.c.
        number = re.match("-?[0-9]{1,18}|", str(len(str(sample)) if method == "len" else sample))
        return _compares(int(number[0] or 0) if number else 0, patterns)
    if expression == "dst" or method == "ip":
        return any(_is_in(sample, pattern) for pattern in patterns)
    return any(matches(method, sample, pattern, ignore_case) for pattern in patterns if pattern)


def _method_of(word: str) -> Tuple[str, str]:
    """``path_beg`` is ``path`` with ``-m beg``; ``hdr_dom(host),lower`` is ``hdr(host),lower`` with ``-m dom``."""
    match = re.match(r"([\w.\-]+?)_(" + "|".join(_METHODS) + r")(?=[(,]|$)", word)
    return (match[1] + word[match.end():], match[2]) if match else (word, "str")


def matches(method: str, text: str, pattern: str, ignore_case: bool) -> bool:
    """Chapter 7.1.3.

    :raises UnknowableError: the method is not implemented here.
    """
    if method == "reg":
        return regex.search(pattern, text, ignore_case) is not None
    if ignore_case:
        text, pattern = text.lower(), pattern.lower()
    if method in ("dir", "dom"):
        return _delimited(text, pattern, "/?" if method == "dir" else "/?.:")
    if method == "str":
        return text == pattern
    tests = {"beg": text.startswith, "end": text.endswith, "sub": text.__contains__}
    if method not in tests:
        raise UnknowableError(f"-m {method}")
    return tests[method](pattern)


def _delimited(text: str, pattern: str, delimiters: str) -> bool:
    """Whether the pattern is one or several whole components of the text, between delimiters."""
    border = f"[{re.escape(delimiters)}]"
    pattern = pattern.strip(delimiters)
    return re.search(f"(^|{border}){re.escape(pattern)}({border}|$)", text) is not None


def _compares(number: int, patterns: Sequence[str]) -> bool:
    operator = "eq"
    for pattern in patterns:
        if pattern in ("eq", "ge", "gt", "le", "lt"):
            operator = pattern
            continue
        low, _, high = pattern.partition(":")
        if not re.fullmatch("[0-9]{1,18}", low or "0") or not re.fullmatch("[0-9]{0,18}", high):
            raise UnknowableError(pattern)
        first, last = int(low or 0), int(high or low or 0)
        if {"eq": first <= number <= last, "ge": number >= first, "gt": number > first, "le": number <= first,
                "lt": number < first}[operator]:
            return True
    return False


def _is_in(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _arguments(text: str) -> List[str]:
    """Arguments between commas; quotes or a backslash protect a comma."""
    arguments = [""]
    for part in re.findall(r"\\.|'[^']*'|,|[^,\\']+|.", text):
        if part == ",":
            arguments.append("")
        else:
            quoted = part.startswith("'") or part in ("\\,", "\\\\", "\\'")
            arguments[-1] += part.strip("'") if quoted and part[0] == "'" else part[1:] if quoted else part
    return arguments
