"""mod_rewrite's rule engine: a rule set applied to a path.

Sources: "Apache mod_rewrite Technical Details", the manual pages of RewriteRule and RewriteCond. What the result
means (a file, a redirect, a proxied URL, another round) is decided by the evaluator.
"""
import re
from dataclasses import dataclass
from dataclasses import field
from typing import Dict
from typing import List
from typing import Match
from typing import Optional
from typing import Protocol
from typing import Sequence

from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import UnknowableError
from certbot_autowebroot.servers.apache.rules import Cond
from certbot_autowebroot.servers.apache.rules import Rule
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.numbers import number

#: httpd counts 10,000 rounds of [N]; that many of ours would take seconds, and honest rules take a few.
MAX_ROUNDS = 200
#: httpd's own limit is twice LimitRequestLine.
MAX_LENGTH = 16380

_SCHEME = re.compile(r"(?:https?|ftp|ajp|ws|wss|fcgi|scgi|uwsgi|h2c?|balancer|ldaps?|gopher|nntp)://"
                     r"|(?:mailto|news|unix):", re.IGNORECASE)


class RewriteState(Protocol):
    """What conditions look at, and rules change.

    :ivar path_info: what follows the file name, in a per-directory context.
    :ivar query: the query string as it is now.
    """

    path_info: str
    query: str

    def variable(self, name: str, filename: str) -> str:
        """The value of ``%{name}`` while the engine holds this path. Raises UnknowableError."""

    def exists(self, path: str, kind: str) -> bool:
        """Whether a path is a file (``f``), a directory (``d``) and so on. Raises UnknowableError."""

    def expression(self, text: str, filename: str) -> bool:
        """Whether an expression holds. Raises UnknowableError."""

    def look_up(self, name: str, key: str) -> Optional[str]:
        """The value of a key in a RewriteMap. Raises UnknowableError."""

    def decide(self, directive: Directive, reason: str) -> bool:
        """What to take for a condition that cannot be known; every answer is tried in the end."""


@dataclass
class Result:
    """What became of a path.

    :ivar changed: any rule has substituted.
    :ivar reduced: a URL that leads back to this virtual host has been cut to its path.
    :ivar error: the status that a rule has ended the request with.
    :ivar redirect: the status that a rule has set for a redirect, 0 for none.
    :ivar rules: those that applied, the deciding one last.
    """

    path: str
    changed: bool = False
    reduced: bool = False
    error: int = 0
    redirect: int = 0
    proxied: bool = False
    passthrough: bool = False
    end: bool = False
    escape: bool = True
    handler: str = ""
    rules: List[Rule] = field(default_factory=list)
    last_substitution: Optional[Rule] = None

    @property
    def is_url(self) -> bool:
        """Whether the path has become a URL with a scheme."""
        return is_absolute(self.path)


def is_absolute(path: str) -> bool:
    """Whether a path starts with a scheme that mod_rewrite knows."""
    return bool(_SCHEME.match(path))


def apply(rules: Sequence[Rule], path: str, state: RewriteState, env: Dict[str, str],
          directory: str = "", own_url: str = "", reduce: "Optional[re.Pattern[str]]" = None) -> Result:
    """Apply a rule set.

    :param directory: the directory of a per-directory context (with a trailing slash), stripped for the match.
    :param own_url: scheme, host and port of this server, put before a redirect to a path.
    :param reduce: matches the scheme, host and port of a URL that leads back to this very virtual host.
    """
    result = Result(path)
    rounds = 0
    index = 0
    while index < len(rules):
        rule = rules[index]
        match = _Application(rule, result, state, env, directory).run(own_url, reduce)
        index += 1
        if not match:
            while "c" in rule.flags and index < len(rules):
                rule = rules[index]
                index += 1
            continue
        result.rules.append(rule)
        if len(result.path) > MAX_LENGTH:
            result.error = 500
        elif rule.error:
            result.error = rule.error
        if result.error:
            return result
        if "end" in rule.flags and "pt" not in rule.flags:
            result.end = True
        if "pt" in rule.flags:
            result.passthrough = result.changed = True
        if {"pt", "end", "p", "l"} & rule.flags.keys():
            return result
        if "n" in rule.flags:
            rounds += 1
            limit = number(rule.flags["n"]) if number(rule.flags["n"]) >= 0 else 10000
            if rounds + 1 >= limit:
                result.error = 500
                return result
            if rounds > MAX_ROUNDS:
                raise UnknowableError(f"{rule.directive.step} goes round more than {MAX_ROUNDS} times")
            index = 0
        else:
            index += max(0, number(rule.flags.get("s", "")))
    return result


