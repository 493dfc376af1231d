"""Caddy's table: Caddyfiles, and for each request its destination; and a Caddyfile with every kind of address."""
from typing import Dict
from typing import Tuple

from tests.lab.cases import PATH
from tests.lab.cases import to

#: The addresses of its sites are of every kind.
CADDYFILE = """\
{
\tadmin off
}

(snippet) {
\trespond no
}

www.sample.com:8080, # a comment {
\thttps://www.sample.com/path {
\thandle {
\t\trespond "}" # {
\t}
}
*.sample.org {
}
import sites/*.caddy
:80 {
}
"""

#: Caddyfile, and the destination of each request (:func:`tests.lab.cases.request_for`).
CASES: Dict[str, Tuple[str, Dict[str, str]]] = {
    "root": (":80 {\n root * {dir}/one\n file_server\n}", {"a.test": "one"}),
    "no root: the working directory": (":80 {\n file_server\n}", {"a.test": "."}),
    "root of file_server": (":80 {\n file_server {\n root {dir}/two\n }\n}", {"a.test": "two"}),
    "several sites, an unknown host": ("""
http://a.test, http://*.c.test {
    root * {dir}/one
    file_server
}
http://b.test {
    root * two
    file_server
}""", {"a.test": "one", "b.test": "two", "x.c.test": "one", "x.y.c.test": "dead end", "other": "dead end"}),
    "placeholders in a root": ("""
http://a.test, http://b.test {
    root * {dir}/hosts/{host}
    file_server
}
http://a.b.c {
    root * {dir}/labels/{labels.1}
    file_server
}""", {"a.test": "hosts/a.test", "b.test": "hosts/b.test", "a.b.c": "labels/b"}),
    "roots by path, the most specific last": (""":80 {
    root * {dir}/one
    root /.well-known/* {dir}/two
    file_server
}""", {"a.test": "two"}),
    "handle": (""":80 {
    root * {dir}/one
    handle /.well-known/acme-challenge/* {
        root * {dir}/two
        file_server
    }
    handle {
        reverse_proxy 127.0.0.1:8001
    }
}""", {"a.test": "two", "a.test/x": to(1, "a.test", "/x")}),
    "handle_path strips": (""":80 {
    handle_path /.well-known/* {
        root * {dir}/two
        file_server
    }
}""", {"a.test": "two acme-challenge/*"}),
    "route keeps the order": (""":80 {
    route {
        reverse_proxy /.well-known/* 127.0.0.1:8001
        file_server
    }
}""", {"a.test": to(1, "a.test")}),
    "reverse_proxy": ("""
http://a.test {
    reverse_proxy 127.0.0.1:8001 127.0.0.1:8002
}
http://b.test {
    reverse_proxy 127.0.0.1:8001 {
        header_up Host {upstream_hostport}
    }
}
http://c.test {
    reverse_proxy unix/{dir}/echo.sock {
        header_up Host inner.test
        rewrite /inner{uri}
    }
}
http://d.test {
    root * {dir}/one
    @rest not path /.well-known/acme-challenge/*
    reverse_proxy @rest localhost:8001
    file_server
}""", {"a.test": f"to 127.0.0.1:8001,127.0.0.1:8002 a.test {PATH}",
       "c.test": f"to unix:/echo.sock inner.test /inner{PATH}",
       "d.test": "one", "b.test/x": "to 127.0.0.1:8001 127.0.0.1 /x"}),
    "redirects": ("""
http://a.test {
    redir https://www.{host}{uri} permanent
}
http://b.test {
    redir /old* https://new.test{uri} 308
    redir https://{host}{path}
}
http://c.test {
    @other not path /.well-known/*
    redir @other https://c.test{uri}
    root * {dir}/one
    file_server
}""", {"a.test": f"301 https://www.a.test{PATH}", "a.test/x?y=z": "301 https://www.a.test/x?y=z",
       "b.test/older": "308 https://new.test/older", "b.test/x": "302 https://b.test/x", "c.test": "one",
       "c.test/x": "302 https://c.test/x"}),
    "answers of its own": ("""
http://a.test {
    respond "hello"
}
http://b.test {
    respond /.well-known/* 404
}
http://c.test {
    error 503
}
http://d.test {
    abort
}
http://e.test {
    respond /x "hello"
}""", dict.fromkeys(("a.test", "b.test", "c.test", "d.test", "e.test", "f.test"), "dead end")),
    "rewrites": ("""
http://a.test {
    root * {dir}/one
    rewrite /.well-known/* /sub{uri}
    file_server
}
http://b.test {
    root * {dir}/one
    uri strip_prefix /.well-known
    file_server
}
http://c.test {
    root * {dir}/one
    uri replace /.well-known/acme-challenge /
    file_server
}
http://d.test {
    root * {dir}/one
    rewrite * /index.php?u={uri}
    file_server
}
http://e.test {
    root * {dir}/one
    @re path_regexp wk ^/\\.well-known/(.*)$
    rewrite @re /{re.wk.1}
    uri path_regexp /+ /
    file_server
}""", {"a.test": "one sub/.well-known/acme-challenge/*", "b.test": "one acme-challenge/*", "c.test": "one *",
       "d.test": "dead end", "e.test": "one acme-challenge/*"}),
    "try_files": ("""
http://a.test {
    root * {dir}/one
    try_files {path} {path}/ /index.php
    file_server
}
http://b.test {
    root * {dir}/one
    try_files /index.php
    file_server
}
http://c.test {
    root * {dir}/one
    @static file
    handle @static {
        file_server
    }
    reverse_proxy 127.0.0.1:8001
}
http://d.test {
    root * {dir}/one
    php_fastcgi 127.0.0.1:9000
    file_server
}""", {"a.test": "one", "b.test": "dead end", "c.test": "one", "c.test/none": to(1, "c.test", "/none"),
       "d.test": "one"}),
    "hidden files": ("""
http://a.test {
    root * {dir}/one
    file_server {
        hide .*
    }
}
http://b.test {
    root * {dir}/one
    file_server {
        hide {dir}/one/.well-known
    }
}
http://c.test {
    root * {dir}/one
    file_server {
        hide .git
    }
}""", {"a.test": "dead end", "b.test": "dead end", "c.test": "one"}),
    "matchers": (""":80 {
    @a {
        method GET
        host a.test
        path *A /x
    }
    root @a {dir}/one
    @b {
        protocol http
        not host a.test
        path_regexp ^/\\.well-known/
    }
    root @b {dir}/two
    @c path */acme-challenge/*
    vars @c seen yes
    @d vars {vars.seen} yes
    handle @d {
        file_server
    }
}""", {"a.test": "one", "b.test": "two", "b.test/x": "dead end"}),
    "an address for a name": ("""
http://[2001:db8::1] {
    root * {dir}/one
    file_server
}
http://[2001:db8::2] {
    redir https://{host}{uri}
}
http://[2001:db8::3] {
    reverse_proxy 127.0.0.1:8001
}""", {"2001:db8::1": "one", "2001:db8::2": f"302 https://[2001:db8::2]{PATH}", "2001:db8::3": to(1, "2001:db8::3")}),
    "maps": ("""
:80 {
    map {host} {site} {kind} {
        a.test one -
        ~^(b)\\.test$ hosts/${1}.test x
        c.test "" {host}
        default two none
    }
    map {site} {again} {
        one two
        default one
    }
    root * {dir}/{site}
    handle /.well-known/* {
        file_server
    }
    redir /x https://{kind}/{again}
}""", {"a.test": "one", "b.test": "hosts/b.test", "d.test": "two", "a.test/x": "302 https://none/two",
       "b.test/x": "302 https://x/one", "d.test/x": "302 https://none/one"}),
    "automatic https": ("""
a.test {
    respond hi
}""", {"a.test": f"308 https://a.test{PATH}", "other/x?y": "308 https://other/x?y"}),
    "automatic https beside http sites": ("""
a.test, b.test {
    respond hi
}
http://b.test, http://c.test {
    root * {dir}/one
    file_server
}
http:// {
    root * {dir}/two
    file_server
}""", {"a.test": f"308 https://a.test{PATH}", "b.test": "one", "c.test": "one", "d.test": "two"}),
    "automatic https, catch-all": ("""
https:// {
    tls {
        on_demand
    }
    respond hi
}
http://c.test {
    root * {dir}/one
    file_server
}""", {"a.test": f"308 https://a.test{PATH}", "c.test": "one"}),
    "addresses": ("""
http://a.test {
    bind 127.0.0.1
    root * {dir}/one
    file_server
}
http://203.0.113.10 {
    bind 203.0.113.10 2001:db8::10
    root * {dir}/two
    file_server
}""", {"a.test": "one", "203.0.113.10@203.0.113.10": "two", "a.test@203.0.113.10": "dead end",
       "203.0.113.10@2001:db8::10": "two"}),
}
