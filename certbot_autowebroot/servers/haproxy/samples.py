"""HAProxy's sample expressions: fetches, converters and log-format strings. HAProxy Configuration Manual, chapter 7.

A sample that only the running server knows (the client's address, a counter, a header that the CA may or may not
send) raises :class:`UnknowableError`.
"""
import re
from dataclasses import dataclass
from dataclasses import field
from typing import Callable
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Union
from urllib.parse import unquote

from certbot_autowebroot.route import Request
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.assumptions import Assumptions
from certbot_autowebroot.servers.haproxy.matching import UnknowableError
from certbot_autowebroot.servers.haproxy.matching import matches

Sample = Union[str, int, bool, None]

_CALL = re.compile(r"(?P<name>[\w.\-]+)(?:\((?P<args>(?:[^()\\]|\\.|\([^()]*\))*)\))?")
_FORMAT = re.compile(r"%%|%(?:\{[^}]*\})?\[(?P<expression>(?:[^\[\]]|\[[^\]]*\])*)\]|%(?:\{[^}]*\})?(?P<alias>\w+)")
#: Chapter 8.2.6: the aliases for the received request line.
_ALIASES = {"HM": "capture.req.method", "HU": "capture.req.uri", "HP": "capture.req.uri,field(1,?)",
            "HPO": "capture.req.uri,field(1,?)"}


class _NoWord(str):
    """The word that a text does not have: empty in HAProxy 2.6, no sample in 3.0."""


NO_WORD = _NoWord()


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
        if value is NO_WORD:
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
                return None if name == "field" else NO_WORD
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
