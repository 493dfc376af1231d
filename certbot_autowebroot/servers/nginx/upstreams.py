"""``proxy_pass``: the upstream of a request, and its path there.

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
    """The parts of a URL of ``proxy_pass``.

    :ivar host: host and port as written, the name of an ``upstream`` group, or a unix socket.
    :ivar uri: the rest, perhaps empty.
    """

    scheme: str
    host: str
    uri: str


def target(url: str) -> Optional[Target]:
    """The parts of a URL; None where nginx would refuse it."""
    match = _URL.fullmatch(url)
    return Target(match["scheme"], match["host"].rstrip(":") if match["host"].startswith("unix:") else match["host"],
                  match["uri"]) if match else None


def endpoint(text: str, port: int = 80) -> Endpoint:
    """The endpoint of an address in ``server`` or ``proxy_pass``."""
    if text.startswith("unix:"):
        return Endpoint(text, 0)
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]+)(?::([0-9]{1,9}))?", text)
    if match is None:
        return Endpoint(text, port)
    return Endpoint(match[1].strip("[]"), int(match[2] or port))


def without_port(host: str) -> str:
    """The host of a Host header, as in :class:`certbot_autowebroot.route.Request`."""
    host = host.lower()
    return host if host.startswith("unix:") else re.sub(r":\d*$", "", host).strip("[]")


def groups(directives: Iterable[Directive]) -> Dict[str, Tuple[Endpoint, ...]]:
    """The members of each ``upstream`` block, with backups; without those marked ``down``, which get no request."""
    by_name: Dict[str, Tuple[Endpoint, ...]] = {}
    for directive in directives:
        members: List[Endpoint] = [endpoint(server.args[0]) for server in directive.block or ()
                                   if server.name == "server" and server.args and "down" not in server.args]
        if directive.args:
            by_name.setdefault(directive.args[0].lower(), tuple(members))
    return by_name


def members(host: str, scheme: str, known: Dict[str, Tuple[Endpoint, ...]]) -> Tuple[Endpoint, ...]:
    """The members of the group with this name, else the address itself."""
    if host.lower() in known:
        return known[host.lower()]
    return (endpoint(host, _PORTS[scheme]),)
