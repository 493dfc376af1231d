"""Lines with which nginx sends challenges to another machine. *Pure*."""
from typing import List
from typing import Sequence

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import IForwardsChallenges
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import in_url
from certbot_autowebroot.servers.common.forwarding import CONNECT_SECONDS
from certbot_autowebroot.servers.common.forwarding import ON_THE_OTHERS
from certbot_autowebroot.servers.common.forwarding import PEER_HEADER
from certbot_autowebroot.servers.common.snippet import commented
from certbot_autowebroot.servers.common.snippet import mkdir_command
from certbot_autowebroot.servers.nginx.snippet import FOR_ALL
from certbot_autowebroot.servers.nginx.snippet import NO_REWRITES

moduleProvides(IForwardsChallenges)

_PROXY = ("    proxy_set_header Host $host;", f"    proxy_connect_timeout {CONNECT_SECONDS}s;")

_WHERE = f"""
        File: /etc/nginx/snippets/autowebroot.conf

        Write the line
            include snippets/autowebroot.conf;
        into every server block, those for port 443 too, as its first line. A location {CHALLENGE_PATH} that
        the block has already must go. Where nginx does not know auth_request, leave that line out.
"""
_RUN = "nginx -t && systemctl reload nginx"


def redirect(host: str) -> str:
    """A file that each server block includes. ``return`` comes before any access rule."""
    return _to(host, [f"    return 302 http://{in_url(host)}$request_uri;"])


def proxy(host: str) -> str:
    """A file that each server block includes. nginx resolves a name when it starts."""
    return _to(host, [f"    proxy_pass http://{in_url(host)};", *_PROXY, *FOR_ALL])


def _to(host: str, content: List[str]) -> str:
    return commented(f"""{_WHERE}{ON_THE_OTHERS.format(host=host)}
        Then run:
            {_RUN}
        """, [NO_REWRITES, f"location ^~ {CHALLENGE_PATH} {{", *content, "}"])


def ask_peers(peers: Sequence[str], directory: str) -> str:
    """A file that each server block includes, and one for ``http``.

    A named location has access rules of its own, for nginx checks them again there. Without ``max_fails=0``, nginx
    would not ask a peer for 10 s after it has answered 404 (ngx_http_upstream_module, "max_fails").
    The answer is 404 also where the last peer that it asks is down.
    """
    upstream = commented("""
        File: /etc/nginx/conf.d/autowebroot-peers.conf
        """, ["upstream autowebroot_peers {", *(f"    server {in_url(peer)} max_fails=0;" for peer in peers), "}"])
    return upstream + "\n" + commented(f"""{_WHERE}
        Both files are the same on every machine. A machine that has the file in its shared directory serves it;
        else it asks the peers, itself among them, until one has it.
        Then run:
            {mkdir_command(directory)}
            {_RUN}
        """, [NO_REWRITES,
              f"location ^~ {CHALLENGE_PATH} {{",
              f"    root {directory};",
              *FOR_ALL,
              "    try_files $uri @autowebroot_peers;",
              "}",
              "location @autowebroot_peers {",
              f"    if ($http_{PEER_HEADER.lower().replace('-', '_')}) {{ return 404; }}",
              *FOR_ALL,
              "    proxy_pass http://autowebroot_peers;",
              *_PROXY,
              f"    proxy_set_header {PEER_HEADER} 1;",
              "    proxy_next_upstream error timeout http_404;",
              "    error_page 502 504 = @autowebroot_missing;",
              "}",
              "location @autowebroot_missing {",
              "    return 404;",
              "}"])
