"""Minimised findings: each was a traceback, an endless computation or a wrong answer once."""
import pytest

from certbot_autowebroot.route import CHALLENGE_PATH
from tests.fuzz.findings import tried
from tests.fuzz.targets import TARGETS
from tests.lab.table import TOKEN

_DEEP = "[" * 100_000
_ASKED = f"{CHALLENGE_PATH}{TOKEN} 203.0.113.10 80\n"
_HTACCESS = ("DocumentRoot /srv/a\n<Directory />\nAllowOverride All\nRequire all granted\n</Directory>\n"
             "%% ../srv/a/.htaccess\n")
_BACKEND = 'backend a { .host = "127.0.0.1"; }\n'


@pytest.mark.parametrize("target, text", [
    # Numbers that Python does not take for numbers, or ports that are none.
    ("apache-dump", "# In file: \n#5:\nRedirect \u00b2 / http://x/"),
    ("apache", "RewriteEngine on\nRewriteRule ^ /x [R=\u00b2]"),
    ("apache", "RewriteEngine on\nRewriteRule ^ /$\u00b2x [N=\u00b2]\nRewriteRule ^ - [S=\u00b2]"),
    ("apache", "<VirtualHost *:" + "9" * 5000 + ">\nServerName x:" + "9" * 5000 + "\n</VirtualHost>"),
    ("nginx", "http { server { return " + "9" * 5000 + "; } }"),
    ("nginx", "http { server { listen " + "9" * 5000 + "; try_files a =" + "9" * 5000 + "; } }"),
    ("nginx", "http { server { location / { proxy_pass http://127.0.0.1:90202; } } }"),
    ("varnish", 'backend a { .host = "127.0.0.1"; .port = "0"; }'),
    ("arguments", "varnishd\0varnishd\0-b\x00127.0.0.1:65536"),
    ("arguments", "socat\0socat\0TCP-LISTEN:80\0TCP:127.0.0.1:" + "9" * 5000),
    # Bytes that are no UTF-8, in what becomes a URL.
    ("apache-dump", "GET http://x/\udca6 203.0.113.10 80\n# In file: \n#3:\nRedirectpermanent / http://x/"),
    ("apache", "GET http://x/\udca6 203.0.113.10 80\nRewriteEngine on\nRewriteRule ^(.*)$ http://x/$1 [B,R]"),
    ("nginx", "GET http://x/\udca6 203.0.113.10 80\nhttp { server { return 301 https://x$request_uri; } }"),
    # Directories: of "/", of "..", of what is relative to nothing.
    ("nginx", "http { server { root /; } }"),
    ("nginx", f"GET http://x/..{_ASKED}http {{ server {{ root /srv; }} }}"),
    ("nginx", "http { server { root /; location / { try_files h $uri; } location /x { alias; try_files h $uri; } } }"),
    ("nginx", "http{server{root /;location /{alias;try_files h $uri;"),
    # Depth and length.
    ("apache", _HTACCESS + "<Files a>\n" * 60),
    ("apache", _HTACCESS + "Define A xxxx\n" + "Define A ${A}${A}\n" * 60),
    ("apache", "Define A xxxx\n" + "Define A ${A}${A}\n" * 60 + "DocumentRoot ${A}"),
    ("apache", "<Macro m $x>\n" + "Use n $x$x\n" + "</Macro>\n<Macro n $x>\nUse m $x$x\n</Macro>\nUse m aaaa\n"),
    ("apache", '<If "' + "tolower(" * 5000 + "'a')\">\nRequire all denied\n</If>\nDocumentRoot /srv/a"),
    ("apache", '<If "' + "'a' . " * 5000 + "'a' == 'b'\">\nRequire all denied\n</If>\nDocumentRoot /srv/a"),
    ("varnish", _BACKEND + "sub vcl_recv { if (" + "!" * 9000 + "req.url) { } }"),
    ("varnish", _BACKEND + "sub vcl_recv { return (synth(1)); } sub vcl_synth { return (synth(1)); }"),
    ("varnish", 'include "./\0";'),
    ("varnish", _BACKEND * 800 + 'include "main";'),
    # A status that only the running Varnish knows.
    ("varnish", _BACKEND + "sub vcl_recv { return (synth(1)); } sub vcl_synth { set resp.status = std.random(1, 2); }"),
    ("nginx", "http { server { set $a xxxxxxxx; " + "set $a $a$a;" * 60 + " root /$a; } }"),
    ("nginx", "http { server { " + "rewrite ^(.*)$ $1$1;" * 60 + " root /x; } }"),
    ("nginx", "http { map $host $a0 { default x; } " + "".join(
        f"map $a{n}$a{n} $a{n + 1} {{ volatile; default $a{n}$a{n}; }}" for n in range(40)) + "server {root $a40;} }"),
    ("nginx", "http { " + "server { listen 1-30000; } " * 50 + "}"),
    ("nginx", "http { upstream u { " + "server 127.0.0.1:80; " * 60 + "} server { location / { proxy_pass "
              "http://u/x$uri; } } }"),
    ("haproxy", "frontend f\n" + " bind :80\n" * 5000 + " default_backend b\nbackend b\n server a 127.0.0.1:80\n"),
    ("nginx-log", 'open() "/' + TOKEN * 5000),
    ("roots", _DEEP), ("roots", '{"www.sample.com":' + _DEEP), ("journal", _DEEP), ("caddy", _DEEP),
    ("roots", '{"www.sample.com":' + "9" * 5000 + "}"),
    # The kernel writes a carriage return in the name of a mount point as it is.
    ("kernel", "\r\0\r\r\0\r"),
])
def test_finding_stays_fixed(target: str, text: str) -> None:
    """It is answered or refused, in time."""
    finding = tried(TARGETS[target], text.encode("utf-8", "surrogateescape"))
    assert finding is None, str(finding)
