"""The access phase: addresses and passwords.

Sources: ngx_http_access_module; ngx_http_auth_basic_module; core's "satisfy".
"""
from typing import Optional

from certbot_autowebroot.route import Step
from certbot_autowebroot.servers.nginx.guesses import StatusError
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.state import State

#: Directives that may refuse a request for reasons outside of the configuration.
_GUARDS = ("rewrite_by_lua", "rewrite_by_lua_block", "rewrite_by_lua_file", "access_by_lua", "access_by_lua_block",
           "access_by_lua_file", "auth_request", "auth_jwt")


def run(state: State) -> None:
    """``allow``, ``deny`` and authentication. A refusal of some clients is a warning, not a dead end.

    :raises StatusError: all clients are refused.
    """
    refusal: Optional[Directive] = None
    some = False
    every = ("::/0",) if ":" in state.request.endpoint.host else ("0.0.0.0/0",)
    for rule in state.context.nearest("allow", "deny"):
        if rule.args[:1] in (("all",), every):
            refusal = rule if rule.name == "deny" else None
            break
        some = some or rule.name == "allow"
    auth = [directive for directive in state.context.nearest("auth_basic") if directive.args[:1] != ("off",)]
    guards = auth + [directive for name in _GUARDS for directive in state.context.nearest(name)
                     if directive.args[:1] != ("off",)]
    either = state.context.setting("satisfy") == "any"
    if refusal and not some and not (either and guards):
        raise StatusError(403, str(refusal), refusal.source)
    for guard in ([refusal] if refusal and some else []) + guards:
        state.restricted = True
        admits_some = guard is refusal and not (either and guards)
        state.trail.append(Step(f"{guard}: nginx may refuse some clients", guard.source, admits_some))
