"""Access control for any client: mod_authz_core, mod_authz_host, mod_access_compat.

The answer is True, False, or None where it depends on the client (its address, a password); the probe finds that out.
"""
from typing import Callable
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.servers.apache.directives import Directive

#: Judges ``expr``, ``env`` (a variable is set) or ``address`` (the client's is among these), and the text of it.
Judge = Callable[[str, str], Optional[bool]]
Verdict = Tuple[Optional[bool], Optional[Directive]]

_CONTAINERS = ("requireall", "requireany", "requirenone")


def granted(scopes: Sequence[Sequence[Directive]], judge: Judge) -> Verdict:
    """Whether access is granted, and the deciding directive.

    :param scopes: the directives of each section that applies, in the order in which httpd merges them.
    """
    authorization = _authorization(scopes, judge)
    # A section with any of these replaces those of earlier sections.
    names = ("order", "allow", "deny", "satisfy")
    scope = next((s for s in reversed(scopes) if any(d.name in names for d in s)), ())
    host_access = _host_access(scope, judge)
    satisfy = next((d for d in reversed(scope) if d.name == "satisfy"), None)
    if satisfy and satisfy.words[:1] and satisfy.words[0].lower() == "any" and authorization[1]:
        return _any([authorization, host_access])
    return _all([host_access, authorization])


def _authorization(scopes: Sequence[Sequence[Directive]], judge: Judge) -> Verdict:
    """``Require``: a section with any replaces the earlier sections, unless AuthMerging combines them."""
    verdict: Verdict = (True, None)
    is_set = False
    for scope in scopes:
        requires = [d for d in scope if _requires(d)]
        limit = next(filter(_limits_other_methods, scope), None)
        if not requires and not limit:
            continue
        merging = next((d.words[0].lower() for d in reversed(scope) if d.name == "authmerging" and d.words), "off")
        if not requires:  # a <Limit> of other methods: none for GET, but without merging it replaces the earlier
            verdict, is_set = ((True, limit), False) if merging == "off" else (verdict, is_set)
            continue
        own = _any([_judge_one(d, judge) for d in requires])
        if not is_set or merging == "off":
            verdict = own
        else:
            verdict = _all([verdict, own]) if merging == "and" else _any([verdict, own])
        is_set = True
    return verdict


def _requires(directive: Directive) -> bool:
    return directive.name == "require" or (directive.is_section and directive.name in _CONTAINERS)


def _limits_other_methods(directive: Directive) -> bool:
    """Whether it is a ``<Limit>`` of other methods than GET with a ``Require``."""
    return directive.name in ("limit", "limitexcept") and any(
        _requires(child) or _limits_other_methods(child) for child in directive.children)


def _judge_one(directive: Directive, judge: Judge) -> Verdict:
    if directive.is_section:
        parts = [_judge_one(child, judge) for child in directive.children
                 if child.name == "require" or child.name in _CONTAINERS]
        if directive.name == "requireall":
            return _all(parts)
        verdict, by = _any(parts)
        return (verdict, by) if directive.name == "requireany" else (_not(verdict), by or directive)
    words = directive.words
    negated = words[:1] == ["not"]
    words = words[1:] if negated else words
    verdict = _provider(words, directive, judge)
    return (_not(verdict) if negated else verdict), directive


def _provider(words: List[str], directive: Directive, judge: Judge) -> Optional[bool]:
    kind = words[0].lower() if words else ""
    if kind == "all":
        return words[1:2] == ["granted"]
    if kind == "method":
        return "GET" in words[1:]
    if kind == "env":
        return _any([(judge("env", name), None) for name in words[1:]])[0]
    if kind == "expr":
        text = directive.text.partition("expr")[2].strip()
        return judge("expr", " ".join(words[1:]) if text[:1] in "\"'" else text)
    return judge("address", " ".join(words[1:])) if kind in ("ip", "host", "forward-dns", "local") else None


def _host_access(scope: Sequence[Directive], judge: Judge) -> Verdict:
    """Order, Allow and Deny of httpd 2.2."""
    order = "deny,allow"
    by: Optional[Directive] = None
    lists: dict[str, List[Verdict]] = {"allow": [], "deny": []}
    for directive in scope:
        words = [word.lower() for word in directive.words]
        if directive.name == "order":
            order, by = ",".join(words).replace(",,", ","), directive
        elif directive.name in lists and words[:1] == ["from"]:
            lists[directive.name] += [(_from(word, judge), directive) for word in directive.words[1:]]
    allow = _any(lists["allow"])
    deny = _any(lists["deny"])
    if order in ("allow,deny", "mutual-failure"):
        # Where no Allow matches, the order refuses.
        return _all([(_not(deny[0]), deny[1] or by), (allow[0], by if allow[0] is False else allow[1] or by)])
    return _any([(_not(deny[0]), deny[1]), allow])


def _from(word: str, judge: Judge) -> Optional[bool]:
    if word.lower() == "all":
        return True
    if word.lower().startswith("env="):
        name = word[4:]
        return _not(judge("env", name[1:])) if name.startswith("!") else judge("env", name)
    return judge("address", word)


def _not(value: Optional[bool]) -> Optional[bool]:
    return None if value is None else not value


def _any(verdicts: Sequence[Verdict]) -> Verdict:
    for wanted in (True, None):
        for verdict in verdicts:
            if verdict[0] is wanted:
                return verdict
    return False, next((by for _, by in verdicts if by), None)


def _all(verdicts: Sequence[Verdict]) -> Verdict:
    for wanted in (False, None):
        for verdict in verdicts:
            if verdict[0] is wanted:
                return verdict
    return True, next((by for _, by in verdicts if by), None)
