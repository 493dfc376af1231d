"""One order of ten names over many servers; no server is restarted, no file is left."""
import contextlib
import os
import sys
from pathlib import Path
from typing import Dict

import pytest

from tests.lab import certificates
from tests.lab.apache import Apache
from tests.lab.ca import CA
from tests.lab.caddy import Caddy
from tests.lab.certbot import Certbot
from tests.lab.container import ADDRESS
from tests.lab.container import Container
from tests.lab.haproxy import Haproxy
from tests.lab.lighttpd import Lighttpd
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx
from tests.lab.programs import Program

pytestmark = pytest.mark.lab

NAMES = ["root", "alias", "apache", "static", "container", "deadport", "secure", "lighttpd", "caddy", "balanced"]

FRONT = """
server {{ listen {v4}:80; server_name root.sample.com; root {place}/root; }}
server {{ listen {v4}:80; server_name alias.sample.com; location / {{ return 404; }}
          location ^~ /.well-known/acme-challenge/ {{ alias {place}/alias/; }} }}
server {{ listen {v4}:80; server_name apache.sample.com;
          location / {{ proxy_pass http://127.0.0.1:8080; proxy_set_header Host $host; }} }}
server {{ listen {v4}:80; server_name static.sample.com; location / {{ proxy_pass http://127.0.0.1:8000; }} }}
server {{ listen {v4}:80; server_name container.sample.com; location / {{ proxy_pass http://{container}; }} }}
server {{ listen {v4}:80; server_name deadport.sample.com; location / {{ return 301 https://www.sample.org/; }}
          location /.well-known/acme-challenge/ {{ proxy_pass http://127.0.0.1:8402; }} }}
server {{ listen {v4}:80; server_name secure.sample.com; return 301 https://$host$request_uri; }}
server {{ listen {v4}:443 ssl; server_name secure.sample.com; root {place}/secure;
          ssl_certificate {crt}; ssl_certificate_key {key}; }}
server {{ listen {v4}:80; server_name balanced.sample.com; location / {{ proxy_pass http://127.0.0.1:8090; }} }}
server {{ listen 127.0.0.1:8091; root {place}/balanced1; }}
server {{ listen 127.0.0.1:8092; root {place}/balanced2; }}
"""
INSIDE = """daemon off; user root; pid /run/nginx.pid; error_log /var/log/error.log; events { }
http { access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e; server { listen 80; root /srv/inside; } }"""


def tree(place: Path) -> Dict[str, float]:
    """Every file of the sites, with the time of its last change."""
    sites = [place / name for name in (*NAMES, "balanced1", "balanced2")]
    return {str(path): path.stat().st_mtime for site in sites for path in site.rglob("*")}


def test_ten_names_over_nine_servers(certbot: Certbot, ca: CA, place: Path) -> None:
    """nginx, Apache behind it, a static server, a container, a dead port, https, lighttpd, Caddy, HAProxy."""
    for name in (*NAMES, "balanced1", "balanced2", "d1", "d2", "d3"):
        (place / name).mkdir()
    crt, key = certificates.expired(place, "secure.sample.com")
    ca.resolve("lighttpd.sample.com", [OTHER_V4])
    ca.resolve("caddy.sample.com", [PUBLIC_V4], [PUBLIC_V6])
    servers = [
        Nginx(place / "front", FRONT.format(v4=PUBLIC_V4, place=place, container=ADDRESS, crt=crt, key=key),
              user="www-data"),
        Apache(place / "httpd", f"Listen 127.0.0.1:8080\n<VirtualHost *:8080>\nServerName apache.sample.com\n"
                                f"DocumentRoot {place}/apache\n</VirtualHost>\n"
                                "<Directory />\nRequire all granted\n</Directory>\n"),
        Program([sys.executable, "-m", "http.server", "8000", "--bind", "127.0.0.1"], place / "static", port=8000),
        Container(place / "box", "nginx -c /etc/inside.conf", {"/etc/inside.conf": INSIDE, "/srv/inside/x": ""}),
        Lighttpd(place / "d1", f'server.document-root = "{place}/lighttpd"\nserver.bind = "{OTHER_V4}"\n',
                 address=OTHER_V4),
        Caddy(place / "d2", f"http://caddy.sample.com {{\nbind {PUBLIC_V6}\nroot * {place}/caddy\nfile_server\n}}\n",
              port=2019),
        Haproxy(place / "d3", "frontend f\n bind 127.0.0.1:8090\n default_backend b\nbackend b\n"
                              " server one 127.0.0.1:8091\n server two 127.0.0.1:8092\n", port=8090),
    ]
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        pids = [server.pid for server in servers]
        before = tree(place)
        done = certbot.run("certonly", "-a", "autowebroot", "-d", ",".join(f"{name}.sample.com" for name in NAMES))
        assert done.returncode == 0, done.stdout
        assert [server.pid for server in servers] == pids and all(os.path.exists(f"/proc/{pid}") for pid in pids)
        assert tree(place) == before
        assert os.listdir(f"/proc/{pids[3]}/root/srv/inside") == ["x"]
    assert certbot.certificates("root.sample.com") == 1
