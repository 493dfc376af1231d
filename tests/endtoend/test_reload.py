"""A renewed certificate is what visitors see, by the deploy hook, with each server for real."""
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from typing import Callable
from typing import Dict

import pytest

from certbot_autowebroot.lineages import read_certificate
from tests.lab.apache import Apache
from tests.lab.caddy import Caddy
from tests.lab.certbot import Certbot
from tests.lab.haproxy import Haproxy
from tests.lab.lighttpd import Lighttpd
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.visitors import Visitors
from tests.lab.visitors import shown

NAME = "www.sample.com"
RELOAD = f"{sys.executable} -m certbot_autowebroot.cli reload"


class Site:
    """A lineage, and what a server on 443 needs to serve it.

    :ivar live: the lineage's directory.
    :ivar place: a directory for a server.
    """

    def __init__(self, certbot: Certbot, place: Path) -> None:
        self.certbot = certbot
        self.place = place
        self.live = certbot.directory / "config" / "live" / NAME

    def issue(self) -> None:
        """The first certificate; nobody is to be reloaded."""
        done = self.certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
        assert done.returncode == 0, done.stdout

    def renew(self, hook: str = RELOAD) -> str:
        """A renewal with a deploy hook; what Certbot and the hook said."""
        done = self.certbot.run("renew", "--force-renewal", "--deploy-hook", hook)
        assert done.returncode == 0, done.stdout
        return done.stdout

    @property
    def current(self) -> str:
        """The fingerprint of the current certificate."""
        return read_certificate(str(self.live / "cert.pem")).fingerprint

    @property
    def shown(self) -> str:
        """What a visitor sees."""
        return shown(PUBLIC_V4, NAME)

    def hook(self, script: str) -> None:
        """An executable file among the deploy hooks of all lineages."""
        path = self.certbot.directory / "config" / "renewal-hooks" / "deploy" / "hook"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


@pytest.fixture
def site(certbot: Certbot, place: Path) -> Site:
    site = Site(certbot, place)
    site.issue()
    return site


def nginx(site: Site) -> Nginx:
    return Nginx(site.place, f"""server {{ listen 443 ssl; listen [::]:443 ssl; return 200;
        ssl_certificate {site.live}/fullchain.pem; ssl_certificate_key {site.live}/privkey.pem; }}""", user="www-data")


def apache(site: Site) -> Apache:
    return Apache(site.place, f"""Listen 443\nSSLEngine on\nServerName {NAME}
        SSLCertificateFile {site.live}/fullchain.pem\nSSLCertificateKeyFile {site.live}/privkey.pem\n""")


def lighttpd(site: Site) -> Lighttpd:
    return Lighttpd(site.place, f"""server.port = 443\nserver.document-root = "{site.place}"\nssl.engine = "enable"
        ssl.pemfile = "{site.live}/fullchain.pem"\nssl.privkey = "{site.live}/privkey.pem"\n""",
                    modules=("mod_openssl",), port=443)


def haproxy(site: Site, *options: str) -> Haproxy:
    """It wants certificate and key in one file, which a deploy hook has to make."""
    script = f"cat {site.live}/fullchain.pem {site.live}/privkey.pem > {site.place}/both.pem"
    site.hook(script)
    subprocess.run(["sh", "-c", script], check=True)
    return Haproxy(site.place, f"""frontend f\nbind :443 ssl crt {site.place}/both.pem
        http-request return status 200""", options=options or ("-W",), port=443)


def caddy(site: Site) -> Caddy:
    files = f"{site.live}/fullchain.pem {site.live}/privkey.pem"
    return Caddy(site.place, f"https://{NAME} {{\ntls {files}\nrespond ok\n}}",
                 options="auto_https disable_redirects", port=443)


Start = Callable[[Site], Any]
SERVERS: Dict[str, Start] = {"nginx": nginx, "apache2": apache, "lighttpd": lighttpd, "haproxy": haproxy,
                             "caddy": caddy}


@pytest.mark.parametrize("start", SERVERS.values(), ids=SERVERS)
def test_after_a_renewal_visitors_see_the_new_certificate_and_none_is_lost(site: Site, start: Start) -> None:
    """The same process goes on, with another certificate."""
    server = start(site)
    server.start()
    try:
        pid, before = server.pid, site.shown
        assert before == site.current
        with Visitors(PUBLIC_V4, NAME) as visitors:
            said = site.renew()
            assert site.current != before
            assert {site.shown for _ in range(10)} == {site.current}, said
        assert visitors.lost == [] and visitors.served > 20
        assert server.pid == pid and os.path.exists(f"/proc/{pid}")
        assert f"(pid {pid}) was reloaded (" in said
        assert f"{PUBLIC_V4}:443 shows the new certificate for {NAME}" in said
    finally:
        server.stop()
