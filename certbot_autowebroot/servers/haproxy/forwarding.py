"""Lines with which HAProxy sends challenges to another machine. *Pure*."""
from typing import List
from typing import Sequence

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import IForwardsChallenges
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import in_url
from certbot_autowebroot.servers.common.forwarding import CONNECT_SECONDS
from certbot_autowebroot.servers.common.forwarding import ON_THE_OTHERS
from certbot_autowebroot.servers.common.forwarding import PEER_HEADER
from certbot_autowebroot.servers.common.snippet import LISTENER
from certbot_autowebroot.servers.common.snippet import commented

moduleProvides(IForwardsChallenges)

#: How often each peer may be asked.
_ROUNDS = 3
_CHALLENGE = f"{{ path_beg {CHALLENGE_PATH} }}"
_ALLOW = f"    http-request allow if {_CHALLENGE}"
_RUN = """Then run:
            haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy"""


def redirect(host: str) -> str:
    """A line for every frontend."""
    return commented(f"""
        File: /etc/haproxy/haproxy.cfg, in every frontend that clients come to, for http and https, before all other
        http-request lines. A "redirect" (not an "http-request redirect") still wins.
{ON_THE_OTHERS.format(host=host)}
        {_RUN}
        """, [f"    http-request redirect prefix http://{in_url(host)} code 302 if {_CHALLENGE}"])


def proxy(host: str) -> str:
    """Lines for every frontend, and a backend. The Host header stays as it is."""
    return _with_backends(
        ON_THE_OTHERS.format(host=host), [f"    use_backend autowebroot if {_CHALLENGE}"],
        ["backend autowebroot", "    mode http", f"    timeout connect {CONNECT_SECONDS}s", _server("renews", host)])


def ask_peers(peers: Sequence[str], directory: str) -> str:
    """Lines for every frontend, and two backends: HAProxy serves no files, so the plugin is asked as a peer is.

    ``redispatch 1`` takes the next server for each retry: the next one of all requests together, so requests at the
    same time (the CA has several perspectives) need more retries than there are servers. Measured with 10 requests at a
    time and a retry for each peer: 2 of 40 got a 404 for a file that one peer had. Before a retry on the same server
    HAProxy waits for 1 s, so the backend with the plugin alone does not retry. ``http-after-response`` is of HAProxy
    2.2.
    """
    plugin = f"    server plugin {LISTENER}"
    missing = "    http-after-response set-status 404 if { status 502:504 }"
    asked = f"{{ req.hdr({PEER_HEADER}) -m found }}"
    return _with_backends(
        f"""
        These lines are the same on every machine. HAProxy serves no files: it asks {LISTENER}, where the plugin itself
        listens during a renewal, and the peers, itself among them, until one has the file.
        """,
        [f"    use_backend autowebroot if {_CHALLENGE} {asked}", f"    use_backend autowebroot_peers if {_CHALLENGE}"],
        ["backend autowebroot", "    mode http", "    retries 0", missing, plugin, "",
         "backend autowebroot_peers", "    mode http", "    balance roundrobin",
         f"    timeout connect {CONNECT_SECONDS}s",
         f"    retries {_ROUNDS * len(peers)}", "    option redispatch 1",
         "    retry-on 404 502 503 504 conn-failure empty-response response-timeout",
         f"    http-request set-header {PEER_HEADER} 1", missing, plugin,
         *(_server(f"peer{number}", peer) for number, peer in enumerate(peers, 1))])


def _server(name: str, host: str) -> str:
    """HAProxy starts also where the name cannot be resolved."""
    return f"    server {name} {in_url(host)}:80 init-addr last,libc,none"


def _with_backends(comment: str, rules: List[str], backends: List[str]) -> str:
    return commented(f"""
        File: /etc/haproxy/haproxy.cfg
{comment}
        The lines before the first backend go into every frontend that clients come to, for http and https: the first
        before all other http-request lines, the others before all other use_backend lines. A "redirect" (not an
        "http-request redirect") still wins. The rest goes to the end of the file.
        {_RUN}
        """, [_ALLOW, *rules, "", *backends])
