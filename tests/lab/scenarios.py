"""Hosts as users have them, by the numbers of the cases that were tried with real servers.

In configurations, ``PLACE`` stands for the directory of the test; ``root``, ``a``, ``b`` and the like are in it,
``gone`` is not.
"""
import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from typing import Callable
from typing import ContextManager
from typing import Dict
from typing import Iterator
from typing import NamedTuple
from typing import Sequence

from tests.lab import certificates
from tests.lab import ports
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.caddy import Caddy
from tests.lab.container import ADDRESS
from tests.lab.container import Container
from tests.lab.haproxy import Haproxy
from tests.lab.lighttpd import Lighttpd
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx
from tests.lab.programs import Program
from tests.lab.varnish import Varnish

NAME = "www.sample.com"
#: Two labels below a domain, for wildcards and captures.
DEEP = "bob.users.sample.org"
#: With an IPv6 address alone, and with one of each family.
SIX = "six.sample.com"
DUAL = "dual.sample.com"
ADDRESSES = {SIX: ([], [PUBLIC_V6]), DUAL: ([PUBLIC_V4], [PUBLIC_V6])}

#: Starts a program; the end of the context ends it.
Server = Callable[[Path], ContextManager[Any]]
W = "/.well-known/acme-challenge/"


class Scenario(NamedTuple):
    """The servers, the expected output of ``check``, and whether the renewal succeeds.

    :ivar outlook: the lineage's.
    :ivar says: texts in the output: program, line or directory.
    :ivar renews: given where it differs from the outlook, which has no proof.
    """

    servers: Sequence[Server]
    outlook: str
    says: Sequence[str] = ()
    name: str = NAME
    renews: "bool | None" = None


def nginx(config: str, name: str = "nginx", main: str = "") -> Server:
    """An nginx with these lines in ``http``."""
    return lambda place: Nginx(place / name, filled(config, place), main=main, user="www-data")


def site(inside: str, listen: str = "80", names: str = NAME) -> str:
    """A server block of nginx."""
    return f"server {{ listen {listen}; server_name {names}; {inside} }}\n"


def apache(config: str, port: int = 80) -> Server:
    """An Apache that grants all requests, with these lines after that."""
    granted = f"Listen {port}\n<Directory />\nRequire all granted\n</Directory>\n"
    modules = (*DEFAULT_MODULES, "vhost_alias") if "VirtualDocumentRoot" in config else DEFAULT_MODULES
    return lambda place: Apache(place / "httpd", granted + filled(config, place), modules)


def vhost(inside: str, name: str = NAME, address: str = "*:80") -> str:
    """A virtual host of Apache."""
    return f"<VirtualHost {address}>\nServerName {name}\n{inside}\n</VirtualHost>\n"


def program(*argv: str, cwd: str = "root", port: int = 80) -> Server:
    """Any other program; ``python`` is the Python that runs the tests."""
    command = [sys.executable if word == "python" else word for word in argv]
    return lambda place: Program([filled(word, place) for word in command], place / cwd, port=port)


def other(kind: Callable[..., ContextManager[Any]], config: str, **options: Any) -> Server:
    """lighttpd, Caddy, HAProxy or Varnish."""
    def start(place: Path) -> ContextManager[Any]:
        directory = place / kind.__name__.lower()
        directory.mkdir()
        return kind(directory, filled(config, place), **options)
    return start


def filled(text: str, place: Path) -> str:
    """The text with the directory of the test."""
    return text.replace("PLACE", str(place))


@contextlib.contextmanager
def redirected(place: Path) -> Iterator[None]:
    """A forward without a listener: port 80 of the public address is 8080 of this host."""
    with _rules(f"ip daddr {PUBLIC_V4} tcp dport 80 redirect to 8080"):
        yield


@contextlib.contextmanager
def box(place: Path, **options: Any) -> Iterator[Container]:
    """A container with an nginx, and the kernel's forward into it."""
    inside = f"""daemon off; user root; pid /run/nginx.pid; error_log /var/log/error.log; events {{ }}
http {{ access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e; server {{ listen 80; server_name {NAME}; root /srv/inside; }} }}"""
    files = {"/etc/inside.conf": inside, **({} if options else {"/srv/inside/index.html": "inside"})}
    with Container(place / "box", "nginx -c /etc/inside.conf", files, **options) as container:
        for _ in range(500):
            with contextlib.suppress(OSError):
                ports.fetch(ADDRESS, 80, NAME, "/")
                break
            time.sleep(0.01)
        with _rules(f"ip daddr {PUBLIC_V4} tcp dport 80 dnat to {ADDRESS}:80"):
            yield container


