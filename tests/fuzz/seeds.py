"""The seeds of the fuzzers: the configurations of the tables that real servers were asked about."""
import functools
import json
import re
from typing import Any
from typing import Dict
from typing import Iterable
from typing import List

from tests.lab import apache_table
from tests.lab import caddy_table
from tests.lab import haproxy_table
from tests.lab import lighttpd_table
from tests.lab import nginx_table
from tests.lab import static_table
from tests.lab import varnish_table
from tests.lab.nginx import _FRAME
from tests.lab.random import nginx_generator
from tests.lab.table import TOKEN

_PATH = f"/.well-known/acme-challenge/{TOKEN}"
_FRONT = "203.0.113.10 80"

#: JSON as Caddy has it; its own tables are in its other language, which only its binary reads.
_CADDY_ROUTES: List[Any] = [
    [{"handle": [{"handler": "vars", "root": "/srv/{http.request.host}"},
                 {"handler": "file_server", "hide": ["*/.x"]}]}],
    [{"match": [{"host": ["www.sample.com", "*.x"], "path": ["/.well-known/*"]}], "terminal": True,
      "handle": [{"handler": "subroute", "routes": [{"group": "g", "handle": [
          {"handler": "rewrite", "uri": "/x{http.request.uri}", "strip_path_prefix": "/.well-known",
           "uri_substring": [{"find": "a", "replace": "b", "limit": 2}],
           "path_regexp": [{"find": "^/(.*)$", "replace": "/y/$1"}]}]}]},
          {"handler": "reverse_proxy", "upstreams": [{"dial": "127.0.0.1:8080"}, {"dial": "unix//run/x.sock"}],
           "headers": {"request": {"set": {"Host": ["{http.reverse_proxy.upstream.hostport}"]}}}}]}],
    [{"match": [{"path_regexp": {"name": "r", "pattern": "^/(\\.[a-z-]+)/"}, "not": [{"header": {"X": ["y"]}}],
                 "file": {"root": "/srv", "try_files": ["{http.request.uri.path}", "/index.html"]}}],
      "handle": [{"handler": "static_response", "status_code": 308,
                  "headers": {"Location": ["https://{http.request.host}{http.request.uri}"]}}]},
     {"handle": [{"handler": "invoke", "name": "n"}, {"handler": "authentication"}, {"handler": "unheard"}]}]]

_ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.0 404 Not Found\r\n\r\ngone",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
    b"HTTP/1.1 301 Moved\r\nLocation: https://www.sample.com:443/x?y=1\r\n\r\n%%\nHTTP/1.1 200 OK\r\n\r\nhello",
    b"HTTP/1.1 302 Found\r\nLocation: //[2001:db8::1%25x]/\xc3\xa4%2e/../x\r\nX: y\r\n z\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 308 X\r\nLocation: http://user@localhost:80#f\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: ftp://www.sample.com:99999/\r\n\r\n")

_FOOTPRINT: Dict[str, Any] = {"number": 1, "path": "/srv/www", "parent": [1, 2], "name": ".well-known",
                              "draft": ".draft", "uid": 0, "sha256": "", "made": None}

_COMMANDS = ("docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 80 -container-ip 172.17.0.2 -container-port 80",
             "socat TCP-LISTEN:80,fork TCP:[::1]:8080,x", "socat UNIX-LISTEN:x UNIX-CONNECT:/run/x.sock",
             "nginx: master process nginx -c /etc/x.conf -p /srv -g daemon off;", "apache2 -d /etc -f x.conf -DX -C x",
             "haproxy -C /etc -f x.conf -- y.conf", "varnishd -b localhost:8080", "varnishd -b /run/x.sock",
             "varnishd -f x -pvcl_path=/etc:", "lighttpd -Df /etc/x.conf", "caddy file-server --root=/srv --listen :80",
             "caddy reverse-proxy --from http://x:80 --to https://127.0.0.1:8080 --to x", "caddy run --config x.json",
             "rails server -b 0.0.0.0 /srv/www", "java -m jdk.httpserver -d /srv", "ruby -run -e httpd /srv -p 80")


