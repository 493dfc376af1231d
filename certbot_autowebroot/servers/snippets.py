"""Lines of configuration with which a web server serves one directory for challenges. *Pure* text.

The lines of a server stand in one site; :func:`for_every_site` adds where they go so that every site has them. Each has
been tried in the real server beside sites that redirect, refuse or pass on everything else.
"""
import re
import textwrap
from typing import Callable
from typing import Dict
from typing import List

from certbot_autowebroot.route import CHALLENGE_PATH

#: Where a listener of ours answers for HAProxy, which serves no files. Below 1024, for whoever can listen there gets
#: certificates for all names; and among the ports that SELinux takes for web servers' (``http_port_t``).
LISTENER = "127.0.0.1:488"

_PATH = re.compile(r"(/[\w.+@-]+)+", re.ASCII)


def proper(directory: str) -> str:
    """A directory as it may stand in every server's configuration, without quotes.

    :raises ValueError: it may not; the text says why.
    """
    directory = directory.rstrip("/")
    if not _PATH.fullmatch(directory) or re.search(r"/\.\.?(/|$)", directory):
        raise ValueError("the directory has to be an absolute path of letters, digits and . _ - + @")
    return directory


def making(directory: str) -> str:
    """The command that makes the directory, so that every server's workers may enter it."""
    return f"install -d -m 755 {directory}"


def nginx(directory: str) -> List[str]:
    """For the beginning of a ``server`` block.

    ``rewrite ... break`` ends what ngx_http_rewrite_module does at the level of the server: no ``return``, ``rewrite``
    or ``if`` after it is run. ``^~`` keeps locations by regular expression out, such as those that deny dot files
    (ngx_http_core_module, "location"). What a server says of access is not inherited where a location says its own.
    """
    return [r"rewrite ^/\.well-known/acme-challenge/ $uri break;",
            f"location ^~ {CHALLENGE_PATH} {{",
            f"    root {directory};",
            "    allow all;",
            "    auth_basic off;",
            "    auth_request off;",
            "}"]


def apache(directory: str, with_order: bool = False) -> List[str]:
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


def lighttpd(directory: str) -> List[str]:
    """For the end of the configuration: of several conditions that are true, the last one's values count.

    What may be said of all requests, and is taken before a file is looked for, is set back. Settings of modules that
    are not loaded are passed over with a warning.
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


def caddy(directory: str) -> List[str]:
    """For a site block. Of several ``handle`` one is taken, the longest path's (Caddyfile, "handle")."""
    return [f"handle {CHALLENGE_PATH}* {{",
            f"    root * {directory}",
            "    file_server",
            "}"]


def haproxy(_directory: str = "") -> List[str]:
    """For a ``frontend``. ``allow`` ends its ``http-request`` rules, and the first ``use_backend`` that is true counts.

    There is no ``backend`` among them: it is :func:`haproxy_backend`.
    """
    return [f"http-request allow if {{ path_beg {CHALLENGE_PATH} }}",
            f"use_backend autowebroot if {{ path_beg {CHALLENGE_PATH} }}"]


def haproxy_backend() -> List[str]:
    """The section that the lines for a ``frontend`` send the request to: nobody but we listen there, in an order."""
    return ["backend autowebroot",
            f"    server autowebroot {LISTENER}"]


#: The lines for one site, by server.
LINES: Dict[str, Callable[[str], List[str]]] = {
    "nginx": nginx, "apache": apache, "lighttpd": lighttpd, "caddy": caddy, "haproxy": haproxy}


def for_every_site(server: str, directory: str) -> str:
    """The lines of a server, and as comments in its own syntax where to put them.

    :param server: one of :data:`LINES`.
    :param directory: as :func:`proper` has it.
    """
    return _EVERY_SITE[server](directory)


