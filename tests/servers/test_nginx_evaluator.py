"""nginx's evaluator without a server: the text of a trail, and unknown values."""
import os
import pathlib
import re
from random import Random
from typing import List
from typing import Optional

import pytest

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.nginx import values
from certbot_autowebroot.servers.nginx.evaluator import Evaluator
from certbot_autowebroot.servers.nginx.parser import parse
from certbot_autowebroot.servers.nginx.regexes import Regex
from certbot_autowebroot.servers.nginx.regexes import UnknowableError
from tests.lab.random.nginx_generator import ADDRESSES
from tests.lab.random.nginx_generator import ASKED_NAMES
from tests.lab.random.nginx_generator import Generator

TOKEN = "token-0123456789"


def ask(text: str, host: str = "a.test", endpoint: Endpoint = Endpoint("192.0.2.1", 80),  # noqa: B008
        hostname: str = "", scheme: str = "http", context: str = "http") -> List[Destination]:
    """The answer to one request; the text stands inside http{}, from line 2 on."""
    configuration = parse("/etc/nginx.conf", lambda path: f"{context} {{\n{text}\n}}".encode(), lambda pattern: [],
                          "/usr/share/nginx", hostname)
    return list(Evaluator(configuration).destinations(Request(host, CHALLENGE_PATH + TOKEN, TOKEN, endpoint, scheme)))


def kinds(ends: List[Destination]) -> List[str]:
    """The types of the ends."""
    return [type(end).__name__ for end in ends]


def test_trail() -> None:
    """Each step has its file and line."""
    (end,) = ask("server {\n  listen 80;\n  server_name x a.test;\n  location ^~ /.well-known/ {\n    root /x;\n  }\n}")
    assert [str(step) for step in end.trail] == [
        "server a.test (/etc/nginx.conf:2)", "location ^~ /.well-known/ (/etc/nginx.conf:5)",
        "root /x (/etc/nginx.conf:6)"]


def test_trail_of_default_server() -> None:
    """A name without a server is the commonest surprise."""
    (end,) = ask("server { server_name b.test; return 403; }")
    assert isinstance(end, DeadEnd)
    assert [str(step) for step in end.trail] == [
        "server b.test, the default for 192.0.2.1:80 (/etc/nginx.conf:2)", "return 403 (/etc/nginx.conf:2)"]
    assert end.reason == "return 403: status 403"


@pytest.mark.parametrize("guard", ["auth_basic closed;", "allow 198.51.100.0/24; deny all;", "auth_request /auth;",
                                   "access_by_lua_block { ngx.exit(403) }", "rewrite_by_lua_file x.lua;",
                                   "satisfy any; deny all; auth_basic closed;"])
def test_access_rule(guard: str) -> None:
    """The trail warns that nginx may refuse some clients; only the probe shows whom."""
    (end,) = ask(f"server {{ root /x; location / {{ {guard} }} }}")
    assert isinstance(end, Directory)
    assert end.depends_on_client
    assert any("nginx may refuse some clients" in str(step) for step in end.trail)


@pytest.mark.parametrize("guard", ["auth_basic off;", "allow all; deny all;", "deny 198.51.100.1;",
                                   "allow 0.0.0.0/0; allow ::/0; deny all;"])
def test_access_rule_for_all(guard: str) -> None:
    """Then a refused probe is a proof."""
    (end,) = ask(f"server {{ root /x; location / {{ {guard} }} }}")
    assert isinstance(end, Directory)
    assert not end.depends_on_client


def test_unknown_condition() -> None:
    """A redirect by a header is possible; the destination without the header comes first."""
    ends = ask("server { root /x; if ($http_x_forwarded_proto = http) { return 301 https://$host$request_uri; } }")
    assert kinds(ends) == ["Directory", "Redirect"]
    assert "unknown here, assumed false" in str(ends[0].trail[1])


@pytest.mark.parametrize(("condition", "expected"), [
    ("$http_user_agent ~* (bot|crawl|spider)", "Directory"),
    ("$http_user_agent ~* (python|curl|letsencrypt)", "DeadEnd"),
    ("$http_user_agent ~* https?://", "DeadEnd"),
    ("$http_accept != '*/*'", "Directory"),
    ("$http_referer ~ ^http://old", "DeadEnd")])
