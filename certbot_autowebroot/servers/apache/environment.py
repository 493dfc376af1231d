"""What SetEnvIf makes of a request before its first phase (mod_setenvif)."""

from certbot_autowebroot.servers import regex
from certbot_autowebroot.servers.apache.directives import Unknowable
from certbot_autowebroot.servers.apache.state import HIDDEN
from certbot_autowebroot.servers.apache.state import State


def set_environment(state: State) -> None:
    """SetEnvIf of the server, as far as a request tells it."""
    for server in reversed(state.site.chain):
        for directive in server.directives:
            words = directive.words
            if directive.name not in ("setenvif", "setenvifnocase") or len(words) < 3:
                continue
            try:
                subject = _subject(state, words[0])
                matches = regex.search(words[1], subject, directive.name.endswith("nocase")) is not None
                value = "" if matches else None
            except (Unknowable, regex.RegexError):
                value = HIDDEN
            for word in words[2:] if value is not None else ():
                name, _, content = word.partition("=")
                if name.startswith("!"):
                    state.env.pop(name[1:], None)
                else:
                    state.env[name] = value or content or "1"


def _subject(state: State, name: str) -> str:
    lower = name.lower()
    request = state.request
    known = {"request_uri": state.uri, "request_method": "GET", "request_protocol": "HTTP/1.1",
             "server_addr": request.endpoint.host, "host": request.host}
    if lower in known:
        return known[lower]
    if lower.startswith("remote_"):
        raise Unknowable(name)
    if name in state.env:
        return state.environment(name)
    return state.header(lower)
