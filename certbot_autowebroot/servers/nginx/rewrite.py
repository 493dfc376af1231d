"""The rewrite phase: ``set``, ``if``, ``return``, ``rewrite``, ``break``.

Sources: ngx_http_rewrite_module; src/http/ngx_http_script.c for the captures that a rewrite leaves.
"""
import stat
from typing import Callable
from typing import Dict
from typing import List
from typing import Tuple
from typing import Union

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Step
from certbot_autowebroot.servers.common.numbers import number
from certbot_autowebroot.servers.nginx.contexts import Context
from certbot_autowebroot.servers.nginx.guesses import EndOfRequest
from certbot_autowebroot.servers.nginx.guesses import StatusError
from certbot_autowebroot.servers.nginx.names import Server
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.regexes import Regex
from certbot_autowebroot.servers.nginx.regexes import UnknowableError
from certbot_autowebroot.servers.nginx.state import State

#: The codes of a redirect.
REDIRECTS = (301, 302, 303, 307, 308)
#: What ``if`` asks of a path, by operator and mode (ngx_http_script_file_code).
_HAS_TYPE: Dict[str, Callable[[int], bool]] = {
    "-f": stat.S_ISREG, "-d": stat.S_ISDIR, "-e": lambda mode: True, "-x": lambda mode: bool(mode & stat.S_IXUSR)}
_ABSOLUTE = ("http://", "https://", "$scheme")


def run(state: State, context: Context) -> bool:
    """Run the directives of one block. A true ``if`` becomes the context of the settings.

    :returns: false where a flag or ``break`` ends the phase.
    :raises EndOfRequest: nginx answers here.
    :raises StatusError: likewise, with an error status.
    """
    for directive in context.block:
        name, args = directive.name, directive.args
        if name == "set" and len(args) == 2:
            state.assign(args[0], _value_or_unknown(state, args[1]))
        elif name.startswith("set_") and args and args[0].startswith("$"):
            # set_by_lua, set_md5 and others: only the running server knows the value.
            state.assign(args[0], UnknowableError(f"{args[0]}, which {name} sets"))
        elif name == "if":
            if _holds(state, directive):
                state.trail.append(Step(str(directive), directive.source))
                inside = Context(directive, context)
                if not isinstance(context, Server):
                    state.context = inside
                if not run(state, inside):
                    return False
        elif name == "return" and args:
            _return(state, directive)
        elif name == "rewrite" and len(args) >= 2:
            if not _rewrite(state, directive):
                return False
        elif name == "break":
            if state.uri_changed:
                state.matches_location = state.uri_changed = False
            return False
    return True


def _value_or_unknown(state: State, text: str) -> Union[str, UnknowableError]:
    try:
        return state.value(text)
    except UnknowableError as unknown:
        return unknown


def _return(state: State, directive: Directive) -> None:
    first, *rest = directive.args
    step = Step(str(directive), directive.source)
    status = number(first)
    if status < 0:
        raise state.redirect(state.value(first), 302, step)
    if status in REDIRECTS and rest:
        raise state.redirect(state.value(rest[0]), status, step)
    if status < 400 or status == 444 or rest:
        raise EndOfRequest(DeadEnd(f"{directive} answers", (*state.trail, step)))
    raise StatusError(status, str(directive), directive.source)


def _rewrite(state: State, directive: Directive) -> bool:
    """Run one ``rewrite``; false where its flag ends the phase."""
    pattern, replacement, *flags = directive.args
    if not _matches(state, Regex(pattern), state.uri, directive):
        return True
    flag = flags[0] if flags else ""
    step = Step(str(directive), directive.source)
    keep_args = not replacement.endswith("?")
    if not keep_args:
        replacement = replacement[:-1]
    path, mark, query = replacement.partition("?")
    path, query = state.value(path), state.value(query)
    if keep_args and state.args:
        query = query + "&" + state.args if mark else state.args
    elif keep_args and not mark:
        query = state.args
    if flag in ("redirect", "permanent") or replacement.startswith(_ABSOLUTE):
        raise state.redirect(path + ("?" + query if query or mark else ""), 301 if flag == "permanent" else 302, step)
    if not path:
        raise StatusError(500, f"{directive} leaves an empty path", directive.source)
    state.trail.append(step)
    state.uri, state.args, state.uri_source = path, query, directive.source
    state.internal, state.original, state.uri_changed = True, False, True
    if flag == "break":
        state.matches_location = state.uri_changed = False
    return flag not in ("last", "break")


def _holds(state: State, directive: Directive) -> bool:
    """Whether the condition of an ``if`` is true."""
    words = _condition(directive.args)
    question = f"if ({' '.join(words)})"
    if len(words) == 2 and words[0].lstrip("!") in ("-f", "-d", "-e", "-x"):
        return _exists(state, directive, words[0].lstrip("!"), words[1]) != words[0].startswith("!")
    try:
        return _decided(state, words, directive, question)
    except UnknowableError as unknown:
        likely = state.for_any_client(lambda: _decided(state, words, directive, question))
        return state.guess(f"{question}, with {unknown}", directive.source, likely, about_client=True)


def _decided(state: State, words: List[str], directive: Directive, question: str) -> bool:
    # A variable, not a text: "$7g_bad_bot" is no capture here.
    value = state.variable(words[0].lstrip("$").lower()) if words else ""
    if len(words) == 1:
        return value not in ("", "0")
    if len(words) == 3 and words[1] in ("=", "!="):
        return (value == state.value(words[2])) == (words[1] == "=")
    if len(words) == 3 and words[1] in ("~", "~*", "!~", "!~*"):
        regex = Regex(words[2], ignore_case=words[1].endswith("*"))
        return _matches(state, regex, value, directive) != words[1].startswith("!")
    return state.guess(question, directive.source, likely=False)


def _matches(state: State, regex: Regex, subject: str, directive: Directive) -> bool:
    if state.matches(regex, subject, directive):
        return True
    state.forget_captures()
    return False


def _condition(args: Tuple[str, ...]) -> List[str]:
    """The words between the parentheses."""
    words = list(args)
    if words and words[0].startswith("("):
        words[0] = words[0][1:]
    if words and words[-1].endswith(")"):
        words[-1] = words[-1][:-1]
    if words and not words[0]:
        del words[0]
    if words and not words[-1]:
        del words[-1]
    return words


def _exists(state: State, directive: Directive, operator: str, text: str) -> bool:
    """``-f`` and others: a file named after the token exists after we write it, and only then."""
    question = f"{operator} {text}"
    try:
        path = state.value(text)
    except UnknowableError as unknown:
        return state.guess(f"{question}, with {unknown}", directive.source, likely=False, about_client=True)
    if path.endswith("/") and operator in ("-f", "-x"):
        return False
    if state.request.token not in path:
        status = state.stat(path) if state.stat and path.startswith("/") else None
        if status is not None:
            answer = _HAS_TYPE[operator](status.st_mode)
            state.trail.append(Step(f"if ({operator} {path}): {'true' if answer else 'false'}", directive.source))
            return answer
        if state.stat and path.startswith("/") and "/.well-known" not in path:  # that is missing until we make it
            return False
        return state.guess(f"{operator} {path}", directive.source, likely=operator == "-d")
    if operator in ("-x", "-d") or state.request.token in path.rpartition("/")[0]:
        return False
    return state.assume_file(path, directive.source)