def test_headers_of_the_ca(condition: str, expected: str) -> None:
    """Its User-Agent is public, its Referer is the URL before a redirect; a rule on either is decided."""
    text = f"server {{ root /x; if ({condition}) {{ return 403; }} }}"
    configuration = parse("/etc/nginx.conf", lambda path: f"http {{\n{text}\n}}".encode(), lambda pattern: [],
                          "/usr/share/nginx", "")
    request = Request("a.test", CHALLENGE_PATH + TOKEN, TOKEN, Endpoint("192.0.2.1", 80),
                      referer="http://old.test/x")
    (end,) = Evaluator(configuration).destinations(request)
    assert type(end).__name__ == expected
    assert not getattr(end, "depends_on_client", False)


def test_blocked_clients() -> None:
    """Where one of two alternatives serves, the dead destination is not named."""
    assert kinds(ask("server { root /x; if ($http_dnt) { return 403; } }")) == ["Directory"]


def test_error_page_for_fixed_file() -> None:
    """A fixed file or a directory may exist or not; the error page applies only where it does not."""
    ends = ask("server { location ~ acme { alias /x/fixed; error_page 404 = @lost; } location @lost { root /y; } }")
    assert [str(end) for end in ends] == [f"/y{CHALLENGE_PATH}{TOKEN}"]
    assert "-e /x/fixed: unknown here, assumed false" in str(ends[0].trail[2])


def test_many_unknown_conditions() -> None:
    """Forty of them are not a trillion alternatives."""
    conditions = " ".join(f"if ($http_x{number}) {{ set $y{number} 1; }}" for number in range(40))
    assert kinds(ask(f"server {{ {conditions} root /x; }}")) == ["Directory"]


def test_too_many_alternatives() -> None:
    """A dead destination is not certain where some alternatives were not followed."""
    conditions = " ".join(f"if ($http_x{number}) {{ set $y $y{number}; }}" for number in range(40))
    assert kinds(ask(f"server {{ {conditions} return 403; }}")) == ["Unknown"]


def test_one_answer_per_question() -> None:
    """The same unknown condition is not true and false in one alternative."""
    ends = ask("server { root /a; location / { if ($http_x) { root /b; } if ($http_x) { root /c; } } }")
    assert [str(end) for end in ends] == [f"/a{CHALLENGE_PATH}{TOKEN}", f"/c{CHALLENGE_PATH}{TOKEN}"]


@pytest.mark.parametrize("text", [
    "geo $site { default a; 10.0.0.0/8 b; } server { root /x/$site; }",
    "split_clients $remote_addr $site { 50% a; * b; } server { root /x/$site; }",
    "server { set_by_lua_block $site { return 1 } root /x/$site; }",
    "map $remote_addr $site { default a; 10.0.0.1 b; } server { root /x/$site; }",
    "server { root /x/$geoip_country_code; }",
    "server { set $site $http_x_site; root /x/$site; }",
    "server { return 301 https://$http_x$request_uri; }",
    "server { location / { proxy_pass http://$http_backend; } }",
    "server { location / { proxy_set_header Host $http_x; proxy_pass http://b; } }",
    "server { root /x/$hostname; }",
])
def test_unknown_value(text: str) -> None:
    """A directory, a URL or a backend that depends on it is unknown, and the reason names the variable."""
    (end,) = ask(text)
    assert isinstance(end, Unknown)
    assert "$" in end.reason


def test_unknown_candidate() -> None:
    """The known files of a try_files are still named."""
    assert [str(end) for end in ask("server { root /x; try_files /$http_x$uri $uri =404; }")] == [
        f"/x{CHALLENGE_PATH}{TOKEN}"]


def test_hostname() -> None:
    """``server_name $hostname`` is the name of the machine."""
    text = "server { root /default; } server { server_name $hostname; root /x/$hostname; }"
    assert [str(end) for end in ask(text, host="box", hostname="Box")] == [f"/x/Box{CHALLENGE_PATH}{TOKEN}"]


def test_unix_socket() -> None:
    """A server behind another one may listen on a socket."""
    text = "server { root /tcp; } server { listen unix:/run/x.sock; root /unix; }"
    assert [str(end) for end in ask(text, endpoint=Endpoint("unix:/run/x.sock", 0))] == [
        f"/unix{CHALLENGE_PATH}{TOKEN}"]


