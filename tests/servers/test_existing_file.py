"""The run in which the challenge file exists is the one that counts, with the real servers.

Each configuration answers without the file by a front controller, and refuses the file once it exists: the reason is
the line that refuses it, not the front controller.
"""
from pathlib import Path
from typing import Any
from typing import Iterator

import pytest

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.servers.caddy import CaddyServer
from certbot_autowebroot.servers.lighttpd import LighttpdServer
from certbot_autowebroot.servers.nginx import NginxServer
from certbot_autowebroot.system.processes import process
from tests.lab.caddy import Caddy
from tests.lab.cases import PATH
from tests.lab.cases import request_for
from tests.lab.lighttpd import Lighttpd
from tests.lab.nginx import Nginx
from tests.lab.nginx import public_directory
from tests.lab.random import nginx_oracle

pytestmark = pytest.mark.lab

_NGINX = {
    "if -f": """
        if (!-f $request_filename) { return 404; }
        location ~ /\\. { deny all; }""",
    "rewrite": """
        if (!-e $request_filename) { rewrite ^ /index.html last; }
        location ~ /\\. { deny all; }
        location = /index.html { return 200 index; }""",
    "try_files": """
        location / { try_files $uri /index.html; }
        location ~ /\\. { deny all; try_files $uri /index.html; }
        location = /index.html { return 200 index; }"""}


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a document root, which every user may enter."""
    with public_directory() as path:
        (path / "root").mkdir()
        (path / "root/index.html").write_text("index")
        yield path


def _put(place: Path) -> None:
    file = place / f"root{PATH}"
    file.parent.mkdir(parents=True)
    file.write_text("token")


def _check(destinations: Any, line: str) -> None:
    (destination,) = destinations
    assert isinstance(destination, DeadEnd)
    assert line in f"{destination.reason} {' '.join(map(str, destination.trail))}"
    assert "index" not in destination.reason


@pytest.mark.parametrize("lines", _NGINX.values(), ids=_NGINX)
def test_nginx(lines: str, place: Path) -> None:
    """``deny all`` is the reason, and the only end: the status without the file cannot choose another one."""
    with Nginx(place / "nginx", f"server {{ listen 80; server_name a; root {place}/root; {lines} }}") as server:
        running = process(server.pid)
        assert running is not None
        _check(NginxServer().ask(running, request_for("a")), "deny all")
        _put(place)
        assert nginx_oracle.ask_server(request_for("a")).status == 403


def test_lighttpd(place: Path) -> None:
    """``url.access-deny`` refuses the file that ``url.rewrite-if-not-file`` leaves alone."""
    config = (f'server.document-root = "{place}/root"\n'
              'url.rewrite-if-not-file = ("" => "/index.html")\n'
              '$HTTP["url"] =~ "/\\." {\n url.access-deny = ("")\n}\n')
    with Lighttpd(place, config) as server:
        _check(LighttpdServer().ask(server.process, request_for("a")), "url.access-deny")
        _put(place)
        assert server.get(request_for("a")).status == 403


def test_caddy(place: Path) -> None:
    """``respond`` refuses the file that ``try_files`` finds; without it, the index has a path that it accepts."""
    config = (f"http://a {{\n\troot * {place}/root\n\ttry_files {{path}} /index.html\n"
              "\t@hidden path */.*\n\trespond @hidden 403\n\tfile_server\n}\n")
    with Caddy(place, config) as server:
        assert server.get(request_for("a")).status == 200
        _check(CaddyServer().ask(server.process, request_for("a")), "403")
        _put(place)
        assert server.get(request_for("a")).status == 403
