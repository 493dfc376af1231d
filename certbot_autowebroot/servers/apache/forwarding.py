"""Lines with which Apache httpd sends challenges to another machine. *Pure*."""
from typing import Sequence

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import ForwardingError
from certbot_autowebroot.interfaces import IForwardsChallenges
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import in_url
from certbot_autowebroot.servers.common.forwarding import CONNECT_SECONDS
from certbot_autowebroot.servers.common.forwarding import ON_THE_OTHERS
from certbot_autowebroot.servers.common.snippet import commented

moduleProvides(IForwardsChallenges)


def redirect(host: str) -> str:
    """A file that the main server includes. The redirect comes before any access rule."""
    return _file(host, f"http://{in_url(host)}{CHALLENGE_PATH}$1", "R=302,END", "rewrite")


def proxy(host: str) -> str:
    """A file that the main server includes. ``ProxyPreserveHost`` is also for a ``<Location>``."""
    return _file(host, f"http://{in_url(host)}{CHALLENGE_PATH}$1", "P", "rewrite proxy_http",
                 "    Require all granted",
                 "    <IfModule mod_access_compat.c>",
                 "        Satisfy Any",
                 "    </IfModule>",
                 "    ProxyPreserveHost On",
                 f"    ProxyPass http://{in_url(host)}{CHALLENGE_PATH} connectiontimeout={CONNECT_SECONDS}")


def ask_peers(peers: Sequence[str], directory: str) -> str:
    """Neither mod_proxy nor mod_proxy_balancer asks another server after a 404.

    :raises ForwardingError: always.
    """
    raise ForwardingError("Apache cannot ask another machine after a 404: use --to with the machine that renews.")


def _file(host: str, target: str, flags: str, modules: str, *section: str) -> str:
    location = [f"<Location {CHALLENGE_PATH}>", *section, "</Location>"] if section else []
    return commented(f"""
        File: /etc/apache2/conf-available/autowebroot.conf

        This holds for all virtual hosts. One that has Redirect, "RewriteEngine Off", "RewriteOptions Inherit" or
        ProxyPass in a <Location> needs this besides, as its first line and in place of a "RewriteEngine Off":
            Include conf-available/autowebroot.conf
        RewriteRules that stand outside of virtual hosts hold in all of them from now on.
{ON_THE_OTHERS.format(host=host)}
        Then run:
            a2enmod {modules} && a2enconf autowebroot && apache2ctl configtest && systemctl restart apache2
        """, ["RewriteEngine On",
              "RewriteOptions InheritDownBefore",
              rf'RewriteRule "^/\.well-known/acme-challenge/([\w-]+)$" "{target}" [{flags}]',
              *location])
