"""The environment variables of a request: mod_setenvif."""
from typing import Iterable
from typing import Match
from typing import Optional

from certbot_autowebroot.servers.apache import mapping
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import UnknowableError
from certbot_autowebroot.servers.apache.state import UNKNOWN_VALUE
from certbot_autowebroot.servers.apache.state import State
from certbot_autowebroot.servers.common import regex


def set_environment(state: State, directives: Iterable[Directive]) -> None:
    """Apply SetEnvIf and variants. SetEnv comes too late to matter."""
    for directive in directives:
        words = directive.words
        if directive.name.startswith("browsermatch"):
            words = ["User-Agent", *words]
        elif directive.name == "setenvifexpr":
            words = ["", *words]
        elif not directive.name.startswith("setenvif"):
            continue
        if len(words) > 2:
            _set(state, directive, words[0], words[1], words[2:])


def _set(state: State, directive: Directive, subject: str, pattern: str, assignments: Iterable[str]) -> None:
    match: Optional[Match[str]] = None
    is_unknown = False
    try:
        if directive.name == "setenvifexpr":
            matches = state.expression(pattern, "")
        else:
            match = regex.search(pattern, _subject(state, subject), directive.name.endswith("nocase"))
            matches = match is not None
    except (UnknowableError, regex.RegexError):
        matches = is_unknown = True
    for word in assignments if matches else ():
        name, _, content = word.partition("=")
        if name.startswith("!"):
            was_set = state.env.pop(name[1:], None) is not None
            if was_set and is_unknown:
                state.env[name[1:]] = UNKNOWN_VALUE
        else:
            state.env[name] = UNKNOWN_VALUE if is_unknown else mapping.substitute(content, match) if match else content
            state.env[name] = state.env[name] or "1"


def _subject(state: State, name: str) -> str:
    lower = name.lower()
    request = state.request
    known = {"request_uri": state.uri, "request_method": "GET", "request_protocol": "HTTP/1.1",
             "server_addr": request.endpoint.host, "host": request.host}
    if lower in known:
        return known[lower]
    if lower.startswith("remote_"):
        raise UnknowableError(name)
    if name in state.env:
        return state.environment(name)
    return state.header(lower)