@contextlib.contextmanager
def _rules(rule: str) -> Iterator[None]:
    table = f"table ip scenario {{ chain output {{ type nat hook output priority -100;\n{rule};\n}}\n}}"
    subprocess.run(["nft", "-f", "-"], text=True, check=True, input=table)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "ip", "scenario"], check=True)


def secure(inside: str) -> Server:
    """An nginx whose port 443 has an expired certificate: the state in which a renewal matters most."""
    def start(place: Path) -> ContextManager[Any]:
        crt, key = certificates.expired(place, NAME)
        listen = f"443 ssl; ssl_certificate {crt}; ssl_certificate_key {key}"
        return nginx(inside.replace("LISTEN", listen))(place)
    return start


@contextlib.contextmanager
def edited(place: Path) -> Iterator[Nginx]:
    """An nginx whose file was edited without a reload."""
    with Nginx(place / "nginx", site(f"root {place}/a;"), user="www-data") as server:
        server.configure(site(f"root {place}/b;"))
        yield server


@contextlib.contextmanager
def broken(place: Path) -> Iterator[Nginx]:
    """An nginx whose file was broken after its start."""
    with Nginx(place / "nginx", site(f"root {place}/a;"), user="www-data") as server:
        server.configure(site(f"root {place}/a;") + "server { listen 80; root")
        yield server


