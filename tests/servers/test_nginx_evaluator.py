"""What cannot be held against a running server: the words of a trail, and what we cannot know."""
import re
from random import Random
from typing import List

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
from certbot_autowebroot.servers.nginx import state
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


def test_the_trail_names_server_location_and_directive() -> None:
    """Each step has the file and line where a person finds it."""
    (end,) = ask("server {\n  listen 80;\n  server_name x a.test;\n  location ^~ /.well-known/ {\n    root /x;\n  }\n}")
    assert [str(step) for step in end.trail] == [
        "server a.test (/etc/nginx.conf:2)", "location ^~ /.well-known/ (/etc/nginx.conf:5)",
        "root /x (/etc/nginx.conf:6)"]


def test_the_trail_says_that_it_is_the_default_server() -> None:
    """A name that no server has is the commonest surprise."""
    (end,) = ask("server { server_name b.test; return 403; }")
    assert isinstance(end, DeadEnd)
    assert [str(step) for step in end.trail] == [
        "server b.test, the default for 192.0.2.1:80 (/etc/nginx.conf:2)", "return 403 (/etc/nginx.conf:2)"]
    assert end.reason == "return 403: status 403"


@pytest.mark.parametrize("guard", ["auth_basic closed;", "allow 198.51.100.0/24; deny all;", "auth_request /auth;",
                                   "access_by_lua_block { ngx.exit(403) }", "rewrite_by_lua_file x.lua;",
                                   "satisfy any; deny all; auth_basic closed;"])
def test_a_guard_is_a_warning_and_not_a_dead_end(guard: str) -> None:
    """Who is let in shows in the probe only; the trail says that somebody may not be."""
    (end,) = ask(f"server {{ root /x; location / {{ {guard} }} }}")
    assert isinstance(end, Directory)
    assert end.depends_on_client
    assert any("nginx may refuse some clients" in str(step) for step in end.trail)


@pytest.mark.parametrize("guard", ["auth_basic off;", "allow all; deny all;", "deny 198.51.100.1;"])
def test_what_lets_everybody_in_is_no_guard(guard: str) -> None:
    """Then a refused probe is a proof."""
    (end,) = ask(f"server {{ root /x; location / {{ {guard} }} }}")
    assert isinstance(end, Directory)
    assert not end.depends_on_client


def test_a_condition_that_cannot_be_known_is_walked_both_ways() -> None:
    """A redirect by a header is possible; without the header comes first."""
    ends = ask("server { root /x; if ($http_x_forwarded_proto = http) { return 301 https://$host$request_uri; } }")
    assert kinds(ends) == ["Directory", "Redirect"]
    assert "unknown here, assumed false" in str(ends[0].trail[1])


def test_a_block_of_bots_is_no_dead_end() -> None:
    """Where one of two ways serves, the other is not named."""
    assert kinds(ask("server { root /x; if ($http_user_agent ~* bot) { return 403; } }")) == ["Directory"]


def test_an_error_page_for_a_file_that_may_be_missing_says_so() -> None:
    """A fixed file, or a directory, may be there or not: only where it is not, the error page gets its turn."""
    ends = ask("server { location ~ acme { alias /x/fixed; error_page 404 = @lost; } location @lost { root /y; } }")
    assert [str(end) for end in ends] == [f"/y{CHALLENGE_PATH}{TOKEN}"]
    assert "-e /x/fixed: unknown here, assumed false" in str(ends[0].trail[2])


def test_many_unknown_conditions_have_a_bound() -> None:
    """Forty of them are not a trillion ways."""
    conditions = " ".join(f"if ($http_x{number}) {{ set $y{number} 1; }}" for number in range(40))
    assert kinds(ask(f"server {{ {conditions} root /x; }}")) == ["Directory"]


def test_too_many_ways_are_no_proof() -> None:
    """Where not all could be walked, the dead ends among them do not mean that every way is dead."""
    conditions = " ".join(f"if ($http_x{number}) {{ set $y $y{number}; }}" for number in range(40))
    assert kinds(ask(f"server {{ {conditions} return 403; }}")) == ["Unknown"]


def test_a_question_has_one_answer() -> None:
    """The same unknown condition, asked twice on one way, is not true and false at once."""
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
def test_what_only_the_running_server_knows_is_unknown(text: str) -> None:
    """A directory, a URL or a backend that depends on it is unknown too, and the reason names the variable."""
    (end,) = ask(text)
    assert isinstance(end, Unknown)
    assert "$" in end.reason


def test_an_unknown_candidate_does_not_hide_the_others() -> None:
    """Of several files that would do, those that we know are named."""
    assert [str(end) for end in ask("server { root /x; try_files /$http_x$uri $uri =404; }")] == [
        f"/x{CHALLENGE_PATH}{TOKEN}"]


