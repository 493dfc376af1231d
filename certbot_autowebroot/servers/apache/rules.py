"""The directives of mod_rewrite as data: a rule, its conditions, its flags.

Source: the manual pages of RewriteRule and RewriteCond.
"""
import re
from dataclasses import dataclass
from typing import Dict
from typing import List
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.common.numbers import number

_STATUSES = {"permanent": 301, "temp": 302, "seeother": 303}
_FLAG_NAMES = {"redirect": "r", "last": "l", "forbidden": "f", "gone": "g", "proxy": "p", "passthrough": "pt",
               "next": "n", "skip": "s", "chain": "c", "nocase": "nc", "noescape": "ne", "qsappend": "qsa",
               "qsdiscard": "qsd", "env": "e", "cookie": "co", "handler": "h", "type": "t", "qslast": "qsl",
               "discardpath": "dpi", "nosubreq": "ns", "ornext": "or", "novary": "nv",
               "unsafeprefixstat": "unsafeprefixstat", "unsafe_prefix_status": "unsafeprefixstat"}


@dataclass(frozen=True)
class Condition:
    """One RewriteCond."""

    directive: Directive
    test: str
    pattern: str
    flags: Dict[str, str]


@dataclass(frozen=True)
class Rule:
    """One RewriteRule with its conditions."""

    directive: Directive
    pattern: str
    target: str
    flags: Dict[str, str]
    conditions: Tuple[Condition, ...]

    @property
    def redirect_status(self) -> int:
        """The status of [R=…], 302 by default; it may be an error."""
        value = self.flags.get("r", "")
        return _STATUSES.get(value.lower()) or (number(value) if number(value) >= 0 else 302)

    @property
    def error(self) -> int:
        """The status that ends the request at once, 0 for none."""
        if "f" in self.flags:
            return 403
        if "g" in self.flags:
            return 410
        return self.redirect_status if "r" in self.flags and not 300 <= self.redirect_status < 400 else 0


def read_rules(directives: Sequence[Directive]) -> List[Rule]:
    """The rules of one context, each with the conditions before it."""
    rules: List[Rule] = []
    conditions: List[Condition] = []
    for directive in directives:
        words = _arguments(directive.text)
        if directive.name == "rewritecond" and len(words) >= 2:
            conditions.append(Condition(directive, words[0], words[1], _flags(words[2] if len(words) > 2 else "")))
        elif directive.name == "rewriterule" and len(words) >= 2:
            rules.append(Rule(directive, words[0], words[1], _flags(words[2] if len(words) > 2 else ""),
                              tuple(conditions)))
            conditions = []
    return rules


def _arguments(text: str) -> List[str]:
    """mod_rewrite splits its arguments itself: it keeps a backslash before white space and removes quotes."""
    return [match.group(1) or match.group(2) or match.group(3) or ""
            for match in re.finditer(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'|((?:\\\s|\S)+)', text)]


def _flags(text: str) -> Dict[str, str]:
    flags = {}
    for part in text.strip("[]").split(","):
        key, _, value = part.strip().partition("=")
        key = key.lower()
        flags[_FLAG_NAMES.get(key, key)] = value
    return flags