@contextlib.contextmanager
def upgraded(place: Path) -> Iterator[Nginx]:
    """An nginx with a deleted binary and options of its own."""
    binary = shutil.copy(shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") or "", place / "a" / "nginx")
    server = Nginx(place / "nginx", site("root html;"), user="www-data")
    server.start([str(binary), "-p", f"{server.directory}/", "-c", "nginx.conf", "-g", "worker_priority 1;"])
    os.unlink(binary)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def unreadable(place: Path) -> Iterator[Nginx]:
    """An nginx that includes a deleted file, and others by a pattern."""
    server = Nginx(place / "nginx", "include conf.d/*.conf;", user="www-data")
    server.write("conf.d/one.conf", site("root /nowhere;", names="one.sample.com"))
    server.write("conf.d/www.conf", site("include snippets/acme.conf; include snippets/gone.conf;"))
    server.write("snippets/acme.conf", f"root {place}/a;")
    gone = server.write("snippets/gone.conf", "")
    with server:
        gone.unlink()
        yield server


@contextlib.contextmanager
def shared(place: Path) -> Iterator[None]:
    """Two programs without a configuration, on one port by SO_REUSEPORT."""
    code = ("import http.server as h, socket, socketserver\n"
            "class S(socketserver.ThreadingTCPServer):\n    allow_reuse_address = True\n    def server_bind(self):\n"
            "        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); super().server_bind()\n"
            "S(('0.0.0.0', 80), h.SimpleHTTPRequestHandler).serve_forever()")
    with program("python", "-c", code, cwd="a")(place), program("python", "-c", code, cwd="b")(place):
        while len(subprocess.check_output(["ss", "-Hltn", "sport = :80"]).splitlines()) < 2:
            time.sleep(0.01)
        yield


_PROXY = "location / {{ proxy_pass {0}; proxy_set_header Host $host; }}"
_DOTFILES = r"location ~ /\. { deny all; }"
_GROUP = """upstream both {{ server 127.0.0.1:8081; server 127.0.0.1:8082; }}
server {{ listen 127.0.0.1:8081; root PLACE/a; }} server {{ listen 127.0.0.1:8082; root PLACE/b; }}\n"""
_FRONTEND = "frontend f\n bind :80\n"

SCENARIOS: Dict[str, Scenario] = {
    "1 an unknown host": Scenario(
        [nginx(site("root PLACE/a;", names="x") + site("root PLACE/b;", "80 default_server", "y"))],
        "good", ["nginx.conf:", "PLACE/b/"]),
    "2 a root inherited": Scenario([nginx("root PLACE/a; " + site(""))], "good", ["PLACE/a/"]),
    "3 a relative root": Scenario([nginx(site("root html;"))], "good", ["PLACE/nginx/html/"]),
    "4 a wildcard": Scenario(
        [nginx(site("root PLACE/a;", names="users.sample.org") + site("root PLACE/b;", names="*.users.sample.org"))],
        "good", ["PLACE/b/"], DEEP),
    "4 a dot before": Scenario([nginx(site("root PLACE/a;", names=".sample.com"))], "good", ["PLACE/a/"]),
    "4 a wildcard behind": Scenario(
        [nginx("server { listen 80; return 403; }" + site("root PLACE/a;", names="www.sample.*"))],
        "good", ["PLACE/a/"]),
    "5 the exact name wins": Scenario(
        [nginx(site("root PLACE/a;", names="*.sample.com") + site("root PLACE/a;", names="~^www") +
               site("root PLACE/b;"))], "good", ["PLACE/b/"]),
    "5 the longer wildcard wins": Scenario(
        [nginx(site("root PLACE/a;", names="*.sample.org") + site("root PLACE/b;", names="*.users.sample.org") +
               site("root PLACE/a;", names="bob.users.*"))], "good", ["PLACE/b/"], DEEP),
    "6 a name with a capture": Scenario(
        [nginx(site("root PLACE/homes/$u/www;", names=r"~^(?<u>.+)\.users\.sample\.org$"))], "good",
        ["PLACE/homes/bob/www/"], DEEP),
    "7 the same name twice": Scenario([nginx(site("root PLACE/a;") + site("root PLACE/b;"))], "good", ["PLACE/a/"]),
    "8 a map": Scenario(
        [nginx("map $host $dir { hostnames; default a; .sample.org b; }" + site("root PLACE/$dir;", names="_"))],
        "good", ["PLACE/b/"], DEEP),
    "8 a condition that sets": Scenario(
        [nginx(site("set $dir a; if ($host ~ ^(b)ob) { set $dir $1; } root PLACE/$dir;", names=DEEP))], "good",
        ["PLACE/b/"], DEEP),
    "9 an alias": Scenario([nginx(site(f"location {W} {{ alias PLACE/a/; }}"))], "good", ["PLACE/a"]),
    "9 an alias by a regular expression": Scenario(
        [nginx(site(rf"location ~ ^{W}(.+)$ {{ alias PLACE/a/$1; }}"))], "good", ["PLACE/a"]),
    "10 a regular expression wins": Scenario(
        [nginx(site("root PLACE/a; location /.well-known/ { root PLACE/a; } location ~ acme { root PLACE/b; }"))],
        "good", ["PLACE/b/"]),
    "10 unless it is told not to": Scenario(
        [nginx(site("root PLACE/a; location ^~ /.well-known/ { root PLACE/b; } location ~ acme { return 403; }"))],
        "good", ["PLACE/b/"]),
    "11 dotfiles are denied": Scenario([nginx(site("root PLACE/a; " + _DOTFILES))],
        "fails", ["deny all", "nginx.conf:"]),
    "11 dotfiles with an exemption": Scenario(
        [nginx(site("root PLACE/a; location ^~ /.well-known/ { } " + _DOTFILES))], "good", ["PLACE/a/"]),
    "12 try_files with a front controller": Scenario(
        [nginx(site("root PLACE/a; location / { try_files $uri /index.php; }"))], "good", ["PLACE/a/"]),
    "12 try_files with two places": Scenario(
        [nginx(site("root PLACE; location / { try_files /a$uri /b$uri =404; }"))], "good", ["PLACE/a"]),
    "13 rewritten": Scenario(
        [nginx(site("root PLACE; rewrite ^/.well-known/(.*)$ /a/$1 last; location /a/ { }"))], "good", ["PLACE/a/"]),
    "14 return before an exemption": Scenario(
        [nginx(site(f"return 403; location {W} {{ root PLACE/a; }}"))], "fails", ["return 403"]),
    "14 return beside an exemption": Scenario(
        [nginx(site(f"location / {{ return 403; }} location {W} {{ root PLACE/a; }}"))], "good", ["PLACE/a/"]),
    "15 a backend": Scenario(
        [nginx(site(_PROXY.format("http://127.0.0.1:8081")), "front"),
         apache(vhost("DocumentRoot PLACE/a", address="*:8081"), 8081)],
        "good", ["127.0.0.1:8081", "apache2", "PLACE/a/"]),
    "15 a group of backends": Scenario(
        [nginx(_GROUP.format() + site(_PROXY.format("http://both")))], "good", ["PLACE/a/", "PLACE/b/"]),
    "15 an exemption from a backend": Scenario(
        [nginx(site(_PROXY.format("http://127.0.0.1:3000") + f"location {W} {{ root PLACE/a; }}"))],
        "good", ["PLACE/a/"]),
    "16 an error page": Scenario(
        [nginx(site("root PLACE/a; error_page 404 = @app; location @app { return 200; }"))], "good", ["PLACE/a/"]),
    "17 an answer for everything": Scenario([nginx(site("return 200 hello;"))], "fails", ["return 200"]),
    "17 a closed connection": Scenario([nginx(site("return 444;"))], "fails", ["return 444"]),
    "18 edited and not reloaded": Scenario([edited], "good", ["PLACE/a/"]),
    "18 broken on disk": Scenario([broken], "good", ["PLACE/a/"]),
    "19 a binary that is gone": Scenario([upgraded], "good", ["PLACE/nginx/html/"]),
    "20 an address hides the wildcard": Scenario(
        [nginx("server { listen 80; root PLACE/a; }" + site("root PLACE/b;", f"{PUBLIC_V4}:80", "x"))], "good",
        ["PLACE/b/"]),
    "21 included": Scenario([unreadable], "good", ["snippets/acme.conf:1", "PLACE/a/"]),

    "22 Apache, no name matches": Scenario(
        [apache("DocumentRoot PLACE/root\n" + vhost("DocumentRoot PLACE/a", "first") +
               vhost("DocumentRoot PLACE/b", "x"))],
        "good", ["PLACE/a/", "apache2.conf:"]),
    "23 an address hides the wildcard": Scenario(
        [apache(vhost("DocumentRoot PLACE/a") + vhost("DocumentRoot PLACE/b", "x", f"{PUBLIC_V4}:80"))], "good",
        ["PLACE/b/"]),
    "24 no DocumentRoot of its own": Scenario([apache("DocumentRoot PLACE/a\n" + vhost(""))], "good", ["PLACE/a/"]),
    "25 an Alias": Scenario([apache(vhost(f"DocumentRoot PLACE/gone\nAlias {W} PLACE/a/"))], "good", ["PLACE/a"]),
    "25 an alias of the name": Scenario(
        [apache(vhost("", "first") + vhost("ServerAlias *.users.sample.org\nDocumentRoot PLACE/a", "x"))], "good",
        ["PLACE/a/"], DEEP),
    "26 VirtualDocumentRoot": Scenario([apache(vhost("VirtualDocumentRoot PLACE/homes/%1/www", DEEP))], "good",
                                       ["PLACE/homes/bob/www/"], DEEP),
    "27 redirect all, with an exemption": Scenario(
        [apache(vhost(f"DocumentRoot PLACE/a\nRewriteEngine on\nRewriteCond %{{REQUEST_URI}} !^{W}\n"
                      "RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]"))], "good", ["PLACE/a/"]),
    "28 an exemption from a proxy": Scenario(
        [apache(vhost(f"DocumentRoot PLACE/a\nProxyPass {W} !\nProxyPass / http://127.0.0.1:3000/"))],
        "good", ["PLACE/a/"]),
    "28 an Alias below a proxy": Scenario(
        [apache(vhost(f"Alias {W} PLACE/a/\nProxyPass / http://127.0.0.1:8081/")),
         program("python", "-m", "http.server", "8081", cwd="b", port=8081)], "good", ["127.0.0.1:8081", "PLACE/b/"]),
    "29 dotfiles are denied": Scenario(
        [apache(vhost('DocumentRoot PLACE/a\n<DirectoryMatch "/\\.">\nRequire all denied\n</DirectoryMatch>'))],
        "fails", ["Require all denied"]),
    "29 a root that is not granted": Scenario(
        [apache(vhost("DocumentRoot PLACE/a\n<Directory PLACE/a>\nRequire all denied\n</Directory>"))], "fails",
        ["Require all denied"]),
    "30 a Define": Scenario(
        [apache(f"Define root PLACE/a\nDefine here\n{vhost('<IfDefine here>DocumentRoot ${root}</IfDefine>')}".replace(
            "<IfDefine here>", "<IfDefine here>\n").replace("</IfDefine>", "\n</IfDefine>"))], "good", ["PLACE/a/"]),

    "31 lighttpd": Scenario(
        [other(Lighttpd, 'server.document-root = "PLACE/gone"\n$HTTP["host"] == "www.sample.com" {\n'
                         ' server.document-root = "PLACE/a"\n}\n')], "good", ["lighttpd", "PLACE/a/"]),
    "31 lighttpd, an alias": Scenario(
        [other(Lighttpd, f'server.document-root = "PLACE/gone"\nalias.url = ( "{W}" => "PLACE/a/" )\n')], "good",
        ["PLACE/a"]),
    "32 Caddy": Scenario(
        [other(Caddy, "http:// {\nroot * PLACE/homes/{labels.3}/www\nfile_server\n}\n")],
        "good", ["caddy", "PLACE/homes/bob/www/"],
        DEEP),
    "33 Python": Scenario([program("python", "-m", "http.server", "80", "-d", "PLACE/a")], "good", ["PLACE/a/"]),
    "33 busybox": Scenario([program("busybox", "httpd", "-f", "-p", "80", "-h", "PLACE/a")], "good", ["PLACE/a/"]),
    "33 PHP": Scenario([program("php", "-S", "0.0.0.0:80", "-t", "PLACE/a")], "good", ["PLACE/a/"]),
    "34 HAProxy": Scenario(
        [other(Haproxy, _FRONTEND + f" acl ours hdr_beg(host) -i {NAME}\n use_backend a if ours\n default_backend b\n"
                        "backend a\n server a 127.0.0.1:8081\nbackend b\n server b 127.0.0.1:8082\n"),
         nginx("server { listen 127.0.0.1:8081; root PLACE/a; }")], "good", ["haproxy", "127.0.0.1:8081", "PLACE/a/"]),
    "35 Varnish": Scenario(
        [nginx("server { listen 127.0.0.1:8081; root PLACE/a; }"),
         other(Varnish, 'backend default { .host = "127.0.0.1"; .port = "8081"; }\n')], "good",
        ["varnishd", "PLACE/a/"]),
    "36 nginx, Apache, and nobody behind": Scenario(
        [nginx(site(_PROXY.format("http://127.0.0.1:8081")), "front"),
         apache(vhost(f"ProxyPass {W} http://127.0.0.1:8402{W}", address="*:8081"), 8081)], "good",
        ["apache2", "autowebroot listens itself", "127.0.0.1:8402"]),
    "37 an application with a public directory": Scenario(
        [program("node", "-e", "const h=require('http'),f=require('fs');h.createServer((q,r)=>f.readFile("
                 "'public'+q.url,(e,d)=>{r.statusCode=e?404:200;r.end(e?'no':d)})).listen(80)", cwd="app")],
        "good", ["PLACE/app/public/"]),
    "38 two servers on one port": Scenario([shared], "good", ["PLACE/a/", "PLACE/b/"]),

    "39 IPv6 alone": Scenario([nginx(site("root PLACE/a;", "[::]:80 ipv6only=on", SIX))],
        "good", [PUBLIC_V6, "PLACE/a/"], SIX),
    "39 two families, two servers": Scenario(
        [nginx(site("root PLACE/a;", f"{PUBLIC_V4}:80", DUAL)),
         other(Caddy, f"http://{DUAL} {{\nbind {PUBLIC_V6}\nroot * PLACE/b\nfile_server\n}}\n", port=2019)], "good",
        ["PLACE/a/", "PLACE/b/"], DUAL),
    "39 two families, one of them refused": Scenario(
        [nginx(site("root PLACE/a;", "80", DUAL) + site("return 403;", "[::]:80 ipv6only=on", DUAL))], "fails",
        ["return 403"], DUAL),
    "40 loopback alone is taken": Scenario(
        [nginx(site("root PLACE/a;", "127.0.0.1:80"))], "good", ["autowebroot listens itself"]),
    "40 IPv6 alone is taken": Scenario(
        [nginx(site("root PLACE/a;", "[::]:80 ipv6only=on"))], "good", ["autowebroot listens itself"]),
    "41 a forward that binds nothing": Scenario(
        [redirected, nginx(site("root PLACE/a;", "8080"))], "good", ["port forward", "PLACE/a/"]),
    "42 a container": Scenario([box], "good", ["/srv/inside/"]),
    "42 a container with a volume for reading": Scenario(
        [lambda place: box(place, volumes={"/srv/inside": place / "a"}, read_only=["/srv/inside"])], "good",
        ["/srv/inside/"]),
    "43 redirected to https": Scenario(
        [secure(site("root PLACE/a; return 301 https://$host$request_uri;") + site("root PLACE/b;", "LISTEN"))], "good",
        ["return 301", "PLACE/b/"]),
    "43 redirected to another name": Scenario(
        [nginx(site("return 301 http://bob.users.sample.org$request_uri;") + site("root PLACE/b;", names=DEEP))],
        "good", [DEEP, "PLACE/b/"]),
    "43 redirected in a loop": Scenario([nginx(site("return 301 http://$host$request_uri;"))], "fails", ["return 301"]),
    "43 redirected to port 8080": Scenario(
        [nginx(site("return 301 http://$host:8080$request_uri;"))], "fails", ["8080"]),
    "43 redirected to another machine": Scenario(
        [nginx(site("return 301 http://192.0.2.1$request_uri;"))], "fails", ["192.0.2.1"]),
    "44 a password": Scenario(
        [nginx(site("root PLACE/a; auth_basic x; auth_basic_user_file PLACE/passwords;"))], "fails", ["auth_basic"]),
    "44 maintenance": Scenario(
        [nginx(site("root PLACE/a; if (-f PLACE/passwords) { return 503; }"))], "fails",
        ["-f PLACE/passwords", "status 503"]),
    "44 gzip": Scenario(
        [nginx("gzip on; gzip_types *; gzip_min_length 1; " + site("root PLACE/a;"))], "good", ["PLACE/a/"]),
    "44 an allow-list that admits us": Scenario(
        [nginx(site(f"root PLACE/a; allow {PUBLIC_V4}; deny all;"))], "unproven",
        ["deny all", "admits certain addresses only"], renews=True),
    "44 geo that admits us": Scenario(
        [nginx(f"geo $ours {{ default 0; {PUBLIC_V4} 1; }}\n" + site("root PLACE/a; if ($ours = 0) { return 444; }"))],
        "unproven", ["if ($ours = 0)", "nginx.conf:", "admits certain addresses only"], renews=True),
    "44 geo that refuses others": Scenario(
        [nginx("geo $bad { default 0; 192.0.2.1 1; }\n" + site("root PLACE/a; if ($bad) { return 444; }"))],
        "good", ["PLACE/a/"]),
    "44 Require ip that admits us": Scenario(
        [apache(vhost(f"DocumentRoot PLACE/a\n<Location />\nRequire ip {PUBLIC_V4}\n</Location>"))], "unproven",
        ["Require ip", "admits certain addresses only"], renews=True),
    "44 Require not ip": Scenario(
        [apache(vhost("DocumentRoot PLACE/a\n<Location />\n<RequireAll>\nRequire all granted\n"
                      "Require not ip 192.0.2.1\n</RequireAll>\n</Location>"))], "good", ["PLACE/a/"]),
    "44 HAProxy that admits us": Scenario(
        [other(Haproxy, f"frontend f\n mode http\n bind :80\n http-request deny unless {{ src {PUBLIC_V4} }}\n"
               " default_backend one\nbackend one\n mode http\n server s 127.0.0.1:8080\n"),
         nginx(site("root PLACE/a;", "127.0.0.1:8080"))], "unproven",
        ["http-request deny", "admits certain addresses only"], renews=True),
    "44 an allow-list": Scenario(
        [nginx(site("root PLACE/a; allow 192.0.2.1; deny all;"))], "unproven", ["deny all"], renews=False),
}


def make_place(place: Path) -> None:
    """Make the served directories, each with a page of its own."""
    for name in ("root", "a", "b", "homes/bob/www", "app/public", "nginx/html"):
        (place / name).mkdir(parents=True)
        (place / name / "index.html").write_text(name)
    (place / "passwords").write_text("")


__all__ = ["ADDRESSES", "DEEP", "DUAL", "NAME", "OTHER_V4", "SCENARIOS", "SIX", "Scenario", "filled", "make_place"]