@functools.cache
def seeds(target: str) -> List[bytes]:
    """The seeds of a target."""
    return list(dict.fromkeys(_MADE[target]()))


@functools.cache
def words(target: str) -> List[bytes]:
    """A target's dictionary: the words that its seeds are made of."""
    words = (word for seed in seeds(target) for word in re.findall(rb"[\w.$-]+|[^\w\s]{1,3}", seed))
    return list(dict.fromkeys(words))


def _asked(config: str, key: str) -> bytes:
    """A configuration with the request for a key of a table: ``host`` or ``host/path``."""
    host, slash, path = key.partition("/")
    where = "unix:/run/x.sock 0" if key == "unix" else _FRONT
    scheme = "https" if host.startswith("https") else "http"
    path = slash + path if slash and " " not in path else _PATH
    text = config.replace("{dir}", "/srv").replace("{place}", "/srv")
    return f"GET {scheme}://{host.split()[0] if host.strip() else 'x'}{path} {where}\n{text}".encode()


def _nginx() -> Iterable[bytes]:
    frame = _FRAME.format(user="root", dir="/srv", main="").partition("http {")[2]
    for _, config, expected in nginx_table.CASES:
        yield _asked("http {" + config + "}", next(iter(expected)))
    yield _asked("http {" + frame + "include a/*.conf; }\n%% a/x.conf\nserver { include b; }\n%% b\nroot /srv;\n", "a")
    yield _asked("stream { server { listen 80; proxy_pass 127.0.0.1:8080; } }", "a")
    for seed in range(20):
        generator = nginx_generator.Generator(seed)
        yield _asked("http {" + generator.maps() + generator.server() + generator.server() + "}", "a.test")


def _apache() -> Iterable[bytes]:
    top = apache_table.TOP
    for row in apache_table.ROWS:
        host = row.host or f"{row.name}.test"
        lines = row.lines.replace("{{", "{").replace("}}", "}")
        name = "" if "ServerName" in lines else f"ServerName {host}\n"
        yield _asked(f"{top}{row.top}\n<VirtualHost *:80>\n{name}{lines}\n</VirtualHost>\n"
                     "<Directory /srv>\nAllowOverride All\n</Directory>\n"
                     "%% ../srv/a/.htaccess\nRewriteEngine on\nRewriteRule ^nothing/(.*)$ /x/$1 [L]\n"
                     "%% conf/x.inc\nDocumentRoot /srv/b\n", host)


def _apache_dump() -> Iterable[bytes]:
    for row in apache_table.ROWS:
        host = row.host or f"{row.name}.test"
        lines = [f"ServerName {host}", *row.lines.replace("{{", "{").replace("}}", "}").split("\n")]
        rows = "".join(f"    #   {number}:\n  {line}\n" for number, line in enumerate(lines, 2))
        yield _asked(f"# In file: /etc/a.conf\n#   1:\n<VirtualHost *:80>\n{rows}</VirtualHost>\nServerRoot: \"/etc\"\n"
                     "Main DocumentRoot: \"/srv/www\"\n rewrite_module (shared)\n*:80  is a NameVirtualHost\n"
                     f"         port 80 namevhost {host} (/etc/a.conf:1)\n", host)


def _caddy() -> Iterable[bytes]:
    for routes in _CADDY_ROUTES:
        for listen in ([":80", ":8080"], [":443", "203.0.113.10:80", ":8080"], [":80", "unix//run/x.sock", ":443"]):
            server = {"listen": listen, "routes": routes, "named_routes": {"n": routes[0]},
                      "automatic_https": {"skip": ["x"]}}
            yield _asked(json.dumps({"apps": {"http": {"servers": {"srv0": server}}}}), "www.sample.com")


