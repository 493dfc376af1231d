"""Lines with which Caddy serves one directory for challenges."""
import posixpath
import shlex
from typing import Iterator
from typing import List

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import Edit
from certbot_autowebroot.interfaces import IHasSnippet
from certbot_autowebroot.interfaces import SiteLines
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Trail
from certbot_autowebroot.servers.caddy import sites
from certbot_autowebroot.servers.caddy.source import caddyfile
from certbot_autowebroot.servers.common.snippet import commented
from certbot_autowebroot.servers.common.snippet import mkdir_command
from certbot_autowebroot.system.processes import Process

moduleProvides(IHasSnippet)

#: Steps that Caddy takes before any ``handle`` (Caddyfile, "Directive order").
_BEFORE_HANDLE = ("redirect to ", "rewrite ")


def lines(directory: str) -> List[str]:
    """For a site block. Of several ``handle`` one is taken, the longest path's (Caddyfile, "handle")."""
    return [f"handle {CHALLENGE_PATH}* {{",
            f"    root * {directory}",
            "    file_server",
            "}"]


def for_site(process: Process, request: Request, trail: Trail, directory: str) -> Iterator[SiteLines]:
    """The lines for the block of the site in the Caddyfile; none for a Caddy that runs without a Caddyfile.

    The trail is the running configuration's, which does not name the Caddyfile's lines.
    """
    site = sites.site(process, request.host)
    if site is None or site.source is None:
        return
    before = next((step for step in trail if step.text.startswith(_BEFORE_HANDLE)), None)
    text = tuple(lines(directory))
    alone = SiteLines(
        site.source, text, f"into the block of {site.text} at {site.source}", reload_command(process),
        edits=(Edit(site.source.file, site.source.line, text, r"\A[^\n]*\n?"),) if site.source.line else ())
    if before is not None:  # no model of it: offered unless the lines alone help
        yield alone._replace(
            edits=(), besides=f'and put what says "{before}" into a "handle {{ }}" of its own, for it is taken first')
    if before is None or alone.edits:
        yield alone


def reload_command(process: Process) -> str:
    """Caddy's test and reload of the Caddyfile with which it runs: without a name, the current directory's."""
    path = caddyfile(process)
    # "caddy reload", of the manual's "Command Line": the adapter is known by the beginning of the name only.
    adapter = [] if posixpath.basename(path).startswith("Caddyfile") else ["--adapter", "caddyfile"]
    return shlex.join([process.name, "reload", "--config", path, *adapter])


def for_every_site(directory: str) -> str:
    """A snippet of a Caddyfile. With tabs: else Caddy warns that its file is not formatted."""
    return commented(f"""
        File: /etc/caddy/Caddyfile, after the global options and before the first site

        Caddy has no handler for all sites at once. Write the line
            import autowebroot
        into every site block. What Caddy does before any handle of a site still wins: redir, rewrite, try_files,
        basic_auth (basicauth before 2.8) and forward_auth (Caddyfile, "Directive order"). Put these into a
        "handle {{ }}" of their own. (A redir to https needs no change, where the site on https is here too.)
        Then run:
            {mkdir_command(directory)}
            systemctl reload caddy
        """, ["(autowebroot) {", *("\t" + line.replace("    ", "\t") for line in lines(directory)), "}"])