def _nginx_for_every_site(directory: str) -> str:
    return _text(f"""
        File: /etc/nginx/snippets/autowebroot.conf

        nginx has no location for all sites at once. Write the line
            include snippets/autowebroot.conf;
        into every server block, those for port 443 too, as its first line: a return, rewrite or if of the server block
        that comes before it still wins. A location {CHALLENGE_PATH} that the block has already must go.
        Where nginx does not know auth_request, leave that line out.
        Then run:
            {making(directory)}
            nginx -t && systemctl reload nginx
        """, nginx(directory))


def _apache_for_every_site(directory: str) -> str:
    engine, rule, *section = apache(directory, with_order=True)
    lines = [f"Alias {CHALLENGE_PATH} {directory}{CHALLENGE_PATH}",
             engine, "RewriteOptions InheritDownBefore", rule, *section,
             "<IfModule mod_proxy.c>",
             f"    <Location {CHALLENGE_PATH}>",
             "        ProxyPass !",
             "    </Location>",
             "</IfModule>"]
    return _text(f"""
        File: /etc/apache2/conf-available/autowebroot.conf

        This holds for all virtual hosts. One that has Redirect, "RewriteEngine Off", "RewriteOptions Inherit", an Alias
        for / or for this path, or ProxyPass in a <Location> needs this besides, as its first line and in place of a
        "RewriteEngine Off":
            Include conf-available/autowebroot.conf
        (A Redirect to https does not, where the site on https is here too.) RewriteRules that stand outside of virtual
        hosts hold in all of them from now on. What a virtual host says in an <If>, and a Redirect in a <Location>,
        still wins.
        Then run:
            {making(directory)}
            a2enmod alias rewrite && a2enconf autowebroot && apache2ctl configtest && systemctl restart apache2
        """, lines)


def _lighttpd_for_every_site(directory: str) -> str:
    return _text(f"""
        File: /etc/lighttpd/conf-available/99-autowebroot.conf

        It must come after every other condition ($HTTP["host"] == ...) that says something of the same: what is said
        last counts. Of lines whose module is not loaded lighttpd warns; they may be left out.
        Then run:
            {making(directory)}
            lighty-enable-mod autowebroot && lighttpd -tt -f /etc/lighttpd/lighttpd.conf && systemctl reload lighttpd
        """, lighttpd(directory))


def _caddy_for_every_site(directory: str) -> str:
    """With tabs: else Caddy warns that its file is not formatted."""
    return _text(f"""
        File: /etc/caddy/Caddyfile, after the global options and before the first site

        Caddy has no handler for all sites at once. Write the line
            import autowebroot
        into every site block. What Caddy does before any handle of a site still wins: redir, rewrite, try_files,
        basic_auth (basicauth before 2.8) and forward_auth (Caddyfile, "Directive order"). Put these into a
        "handle {{ }}" of their own. (A redir to https needs no change, where the site on https is here too.)
        Then run:
            {making(directory)}
            systemctl reload caddy
        """, ["(autowebroot) {", *("\t" + line.replace("    ", "\t") for line in caddy(directory)), "}"])


def _haproxy_for_every_site(_directory: str) -> str:
    return _text(f"""
        File: /etc/haproxy/haproxy.cfg

        HAProxy serves no files. It sends challenges to {LISTENER}, where the plugin itself listens during a renewal,
        and nobody else ever. The first two lines go into every frontend that clients come to, for http and https: the
        first before all other http-request lines, the second before all other use_backend lines. A "redirect" (not an
        "http-request redirect") still wins. The last two lines are a section, for the end of the file.
        Then run:
            haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy
        """, [*("    " + line for line in haproxy()), "", *haproxy_backend()])


_EVERY_SITE: Dict[str, Callable[[str], str]] = {
    "nginx": _nginx_for_every_site, "apache": _apache_for_every_site, "lighttpd": _lighttpd_for_every_site,
    "caddy": _caddy_for_every_site, "haproxy": _haproxy_for_every_site}


def _text(comment: str, lines: List[str]) -> str:
    """A comment, as all of these servers write one, above the lines."""
    said = [f"# {line}".rstrip() for line in textwrap.dedent(comment).strip().splitlines()]
    return "\n".join([*said, *lines]) + "\n"
