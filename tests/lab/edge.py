"""What stands in front of machines: a balancer, and a CDN's edge. Both are HAProxy, in the network of the outside."""
from pathlib import Path
from typing import Sequence

from tests.lab.certificates import expired
from tests.lab.haproxy import Haproxy
from tests.lab.outside import BALANCER
from tests.lab.outside import EDGE_V4
from tests.lab.outside import EDGE_V6

_EDGE = """\
frontend edge
    bind {address}:80,[{v6}]:80
    bind {address}:443,[{v6}]:443 ssl crt {certificate}
    {rules}
    http-after-response set-header Server cdn
    http-after-response set-status 521 if {{ status 503 }}
    use_backend secure if {{ ssl_fc }}
    default_backend plain
backend plain
    server origin {plain}
backend secure
    server origin {secure}
"""


def balancer(directory: Path, *members: str, options: str = "") -> Haproxy:
    """A balancer of TCP connections to these machines, by turns.

    :param options: of each member: ``send-proxy``.
    """
    directory.mkdir()
    servers = "".join(f"server s{number} {member}:80 {options}\n" for number, member in enumerate(members))
    return Haproxy(directory, f"""listen balancer
        mode tcp
        bind {BALANCER}:80
        balance roundrobin
        {servers}""", address=BALANCER)


def edge(directory: Path, name: str, origin: str, mode: str = "flexible", *, https_only: bool = False,
         challenge: Sequence[str] = ()) -> Haproxy:
    """A CDN that ends TLS at its edge, and answers 521 for an origin that refuses.

    :param origin: the machine's address.
    :param mode: for a request over TLS, ``flexible`` comes to the origin's port 80, ``full`` to 443. For all requests,
        ``tls`` comes to 443, and ``h2c`` to 80 by HTTP/2 without TLS.
    :param https_only: it answers plain requests with a redirect.
    :param challenge: the User-Agents that get a page with a puzzle, and 403.
    """
    directory.mkdir()
    crt, key = expired(directory, name)
    both = directory / "both.pem"
    both.write_bytes(crt.read_bytes() + key.read_bytes())
    rules = [f"http-request deny deny_status 403 if {{ hdr_sub(user-agent) {agent} }}" for agent in challenge]
    if https_only:
        # pebble's Host header has a port, Let's Encrypt's has none.
        rules.append("http-request redirect code 301 location https://%[hdr(host),field(1,:)]%[path] if !{ ssl_fc }")
    by_tls = f"{origin}:443 ssl verify none"
    by_http = f"{origin}:80" + (" proto h2" if mode == "h2c" else "")
    config = _EDGE.format(address=EDGE_V4, v6=EDGE_V6, certificate=both, rules="\n".join(rules),
                          plain=by_tls if mode == "tls" else by_http,
                          secure=by_tls if mode in ("full", "tls") else by_http)
    return Haproxy(directory, config, address=EDGE_V4)
