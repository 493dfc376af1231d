"""Names that have no directory, answered by Certbot's own nginx and apache authenticators, and by others."""
import sys
from pathlib import Path
from typing import Dict
from typing import Iterator
from typing import List

import pytest

from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx
from tests.lab.programs import Program

#: An application without any file: it says yes to everything.
APPLICATION = """
import http.server
class Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"Hello, world")
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", 3000), Application).serve_forever()
"""
SITES = """
server { listen 80; server_name root.sample.com; root {place}/root; }
server { listen 80; server_name app.sample.com; location / { proxy_pass http://127.0.0.1:3000; } }
server { listen 80; server_name dead.sample.com; location / { proxy_pass http://127.0.0.1:8402; } }
"""
NAMES = "root.sample.com,app.sample.com,dead.sample.com"


@pytest.fixture
def application(place: Path) -> Iterator[None]:
    (place / "empty").mkdir()
    with Program([sys.executable, "-c", APPLICATION], place / "empty", port=3000):
        yield


@pytest.fixture
def nginx(place: Path, application: None) -> Iterator[Nginx]:
    (place / "root").mkdir()
    with Nginx(place / "nginx", SITES.replace("{place}", str(place)), user="www-data") as running:
        yield running


def configuration(directory: Path) -> Dict[str, bytes]:
    """Every configuration file below a directory, byte for byte."""
    return {str(path): path.read_bytes() for path in directory.rglob("*.conf")}


def options(nginx: Nginx) -> List[str]:
    """Where this nginx has its configuration."""
    return ["--nginx-server-root", str(nginx.directory)]


def test_one_order_with_a_directory_an_application_and_a_dead_port(certbot: Certbot, nginx: Nginx) -> None:
    """The application's name alone is nginx's; afterwards its configuration is as it was, and renewals do the same."""
    before = configuration(nginx.directory)
    done = certbot.run("certonly", "-a", "autowebroot", "-d", NAMES, "--autowebroot-fallback", "nginx", *options(nginx))
    assert done.returncode == 0, done.stdout
    assert configuration(nginx.directory) == before
    done = certbot.run("renew", "--force-renewal")
    assert done.returncode == 0, done.stdout
