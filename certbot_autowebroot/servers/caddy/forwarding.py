"""Lines with which Caddy sends challenges to another machine. *Pure*."""
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

moduleProvides(IForwardsChallenges)

_TRANSPORT = ["transport http {", f"\tdial_timeout {CONNECT_SECONDS}s", "}"]
_RUN = "systemctl reload caddy"


def redirect(host: str) -> str:
    """A snippet of a Caddyfile."""
    return _snippet(ON_THE_OTHERS.format(host=host), [f"redir http://{in_url(host)}{{uri}} 302"])


def proxy(host: str) -> str:
    """A snippet of a Caddyfile. Caddy keeps the Host header (Caddyfile, "reverse_proxy", "Headers")."""
    return _snippet(ON_THE_OTHERS.format(host=host),
                    [f"reverse_proxy {in_url(host)}:80 {{", *_indented(_TRANSPORT), "}"])


def ask_peers(peers: Sequence[str], directory: str) -> str:
    """A snippet of a Caddyfile."""
    return _snippet("""
        These lines are the same on every machine. A machine that has the file in its shared directory serves it;
        else it asks the peers, itself among them, until one has it.
        """, [f"root * {directory}",
              "@here file",
              "handle @here {",
              "\tfile_server",
              "}",
              f"@peer header {PEER_HEADER} *",
              "handle @peer {",
              "\trespond 404",
              "}",
              "handle {",
              *_indented(_asking(peers, 0)),
              "}"], f"{mkdir_command(directory)}\n            {_RUN}")


def _asking(peers: Sequence[str], first: int) -> List[str]:
    """Ask the peers from this one on; the response of each that has no file leads to the next.

    ``handle_response`` is not for a connection that fails: for this, the others stand behind each peer, which
    ``fail_duration`` lets ``lb_policy first`` pass over.
    """
    if first == len(peers):
        return ["respond 404"]
    upstreams = " ".join(f"{in_url(peer)}:80" for peer in (*peers[first:], *peers[:first]))
    return [f"reverse_proxy {upstreams} {{",
            *_indented(["lb_policy first",
                        "lb_try_duration 5s",
                        "lb_try_interval 10ms",
                        "fail_duration 5s",
                        f"header_up {PEER_HEADER} 1",
                        *_TRANSPORT,
                        "@missing status 3xx 4xx 5xx",
                        "handle_response @missing {",
                        *_indented(_asking(peers, first + 1)),
                        "}"]),
            "}"]


def _indented(lines: Sequence[str]) -> List[str]:
    return ["\t" + line for line in lines]


def _snippet(comment: str, lines: Sequence[str], run: str = _RUN) -> str:
    return commented(f"""
        File: /etc/caddy/Caddyfile, after the global options and before the first site

        Write the line
            import autowebroot
        into every site block. What Caddy does before any handle of a site still wins: redir, rewrite, try_files,
        basic_auth (basicauth before 2.8) and forward_auth. Put these into a "handle {{ }}" of their own.
{comment}
        Then run:
            {run}
        """, ["(autowebroot) {", f"\thandle {CHALLENGE_PATH}* {{", *_indented(_indented(lines)), "\t}", "}"])
