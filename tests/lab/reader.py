"""A reader of the documentation, who types its commands on a machine with Certbot's and nginx's own directories."""
import os
import re
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from tests.lab import readme
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx
from tests.lab.readme import NAME

#: Where a reader has these; here they are empty and ours alone.
PLACES = ("/etc/letsencrypt", "/var/lib/letsencrypt", "/var/log/letsencrypt", "/etc/nginx", "/etc/haproxy", "/srv")


class Reader(readme.Reader):
    """On a machine with nginx's own directory too, and a directory for a site."""

    def __init__(self, certbot: Certbot, ca: CA) -> None:
        super().__init__(certbot, ca)
        self.nginx = Nginx(Path("/etc/nginx"), "", user="www-data")
        Path("/srv/www").mkdir()

    def types_at_terminal(self, command: str) -> str:
        """Type a command at a terminal with colours; returns what it showed."""
        return self.run(["script", "--quiet", "--command", command, "/dev/null"]).stdout

    def serves_https(self) -> None:
        """Configure nginx: port 80 redirects to https, where the lineage's certificate is."""
        live = f"/etc/letsencrypt/live/{NAME}"
        self.nginx.configure(f"""
            server {{ listen 80; server_name {NAME}; return 301 https://$host$request_uri; }}
            server {{ listen 443 ssl; server_name {NAME}; root /srv/www;
                      ssl_certificate {live}/fullchain.pem; ssl_certificate_key {live}/privkey.pem; }}""")

    def setting(self, key: str) -> str:
        """A setting of the lineage."""
        found = re.search(f"^{key} = (.*)$", Path(f"/etc/letsencrypt/renewal/{NAME}.conf").read_text(), re.MULTILINE)
        assert found
        return found[1]


@pytest.fixture
def reader(certbot: Certbot, ca: CA) -> Iterator[Reader]:
    for place in PLACES:
        os.makedirs(place, exist_ok=True)  # on a fresh machine, Certbot's are not there yet
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", place], check=True)
    try:
        yield Reader(certbot, ca)
    finally:
        for place in PLACES:
            subprocess.run(["umount", "--lazy", place], check=True)
