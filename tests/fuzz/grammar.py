"""Configurations that are built of real directives, in real blocks, in any order and depth: for hypothesis.

A template is a directive or the beginning of a block; ``{slot}`` in it is filled from :data:`_SLOTS`.
"""
import json
import re
from random import Random
from typing import Any
from typing import Dict
from typing import NamedTuple
from typing import Sequence

from hypothesis import strategies as st

from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import seeds
from tests.fuzz.seeds import words
from tests.lab.table import TOKEN

_SLOTS: Dict[str, Sequence[str]] = {
    "name": ("www.sample.com", "*.sample.com", "sample", "_", "", "$host", "~^(?<x>www)\\.(.+)$", "a", "b"),
    "path": ("/", "/.well-known/", "/.well-known/acme-challenge/", f"/.well-known/acme-challenge/{TOKEN}", "/x/$1",
             "$uri"),
    "dir": ("/srv", "/srv/www", "/srv/$host", "/srv/a/", "a", "/", "", "/srv/%0", "%{DOCUMENT_ROOT}/x", "${A}/www"),
    "regex": ("^/(.*)$", "\\.", "acme", "(?<x>.*)/", "^(a+)+$", "(", ".*", "", "/[^/]+$"),
    "to": ("/x$1", "$uri", "/$host/$1", "https://$host$request_uri", "-", "http://127.0.0.1:8080/x", "/",
           "%{REQUEST_URI}x"),
    "var": ("$a", "$b", "$host", "$uri", "$request_filename", "$http_user_agent", "$args", "$1", "%{HTTP_HOST}", "%1"),
    "op": ("=", "!=", "~", "!~", "~*", "==", "=~", "=^", "<"),
    "port": ("80", "127.0.0.1:80", "[::]:80", "443 ssl", "*:80", "unix:/run/x.sock", "8080"),
    "upstream": ("127.0.0.1:8080", "u", "unix:/run/x.sock", "[::1]:443", "localhost", "127.0.0.1", "203.0.113.10:80"),
    "number": ("0", "1", "200", "301", "404", "444", "99999", "-1"),
    "flag": ("last", "break", "permanent", "", "[L]", "[R=301,L]", "[P]", "[N]", "[PT]", "[F]", "[E=a:b,NC,OR]"),
    "word": ("a", "on", "off", "all", "any", "x y", "none", "denied", "granted"),
    "cond": ("if { path_beg /.well-known }", "if a !b", "unless a or { src 10.0.0.1 }", "", "if { hdr(host) -i www }"),
    "expr": ('req.http.host == "www.sample.com"', 'req.url ~ "^/(.*)"', "!(true && client.ip ~ x)", "req.url",
             "false ||"),
}


class Language(NamedTuple):
    """How configurations are written.

    :ivar top: what each begins with; :ivar bottom: and ends with.
    :ivar blocks: beginnings of blocks.
    :ivar end: what ends a block; ``{0}`` is the first word of its beginning.
    """

    top: str
    bottom: str
    directives: str
    blocks: str
    end: str


