"""HAProxy's conditions. HAProxy Configuration Manual, chapter 7.2."""
import re
from typing import Dict
from typing import List
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.servers.haproxy.config import ConfigError
from certbot_autowebroot.servers.haproxy.config import Line
from certbot_autowebroot.servers.haproxy.matching import UnknowableError
from certbot_autowebroot.servers.haproxy.matching import compares
from certbot_autowebroot.servers.haproxy.matching import is_in
from certbot_autowebroot.servers.haproxy.matching import matches
from certbot_autowebroot.servers.haproxy.samples import NO_WORD
from certbot_autowebroot.servers.haproxy.samples import State

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
    if sample is NO_WORD and method in ("found", "len", "reg"):
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
        return compares(int(number[0] or 0) if number else 0, patterns)
    if expression == "dst" or method == "ip":
        return any(is_in(sample, pattern) for pattern in patterns)
    return any(matches(method, sample, pattern, ignore_case) for pattern in patterns if pattern)


def _method_of(word: str) -> Tuple[str, str]:
    """``path_beg`` is ``path`` with ``-m beg``; ``hdr_dom(host),lower`` is ``hdr(host),lower`` with ``-m dom``."""
    match = re.match(r"([\w.\-]+?)_(" + "|".join(_METHODS) + r")(?=[(,]|$)", word)
    return (match[1] + word[match.end():], match[2]) if match else (word, "str")
