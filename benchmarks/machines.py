"""Hosts with many sites, many processes and many connections, for the benchmarks."""
import contextlib
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any
from typing import Callable
from typing import ContextManager
from typing import Dict
from typing import Iterator
from typing import List

from tests.lab.apache import Apache
from tests.lab.certificates import expired
from tests.lab.nginx import Nginx

#: "files": each site has a file of its own in sites-enabled, as Debian and the panels do; "one": one big file.
LAYOUTS = ("files", "one")

_NGINX = """server {{
    listen 80;
    listen [::]:80;
    server_name {name} www.{name};
    root {root};
    index index.html index.php;
    access_log off;
    location / {{
        try_files $uri $uri/ =404;
    }}
    location ~ /\\.(?!well-known) {{
        deny all;
    }}
    # what a browser asks for anyway
    location = /favicon.ico {{
        log_not_found off;
    }}
}}
"""
_NGINX_TLS = """server {{
    listen 443 ssl;
    server_name {name} www.{name};
    root {root};
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    add_header Strict-Transport-Security "max-age=31536000";
    location / {{
        try_files $uri $uri/ =404;
    }}
}}
"""
_APACHE = """<VirtualHost *:80>
    ServerName {name}
    ServerAlias www.{name}
    DocumentRoot {root}
    DirectoryIndex index.html index.php
    <Directory {root}>
        Options FollowSymLinks
        AllowOverride All
        Require all granted
    </Directory>
    # what a browser asks for anyway
    Alias /favicon.ico {root}/images/favicon.ico
</VirtualHost>
"""
_APACHE_TLS = """<VirtualHost *:443>
    ServerName {name}
    ServerAlias www.{name}
    DocumentRoot {root}
    SSLEngine on
    SSLCertificateFile {certificate}
    SSLCertificateKeyFile {key}
</VirtualHost>
"""
#: certbot-apache asks Debian's apache2ctl; this one knows where our configuration lies.
_APACHECTL = """#!/bin/sh
case $1 in
    configtest) exec /usr/sbin/apache2 -f {conf} -t ;;
    graceful) exec /usr/sbin/apache2 -f {conf} -k graceful ;;
    *) exec /usr/sbin/apache2 -f {conf} "$@" ;;
esac
"""


def name_of(site: int) -> str:
    """The name of a site."""
    return f"n{site}.sample.com"


def root_of(directory: Path, site: int) -> Path:
    """Its document root."""
    return directory / "roots" / str(site)


def nginx(directory: Path, sites: int, layout: str) -> Nginx:
    """An nginx with so many sites, each with a root of its own, every second with TLS too. Not started."""
    _write_sites(directory, sites, layout, _NGINX, _NGINX_TLS)
    server = Nginx(directory / "nginx", f"include {directory}/sites-enabled/*.conf;", user="www-data")
    (server.directory / "mime.types").write_text("")  # Certbot's nginx plugin needs one
    return server


def apache(directory: Path, sites: int, layout: str) -> Apache:
    """The same with Apache."""
    _write_sites(directory, sites, layout, _APACHE, _APACHE_TLS)
    server = Apache(directory / "apache", "ServerName localhost\nListen 80\nListen 443\n"
                    f"Include {directory}/sites-enabled/*.conf\n")
    control = directory / "apachectl"
    control.write_text(_APACHECTL.format(conf=server.file))
    control.chmod(0o755)
    return server


def _write_sites(directory: Path, sites: int, layout: str, plain: str, tls: str) -> None:
    certificate, key = expired(directory, "shared")
    enabled = directory / "sites-enabled"
    enabled.mkdir()
    texts: List[str] = []
    for site in range(sites):
        root = root_of(directory, site)
        root.mkdir(parents=True, exist_ok=True)
        text = "".join(template.format(name=name_of(site), root=root, certificate=certificate, key=key)
                       for template in ((plain, tls) if site % 2 else (plain,)))
        if layout == "files":
            (enabled / f"{name_of(site)}.conf").write_text(text)
        texts.append(text)
    if layout == "one":
        (enabled / "all.conf").write_text("".join(texts))


#: Starts processes that sleep, and holds both ends of the connections. Its name is no web server's.
_CROWD = """
import socket, subprocess, sys
port, processes, connections = map(int, sys.argv[1:])
open("/proc/self/comm", "w").write("crowd")
sleeping = [subprocess.Popen(["sleep", "infinity"]) for _ in range(processes)]
server = socket.create_server(("127.0.0.1", port), backlog=16)
held = []
for _ in range(connections):
    held.append((socket.create_connection(("127.0.0.1", port)), server.accept()))
print("up", flush=True)
sys.stdin.read()
for one in sleeping:
    one.kill()
"""
#: Each takes two descriptors of the process that holds it.
_CONNECTIONS_EACH = 5000


@contextlib.contextmanager
def crowd(processes: int, connections: int) -> Iterator[None]:
    """Other processes and open connections, in these numbers."""
    with contextlib.ExitStack() as stack:
        helpers = max(1, -(-connections // _CONNECTIONS_EACH)) if processes or connections else 0
        for number in range(helpers):
            resource.setrlimit(resource.RLIMIT_NOFILE, 2 * (resource.getrlimit(resource.RLIMIT_NOFILE)[1],))
            command = [sys.executable, "-S", "-c", _CROWD, str(9000 + number), str(processes // helpers),
                       str(connections // helpers)]
            # The context manager of Popen closes its standard input, which ends it, and waits.
            helper = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            assert helper.stdout is not None
            if helper.stdout.readline() != b"up\n":
                raise RuntimeError("the other processes and connections could not be made")
        yield


def peer_options(server: str, directory: Path, sites: int) -> List[str]:
    """The options of Certbot's own plugin for such a server."""
    if server == "nginx":
        # By default it waits one second for a reload of nginx, and fails with a thousand sites on a busy host.
        return ["--nginx-server-root", str(directory / "nginx"), "--nginx-sleep-seconds", str(1 + sites // 400)]
    return ["--apache-server-root", str(directory / "apache"), "--apache-vhost-root", str(directory / "sites-enabled"),
            "--apache-ctl", str(directory / "apachectl")]


#: Makers of a server by its name: directory, number of sites, layout.
SERVERS: Dict[str, Callable[[Path, int, str], ContextManager[Any]]] = {"nginx": nginx, "apache": apache}
