"""Lines with which HAProxy, which serves no files, passes challenges on to the plugin. *Pure*."""
from typing import List
from typing import Optional

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import IHasSnippet
from certbot_autowebroot.interfaces import SiteLines
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Trail
from certbot_autowebroot.servers.common.snippet import LISTENER
from certbot_autowebroot.servers.common.snippet import commented
from certbot_autowebroot.servers.common.snippet import first_step
from certbot_autowebroot.system.processes import Process

moduleProvides(IHasSnippet)

#: The section that the lines of a frontend name. Only the plugin listens there, during an order.
BACKEND = ("backend autowebroot",
           f"    server autowebroot {LISTENER}")


def lines() -> List[str]:
    """For a ``frontend``. ``allow`` ends its ``http-request`` rules, and the first ``use_backend`` that is true counts.

    They need :data:`BACKEND`.
    """
    return [f"http-request allow if {{ path_beg {CHALLENGE_PATH} }}",
            f"use_backend autowebroot if {{ path_beg {CHALLENGE_PATH} }}"]


def for_site(process: Process, request: Request, trail: Trail, directory: str) -> Optional[SiteLines]:
    """The lines for a frontend; none where it passes connections on without reading requests."""
    section = first_step(trail, "frontend ", "listen ")
    if section is None or section.source is None or "(mode tcp)" in section.text:
        return None
    redirect = first_step(trail, "redirect ")
    return SiteLines(
        section.source, tuple(lines()),
        f"into {section.text} at {section.source}, the first before all other http-request lines and the second before "
        "all other use_backend lines",
        "haproxy -c -f with its configuration, and reload HAProxy", at_the_end=BACKEND,
        besides=f'and let "{redirect}" except this path, for it is taken first: unless '
                f"{{ path_beg {CHALLENGE_PATH} }}" if redirect else "")


def for_every_site(directory: str) -> str:
    """Lines for every frontend, and a section."""
    return commented(f"""
        File: /etc/haproxy/haproxy.cfg

        HAProxy serves no files. It sends challenges to {LISTENER}, where the plugin itself listens during a renewal,
        and nobody else ever. The first two lines go into every frontend that clients come to, for http and https: the
        first before all other http-request lines, the second before all other use_backend lines. A "redirect" (not an
        "http-request redirect") still wins. The last two lines are a section, for the end of the file.
        Then run:
            haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy
        """, [*("    " + line for line in lines()), "", *BACKEND])