def test_hostname_where_it_is_known() -> None:
    """``server_name $hostname`` is the machine's name."""
    text = "server { root /default; } server { server_name $hostname; root /x/$hostname; }"
    assert [str(end) for end in ask(text, host="box", hostname="Box")] == [f"/x/Box{CHALLENGE_PATH}{TOKEN}"]


def test_a_unix_socket() -> None:
    """A server behind another one may listen on a socket."""
    text = "server { root /tcp; } server { listen unix:/run/x.sock; root /unix; }"
    assert [str(end) for end in ask(text, endpoint=Endpoint("unix:/run/x.sock", 0))] == [
        f"/unix{CHALLENGE_PATH}{TOKEN}"]


def test_an_address_that_no_server_listens_on_is_unknown() -> None:
    """Then the running configuration is another one than that on disk."""
    (end,) = ask("server { listen 8080; root /x; }")
    assert isinstance(end, Unknown)
    assert "192.0.2.1:80" in end.reason


def test_an_address_mapped_into_ipv6_is_the_ipv4_address() -> None:
    """A dual-stack socket gives ``::ffff:192.0.2.1`` as its local address."""
    ends = ask("server { listen 192.0.2.1:80; root /x; }", endpoint=Endpoint("::ffff:192.0.2.1", 80))
    assert kinds(ends) == ["Directory"]


def test_an_ipv6_literal_as_host_has_brackets() -> None:
    """A redirect built from it must be a URL."""
    (end,) = ask("server { return 301 https://$host$request_uri; }", host="2001:db8::1")
    assert isinstance(end, Redirect)
    assert end.url == f"https://[2001:db8::1]{CHALLENGE_PATH}{TOKEN}"


def test_a_redirect_behind_a_port_forward_names_the_port() -> None:
    """It is nginx that adds it, and the CA that does not follow it then; ``port_in_redirect off`` helps."""
    for directive, port in (("", ":8080"), ("port_in_redirect off;", ""), ("absolute_redirect off;", "")):
        (end,) = ask(f"server {{ listen 8080; {directive} return 301 /x; }}", endpoint=Endpoint("192.0.2.1", 8080))
        assert isinstance(end, Redirect)
        assert end.url == f"http://a.test{port}/x"


def test_a_group_whose_members_are_all_down_is_a_dead_end() -> None:
    """Nobody gets the request then."""
    text = "upstream app { server 127.0.0.1:1 down; } server { location / { proxy_pass http://app; } }"
    assert kinds(ask(text)) == ["DeadEnd"]


def test_default_ports_of_a_proxied_url() -> None:
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
def test_what_nginx_refuses_raises_nothing(text: str) -> None:
    """A configuration on disk may be broken while an older one runs."""
    assert ask(text)


@pytest.mark.parametrize("text", [r"(a+)+$", r"(.*)(.*)(.*)(.*)(.*)(.*)(.*)x$", r"(x+x+)+y", r"^(a|a)*$"])
def test_a_regex_that_takes_for_ever_is_unknown(text: str) -> None:
    """It has a time limit, once: the second question is not waited for again."""
    regex = Regex(text)
    for _ in range(2):
        with pytest.raises(UnknowableError, match="too long"):
            regex.search("a" * 60 + "x" * 60 + "!")


@pytest.mark.parametrize("text", ["map $host $x { LINES } server { root /x/$x; }", "server { server_name NAMES; }",
                                  "server { LOCATIONS }"])