def test_address_without_server() -> None:
    """The running configuration is not the one on disk."""
    (end,) = ask("server { listen 8080; root /x; }")
    assert isinstance(end, Unknown)
    assert "192.0.2.1:80" in end.reason


def test_mapped_address() -> None:
    """A dual-stack socket gives ``::ffff:192.0.2.1`` as its local address."""
    ends = ask("server { listen 192.0.2.1:80; root /x; }", endpoint=Endpoint("::ffff:192.0.2.1", 80))
    assert kinds(ends) == ["Directory"]


def test_ipv6_literal() -> None:
    """A redirect with it must be a URL."""
    (end,) = ask("server { return 301 https://$host$request_uri; }", host="2001:db8::1")
    assert isinstance(end, Redirect)
    assert end.url == f"https://[2001:db8::1]{CHALLENGE_PATH}{TOKEN}"


def test_redirect_behind_port_forward() -> None:
    """nginx adds the port, and the CA does not follow the redirect; ``port_in_redirect off`` helps."""
    for directive, port in (("", ":8080"), ("port_in_redirect off;", ""), ("absolute_redirect off;", "")):
        (end,) = ask(f"server {{ listen 8080; {directive} return 301 /x; }}", endpoint=Endpoint("192.0.2.1", 8080))
        assert isinstance(end, Redirect)
        assert end.url == f"http://a.test{port}/x"


def test_upstream_down() -> None:
    """Without a member that is up, it is a dead destination."""
    text = "upstream app { server 127.0.0.1:1 down; } server { location / { proxy_pass http://app; } }"
    assert kinds(ask(text)) == ["DeadEnd"]


def test_default_ports() -> None:
    """80 and 443, by the scheme."""
    for url, port in (("http://app.test", 80), ("https://app.test/x/", 443), ("http://[::1]", 80)):
        (end,) = ask(f"server {{ location / {{ proxy_pass {url}; }} }}")
        assert isinstance(end, Upstream)
        assert [member.port for member in end.members] == [port]


@pytest.mark.parametrize("text", ["", "server { }", "server { location { } }", "server { listen; }",
                                  "server { if () { } root; alias; return; rewrite; set; try_files; }",
                                  "server { listen x:y:z; listen 99999999-1; listen [::; server_name; root /x; }",
                                  "map; map $a; map $a $b { c; } upstream; upstream x { server; }",
                                  "server { location / { proxy_pass; } }",
                                  "server { location / { proxy_pass ftp://x; } }",
                                  "server { error_page; error_page 404; location / { return 404; } }",
                                  "server { location ~ ( { root /x; } location ~ [ { } server_name ~(; }",
                                  "server { return 999999999999999999999999; }",
                                  "server { return 301 //[x; absolute_redirect off; }", "server { return 301; }",
                                  "server { try_files $uri =x; }",
                                  "server { location / { proxy_pass http://a:99999999; } }",
                                  "map $a $b { default $b; } server { root /$b; }",
                                  "map $b $a { default $b; } map $a $b { default $a; } server { root /$b; }",
                                  "server { root $document_root; }", "server { alias $request_filename; }"])
def test_refused_configuration(text: str) -> None:
    """A configuration on disk may be broken while an older one runs; it is no exception."""
    assert ask(text)


@pytest.mark.parametrize("text", [r"(a+)+$", r"(.*)(.*)(.*)(.*)(.*)(.*)(.*)x$", r"(x+x+)+y", r"^(a|a)*$"])
def test_slow_regex(text: str) -> None:
    """It has a time limit, once: the second match fails at once."""
    regex = Regex(text)
    for _ in range(2):
        with pytest.raises(UnknowableError, match="too long"):
            regex.search("a" * 60 + "x" * 60 + "!")


@pytest.mark.parametrize("text", ["map $host $x { LINES } server { root /x/$x; }", "server { server_name NAMES; }",
                                  "server { LOCATIONS }"])
