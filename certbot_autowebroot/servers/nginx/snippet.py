"""Lines with which nginx serves one directory for challenges. *Pure*."""
from typing import List
from typing import Optional

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import IHasSnippet
from certbot_autowebroot.interfaces import SiteLines
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Trail
from certbot_autowebroot.servers.common.snippet import commented
from certbot_autowebroot.servers.common.snippet import first_step
from certbot_autowebroot.servers.common.snippet import mkdir_command
from certbot_autowebroot.system.processes import Process

moduleProvides(IHasSnippet)


def lines(directory: str) -> List[str]:
    """For the beginning of a ``server`` block.

    ``rewrite ... break`` ends what ngx_http_rewrite_module does at the level of the server: no ``return``, ``rewrite``
    or ``if`` after it is run. ``^~`` keeps locations by regular expression out, such as those that deny dot files
    (ngx_http_core_module, "location"). Access rules of a server are not inherited where a location has its own.
    """
    return [r"rewrite ^/\.well-known/acme-challenge/ $uri break;",
            f"location ^~ {CHALLENGE_PATH} {{",
            f"    root {directory};",
            "    allow all;",
            "    auth_basic off;",
            "    auth_request off;",
            "}"]


def for_site(process: Process, request: Request, trail: Trail, directory: str) -> Optional[SiteLines]:
    """The lines for a server block; none for a stream. nginx does not start with the same location twice."""
    block = first_step(trail, "server ")
    if block is None or block.source is None:
        return None
    where = f"into the server block at {block.source}, as its first lines"
    replaced = first_step(trail, f"location {CHALLENGE_PATH}", f"location ^~ {CHALLENGE_PATH}")
    if replaced:
        where += f", in place of its location at {replaced.source}"
    return SiteLines(block.source, tuple(lines(directory)), where, f"{process.name} -t, and reload {process.name}")


def for_every_site(directory: str) -> str:
    """A file that each server block includes."""
    return commented(f"""
        File: /etc/nginx/snippets/autowebroot.conf

        nginx has no location for all sites at once. Write the line
            include snippets/autowebroot.conf;
        into every server block, those for port 443 too, as its first line: a return, rewrite or if of the server block
        that comes before it still wins. A location {CHALLENGE_PATH} that the block has already must go.
        Where nginx does not know auth_request, leave that line out.
        Then run:
            {mkdir_command(directory)}
            nginx -t && systemctl reload nginx
        """, lines(directory))