class _Application:
    """One rule tried on the path as it is."""

    def __init__(self, rule: Rule, result: Result, state: RewriteState, env: Dict[str, str],
                 directory: str) -> None:
        self.rule = rule
        self.result = result
        self.state = state
        self.env = env
        self.directory = directory
        self.rule_match: Optional[Match[str]] = None
        self.cond_match: Optional[Match[str]] = None
        #: A back reference has brought in a question mark; since 2.4.60 that ends in 403, UnsafeAllow3F apart.
        self.unsafe = False

    def run(self, own_url: str, reduce: "Optional[re.Pattern[str]]") -> bool:
        """Whether the rule applies; if so, the result has changed."""
        rule, result = self.rule, self.result
        # Each rule of a directory sees the path info again, whatever the rules before it have made of the path.
        subject = result.path + self.state.path_info if self.directory else result.path
        # A request that mod_proxy has taken has no directory.
        is_proxied = result.path.startswith("proxy:")
        if self.directory and not is_proxied and subject.startswith(self.directory):
            subject = subject[len(self.directory):]
        negated = rule.pattern.startswith("!")
        match = regex.search(rule.pattern[negated:], subject, "nc" in rule.flags)
        if bool(match) == negated:
            return False
        self.rule_match = match
        if not self._conditions_hold():
            return False
        target = "-" if rule.target == "-" else self.expand(rule.target, is_target=True)
        if self.unsafe:
            result.error = 403
            return True
        self._set_environment()
        if "h" in rule.flags:
            result.handler = self.expand(rule.flags["h"]).lower()
        if rule.target == "-" or rule.error:
            return True
        result.last_substitution = rule
        result.changed = True
        result.escape = "ne" not in rule.flags
        if self.directory and "dpi" in rule.flags:
            self.state.path_info = ""
        if not is_proxied and not target.startswith("/") and not is_absolute(target):
            target = (self.directory or "/") + target
        result.path = self._split_query(target)
        if "p" in rule.flags:
            result.path = self._qualified(own_url)
            result.proxied = True
        elif "r" in rule.flags:
            result.path = self._qualified(own_url)
            result.redirect = rule.redirect_status
        else:
            reduced = reduce.match(result.path) if reduce else None
            if reduced:
                result.path = result.path[reduced.end():] or "/"
                result.reduced = True
            if result.is_url:
                result.redirect = rule.redirect_status
            elif result.path.startswith("//") and not rule.target.startswith("//"):
                result.path = "/" + result.path.lstrip("/")
        return True

    def _qualified(self, own_url: str) -> str:
        path = self.result.path
        if self.result.is_url:
            return path
        return own_url + ("" if path.startswith("/") else "/") + path

    def _split_query(self, target: str) -> str:
        flags = self.rule.flags
        if "qsd" in flags:
            self.state.query = ""
        if "?" not in target:
            return target
        path, _, own = target.rpartition("?") if "qsl" in flags else target.partition("?")
        former = self.state.query if "qsa" in flags else ""
        self.state.query = "&".join(part for part in (own, former) if part)
        return path

    def _set_environment(self) -> None:
        value = self.rule.flags.get("e")
        if not value:
            return
        expanded = self.expand(value)
        if expanded.startswith("!"):
            self.env.pop(expanded[1:], None)
        else:
            name, _, content = expanded.partition(":")
            self.env[name] = content

    def _conditions_hold(self) -> bool:
        skip = False
        for cond in self.rule.conditions:
            if skip:
                skip = "or" in cond.flags
                continue
            holds = self._condition(cond)
            if "or" in cond.flags:
                skip = holds
            elif not holds:
                return False
        return True

    def _condition(self, cond: Cond) -> bool:
        try:
            return self._judge(cond)
        except (UnknowableError, regex.RegexError) as error:
            return self.state.decide(cond.directive, str(error))

    def _judge(self, cond: Cond) -> bool:
        pattern, negated = cond.pattern, False
        if pattern.startswith("!"):
            pattern, negated = pattern[1:], True
        if cond.test.lower() == "expr":
            return self.state.expression(pattern, self.result.path) != negated
        subject = self.expand(cond.test)
        no_case = "nc" in cond.flags
        if re.match(r"-[a-zA-Z]$", pattern):
            holds = self.state.exists(subject, pattern[1])
        elif re.match(r"-(?:eq|ne|lt|le|gt|ge)", pattern):
            holds = _compare_numbers(pattern[1:3], subject, self.expand(pattern[3:]))
        elif pattern[:1] in ("<", ">", "=") and len(pattern) > 1:
            holds = _compare(pattern, subject, no_case, self)
        else:
            match = regex.search(pattern, subject, no_case)
            if match and not negated:
                self.cond_match = match
            holds = match is not None
        return holds != negated

    def expand(self, text: str, depth: int = 0, is_target: bool = False) -> str:
        """Replace ``$1``, ``%1``, ``%{NAME}`` and ``${map:key|default}``; [B] is for the target only."""
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
                match = self.rule_match if char == "$" else self.cond_match
                out.append(self._back_reference(match, int(following), is_target))
                position += 2
            elif char in "$%" and following == "{":
                end = _closing(text, position + 1)
                if end < 0:
                    out.append(text[position:])
                    break
                inner = text[position + 2:end]
                out.append(self._map(inner, depth, is_target) if char == "$" else self.state.variable(
                    self.expand(inner, depth + 1, is_target), self.result.path))
                position = end + 1
            else:
                out.append(char)
                position += 1
        return "".join(out)

    def _back_reference(self, match: Optional[Match[str]], number: int, is_target: bool) -> str:
        if match is None or number > (match.re.groups or 0):
            return ""
        value = match.group(number) or ""
        self.unsafe = self.unsafe or (is_target and "?" in value and "unsafeallow3f" not in self.rule.flags)
        if is_target and "b" in self.rule.flags:
            return _escaped(value)
        return value

    def _map(self, inner: str, depth: int, is_target: bool) -> str:
        name, _, rest = inner.partition(":")
        key, separator, default = rest.partition("|")
        found = self.state.look_up(name, self.expand(key, depth + 1, is_target))
        if found:
            return found
        return self.expand(default, depth + 1, is_target) if separator else ""


def _escaped(value: str) -> str:
    """A back reference under [B]: all but letters, digits and the underscore, so that a token's "-" becomes %2d."""
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


def _compare(pattern: str, subject: str, no_case: bool, application: _Application) -> bool:
    operator = pattern[:2] if pattern[1:2] == "=" and pattern[0] in "<>" else pattern[0]
    other = application.expand(pattern[len(operator):])
    if operator == "=" and other == '""':
        other = ""
    if no_case:
        subject, other = subject.lower(), other.lower()
    # httpd compares the lengths first.
    one, two = (len(subject), subject), (len(other), other)
    return {"=": one == two, "<": one < two, ">": one > two, "<=": one <= two, ">=": one >= two}[operator]


def _compare_numbers(operator: str, subject: str, other: str) -> bool:
    found = [re.match(r"\s*-?[0-9]{1,18}", text) for text in (subject, other)]
    one, two = (int(match.group()) if match else 0 for match in found)
    return {"eq": one == two, "ne": one != two, "lt": one < two, "le": one <= two, "gt": one > two,
            "ge": one >= two}[operator]
