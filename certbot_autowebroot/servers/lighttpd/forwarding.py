"""Lines with which lighttpd sends challenges to another machine. *Pure*."""
from typing import Sequence

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import ForwardingError
from certbot_autowebroot.interfaces import IForwardsChallenges
from certbot_autowebroot.route import in_url
from certbot_autowebroot.servers.common.forwarding import ON_THE_OTHERS
from certbot_autowebroot.servers.common.snippet import commented

moduleProvides(IForwardsChallenges)

#: Values that may be set for all requests, and count before a request is passed on, are set back.
_RESET = ("    url.rewrite-once = ()",
          "    url.rewrite-repeat = ()",
          "    url.rewrite-if-not-file = ()",
          "    url.access-deny = ()",
          "    auth.require = ()")


def redirect(host: str) -> str:
    """A file that comes after all others."""
    return _file(host, "mod_redirect", f'    url.redirect = ( "" => "http://{in_url(host)}${{url.path}}${{qsa}}" )',
                 "    url.redirect-code = 302")


def proxy(host: str) -> str:
    """A file that comes after all others. mod_proxy keeps the Host header."""
    return _file(host, "mod_proxy", "    url.redirect = ()", "    fastcgi.server = ()", "    cgi.assign = ()",
                 f'    proxy.server = ( "" => (( "host" => "{host}", "port" => 80 )) )')


def ask_peers(peers: Sequence[str], directory: str) -> str:
    """mod_proxy returns the first response.

    :raises ForwardingError: always.
    """
    raise ForwardingError("lighttpd cannot ask another machine after a 404: use --to with the machine that renews.")


def _file(host: str, module: str, *values: str) -> str:
    return commented(f"""
        File: /etc/lighttpd/conf-available/99-autowebroot.conf

        It must come after every other condition ($HTTP["host"] == ...) that says something of the same: what is said
        last counts. Of lines whose module is not loaded lighttpd warns; they may be left out.
{ON_THE_OTHERS.format(host=host)}
        Then run:
            lighty-enable-mod autowebroot && lighttpd -tt -f /etc/lighttpd/lighttpd.conf && systemctl reload lighttpd
        """, [f'server.modules += ( "{module}" )',
              r'$HTTP["url"] =~ "^/\.well-known/acme-challenge/" {', *_RESET, *values, "}"])
