"""A site whose application answers all requests, and the orders in which another authenticator answers for it."""
import os
import re
import sys
from pathlib import Path
from typing import Dict
from typing import Iterator
from typing import List
from typing import Tuple

import pytest

from tests.lab import plugins
from tests.lab.apache import Apache
from tests.lab.certbot import Certbot
from tests.lab.certbot import prepend_path
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.programs import Program

#: An application without a document root: it answers every request, and has a directory that no configuration names.
APPLICATION = """
import http.server, os
class Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = os.path.join("{answers}", os.path.basename(self.path))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(open(path, "rb").read() if os.path.isfile(path) else b"Hello, world")
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", 3000), Application).serve_forever()
"""
SITES = f"""
server {{{{ listen {PUBLIC_V4}:80; server_name root.sample.com; root {{place}}/root; }}}}
server {{{{ listen {PUBLIC_V4}:80; server_name app.sample.com both.sample.com;
           location / {{{{ proxy_pass http://127.0.0.1:3000; }}}} }}}}
server {{{{ listen {PUBLIC_V4}:80; server_name dead.sample.com;
           location / {{{{ proxy_pass http://127.0.0.1:8402; }}}} }}}}
"""
VIRTUAL_HOSTS = """
Listen {address}:80
<VirtualHost *:80>
ServerName root.sample.com
DocumentRoot {place}/root
</VirtualHost>
<VirtualHost *:80>
ServerName {name}
ServerAlias both.sample.com
ProxyPass / http://127.0.0.1:3000/
</VirtualHost>
<VirtualHost *:80>
ServerName dead.sample.com
ProxyPass / http://127.0.0.1:8402/
</VirtualHost>
<Directory {place}>
Require all granted
</Directory>
"""
#: apache2ctl for an httpd with a directory of its own.
APACHECTL = """#!/bin/sh
case $1 in
    graceful) exec /usr/sbin/apache2 -f {file} -k graceful ;;
    configtest) exec /usr/sbin/apache2 -f {file} -t ;;
    *) exec /usr/sbin/apache2 -f {file} "$@" ;;
esac
"""
#: For Certbot's ``preload``: seconds of the wait for an authenticator's answer, which in vain takes ten.
SHORT_PATIENCE = "from certbot_autowebroot.order import fallback; fallback.PATIENCE = 3\n"
LINEAGE = "root.sample.com"
APP = "app.sample.com"
NAMES = f"{LINEAGE},{APP},dead.sample.com"


@pytest.fixture
def application(place: Path) -> Iterator[Path]:
    """The directory that the application knows."""
    for name in ("empty", "answers", "root"):
        (place / name).mkdir()
    source = APPLICATION.replace("{answers}", str(place / "answers"))
    with Program([sys.executable, "-c", source], place / "empty", port=3000):
        yield place / "answers"


@pytest.fixture
def nginx(place: Path, application: Path) -> Iterator[Nginx]:
    with Nginx(place / "nginx", SITES.format(place=place), user="www-data") as running:
        yield running


@pytest.fixture
def calls(certbot: Certbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another package's plugins are installed; each call of them is a line in this file."""
    usual = certbot.environment
    packages = plugins.install(tmp_path / "packages")

    def environment() -> Dict[str, str]:
        environment = {**usual(), "CALLS": str(tmp_path / "calls")}
        prepend_path(environment, packages)
        return environment
    monkeypatch.setattr(certbot, "environment", environment)
    (tmp_path / "calls").touch()
    return tmp_path / "calls"


def configuration(directory: Path) -> Dict[str, bytes]:
    """Every configuration file below a directory, byte for byte."""
    return {str(path): path.read_bytes() for path in directory.rglob("*.conf")}


def options(server: "Nginx | Apache") -> List[str]:
    """Where Certbot's plugin finds this server's configuration."""
    if isinstance(server, Nginx):
        return ["--nginx-server-root", str(server.directory)]
    control = server.directory / "apachectl"
    control.write_text(APACHECTL.format(file=server.file))
    control.chmod(0o755)
    return ["--apache-server-root", str(server.directory), "--apache-challenge-location", str(server.directory),
            "--apache-ctl", str(control)]


def order(names: str = NAMES, fallback: str = "nginx") -> Tuple[str, ...]:
    """A new certificate."""
    return ("certonly", "-a", "autowebroot", "-d", names, *(["--autowebroot-fallback", fallback] if fallback else []))


def by_whom(certbot: Certbot) -> Dict[str, str]:
    """The authenticator of each name, by Certbot's log."""
    return dict(re.findall(r"(\S+): answered (?:by the authenticator|on the) (\S+)", certbot.log))


def renew(certbot: Certbot, *arguments: str) -> Dict[str, str]:
    """The authenticators of a renewal; it is repeated where the CA has used an earlier authorization."""
    for _ in range(5):
        done = certbot.run("renew", "--force-renewal", *arguments)
        assert done.returncode == 0, done.stdout
        live = (certbot.directory / "config" / "live").glob("*/cert.pem")
        if certbot.log.count("http-01 challenge for ") == sum(len(certbot.names(path.parent.name)) for path in live):
            break
    return by_whom(certbot)


def nothing_is_left(place: Path, answers: Path) -> bool:
    """Neither a file of ours nor of another authenticator."""
    return os.listdir(place / "root") == [] and os.listdir(answers) == []
