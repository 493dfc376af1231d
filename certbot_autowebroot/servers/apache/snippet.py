"""Lines with which Apache httpd serves one directory for challenges. *Pure*."""
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


def lines(directory: str, with_order: bool = False) -> List[str]:
    """For the beginning of a ``<VirtualHost>``.

    mod_rewrite comes before ``Redirect``, ``ProxyPass`` and ``Alias`` in any order, and after its flag ``END`` no
    ``.htaccess`` rewrites. ``<If>`` is merged after all other sections ("Configuration Sections", "How the sections are
    merged").

    :param with_order: the host refuses by ``Order`` and ``Deny`` of Apache 2.2 (mod_access_compat), which count besides
        ``Require`` but for ``Satisfy Any``.
    """
    satisfied = ["    <IfModule mod_access_compat.c>", "        Satisfy Any", "    </IfModule>"] if with_order else []
    return ["RewriteEngine On",
            rf'RewriteRule "^/\.well-known/acme-challenge/([\w-]+)$" "{directory}{CHALLENGE_PATH}$1" [END]',
            r'<If "%{REQUEST_URI} =~ m#^/\.well-known/acme-challenge/#">',
            "    Require all granted",
            "    SetHandler None",
            *satisfied,
            "</If>"]


def for_site(process: Process, request: Request, trail: Trail, directory: str) -> Optional[SiteLines]:
    """The lines for a virtual host; else for the main server, before its last line that counts for the request."""
    host = first_step(trail, "<VirtualHost")
    step = host or first_step(trail[::-1], "")
    if step is None or step.source is None:
        return None
    refuses = any(step.text.lower().startswith(("order ", "deny ", "allow ")) for step in trail)
    where = f"into the <VirtualHost> at {step.source}, as its first lines" if host else \
        f"before {step.source}, outside of any section"
    return SiteLines(step.source, tuple(lines(directory, with_order=refuses)), where,
                     "a2enmod rewrite (or whatever loads mod_rewrite there), and reload Apache")


def for_every_site(directory: str) -> str:
    """A file that the main server includes."""
    engine, rule, *section = lines(directory, with_order=True)
    return commented(f"""
        File: /etc/apache2/conf-available/autowebroot.conf

        This holds for all virtual hosts. One that has Redirect, "RewriteEngine Off", "RewriteOptions Inherit", an Alias
        for / or for this path, or ProxyPass in a <Location> needs this besides, as its first line and in place of a
        "RewriteEngine Off":
            Include conf-available/autowebroot.conf
        (A Redirect to https does not, where the site on https is here too.) RewriteRules that stand outside of virtual
        hosts hold in all of them from now on. What a virtual host says in an <If>, and a Redirect in a <Location>,
        still wins.
        Then run:
            {mkdir_command(directory)}
            a2enmod alias rewrite && a2enconf autowebroot && apache2ctl configtest && systemctl restart apache2
        """, [f"Alias {CHALLENGE_PATH} {directory}{CHALLENGE_PATH}",
              engine, "RewriteOptions InheritDownBefore", rule, *section,
              "<IfModule mod_proxy.c>",
              f"    <Location {CHALLENGE_PATH}>",
              "        ProxyPass !",
              "    </Location>",
              "</IfModule>"])