def _caddyfile() -> Iterable[bytes]:
    imported = ("%% sites/a.caddy\na.example {\n}\nimport ../main\n"
                "%% sites/b.caddy\nimport *.caddy\nhttp://b.example {\n}\n")
    for host in ("www.sample.com", "a.sample.org", "other.example", "b.example"):
        yield _asked(f"{caddy_table.CADDYFILE}\n{imported}", host)


def _of(module: Any, further: str = "") -> Iterable[bytes]:
    for text, expected in module.CASES.values():
        for key in expected:
            yield _asked(f"{text}\n{further}", key)


def _arguments() -> Iterable[bytes]:
    for command in (*(text for text, _ in static_table.CASES.values()), *_COMMANDS):
        words = command.replace("{place}", "/srv").split()
        if command.startswith("nginx:"):
            words = ["nginx", command]
        yield "\0".join([words[0].strip(":"), *words]).encode()


def _nginx_log() -> Iterable[bytes]:
    yield (f'2026/01/01 00:00:00 [error] 7#7: *1 open() "/srv/www{_PATH}" failed (2: No such file or directory), client'
           f': 203.0.113.1, server: x, request: "GET {_PATH} HTTP/1.1", host: "x"\n').encode()
    line = '2026/01/01 00:00:00 [error] 7#7: *1 open() "{}" failed (2: No such file or directory)\n'
    yield "".join(map(line.format, (f"/{TOKEN}", f"/x/{TOKEN}.html", _PATH))).encode()


def _journal() -> Iterable[bytes]:
    lines = [_FOOTPRINT, {**_FOOTPRINT, "number": 2, "name": "x", "draft": "", "sha256": "0" * 64},
             {"number": 1, "made": [3, 4]}, {"number": 2, "gone": True}]
    yield b"".join(b"\n" + json.dumps(line).encode() + b"\n" for line in lines)
    yield b"\n" + json.dumps(_FOOTPRINT).encode() + b'\n\n{"number": 2, "pa'


def _roots() -> Iterable[bytes]:
    yield b'{"www.sample.com": [["/srv/www", ".well-known/acme-challenge"]], "x": []}'
    yield b'{"www.sample.com": [["/srv/www", ""], ["/srv/b", "acme"]]}'


def _kernel() -> Iterable[bytes]:
    yield b"\0srv/volume\0nginx"
    yield b"var/lib/docker/x\0srv/a b\\040c\n\xff\0a) R 1 (x"


def _dns() -> Iterable[bytes]:
    question = b"\3www\6sample\3com\0\0%c\0\1"
    record = b"%s\0%c\0\1\0\0\0\x3c\0%c%s"
    alias = record % (b"\xc0\x0c", 5, 4, b"\1x\xc0\x10")
    for code in (0x80, 0x83, 0x82):
        for kind, address in ((1, b"\xc0\0\2\1"), (28, bytes(15) + b"\1")):
            records = (b"", record % (b"\xc0\x0c", kind, len(address), address) * 3,
                       alias + record % (b"\xc0\x2c", kind, len(address), address))
            for number, section in enumerate(records):
                yield b"\0\7\x81%c\0\1\0%c\0\0\0\0" % (code, (0, 3, 2)[number]) + question % kind + section
    yield b"127.0.1.1 www.sample.com www # x\n::1%lo www.sample.com\nnameserver fe80::1%eth0\n"


_MADE = {
    "nginx": _nginx, "nginx-log": _nginx_log, "apache": _apache, "apache-dump": _apache_dump, "caddy": _caddy,
    "caddyfile": _caddyfile,
    "lighttpd": lambda: _of(lighttpd_table),
    "varnish": lambda: _of(varnish_table, "%% included.vcl\nsub vcl_recv { if (req.url) { return (pass); } }\n"),
    "haproxy": lambda: _of(haproxy_table, "%% ../srv/paths.lst\n/.well-known/\n# x\n%% ../srv/hosts.map\na two\n"
                                         "%% ../srv/regex.map\n^x three\n"),
    "arguments": _arguments, "probe": lambda: _ANSWERS, "journal": _journal, "roots": _roots, "kernel": _kernel,
    "dns": _dns,
}
