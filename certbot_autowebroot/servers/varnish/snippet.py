"""Lines with which Varnish, which serves no files, passes challenges on to the plugin."""
import re
import shlex
from typing import List
from typing import Optional

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import Edit
from certbot_autowebroot.interfaces import IHasSnippet
from certbot_autowebroot.interfaces import SiteLines
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Trail
from certbot_autowebroot.servers import varnish
from certbot_autowebroot.servers.common.snippet import LISTENER
from certbot_autowebroot.servers.common.snippet import commented
from certbot_autowebroot.system.processes import Process

moduleProvides(IHasSnippet)

_HOST, _PORT = LISTENER.split(":")
#: The last backend, for the first one is the default for all requests. Only the plugin listens there, during an order.
BACKEND = ("backend autowebroot {",
           f'    .host = "{_HOST}";',
           f'    .port = "{_PORT}";',
           "}")


def lines() -> List[str]:
    """For the beginning of a VCL: of several subroutines with one name, Varnish runs the first one first, vcl(7).

    They need :data:`BACKEND`, which may come later.
    """
    return ["sub vcl_recv {",
            r'    if (req.url ~ "^/\.well-known/acme-challenge/") {',
            "        set req.backend_hint = autowebroot;",
            "        return (pass);",
            "    }",
            "}"]


def for_site(process: Process, request: Request, trail: Trail, directory: str) -> Optional[SiteLines]:
    """The lines behind the version at the top of the VCL; none where Varnish runs without one."""
    path = varnish.main_file(process)
    try:
        text = process.view.read(path).decode("utf-8", "replace") if path else ""
    except OSError:
        return None
    version = next((number for number, line in enumerate(text.splitlines(), 1)
                    if re.match(r"\s*vcl\s+4\.[0-9]+\s*;", line)), 0)
    if not version:
        return None
    source, text_lines = Source(path, version), tuple(lines())
    return SiteLines(
        source, text_lines, f"behind {source}, which has the version of the VCL",
        f"varnishd -C -f {shlex.quote(path)} > /dev/null, and reload Varnish (varnishreload)", at_the_end=BACKEND,
        edits=(Edit(path, version + 1, text_lines), Edit(path, 0, BACKEND)))


def for_every_site(directory: str) -> str:
    """A subroutine and a backend."""
    return commented(f"""
        File: /etc/varnish/default.vcl

        Varnish serves no files. It sends challenges to {LISTENER}, where the plugin itself listens during a renewal,
        and nobody else ever. The subroutine goes behind the line with the version (vcl 4.1;), before every other
        vcl_recv; the backend goes to the end of the file, for the first one is the default.
        Then run:
            varnishd -C -f /etc/varnish/default.vcl > /dev/null && systemctl reload varnish
        """, [*lines(), "", *BACKEND])
