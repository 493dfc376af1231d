"""mod_rewrite's rule engine: a rule set applied to a path.

Sources: "Apache mod_rewrite Technical Details", the manual pages of RewriteRule and RewriteCond. The caller
decides what the result means: a file, a redirect, a proxied URL, another round.
"""
import re
from dataclasses import dataclass
from dataclasses import field
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence

from certbot_autowebroot.servers.apache.directives import UnknowableError
from certbot_autowebroot.servers.apache.expansion import Expansion
from certbot_autowebroot.servers.apache.expansion import RewriteState
from certbot_autowebroot.servers.apache.expressions import compare_numbers
from certbot_autowebroot.servers.apache.rules import Condition
from certbot_autowebroot.servers.apache.rules import Rule
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.numbers import number

#: httpd allows 10,000 rounds of [N]. Here they would take seconds, and real rules need a few.
MAX_ROUNDS = 200
#: Characters of a path; httpd's limit is twice LimitRequestLine.
MAX_LENGTH = 16380

_SCHEME = re.compile(r"(?:https?|ftp|ajp|ws|wss|fcgi|scgi|uwsgi|h2c?|balancer|ldaps?|gopher|nntp)://"
                     r"|(?:mailto|news|unix):", re.IGNORECASE)


@dataclass
class Result:
    """The result of a rule set.

    :ivar changed: a rule has made a substitution.
    :ivar reduced: a URL of this virtual host has become its path (mod_rewrite's ``reduce_uri``).
    :ivar error: the status by which a rule ends the request, 0 for none.
    :ivar redirect: the redirect status of a rule, 0 for none.
    :ivar rules: the rules that applied, in order.
    :ivar paths: the path after each of them.
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
    paths: List[str] = field(default_factory=list)
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

    :param directory: the directory of a per-directory context, with a slash at the end; rules match the path below it.
    :param own_url: scheme, host and port of this server, for a redirect to a path.
    :param reduce: matches the scheme, host and port of a URL of this virtual host.
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
        result.paths.append(result.path)
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
    """One rule, applied to the path that the rules before it have made."""

    def __init__(self, rule: Rule, result: Result, state: RewriteState, env: Dict[str, str],
                 directory: str) -> None:
        self.rule = rule
        self.result = result
        self.state = state
        self.env = env
        self.directory = directory
        self.expansion = Expansion(state, rule.flags, result.path)

    def run(self, own_url: str, reduce: "Optional[re.Pattern[str]]") -> bool:
        """Apply the rule to the result; whether it matched."""
        rule, result = self.rule, self.result
        # Each per-directory rule sees the path info again, even after a substitution by an earlier rule.
        subject = result.path + self.state.path_info if self.directory else result.path
        # A proxied request has no directory.
        is_proxied = result.path.startswith("proxy:")
        if self.directory and not is_proxied and subject.startswith(self.directory):
            subject = subject[len(self.directory):]
        negated = rule.pattern.startswith("!")
        match = regex.search(rule.pattern[negated:], subject, "nc" in rule.flags)
        if bool(match) == negated:
            return False
        self.expansion.rule_match = match
        if not self._conditions_hold():
            return False
        target = "-" if rule.target == "-" else self.expansion.expand(rule.target, is_target=True)
        if self.expansion.unsafe:
            result.error = 403
            return True
        self._set_environment()
        if "h" in rule.flags:
            result.handler = self.expansion.expand(rule.flags["h"]).lower()
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
        expanded = self.expansion.expand(value)
        if expanded.startswith("!"):
            self.env.pop(expanded[1:], None)
        else:
            name, _, content = expanded.partition(":")
            self.env[name] = content

    def _conditions_hold(self) -> bool:
        skip = False
        for condition in self.rule.conditions:
            if skip:
                skip = "or" in condition.flags
                continue
            holds = self._condition(condition)
            if "or" in condition.flags:
                skip = holds
            elif not holds:
                return False
        return True

    def _condition(self, condition: Condition) -> bool:
        try:
            return self._judge(condition)
        except (UnknowableError, regex.RegexError) as error:
            matched = self.expansion.condition_match
            for_any_client = self.state.for_any_client(lambda: self._judge(condition))
            self.expansion.condition_match = matched
            return self.state.decide(condition.directive, str(error), for_any_client)

    def _judge(self, condition: Condition) -> bool:
        pattern, negated = condition.pattern, False
        if pattern.startswith("!"):
            pattern, negated = pattern[1:], True
        if condition.test.lower() == "expr":
            return self.state.expression(pattern, self.result.path) != negated
        subject = self.expansion.expand(condition.test)
        no_case = "nc" in condition.flags
        if re.match(r"-[a-zA-Z]$", pattern):
            holds = self.state.exists(subject, pattern[1])
        elif re.match(r"-(?:eq|ne|lt|le|gt|ge)", pattern):
            holds = compare_numbers(pattern[1:3], subject, self.expansion.expand(pattern[3:]))
        elif pattern[:1] in ("<", ">", "=") and len(pattern) > 1:
            holds = _compare(pattern, subject, no_case, self.expansion)
        else:
            match = regex.search(pattern, subject, no_case)
            if match and not negated:
                self.expansion.condition_match = match
            holds = match is not None
        return holds != negated


def _compare(pattern: str, subject: str, no_case: bool, expansion: Expansion) -> bool:
    operator = pattern[:2] if pattern[1:2] == "=" and pattern[0] in "<>" else pattern[0]
    other = expansion.expand(pattern[len(operator):])
    if operator == "=" and other == '""':
        other = ""
    if no_case:
        subject, other = subject.lower(), other.lower()
    # httpd compares the lengths first.
    one, two = (len(subject), subject), (len(other), other)
    return {"=": one == two, "<": one < two, ">": one > two, "<=": one <= two, ">=": one >= two}[operator]
