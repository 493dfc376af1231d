"""The content phase: the directive that makes the content, and the upstream of ``proxy_pass``.

Sources: development guide, "HTTP phases"; ngx_http_proxy_module, "proxy_pass".
"""
from typing import Optional
from typing import Sequence

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.nginx import upstreams
from certbot_autowebroot.servers.nginx.contexts import Context
from certbot_autowebroot.servers.nginx.contexts import Location
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.state import State
from certbot_autowebroot.servers.nginx.variables import parts

#: Content handlers, beside all directives that end in "_pass".
_CONTENT = frozenset({"stub_status", "empty_gif", "perl", "js_content", "echo"})
#: Directives of the echo module that only decorate the content of another handler.
_DECORATION = frozenset({"echo_before_body", "echo_after_body", "echo_status"})


def find(state: State) -> Optional[Directive]:
    """The content handler, None for files. An ``if`` has the handler of its location."""
    context: Optional[Context] = state.context
    while context is not None:
        handlers = [directive for directive in context.block if _is_handler(directive.name)]
        if handlers or isinstance(context, Location) or context is state.server:
            return handlers[-1] if handlers else None
        context = context.parent
    return None


def pass_on(state: State, directive: Directive) -> Destination:
    """The destination of a ``proxy_pass``.

    :raises UnknowableError: only the running server knows a variable of it.
    """
    text = directive.args[0]
    step = Step(str(directive), directive.source)
    target = upstreams.target(state.value(text))
    if target is None:
        return Unknown(f"{text} is not a URL", (*state.trail, step))
    if target.uri and any(part.variable or part.capture for part in parts(text)):
        path = target.uri
    elif not target.uri:
        path = state.request.path if state.original else state.uri
    else:
        location = state.context
        while not isinstance(location, Location) and location.parent is not None:
            location = location.parent
        prefix = location.name if isinstance(location, Location) and state.matches_location else ""
        path = (target.uri if state.matches_location else "") + state.uri[len(prefix):]
    state.assign("proxy_host", "localhost" if target.host.startswith("unix:") else target.host)
    headers: Sequence[Directive] = [header for header in state.context.nearest("proxy_set_header")
                                    if len(header.args) == 2 and header.args[0].lower() == "host"]
    host = upstreams.without_port(state.value(headers[-1].args[1] if headers else "$proxy_host"))
    members = upstreams.members(target.host, target.scheme, state.index.groups)
    if not members:
        return DeadEnd(f"the upstream {target.host} has no member that is up", (*state.trail, step))
    return Upstream(members, host, path.partition("?")[0], target.scheme, trail=(*state.trail, step),
                    depends_on_client=state.restricted)


def _is_handler(name: str) -> bool:
    if name.startswith("echo_"):
        return name not in _DECORATION
    return name in _CONTENT or name.endswith("_pass") or name.startswith("content_by_lua")
