"""Lines with which HAProxy, which serves no files, passes challenges on to the plugin. *Pure*."""
import posixpath
import re
import shlex
from typing import List
from typing import Optional

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import Edit
from certbot_autowebroot.interfaces import IHasSnippet
from certbot_autowebroot.interfaces import SiteLines
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Trail
from certbot_autowebroot.servers import haproxy
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
    file, line = section.source
    edits = [Edit(file, line, tuple(lines()), r"\A[^\n]*\n?"), Edit(file, 0, BACKEND)]
    if redirect and redirect.source:
        edits.append(Edit(*redirect.source, (excepted(redirect.text),), instead=True))
    return SiteLines(
        section.source, tuple(lines()),
        f"into {section.text} at {section.source}, the first before all other http-request lines and the second before "
        "all other use_backend lines",
        f"{test_command(process)}, and reload HAProxy", at_the_end=BACKEND, edits=tuple(edits),
        besides=f'and put "{excepted(redirect.text)}" in place of "{redirect}", for it is taken first'
        if redirect else "")


def excepted(line: str) -> str:
    """A rule that leaves the CA's path out. Conditions are joined by "and"; "or" divides them (manual, 7.2)."""
    condition = f"{{ path_beg {CHALLENGE_PATH} }}"
    if " unless " in line:
        return f"{line} or {condition}"
    rule, has_condition, alternatives = line.partition(" if ")
    if not has_condition:
        return f"{line} unless {condition}"
    return f"{rule} if " + " or ".join(f"{one} !{condition}" for one in re.split(r" (?:or|\|\|) ", alternatives))


def test_command(process: Process) -> str:
    """HAProxy's test of the configuration with which it runs."""
    directory = haproxy.directory(process)
    files = [word for path in haproxy.config_paths(process.argv) for word in ("-f", posixpath.join(directory, path))]
    return shlex.join([process.name, "-c", *files])


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
