"""Lines with which lighttpd serves one directory for challenges. *Pure*."""
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
from certbot_autowebroot.servers import lighttpd
from certbot_autowebroot.servers.common.snippet import commented
from certbot_autowebroot.servers.common.snippet import first_step
from certbot_autowebroot.servers.common.snippet import mkdir_command
from certbot_autowebroot.system.processes import Process

moduleProvides(IHasSnippet)


def lines(directory: str) -> List[str]:
    """For the end of the configuration: of several conditions that are true, the last one's values count.

    Values that may be set for all requests, and are heeded before a file is opened, are set back. Settings of modules
    that are not loaded are ignored with a warning.
    """
    return ['server.modules += ( "mod_alias" )',
            r'$HTTP["url"] =~ "^/\.well-known/acme-challenge/" {',
            f'    alias.url = ( "{CHALLENGE_PATH}" => "{directory}{CHALLENGE_PATH}" )',
            "    url.redirect = ()",
            "    url.rewrite-once = ()",
            "    url.rewrite-repeat = ()",
            "    url.rewrite-if-not-file = ()",
            "    url.access-deny = ()",
            "    auth.require = ()",
            "    proxy.server = ()",
            "    fastcgi.server = ()",
            "    cgi.assign = ()",
            "}"]


def for_site(process: Process, request: Request, trail: Trail, directory: str) -> Iterator[SiteLines]:
    """The lines for the end of the file that has the last line of the trail; else, of the main file."""
    last = first_step(trail[::-1], "")
    if last is None or last.source is None:
        return
    main = lighttpd.config_path(process.argv)
    text = tuple(lines(directory))
    test = shlex.join([process.name, "-tt", "-f", main]) if main else "lighttpd -tt -f with its configuration"
    for file in dict.fromkeys([last.source.file, *([main] if main and main.startswith("/") else [])]):
        yield SiteLines(
            last.source._replace(file=file), text, f"at the end of {file}",
            f"{test} (what it warns of may be left out), and restart lighttpd", edits=(Edit(file, 0, text),))


def for_every_site(directory: str) -> str:
    """A file that comes after all others."""
    return commented(f"""
        File: /etc/lighttpd/conf-available/99-autowebroot.conf

        It must come after every other condition ($HTTP["host"] == ...) that says something of the same: what is said
        last counts. Of lines whose module is not loaded lighttpd warns; they may be left out.
        Then run:
            {mkdir_command(directory)}
            lighty-enable-mod autowebroot && lighttpd -tt -f /etc/lighttpd/lighttpd.conf && systemctl reload lighttpd
        """, lines(directory))
