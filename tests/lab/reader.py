"""A reader of the documentation, who types its commands on a machine with Certbot's and nginx's own directories."""
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator
from typing import List

import pytest

from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx

NAME = "www.sample.com"
#: Where a reader has these; here they are empty and ours alone.
PLACES = ("/etc/letsencrypt", "/var/lib/letsencrypt", "/var/log/letsencrypt", "/etc/nginx", "/etc/haproxy", "/srv")


class Reader:
    """A machine with Certbot's and nginx's own directories, and a reader who types on it."""

    def __init__(self, certbot: Certbot, ca: CA) -> None:
        self._certbot = certbot
        # On a terminal Certbot would ask the reader for these.
        Path("/etc/letsencrypt/cli.ini").write_text(
            f"server = {ca.server}\nnon-interactive = true\nagree-tos = true\nregister-unsafely-without-email = true\n"
            "no-random-sleep-on-renew = true\n")
        self.nginx = Nginx(Path("/etc/nginx"), "", user="www-data")
        Path("/srv/www").mkdir()

    def types(self, block: str) -> str:
        """Type a block into a shell; returns what it printed."""
        done = self._run(["sh", "-e", "-c", block])
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        return done.stdout

    def types_at_terminal(self, command: str) -> str:
        """Type a command at a terminal with colours; returns what it showed."""
        return self._run(["script", "--quiet", "--command", command, "/dev/null"]).stdout

    def _run(self, command: List[str]) -> "subprocess.CompletedProcess[str]":
        path = os.pathsep.join([str(Path(self._certbot.program).parent), str(Path(sys.executable).parent),
                                os.environ["PATH"]])
        # What a new setuptools says of an old Certbot is no output of ours.
        environment = {**self._certbot.environment(), "PATH": path, "PYTHONWARNINGS": "ignore:pkg_resources is",
                       "TERM": "xterm"}
        environment.pop("NO_COLOR", None)
        return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120)

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
