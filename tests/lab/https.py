"""Servers on port 443 that serve a lineage's certificate, configured by their manuals."""
import subprocess
from pathlib import Path
from typing import Any
from typing import Callable
from typing import Dict
from typing import NamedTuple

from tests.lab.apache import Apache
from tests.lab.caddy import Caddy
from tests.lab.haproxy import Haproxy
from tests.lab.lighttpd import Lighttpd
from tests.lab.nginx import Nginx


class Site(NamedTuple):
    """A lineage, and a directory for its server.

    :ivar live: the directory of the lineage.
    :ivar place: the directory of the server's files; every user may enter it.
    """

    name: str
    live: Path
    place: Path


def nginx(site: Site, listen: str = "443") -> Nginx:
    return Nginx(site.place / "nginx", f"""server {{ listen {listen} ssl; return 200;
        ssl_certificate {site.live}/fullchain.pem; ssl_certificate_key {site.live}/privkey.pem; }}""", user="www-data")


def apache(site: Site) -> Apache:
    return Apache(site.place / "apache", f"""Listen 443\nSSLEngine on\nServerName {site.name}
        SSLCertificateFile {site.live}/fullchain.pem\nSSLCertificateKeyFile {site.live}/privkey.pem\n""")


def lighttpd(site: Site, more: str = "") -> Lighttpd:
    directory = _directory(site, "lighttpd")
    return Lighttpd(directory, f"""server.port = 443\nserver.document-root = "{directory}"\nssl.engine = "enable"
        ssl.pemfile = "{site.live}/fullchain.pem"\nssl.privkey = "{site.live}/privkey.pem"\n{more}""",
                    modules=("mod_openssl",), port=443)


def haproxy(site: Site, *options: str) -> Haproxy:
    """By default with a master."""
    subprocess.run(["sh", "-c", both(site)], check=True)
    return Haproxy(_directory(site, "haproxy"), f"""frontend f\nbind :443 ssl crt {site.place}/both.pem
        http-request return status 200""", options=options or ("-W",), port=443)


def both(site: Site) -> str:
    """The command that makes HAProxy's file: certificate and key in one."""
    return f"umask 077; cat {site.live}/fullchain.pem {site.live}/privkey.pem > {site.place}/both.pem"


def caddy(site: Site, options: str = "") -> Caddy:
    files = f"{site.live}/fullchain.pem {site.live}/privkey.pem"
    return Caddy(_directory(site, "caddy"), f"https://{site.name} {{\ntls {files}\nrespond ok\n}}",
                 options=f"auto_https disable_redirects\n{options}", port=443)


SERVERS: Dict[str, Callable[[Site], Any]] = {
    "nginx": nginx, "apache2": apache, "lighttpd": lighttpd, "haproxy": haproxy, "caddy": caddy}


def _directory(site: Site, name: str) -> Path:
    directory = site.place / name
    directory.mkdir(exist_ok=True)
    return directory