def test_many_slow_regexes_have_a_bound(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be quick enough for its own limit; all of them together are not."""
    monkeypatch.setattr(state, "MAX_REGEX_SECONDS", 0.5)
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
def test_perl_syntax_that_python_shares(text: str, subject: str, groups: "tuple[str, ...]") -> None:
    """It is translated, captures and all."""
    match = Regex(text).search(subject)
    assert match is not None
    assert match.groups() == groups


@pytest.mark.parametrize("text", ["(?>a)b", "a++", "a*+b", r"\p{L}", r"\Qa.b\E", "(?R)", "(*UTF8)a", r"a\Kb", r"\Z",
                                  "(?|a|b)", r"\g{1}", "[[:^alpha:]]", "(", "a{99999999999}", "(?<=a+)b", "(" * 500])
def test_perl_syntax_that_python_reads_otherwise_is_unknown(text: str) -> None:
    """Never a guess."""
    with pytest.raises(UnknowableError):
        Regex(text).search("ab")


@pytest.mark.parametrize(("condition", "depends"), [
    ("if ($remote_addr !~ ^10) { return 403; }", True), ("if ($allowed = no) { return 444; }", True),
    ("if ($http_user_agent ~ bot) { set $bot 1; }", False), ("if (-f /maintenance) { return 503; }", False)])
def test_a_condition_on_the_client_that_changes_the_end_is_a_doubt(condition: str, depends: bool) -> None:
    """Our probe may be refused where the CA is not."""
    (end,) = ask(f"geo $allowed {{ default no; }} server {{ root /x; {condition} }}")
    assert isinstance(end, Directory)
    assert end.depends_on_client == depends


def test_a_client_certificate_is_a_doubt() -> None:
    """A content delivery network shows one; a CA that comes straight has none, as our probe."""
    (end,) = ask("ssl_verify_client on; server { listen 443 ssl; root /x; }", endpoint=Endpoint("192.0.2.1", 443),
                 scheme="https")
    assert isinstance(end, Directory)
    assert end.depends_on_client


def test_a_list_of_many_bad_robots_does_not_hide_a_dead_end() -> None:
    """Each of its conditions may hold or not; none leads to a file."""
    robots = "".join(f"if ($http_user_agent ~* robot{number}) {{ return 403; }}" for number in range(40))
    assert set(kinds(ask(f"server {{ root /x; {robots} location / {{ return 404; }} }}"))) == {"DeadEnd"}


@pytest.mark.parametrize(("listen", "address", "depends"), [
    ("80 proxy_protocol", "192.0.2.1", True), ("80 proxy_protocol", "127.0.0.1", False), ("80", "192.0.2.1", False)])
def test_who_comes_without_a_proxy_line_may_be_shut_out(listen: str, address: str, depends: bool) -> None:
    """A load balancer on another machine sends it for the CA, and none comes with our probe."""
    (end,) = ask(f"server {{ listen {listen}; root /x; }}", endpoint=Endpoint(address, 80))
    assert isinstance(end, Directory)
    assert end.depends_on_client == depends


def test_a_location_that_cannot_be_translated_is_walked_both_ways() -> None:
    """It may match or not; a probe decides."""
    ends = ask(r"server { root /x; location ~ ^/\.(?>well) { root /y; } }")
    assert [str(end) for end in ends] == [f"/x{CHALLENGE_PATH}{TOKEN}", f"/y{CHALLENGE_PATH}{TOKEN}"]


def test_ascii_is_all_that_ignores_case() -> None:
    """PCRE without UTF knows no other letters; Python would match the Kelvin sign with k."""
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


@pytest.mark.parametrize(("host", "scheme", "port", "members", "passed_on", "proxy_protocol"), [
    ("a.test", "http", 80, ["127.0.0.1:8080"], "http", True),
    ("a.test", "https", 443, ["127.0.0.1:8443", "unix:/run/x.sock"], "https", False),
    ("b.test", "https", 443, ["127.0.0.1:9"], "https", False),
    ("a.test", "https", 444, ["127.0.0.1:8080"], "http", False),
])
def test_stream(host: str, scheme: str, port: int, members: List[str], passed_on: str, proxy_protocol: bool) -> None:
    """A connection is passed on with the request unchanged; TLS goes through, or ends here."""
    (end,) = ask(STREAM, host, Endpoint("192.0.2.1", port), scheme=scheme, context="stream")
    assert isinstance(end, Upstream)
    assert [str(member) for member in end.members] == members
    assert (end.host, end.path, end.scheme, end.proxy_protocol) == (
        host, CHALLENGE_PATH + TOKEN, passed_on, proxy_protocol)


@pytest.mark.parametrize(("port", "kind"), [(445, "Unknown"), (446, "DeadEnd")])
def test_stream_that_leads_nowhere(port: int, kind: str) -> None:
    """An address that only the running server knows, and none at all."""
    assert kinds(ask(STREAM, endpoint=Endpoint("192.0.2.1", port), context="stream")) == [kind]


@pytest.mark.parametrize("seed", range(20))
def test_damaged_configurations_raise_nothing(seed: int) -> None:
    """Words of random configurations lost, doubled and swapped: there is an answer to every request all the same."""
    random = Random(seed)  # noqa: S311
    generator = Generator(seed)
    words = re.findall(r"[;{}]|[^\s;{}]+", generator.maps() + "".join(generator.server() for _ in range(10)))
    for _ in range(20):
        damaged = list(words)
        for _ in range(random.randint(1, 20)):
            here, there = random.randrange(len(damaged)), random.randrange(len(damaged))
            damaged[here:here + random.randint(0, 2)] = damaged[there:there + random.randint(0, 2)]
        assert ask(" ".join(damaged), random.choice(ASKED_NAMES), Endpoint(random.choice(ADDRESSES), 80))
