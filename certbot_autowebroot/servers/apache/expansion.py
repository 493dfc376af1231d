"""Variables and back-references in the strings of mod_rewrite.

Source: the manual page of RewriteRule, "What is matched" and the parts on the substitution and on RewriteCond.
"""
import re
from typing import Callable
from typing import Dict
from typing import Match
from typing import Optional
from typing import Protocol

from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import UnknowableError
from certbot_autowebroot.servers.common.numbers import number


class RewriteState(Protocol):
    """The request as rules see and change it.

    :ivar path_info: the part of the path after the file name, in a per-directory context.
    :ivar query: the query string, with the changes of earlier rules.
    """

    path_info: str
    query: str

    def variable(self, name: str, filename: str) -> str:
        """The value of ``%{name}`` for the current path of the engine. Raises UnknowableError."""

    def exists(self, path: str, kind: str) -> bool:
        """Whether a path is a file (``f``), a directory (``d``) and so on. Raises UnknowableError."""

    def expression(self, text: str, filename: str) -> bool:
        """Whether an expression holds. Raises UnknowableError."""

    def look_up(self, name: str, key: str) -> Optional[str]:
        """The value of a key in a RewriteMap. Raises UnknowableError."""

    def decide(self, directive: Directive, reason: str, for_any_client: Optional[bool] = None) -> bool:
        """The answer to try for a condition that cannot be known; the evaluator tries each.

        :param for_any_client: the answer for an address that no line names; None where that is not known either.
        """

    def for_any_client(self, holds: Callable[[], bool]) -> Optional[bool]:
        """Whether a condition holds for a client whose address no line names; None where that is not known."""


class Expansion:
    """The values that one rule puts into its strings.

    :ivar rule_match: of the rule's pattern: ``$0`` to ``$9``.
    :ivar condition_match: of the last matching condition: ``%0`` to ``%9``.
    :ivar unsafe: a back-reference has put a question mark into the target. Since 2.4.60 httpd answers 403 without
        the flag UnsafeAllow3F.
    :param flags: of the rule.
    :param path: the path before the rule.
    """

    def __init__(self, state: RewriteState, flags: Dict[str, str], path: str) -> None:
        self._state = state
        self._flags = flags
        self._path = path
        self.rule_match: Optional[Match[str]] = None
        self.condition_match: Optional[Match[str]] = None
        self.unsafe = False

    def expand(self, text: str, depth: int = 0, is_target: bool = False) -> str:
        """Replace ``$1``, ``%1``, ``%{NAME}`` and ``${map:key|default}``; [B] escapes in the target only."""
        if depth > 10:
            raise UnknowableError("variables are nested too deep")
        out = []
        position = 0
        while position < len(text):
            char = text[position]
            following = text[position + 1:position + 2]
            if char == "\\" and following:
                out.append(following)
                position += 2
            elif char in "$%" and number(following) >= 0:
                match = self.rule_match if char == "$" else self.condition_match
                out.append(self._back_reference(match, int(following), is_target))
                position += 2
            elif char in "$%" and following == "{":
                end = _closing(text, position + 1)
                if end < 0:
                    out.append(text[position:])
                    break
                inner = text[position + 2:end]
                out.append(self._map(inner, depth, is_target) if char == "$" else self._state.variable(
                    self.expand(inner, depth + 1, is_target), self._path))
                position = end + 1
            else:
                out.append(char)
                position += 1
        return "".join(out)

    def _back_reference(self, match: Optional[Match[str]], number: int, is_target: bool) -> str:
        if match is None or number > (match.re.groups or 0):
            return ""
        value = match.group(number) or ""
        self.unsafe = self.unsafe or (is_target and "?" in value and "unsafeallow3f" not in self._flags)
        if is_target and "b" in self._flags:
            return _escaped(value)
        return value

    def _map(self, inner: str, depth: int, is_target: bool) -> str:
        name, _, rest = inner.partition(":")
        key, separator, default = rest.partition("|")
        value = self._state.look_up(name, self.expand(key, depth + 1, is_target))
        if value:
            return value
        return self.expand(default, depth + 1, is_target) if separator else ""


def _escaped(value: str) -> str:
    """A back reference under [B]: escapes all but letters, digits and underscores, even the "-" of a token."""
    return re.sub(rb"[^0-9A-Za-z_]", lambda match: b"+" if match.group() == b" " else b"%%%02x" % ord(match.group()),
                  value.encode("utf-8", "surrogateescape")).decode("ascii")


def _closing(text: str, opening: int) -> int:
    """The brace that closes the one at `opening`; -1 for none."""
    depth = 0
    for position in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return -1
