"""Dead ends in HAProxy, which serves no files."""
from pathlib import Path
from typing import Dict
from typing import Mapping

from certbot_autowebroot.servers.haproxy.snippet import BACKEND
from certbot_autowebroot.servers.haproxy.snippet import lines
from tests.lab.dead_ends import APPLICATION
from tests.lab.dead_ends import DeadEnd
from tests.lab.haproxy import Haproxy

_BACKEND = f"\nbackend app\n    server app {APPLICATION}\n"


def make(directory: Path, sites: Mapping[Path, str]) -> Haproxy:
    """A HAProxy with one frontend."""
    [text] = sites.values()
    return Haproxy(directory, text)


def frontend(text: str, name: str = "web") -> str:
    """A frontend and a backend."""
    return f"frontend {name}\n    bind :80\n{text}" + _BACKEND


DEAD_ENDS: Dict[str, DeadEnd] = {
    "application": DeadEnd(frontend("    default_backend app")),
    "application by its host": DeadEnd(frontend(
        "    acl shop hdr(host) -i {name}\n    use_backend app if shop\n    http-request deny")),
    "application in a listen section": DeadEnd("listen web\n    bind :80\n    server app {app}\n"),
    "application behind a certificate": DeadEnd(frontend("    option forwardfor\n    default_backend app", "http-in")),
    "dot files are denied": DeadEnd(frontend("    http-request deny if { path_sub /. }\n    default_backend app")),
    "agent is denied": DeadEnd(frontend(
        "    http-request deny if { hdr_sub(user-agent) -i encrypt }\n    default_backend app")),
    "redirect to https, where no program listens": DeadEnd(frontend(
        "    http-request redirect scheme https unless { ssl_fc }\n    default_backend app")),
    "redirect to https, in front of all rules": DeadEnd(frontend(
        "    redirect scheme https code 301 if !{ ssl_fc }\n    default_backend app")),
    "redirect for two hosts": DeadEnd(frontend(
        "    redirect location https://other.example/ if { hdr(host) {name} } or { hdr(host) other }\n"
        "    default_backend app")),
    "maintenance": DeadEnd(frontend('    http-request return status 503 content-type text/plain string "down"\n')),
    "password": DeadEnd(
        "userlist members\n    user a insecure-password b\n"
        + frontend("    http-request auth unless { http_auth(members) }\n    default_backend app")),
    "tarpit": DeadEnd(frontend("    timeout tarpit 100ms\n    http-request tarpit if { path_beg /.well-known }\n"
                               "    default_backend app")),
    "no backend": DeadEnd(frontend("    use_backend app if { hdr(host) other.sample.com }")),
    "backend refuses": DeadEnd(frontend("    default_backend app") + "    http-request deny if { path_beg /. }\n"),
    # The lines are there, in vain.
    "lines behind a refusal": DeadEnd(frontend(
        "    http-request deny if { path_sub /. }\n" + "\n".join("    " + line for line in lines())
        + "\n    default_backend app") + "\n".join(BACKEND) + "\n"),
    "service in Lua": DeadEnd(
        "global\n    lua-load {dir}/acme.lua\n"
        + frontend("    http-request use-service lua.acme if { path_beg /.well-known/acme-challenge/ }\n"
                   "    default_backend app"),
        r"""mkdir root && cat > acme.lua << 'END'
core.register_service("acme", "http", function(applet)
    local token = applet.path:match("^/%.well%-known/acme%-challenge/([%w_-]+)$")
    local file = token and io.open("{dir}/root/.well-known/acme-challenge/" .. token, "rb")
    local content = file and file:read("*a") or ""
    if file then file:close() end
    applet:set_status(file and 200 or 404)
    applet:add_header("content-length", #content)
    applet:start_response()
    applet:send(content)
end)
END""", path="{dir}/root"),
}
