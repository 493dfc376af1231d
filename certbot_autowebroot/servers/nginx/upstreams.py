"""What ``proxy_pass`` means: whom a request is passed to, and with which path.

Sources: ngx_http_proxy_module, "proxy_pass"; ngx_http_upstream_module, "server".
"""
import re
from typing import Dict
from typing import Iterable
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Tuple

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.servers.nginx.parser import Directive

_URL = re.compile(r"(?P<scheme>https?)://(?P<host>unix:[^:]+:?|\[[^\]]*\][^/?]*|[^/?]+)(?P<uri>.*)", re.DOTALL)
_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """A URL of ``proxy_pass`` taken apart.

    :ivar host: host and port as written, or the name of a group, or a unix socket.
    :ivar uri: the part after it, empty where there is none.
    """

    scheme: str
    host: str
    uri: str


def target(url: str) -> Optional[Target]:
    """Take a URL apart; None where nginx would not understand it."""
    match = _URL.fullmatch(url)
    return Target(match["scheme"], match["host"].rstrip(":") if match["host"].startswith("unix:") else match["host"],
                  match["uri"]) if match else None


def endpoint(text: str, port: int = 80) -> Endpoint:
    """An address as ``server`` and ``proxy_pass`` write it."""
    if text.startswith("unix:"):
        return Endpoint(text, 0)
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]+)(?::([0-9]{1,9}))?", text)
    if match is None:
        return Endpoint(text, port)
    return Endpoint(match[1].strip("[]"), int(match[2] or port))


def without_port(host: str) -> str:
    """A Host header as :class:`certbot_autowebroot.route.Request` wants it."""
    host = host.lower()
    return host if host.startswith("unix:") else re.sub(r":\d*$", "", host).strip("[]")


def groups(directives: Iterable[Directive]) -> Dict[str, Tuple[Endpoint, ...]]:
    """The members of each ``upstream`` block: backups too, but not those marked ``down``, which never get a request."""
    found: Dict[str, Tuple[Endpoint, ...]] = {}
    for directive in directives:
        members: List[Endpoint] = [endpoint(server.args[0]) for server in directive.block or ()
                                   if server.name == "server" and server.args and "down" not in server.args]
        if directive.args:
            found.setdefault(directive.args[0].lower(), tuple(members))
    return found


def members(host: str, scheme: str, known: Dict[str, Tuple[Endpoint, ...]]) -> Tuple[Endpoint, ...]:
    """Who gets a request for this target: the members of the group with the name, else the address itself."""
    if host.lower() in known:
        return known[host.lower()]
    return (endpoint(host, _PORTS[scheme]),)