_LANGUAGES = {
    "nginx": Language("http {\n", "}\n", """\
listen {port};|server_name {name} {name};|root {dir};|alias {dir};|set {var} {to}{var};|rewrite {regex} {to} {flag};
break;
return {number} {to};|return {number};|try_files {var} {path} ={number};|error_page 404 = {path};|internal;
deny {word};
proxy_pass http://{upstream}{path};|proxy_set_header Host {var};|server {upstream};|default {to};|{name} {var};
allow all;
include a;|auth_basic {word};|satisfy {word};|merge_slashes off;|volatile;|hostnames;|{regex} {to};
absolute_redirect off""",
                      """\
server {|server {|location {path} {|location ^~ {path} {|location ~ {regex} {|location = {path} {|location @{word} {
http {
if ({var} {op} {regex}) {|if (-f {var}) {|map {var} {var} {|upstream u {|limit_except {word} {|a_by_lua_block {
stream {""",
                      "}"),
    "apache": Language("", "", """\
ServerName {name}|ServerAlias {name}|DocumentRoot {dir}|Alias {path} {dir}|AliasMatch {regex} {dir}
Redirect {number} {path} {to}
RedirectMatch {regex} {to}|ProxyPass {path} http://{upstream}/|ProxyPass {path} !|RewriteEngine on
RewriteRule {regex} {to} {flag}
RewriteCond {var} {regex} {flag}|RewriteCond {var} -f|RewriteBase {path}|Require all {word}|Require expr {var} == 'a'
Listen {port}
Order deny,allow|Deny from {word}|Satisfy any|VirtualDocumentRoot {dir}|Define A {dir}|Use m {dir}|Include a
SetHandler {word}
SetEnvIf Host {regex} a={word}|AllowOverride {word}|Options {word}|UseCanonicalName on
ErrorDocument 404 {path}""", """\
<VirtualHost {port}>|<VirtualHost *:80>|<Directory "{dir}">|<Location {path}>|<LocationMatch {regex}>|<Files {word}>
<If "{var} == 'a'">|<Else>|<IfDefine {word}>|<IfModule mod_{word}.c>|<Macro m $x>|<RequireAll>|<RequireNone>
<Limit GET>""",
                       "</{0}>"),
    "lighttpd": Language('server.modules = ("mod_rewrite", "mod_redirect", "mod_alias", "mod_proxy")\n', "", """\
server.document-root = "{dir}"|alias.url = ("{path}" => "{dir}")|url.rewrite-once = ("{regex}" => "{to}")|include "a"
url.rewrite-repeat = ("{regex}" => "{to}")|url.redirect = ("{regex}" => "{to}")|server.bind = "{upstream}"
server.port = {number}
proxy.server = ("" => (("host" => "{upstream}", "port" => {number})))|simple-vhost.server-root = "{dir}"
var.a = "{dir}"
var.a += var.a|evhost.path-pattern = "{dir}"|server.document-root = var.a + "{path}"
url.access-deny = ("{word}")""", """\
$HTTP["host"] {op} "{name}" {|$HTTP["url"] {op} "{regex}" {|else $HTTP["host"] =~ "{regex}" {|else {|global {
$SERVER["socket"] == "{port}" {|$HTTP["remoteip"] == "{word}" {""", "}"),
    "haproxy": Language("listen l\nbind :80\nmode http\n", "", """\
bind :80|bind {upstream}|mode http|acl a path_beg {path}|acl b hdr(host) -i {name}|acl a path_reg {regex}
use_backend b {cond}
http-request deny {cond}|http-request redirect location {to} {cond}
http-request set-path %[path,regsub({regex},/x,g)] {cond}
http-request set-header Host %[var(txn.a)]|http-request set-var(txn.a) path
http-request replace-path {regex} {to} {cond}
server s {upstream} check|server s {upstream} send-proxy ssl|default_backend b|redirect scheme https {cond}
errorfile {number} x
http-request return status {number} {cond}|tcp-request content reject {cond}|option x|monitor-uri {path}""", """\
backend b|frontend {word}|listen {word}|defaults|defaults {word} from {word}|global""", ""),
    "varnish": Language('vcl 4.1;\nbackend a { .host = "127.0.0.1"; .port = "8080"; }\nsub vcl_recv {\n', "}\n", """\
set req.url = req.url + "{path}";|set req.http.host = "{name}";|set req.backend_hint = a;|return (pass);|call x;
unset req.http.{word};
return (synth({number}, "{to}"));|set req.url = regsub(req.url, "{regex}", "{to}");
set req.http.x = std.tolower(req.url);""", """\
if ({expr}) {|if ({expr} || {expr}) {|elseif ({expr}) {|else {""", "}"),
}


def _templates(text: str) -> Sequence[str]:
    return [template for line in text.split("\n") for template in line.split("|") if template]


def _filled(template: str, picks: Sequence[int]) -> str:
    rest = iter(picks)

    def value(match: "re.Match[str]") -> str:
        choices = _SLOTS.get(match[1], (match[0],))
        return choices[next(rest, 0) % len(choices)]
    return re.sub(r"\{([a-z]+)\}", value, template)


def _configurations(language: Language) -> st.SearchStrategy[str]:
    picks = st.lists(st.integers(0, 99), min_size=3, max_size=4)
    line = st.builds(_filled, st.sampled_from(_templates(language.directives)), picks)
    start = st.builds(_filled, st.sampled_from(_templates(language.blocks)), picks)

    def block(begin: str, inner: Sequence[str]) -> str:
        first = re.match(r"\W*(\w*)", begin)
        return "\n".join([begin, *inner, language.end.replace("{0}", first[1] if first else "")])
    item = st.recursive(line, lambda inner: st.builds(block, start, st.lists(inner, max_size=4)), max_leaves=25)
    return st.lists(item, max_size=8).map(lambda items: language.top + "\n".join(items) + "\n" + language.bottom)


#: JSON with the words that Caddy's has, nested in the way of Caddy or in any other.
_CADDY_WORDS = sorted({*re.findall(r'"([\w./*{}-]+)"', b"".join(seeds("caddy")).decode())})


def _caddy() -> st.SearchStrategy[str]:
    leaf = st.none() | st.booleans() | st.integers() | st.sampled_from(_CADDY_WORDS) | st.floats()
    value: st.SearchStrategy[Any] = st.recursive(leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(_CADDY_WORDS), inner, max_size=4), max_leaves=30)
    matchers = st.lists(st.dictionaries(st.sampled_from(_CADDY_WORDS), value), max_size=3)
    route = st.fixed_dictionaries({}, optional={"match": matchers, "handle": st.lists(value, max_size=3),
                                                "terminal": st.booleans()})
    return st.lists(route, max_size=5).map(lambda routes: json.dumps(
        {"apps": {"http": {"servers": {"a": {"listen": [":80"], "routes": routes}}}}}))


def inputs(target: str) -> st.SearchStrategy[bytes]:
    """Inputs for a target: built, or one of its seeds, and as often as not mutated then."""
    sources: st.SearchStrategy[bytes] = st.sampled_from(seeds(target)) | st.binary(max_size=200)
    if target in _LANGUAGES:
        sources = _configurations(_LANGUAGES[target]).map(lambda text: text.encode()) | sources
    elif target == "caddy":
        sources = _caddy().map(lambda text: text.encode()) | sources

    def change(data: bytes, seed: int) -> bytes:
        # Not a secret: the same change each time.
        return mutated(data, Random(seed), words(target), seeds(target)) if seed else data  # noqa: S311
    return st.builds(change, sources, st.integers(0, 2 ** 32) | st.just(0))