def test_many_slow_regexes(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be within its own limit; all of them together have another."""
    monkeypatch.setattr(values, "MAX_REGEX_SECONDS", 0.5)
    slow = [f"~(a+)+{number}$" for number in range(5000)]
    text = text.replace("LINES", " ".join(f"{regex} b;" for regex in slow)).replace("NAMES", " ".join(slow))
    text = text.replace("LOCATIONS", " ".join(f"location ~ ({number}|(\\w+)+)!$ {{ }}" for number in range(5000)))
    assert kinds(ask(text, host="a" * 28 + "!")) == ["Unknown"]


@pytest.mark.parametrize(("text", "subject", "groups"), [
    (r"(?<user>[a-z]+)\.x", "ann.x", ("ann",)), (r"(?P<user>[a-z]+)\.x", "ann.x", ("ann",)),
    (r"(?'user'[a-z]+)\.x", "ann.x", ("ann",)), ("[[:alnum:]_-]+$", "a_B-9", ()), (r"a\zb?", "a", ()),
    ("(?i)ABC", "abc", ()), ("[]a]+x", "a]x", ()), ("a{,3}", "a{,3}", ()), (r"^\w+$", "abc", ()), ("}", "}", ()),
    (r"[[a]\]", "[]", ()), (r"(?:a|b)(?!c)(?=d)", "ad", ()), (r"(a)|(b)", "b", (None, "b")),
])
def test_shared_regex_syntax(text: str, subject: str, groups: "tuple[str, ...]") -> None:
    """It is translated, with captures."""
    match = Regex(text).search(subject)
    assert match is not None
    assert match.groups() == groups


@pytest.mark.parametrize("text", ["(?>a)b", "a++", "a*+b", r"\p{L}", r"\Qa.b\E", "(?R)", "(*UTF8)a", r"a\Kb", r"\Z",
                                  "(?|a|b)", r"\g{1}", "[[:^alpha:]]", "(", "a{99999999999}", "(?<=a+)b", "(" * 500])
def test_other_regex_syntax(text: str) -> None:
    """Never a guess."""
    with pytest.raises(UnknowableError):
        Regex(text).search("ab")


@pytest.mark.parametrize(("condition", "depends"), [
    ("if ($remote_addr !~ ^10) { return 403; }", True), ("if ($allowed = no) { return 444; }", True),
    ("if ($http_user_agent ~ bot) { set $bot 1; }", False), ("if (-f /maintenance) { return 503; }", False)])
def test_condition_on_client(condition: str, depends: bool) -> None:
    """nginx may refuse our probe and not the CA."""
    (end,) = ask(f"geo $allowed {{ default no; }} server {{ root /x; {condition} }}")
    assert isinstance(end, Directory)
    assert end.depends_on_client == depends


@pytest.mark.parametrize(("condition", "kind"), [
    ("-f $document_root/here", "DeadEnd"), ("!-f $document_root/here", "Directory"), ("-d /x/here", "Directory"),
    ("-e /x/here", "DeadEnd"), ("-f /x/absent", "Directory"), ("!-e /x/absent", "DeadEnd")])
def test_file_condition_is_looked_up(condition: str, kind: str, tmp_path: pathlib.Path) -> None:
    """The file of a maintenance page is there or not; the line that it decides is named."""
    (tmp_path / "here").touch()

    def status(path: str) -> Optional[os.stat_result]:
        real = tmp_path / path[len("/x/"):]
        return real.stat() if real.exists() else None
    text = f"http {{\nserver {{ root /x;\nif ({condition}) {{ return 503; }} }}\n}}"
    configuration = parse("/etc/nginx.conf", lambda path: text.encode(), lambda pattern: [])
    request = Request("a.test", CHALLENGE_PATH + TOKEN, TOKEN, Endpoint("192.0.2.1", 80))
    (end,) = Evaluator(configuration).destinations(request, status)
    assert type(end).__name__ == kind
    assert not isinstance(end, DeadEnd) or "/etc/nginx.conf:3" in str(end.trail[-1])


def test_condition_on_our_file_is_not_looked_up() -> None:
    """It is missing only until we make it, in whatever directory."""
    condition = "if (!-f $request_filename) { return 404; }"
    text = f"http {{ server {{ location /.well-known/acme-challenge/ {{ alias /x/; {condition} }} }} }}"
    configuration = parse("/etc/nginx.conf", lambda path: text.encode(), lambda pattern: [])
    request = Request("a.test", CHALLENGE_PATH + TOKEN, TOKEN, Endpoint("192.0.2.1", 80))
    (end,) = Evaluator(configuration).destinations(request, lambda path: None)
    assert str(end) == f"/x/{TOKEN}"


def test_client_certificate() -> None:
    """A content delivery network has one; a direct CA has none, as our probe."""
    (end,) = ask("ssl_verify_client on; server { listen 443 ssl; root /x; }", endpoint=Endpoint("192.0.2.1", 443),
                 scheme="https")
    assert isinstance(end, Directory)
    assert end.depends_on_client


def test_list_of_bad_robots() -> None:
    """Each of its conditions may hold or not; none leads to a file."""
    robots = "".join(f"if ($http_user_agent ~* robot{number}) {{ return 403; }}" for number in range(40))
    assert set(kinds(ask(f"server {{ root /x; {robots} location / {{ return 404; }} }}"))) == {"DeadEnd"}


@pytest.mark.parametrize(("listen", "address", "depends"), [
    ("80 proxy_protocol", "192.0.2.1", True), ("80 proxy_protocol", "127.0.0.1", False), ("80", "192.0.2.1", False)])
def test_proxy_protocol(listen: str, address: str, depends: bool) -> None:
    """A load balancer on another machine sends it for the CA, and none comes with our probe."""
    (end,) = ask(f"server {{ listen {listen}; root /x; }}", endpoint=Endpoint(address, 80))
    assert isinstance(end, Directory)
    assert end.depends_on_client == depends


def test_unsupported_location_regex() -> None:
    """It may match or not; the probe decides."""
    ends = ask(r"server { root /x; location ~ ^/\.(?>well) { root /y; } }")
    assert [str(end) for end in ends] == [f"/x{CHALLENGE_PATH}{TOKEN}", f"/y{CHALLENGE_PATH}{TOKEN}"]


def test_case_of_ascii_only() -> None:
    """PCRE without UTF mode knows no other letters; Python would match the Kelvin sign with k."""
    assert Regex("k", ignore_case=True).search("\u212a") is None


STREAM = """
map $ssl_preread_server_name $to { a.test back; default 127.0.0.1:9; }
upstream back { server 127.0.0.1:8443; server unix:/run/x.sock; }
server { listen 80; proxy_pass 127.0.0.1:8080; proxy_protocol on; }
server { listen 443; ssl_preread on; proxy_pass $to; }
server { listen 444 ssl; proxy_pass 127.0.0.1:8080; }
server { listen 445; proxy_pass $remote_addr:80; }
server { listen 446; return ok; }
"""


@pytest.mark.parametrize(("host", "scheme", "port", "members", "sent", "proxy_protocol"), [
    ("a.test", "http", 80, ["127.0.0.1:8080"], "http", True),
    ("a.test", "https", 443, ["127.0.0.1:8443", "unix:/run/x.sock"], "https", False),
    ("b.test", "https", 443, ["127.0.0.1:9"], "https", False),
    ("a.test", "https", 444, ["127.0.0.1:8080"], "http", False),
])
def test_stream(host: str, scheme: str, port: int, members: List[str], sent: str, proxy_protocol: bool) -> None:
    """nginx passes the connection on with an unchanged request; TLS continues or ends here."""
    (end,) = ask(STREAM, host, Endpoint("192.0.2.1", port), scheme=scheme, context="stream")
    assert isinstance(end, Upstream)
    assert [str(member) for member in end.members] == members
    assert (end.host, end.path, end.scheme, end.proxy_protocol) == (
        host, CHALLENGE_PATH + TOKEN, sent, proxy_protocol)


@pytest.mark.parametrize(("port", "kind"), [(445, "Unknown"), (446, "DeadEnd")])
def test_stream_without_target(port: int, kind: str) -> None:
    """Only the running server knows the address, or there is none."""
    assert kinds(ask(STREAM, endpoint=Endpoint("192.0.2.1", port), context="stream")) == [kind]


@pytest.mark.parametrize("seed", range(20))
def test_damaged_configurations(seed: int) -> None:
    """With words of random configurations removed, doubled and swapped, every request has an answer."""
    random = Random(seed)  # noqa: S311
    generator = Generator(seed)
    words = re.findall(r"[;{}]|[^\s;{}]+", generator.maps() + "".join(generator.server() for _ in range(10)))
    for _ in range(20):
        damaged = list(words)
        for _ in range(random.randint(1, 20)):
            here, there = random.randrange(len(damaged)), random.randrange(len(damaged))
            damaged[here:here + random.randint(0, 2)] = damaged[there:there + random.randint(0, 2)]
        assert ask(" ".join(damaged), random.choice(ASKED_NAMES), Endpoint(random.choice(ADDRESSES), 80))
