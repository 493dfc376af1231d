"""The solver against real web servers, without a CA: where it publishes, what it proves, what it reports."""
import contextlib
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List
from typing import Optional

import pytest

from certbot_autowebroot.order import candidates
from certbot_autowebroot.order import messages
from certbot_autowebroot.order import proof
from certbot_autowebroot.order.candidates import OrderOptions
from certbot_autowebroot.order.hints import Hint
from certbot_autowebroot.order.solver import Solver
from certbot_autowebroot.responders.footprints import Footprint
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.safe_directories import OpenDirectory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing import listening
from certbot_autowebroot.routing import probe
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.system import addresses
from tests.lab import certificates
from tests.lab import ports
from tests.lab.apache import Apache
from tests.lab.haproxy import Haproxy
from tests.lab.lighttpd import Lighttpd
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx
from tests.lab.orders import CONTENT
from tests.lab.orders import GRANTED
from tests.lab.orders import NAME
from tests.lab.orders import TOKEN
from tests.lab.orders import ask
from tests.lab.orders import make
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved
from tests.lab.programs import Program
from tests.lab.varnish import Varnish

pytestmark = pytest.mark.lab

__all__ = ["names", "place"]  # fixtures



def test_token_reuses_directories_of_test_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To make and remove them again for each of a hundred names would take longer than all else."""
    made: List[str] = []
    announce = Journal.announce

    def noted(journal: Journal, user: object, directory: OpenDirectory, name: str, *rest: Any) -> Footprint:
        made.append(name)
        return announce(journal, user, directory, name, *rest)
    monkeypatch.setattr(Journal, "announce", noted)
    make(place, "www")
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/www; }}"), solved(place):
        assert ask() == CONTENT
    assert [name for name in made if name in (".well-known", "acme-challenge")] == [".well-known", "acme-challenge"]


def test_empty_directories_go_before_the_last_check(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's rules may test for a directory: the last check must see what the CA will see."""
    there: List[bool] = []
    mismatches = proof.mismatches

    def noted(*arguments: Any) -> Any:
        there.extend((place / root / ".well-known").exists() for root in ("old", "www"))
        return mismatches(*arguments)
    monkeypatch.setattr(proof, "mismatches", noted)
    make(place, "old", "www")
    hints = {NAME: [Hint(f"{place}/old", "a guess")]}
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/www; }}"), solved(place, hints=hints):
        assert ask() == CONTENT
    assert there == [False, True]


def test_own_listener_at_a_dead_upstream(place: Path) -> None:
    """The usual ``proxy_pass http://127.0.0.1:8402`` for an ACME client that is not running now."""
    config = "server { listen 80; location /.well-known/acme-challenge/ { proxy_pass http://127.0.0.1:8402; } }"
    with Nginx(place / "nginx", config), solved(place) as solver:
        assert solver.outcomes[NAME].verdict is Verdict.PROVEN
        assert ask() == CONTENT


def test_own_listener_answers_a_rewritten_path(place: Path) -> None:
    """proxy_pass with a path replaces the part that the location matched."""
    config = """server { listen 80;
        location /.well-known/acme-challenge/ { proxy_pass http://127.0.0.1:8402/.well-known/acme-challenge/x/; } }"""
    with Nginx(place / "nginx", config), solved(place):
        assert ask() == CONTENT


@pytest.mark.parametrize("header", ["send-proxy", "send-proxy-v2"])
def test_own_listener_reads_proxy_header(place: Path, header: str) -> None:
    """HAProxy sends the header before the request."""
    make(place, "haproxy")
    config = f"frontend f\n bind :80\n default_backend b\nbackend b\n server s 127.0.0.1:8402 {header}\n"
    with Haproxy(place / "haproxy", config), solved(place):
        assert ask() == CONTENT


def test_wait_for_health_check_of_own_listener(place: Path) -> None:
    """HAProxy's health check has failed at this port for weeks, and our listener has just started."""
    make(place, "haproxy")
    config = "listen l\n bind :80\n server s 127.0.0.1:8402 check inter 300ms\n"
    with Haproxy(place / "haproxy", config):
        until_down()
        with solved(place) as solver:
            assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
            assert ask() == CONTENT


def test_proxy_without_recovery_is_reported(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait ends, and the advice names the port."""
    monkeypatch.setattr(proof, "PATIENCE", 0.5)
    make(place, "haproxy")
    config = "listen l\n bind :80\n server s 127.0.0.1:8402 check inter 300ms rise 99\n"
    with Haproxy(place / "haproxy", config):
        until_down()
        with solved(place) as solver:
            said = messages.failure(solver.outcomes[NAME])
    assert "does not connect to 127.0.0.1:8402, where autowebroot listened" in said and "status 503" in said


def test_no_wait_where_listening_is_refused(place: Path) -> None:
    """No wait makes a refused address work."""
    config = "server { listen 80; location / { proxy_pass http://127.0.0.1:8403; } }"
    held = socket.socket()
    with Nginx(place / "nginx", config), held:
        held.bind(("127.0.0.1", 8403))  # and does not listen
        started = time.monotonic()
        with solved(place) as solver:
            assert "another program uses that port" in messages.failure(solver.outcomes[NAME])
    assert time.monotonic() - started < proof.PATIENCE / 2


def until_down() -> None:
    """Wait until HAProxy's health check has failed three times; until then it connects, and answers 503 as well."""
    started = time.monotonic()
    while time.monotonic() < started + 1.5 or ports.fetch("127.0.0.1", 80, NAME, "/")[0] != 503:
        time.sleep(0.05)


def test_own_listener_at_each_address_of_localhost(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """localhost has two addresses, also in Debian's /etc/hosts; lighttpd uses the second, of IPv4."""
    monkeypatch.setattr("certbot_autowebroot.system.addresses.resolve", lambda host: ["::1", "127.0.0.1"])
    make(place, "lighttpd")
    config = f'proxy.server = ("" => (("host" => "localhost", "port" => 8402)))\nserver.document-root = "{place}"\n'
    with Lighttpd(place / "lighttpd", config), solved(place) as solver:
        assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
        assert ask() == CONTENT


@contextlib.contextmanager
def behind_a_balancer(kind: str, place: Path) -> "Iterator[None]":
    """Servers that expect a PROXY line, as behind a cloud's balancer."""
    crt, key = certificates.expired(place, NAME)
    tls = f"ssl_certificate {crt}; ssl_certificate_key {key};"
    if kind == "nginx":
        config = f"server {{ listen 80 proxy_protocol; listen [::]:80 proxy_protocol; root {place}/root; }}"
    elif kind == "nginx with https":
        config = f"""server {{ listen 80 proxy_protocol; return 301 https://$host$request_uri; }}
            server {{ listen 443 ssl proxy_protocol; {tls} root {place}/root; }}"""
    elif kind == "https alone":
        config = f"""server {{ listen 80; return 301 https://$host$request_uri; }}
            server {{ listen 443 ssl proxy_protocol; {tls} root {place}/root; }}"""
    else:
        config = f"server {{ listen 127.0.0.1:8080; root {place}/root; }}"
    with Nginx(place / "nginx", config), contextlib.ExitStack() as more:
        if kind == "haproxy":
            front = "listen l\n bind :80 accept-proxy\n server s 127.0.0.1:8080\n"
            more.enter_context(Haproxy(place / "haproxy", front))
        yield


@pytest.mark.parametrize("kind", ["nginx", "nginx with https", "https alone", "haproxy"])
def test_probe_sends_proxy_line(place: Path, names: Dict[str, List[str]], kind: str) -> None:
    """The CA comes through the balancer, which begins each connection with it; the probe comes directly."""
    make(place, "root", "haproxy")
    names[NAME] = ["198.51.100.77"]
    with behind_a_balancer(kind, place), solved(place) as solver:
        assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
        assert ask() == CONTENT


def test_nginx_before_apache(place: Path) -> None:
    """The file belongs into Apache's document root."""
    make(place, "root")
    with Nginx(place / "nginx", """server { listen 80; server_name www.sample.com;
            location / { proxy_pass http://127.0.0.1:8080; proxy_set_header Host $host; } }"""), \
            Apache(place / "apache", f"Listen 127.0.0.1:8080\n<VirtualHost *:8080>\nServerName {NAME}\n"
                                     f"DocumentRoot {place}/root\n</VirtualHost>\n{GRANTED}"), \
            solved(place) as solver:
        assert ask() == CONTENT
        assert (place / "root" / ".well-known" / "acme-challenge").is_dir()
        programs = [hop.program.name for route in solver.outcomes[NAME].routes[Endpoint(PUBLIC_V4, 80)]
                    for hop in route.hops]
        assert programs == ["nginx", "apache2"]


def test_unix_socket_is_followed(place: Path) -> None:
    """proxy_pass http://unix:…, to an application server."""
    make(place, "root")
    with Nginx(place / "back", f"server {{ listen unix:{place}/back.sock; root {place}/root; }}"), \
            Nginx(place / "front", f"server {{ listen 80; location / {{ proxy_pass http://unix:{place}/back.sock; }} }}"
                  ), solved(place) as solver:
        assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
        assert ask() == CONTENT


def test_unix_socket_without_listener_is_a_dead_end(place: Path) -> None:
    """We never make another program's socket."""
    config = f"server {{ listen 80; location / {{ proxy_pass http://unix:{place}/gone.sock; }} }}"
    with Nginx(place / "front", config), solved(place) as solver:
        assert f"unix:{place}/gone.sock, and no program listens there" in messages.failure(solver.outcomes[NAME])


def test_every_member_of_an_upstream_gets_the_file(place: Path) -> None:
    """The CA's request goes to any of them; our listener stands in for the one that is not running."""
    make(place, "one", "two")
    with Nginx(place / "nginx", f"""
            upstream app {{ server 127.0.0.1:8081; server 127.0.0.1:8082; server 127.0.0.1:8083; }}
            server {{ listen 80; location / {{ proxy_pass http://app; }} }}
            server {{ listen 127.0.0.1:8081; root {place}/one; }}
            server {{ listen 127.0.0.1:8082; root {place}/two; }}"""), solved(place):
        assert {ask() for _ in range(9)} == {CONTENT}


def test_both_servers_on_a_shared_port_get_the_file(place: Path) -> None:
    """SO_REUSEPORT: the kernel spreads the connections."""
    make(place, "one", "two")
    with Nginx(place / "a", f"server {{ listen 80 reuseport; root {place}/one; }}"), \
            Nginx(place / "b", f"server {{ listen 80 reuseport; root {place}/two; }}"), solved(place):
        assert {ask() for _ in range(16)} == {CONTENT}


def test_one_server_on_a_shared_port_refuses(place: Path) -> None:
    """The CA may reach that one: there is no proof, and the error has its answer."""
    make(place, "one")
    with Nginx(place / "a", f"server {{ listen 80 reuseport; root {place}/one; }}"), \
            Nginx(place / "b", "server { listen 80 reuseport; return 404 two; }"), solved(place) as solver:
        assert solver.unanswered == [NAME]
        said = messages.failure(solver.outcomes[NAME])
    assert "came back, but not each time" in said and "status 404" in said and "in turn" in said


def test_lost_token_after_proof_is_reported(place: Path) -> None:
    """The server returns every test file, but not the token."""
    make(place, "root")
    config = f"server {{ listen 80; root {place}/root; if ($uri ~ {TOKEN[:-2]}) {{ return 410; }} }}"
    with Nginx(place / "nginx", config), solved(place) as solver:
        assert solver.unanswered == [NAME]
        said = messages.failure(solver.outcomes[NAME])
    assert "status 410" in said and "run Certbot again" in said


def test_only_loopback_is_taken(place: Path) -> None:
    """bind() to all addresses fails then; the public one is free."""
    make(place, "root")
    with Nginx(place / "nginx", f"server {{ listen 127.0.0.1:80; root {place}/root; }}"), solved(place):
        assert ask() == CONTENT


def test_each_address_family_has_its_own_responder(place: Path, names: Dict[str, List[str]]) -> None:
    """[::]:80 is taken without IPv4, and the name has addresses of both families."""
    make(place, "root")
    names[NAME] = [PUBLIC_V6, PUBLIC_V4]
    with Nginx(place / "nginx", f"server {{ listen [::]:80 ipv6only=on; root {place}/root; }}"), solved(place):
        assert (ask(PUBLIC_V6), ask(PUBLIC_V4)) == (CONTENT, CONTENT)


def test_two_servers_on_two_addresses(place: Path, names: Dict[str, List[str]]) -> None:
    """A name with two A records, one for each server."""
    make(place, "one", "two")
    names[NAME] = [PUBLIC_V4, OTHER_V4]
    with Nginx(place / "a", f"server {{ listen {PUBLIC_V4}:80; root {place}/one; }}"), \
            Nginx(place / "b", f"server {{ listen {OTHER_V4}:80; root {place}/two; }}"), solved(place):
        assert (ask(PUBLIC_V4), ask(OTHER_V4)) == (CONTENT, CONTENT)


def test_ip_address_identifier(place: Path) -> None:
    """RFC 8738."""
    make(place, "root")
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/root; }}"), solved(place, PUBLIC_V4):
        assert ask(name=PUBLIC_V4) == CONTENT


def test_hundred_names_over_hundred_roots(place: Path) -> None:
    """One order, each name with its own directory."""
    names = [f"n{number}.sample.com" for number in range(100)]
    make(place, *names)
    config = "".join(f"server {{ listen 80; server_name {name}; root {place}/{name}; }}" for name in names)
    with Nginx(place / "nginx", config), solved(place, *names) as solver:
        assert solver.unanswered == []
        assert [ask(name=name, number=number) for number, name in enumerate(names)] == [CONTENT] * 100


def test_nginx_allow_list_is_unproven(place: Path) -> None:
    """The CA may pass where we may not: go on with the best candidate, and warn."""
    make(place, "root")
    config = f"server {{ listen 80; root {place}/root; allow 192.0.2.1; deny all; }}"
    with Nginx(place / "nginx", config), solved(place) as solver:
        assert solver.outcomes[NAME].verdict is Verdict.UNPROVEN
        assert (place / "root/.well-known/acme-challenge" / (TOKEN[:-2] + "00")).read_bytes() == CONTENT
        assert "could not be proved" in messages.unproven(solver.outcomes[NAME])


def test_apache_allow_list_is_unproven(place: Path) -> None:
    """Require ip, for an address that an administrator took for the CA's."""
    make(place, "root")
    with Apache(place / "apache", f"Listen 80\nDocumentRoot {place}/root\n<Directory />\nRequire ip 192.0.2.1\n"
                                  "</Directory>\n"), solved(place) as solver:
        assert solver.outcomes[NAME].verdict is Verdict.UNPROVEN


def test_unproven_refuse_is_an_error(place: Path) -> None:
    """--autowebroot-unproven refuse."""
    make(place, "root")
    config = f"server {{ listen 80; root {place}/root; allow 192.0.2.1; deny all; }}"
    with Nginx(place / "nginx", config), solved(place, refuse_unproven=True) as solver:
        assert solver.unanswered == [NAME]


def test_htaccess_that_denies_dotfiles_is_a_dead_end(place: Path) -> None:
    """Only the probe shows it."""
    make(place, "root")
    (place / "root" / ".htaccess").write_text('RedirectMatch 403 "/\\."\n')
    with Apache(place / "apache", f"Listen 80\nDocumentRoot {place}/root\n<Directory />\nAllowOverride All\n"
                                  "Require all granted\n</Directory>\n"), solved(place) as solver:
        assert solver.unanswered == [NAME]
        assert "403" in messages.failure(solver.outcomes[NAME])


def test_error_names_every_hop(place: Path) -> None:
    """There is no directory: the error lists the programs with pids and lines."""
    code = ("import http.server as h\nclass H(h.BaseHTTPRequestHandler):\n"
            "    def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(b'app')\n"
            "    def log_message(self, *a): pass\n"
            "s = h.ThreadingHTTPServer(('127.0.0.1', 3000), H); print('up', flush=True); s.serve_forever()")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=place) as application:
        try:
            assert application.stdout is not None and application.stdout.readline()
            config = "server { listen 80;\nlocation / { proxy_pass http://127.0.0.1:3000; } }"
            with Nginx(place / "nginx", config) as nginx, solved(place) as solver:
                said = messages.failure(solver.outcomes[NAME])
                assert f"nginx (pid {nginx.pid})" in said
        finally:
            application.kill()
    assert f"(pid {application.pid})" in said
    assert f"{nginx.conf}:" in said and "proxy_pass http://127.0.0.1:3000" in said
    assert "status 200" in said


def test_public_directory_of_application_is_verified_first(place: Path) -> None:
    """Rails, Express: an existing file is fetched, and only then a file is written."""
    make(place, "app/public")
    (place / "app/public/robots.txt").write_text("User-agent: *")
    code = ("import functools, http.server as h\n"
            "class H(h.SimpleHTTPRequestHandler):\n    def log_message(self, *a): pass\n"
            "s = h.ThreadingHTTPServer(('', 80), functools.partial(H, directory='public'))\n"
            "print('up', flush=True); s.serve_forever()")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=place / "app") as application:
        try:
            assert application.stdout is not None and application.stdout.readline()
            with solved(place) as solver:
                assert solver.outcomes[NAME].verdict is Verdict.PROVEN
                assert ask() == CONTENT
            (place / "app/public/robots.txt").unlink()
            with solved(place) as solver:
                assert solver.unanswered == [NAME]
        finally:
            application.kill()


def test_unverified_guess_is_never_written_to(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guessed directory is one that the program does not serve."""
    make(place, "app/public")
    (place / "app/public/robots.txt").write_text("User-agent: *")
    written: List[str] = []
    monkeypatch.setattr("certbot_autowebroot.responders.factory.WebrootResponder",
                        lambda _view, directory, _journal: written.append(str(directory)))
    code = "import socket; s = socket.create_server(('', 80)); print('up', flush=True)\nwhile 1: s.accept()[0].close()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=place / "app") as application:
        try:
            assert application.stdout is not None and application.stdout.readline()
            with solved(place) as solver:
                assert solver.unanswered == [NAME]
        finally:
            application.kill()
    assert written == []


class Meanwhile:
    """Act at one step of the solver: before the nth proof, or after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, events: Dict[int, Any], after: bool = False) -> None:
        self.count = 0
        prove = proof.prove

        def interrupted(*arguments: Any) -> Any:
            event = events.get(self.count) if arguments[0] else None
            self.count += bool(arguments[0])
            if event and not after:
                event()
            results = prove(*arguments)
            if event and after:
                event()
            return results
        monkeypatch.setattr(proof, "prove", interrupted)


def test_server_starts_between_snapshot_and_bind(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is free in the snapshot and taken at bind()."""
    make(place, "root")
    nginx = Nginx(place / "nginx", f"server {{ listen 80; root {place}/root; }}")
    Meanwhile(monkeypatch, {0: nginx.start})
    try:
        with solved(place) as solver:
            assert solver.unanswered == []
            assert ask() == CONTENT
    finally:
        nginx.stop()


def test_server_stops_between_snapshot_and_probe(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is ready, and no program serves it any more."""
    make(place, "root")
    nginx = Nginx(place / "nginx", f"server {{ listen 80; root {place}/root; }}")
    nginx.start()
    Meanwhile(monkeypatch, {0: nginx.stop})
    with solved(place) as solver:
        assert solver.unanswered == []
        assert ask() == CONTENT


def test_server_reloads_between_snapshot_and_probe(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment moves the root."""
    make(place, "one", "two")
    nginx = Nginx(place / "nginx", f"server {{ listen 80; root {place}/one; }}")

    def deploy() -> None:
        nginx.configure(f"server {{ listen 80; root {place}/two; }}")
        nginx.reload()
    Meanwhile(monkeypatch, {0: deploy})
    with nginx, solved(place) as solver:
        assert solver.unanswered == []
        assert ask() == CONTENT


def test_balancer_that_ends_tls_is_unproven(place: Path, names: Dict[str, List[str]]) -> None:
    """Its header says how a visitor came; without it the server redirects us to port 443, which is not ours."""
    make(place, "root")
    names[NAME] = ["198.51.100.77"]
    config = f"""server {{ listen 80; root {place}/root;
        if ($http_x_forwarded_proto != https) {{ return 301 https://$host$request_uri; }} }}"""
    with Nginx(place / "nginx", config), solved(place) as solver:
        assert solver.outcomes[NAME].verdict is Verdict.UNPROVEN
        assert [str(found.end_for("token")) for found in solver.outcomes[NAME].places_to_answer()] \
            == [f"{place}/root/.well-known/acme-challenge/token"]


def test_kernel_forward_wins_over_listener(place: Path) -> None:
    """The kernel's rule counts (k3s), not the web server that holds the port."""
    make(place, "listens", "answers")
    subprocess.run(["nft", "-f", "-"], check=True, text=True, input="table ip forward { chain output {\n"
                   f"type nat hook output priority -100\nip daddr {PUBLIC_V4} tcp dport 80 redirect to 8080\n}}\n}}\n")
    try:
        with Nginx(place / "nginx", f"server {{ listen 80; root {place}/listens; }}"), \
                Program([sys.executable, "-m", "http.server", "8080"], place / "answers", port=8080), \
                solved(place) as solver:
            assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
            assert ask() == CONTENT
            assert solver.proven_directories() == {NAME: [(f"{place}/answers", ".well-known/acme-challenge")]}
    finally:
        subprocess.run(["nft", "delete", "table", "ip", "forward"], check=True)


def test_redirect_to_another_local_name(place: Path) -> None:
    """The CA follows it with the same token."""
    make(place, "other")
    config = f"""server {{ listen 80; server_name {NAME}; return 301 http://other.sample.com$request_uri; }}
        server {{ listen 80; server_name other.sample.com; root {place}/other; }}"""
    with Nginx(place / "nginx", config), solved(place):
        assert ask() == CONTENT


@pytest.mark.parametrize("rule", [
    "use_backend %[req.ssl_sni,lower,map({dir}/sni.map,one)]",
    9 * "use_backend one if { req_ssl_sni -i other.sample.com }\n" + "use_backend two if { req_ssl_sni -m beg www. }",
], ids=["a map", "many rules"])
def test_redirect_to_https_that_haproxy_passes_by_sni(place: Path, rule: str) -> None:
    """HAProxy does not end TLS: the name is in the ClientHello."""
    make(place, "one", "two", "haproxy")
    crt, key = certificates.expired(place, NAME)
    (place / "haproxy/sni.map").write_text(f"{NAME} two\n")
    tls = "".join(f"""server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {crt}; ssl_certificate_key {key};
        root {place}/{root}; }}""" for port, root in ((8441, "one"), (8442, "two")))
    frontends = f"""frontend plain
        bind :80
        redirect scheme https
    frontend secure
        mode tcp
        bind :443
        tcp-request inspect-delay 5s
        tcp-request content accept if {{ req.ssl_hello_type 1 }}
        {rule}
        default_backend one
    backend one
        mode tcp
        server s 127.0.0.1:8441
    backend two
        mode tcp
        server s 127.0.0.1:8442"""
    with Nginx(place / "nginx", tls), Haproxy(place / "haproxy", frontends), solved(place) as solver:
        assert ask() == CONTENT
        assert solver.proven_directories()[NAME] == [(f"{place}/two", ".well-known/acme-challenge")]


@pytest.mark.parametrize(("target", "said"), [
    ("http://$host$request_uri", "loop"),
    ("http://$host:8080$request_uri", "does not follow"),
    ("http://far.sample.com$request_uri", "leads away from this machine, to http://far.sample.com/"),
    ("https://$host$request_uri", "no program listens on 203.0.113.10:443")])
def test_redirect_to_nowhere_is_reported(place: Path, names: Dict[str, List[str]], target: str, said: str) -> None:
    """A loop, a port that no CA uses, another host, https without a listener."""
    names["far.sample.com"] = ["198.51.100.77"]
    with Nginx(place / "nginx", f"server {{ listen 80; return 301 {target}; }}"), solved(place) as solver:
        assert solver.unanswered == [NAME]
        assert said in messages.failure(solver.outcomes[NAME])


def test_given_directory_for_redirect_to_another_host(place: Path, names: Dict[str, List[str]]) -> None:
    """The user names it: an NFS mount that the other host serves, which cannot be seen from here."""
    make(place, "shared")
    names["far.sample.com"] = ["198.51.100.77"]
    config = "server { listen 80; return 301 http://far.sample.com$request_uri; }"
    with Nginx(place / "nginx", config), \
            solved(place, hints={NAME: [Hint(f"{place}/shared", "--autowebroot-path")]}) as solver:
        assert solver.outcomes[NAME].verdict is Verdict.UNPROVEN
        assert list(place.glob("shared/.well-known/acme-challenge/*"))


@pytest.mark.parametrize("known", [["real", "link"], ["link", "real"], ["link"]])
@pytest.mark.parametrize("served", ["link", "real", ""])
def test_directory_with_two_paths_is_tried_once(place: Path, known: List[str], served: str) -> None:
    """A symlink and its target: the second path must not take the file of the first for another program's."""
    make(place, "real")
    (place / "link").symlink_to(place / "real")
    refuses = "if ($http_autowebroot_probe) { return 410; }"
    config = f"root {place}/{served};" if served else f"root {place}/real; {refuses}"
    hints = [Hint(f"{place}/{name}", "--autowebroot-path") for name in known]
    with Nginx(place / "nginx", f"server {{ listen 80; {config} }}"), solved(place, hints={NAME: hints}) as solver:
        outcome = solver.outcomes[NAME]
        assert outcome.verdict is (Verdict.PROVEN if served else Verdict.DEAD_END)
        assert not outcome.proof.publish_errors
        if not served:
            assert messages.failure(outcome).count("did not come back") == 1


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("stops", [True, False])
def test_change_between_proof_and_publishing_is_noticed(
        place: Path, monkeypatch: pytest.MonkeyPatch, remembered: bool, stops: bool) -> None:
    """The last check, of the real token, comes before the CA; after a deployment or a stop the proof is repeated."""
    make(place, "one", "two")
    nginx = Nginx(place / "nginx", f"server {{ listen 80; root {place}/one; }}")

    def deploy() -> None:
        nginx.configure(f"server {{ listen 80; root {place}/two; }}")
        nginx.reload()
    Meanwhile(monkeypatch, {0: nginx.stop if stops else deploy}, after=True)
    hints = {NAME: [Hint(f"{place}/one", "last time")]} if remembered else {}
    with nginx, solved(place, hints=hints) as solver:
        assert solver.unanswered == []
        assert ask() == CONTENT


@pytest.mark.parametrize(("extra", "verdict"), [
    ("gzip on; gzip_types *; gzip_min_length 1;", Verdict.PROVEN),
    ("open_file_cache max=100; open_file_cache_errors on; open_file_cache_valid 60s;", Verdict.PROVEN),
    ("if (-f {place}/maintenance) {{ return 503; }}", Verdict.DEAD_END),
    ("auth_basic x; auth_basic_user_file {place}/passwords;", Verdict.DEAD_END)])
def test_answer_with_existing_file_decides(place: Path, extra: str, verdict: Verdict) -> None:
    """Compression and caches do no harm; maintenance and a password do, to the CA as to us."""
    make(place, "root")
    (place / "maintenance").write_text("")
    (place / "passwords").write_text("")
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/root; {extra.format(place=place)} }}"), \
            solved(place) as solver:
        assert solver.outcomes[NAME].verdict is verdict


def test_token_is_never_requested_before_it_exists(place: Path) -> None:
    """Varnish remembers a 404 for two minutes."""
    make(place, "root", "varnish")
    with Nginx(place / "nginx", f"server {{ listen 127.0.0.1:8080; root {place}/root; }}"), \
            Varnish(place / "varnish", 'backend default { .host = "127.0.0.1"; .port = "8080"; }'):
        for _ in range(2):
            with solved(place) as solver:
                assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
                assert ask() == CONTENT
            # A token of its own for each order; this one was asked for, and is remembered.
            subprocess.run(["varnishadm", "-n", place / "varnish/work", "ban", "req.url", "~", "."], check=True,
                           capture_output=True)


@pytest.mark.parametrize("edited", ["root {place}/new;", "return 403;", "root {place}/new; } garbage {"])
def test_edited_configuration_without_reload(place: Path, edited: str) -> None:
    """Another root, a refusal, a broken file: the running server's answer wins, which its error log shows."""
    make(place, "old", "new")
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/old; }}") as nginx:
        nginx.configure("server { listen 80; " + edited.replace("{place}", str(place)) + " }")
        with solved(place) as solver:
            assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
            assert ask() == CONTENT
            assert solver.proven_directories() == {NAME: [(f"{place}/old", ".well-known/acme-challenge")]}


def test_deleted_binary_still_runs(place: Path) -> None:
    """An upgrade deleted it; the configuration is found all the same."""
    make(place, "root")
    binary = place / "nginx-copy" / "nginx"
    binary.parent.mkdir()
    binary.write_bytes(Path(shutil.which("nginx") or "").read_bytes())
    binary.chmod(0o755)
    nginx = Nginx(place / "nginx", f"server {{ listen 80; root {place}/root; }}")
    nginx.start([str(binary), "-p", str(nginx.directory), "-c", str(nginx.conf)])
    try:
        binary.unlink()
        with solved(place):
            assert ask() == CONTENT
    finally:
        nginx.stop()


@pytest.mark.parametrize("root", ["/", "/etc", "{place}/gone", "{place}/file"])
def test_unusable_document_root_is_named(place: Path, root: str) -> None:
    """No traceback, and no file is made."""
    (place / "file").write_text("")
    root = root.format(place=place)
    with Nginx(place / "nginx", f"server {{ listen 80; root {root}; }}"), solved(place) as solver:
        assert solver.unanswered == [NAME]
        assert root in messages.failure(solver.outcomes[NAME])
    assert not Path("/.well-known").exists() and not Path("/etc/.well-known").exists()


def test_silent_server_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit holds, and the error names the program."""
    monkeypatch.setattr(probe.ask, "__defaults__", (0.3,))
    monkeypatch.setattr(probe.get_directly, "__defaults__", (0.3,))
    code = "import socket, time; s = socket.create_server(('', 80)); print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=place) as silent:
        try:
            assert silent.stdout is not None and silent.stdout.readline()
            with solved(place) as solver:
                said = messages.failure(solver.outcomes[NAME])
        finally:
            silent.kill()
    assert "time limit" in said and f"(pid {silent.pid})" in said


def test_silent_program_costs_one_timeout(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For any number of names and of files that it might serve."""
    make(place, "public", "static")
    for name in ("public/robots.txt", "public/app.css", "static/logo.svg"):
        (place / name).write_text("here")
    asked: List[str] = []
    get_directly = probe.get_directly

    def counted(endpoint: Endpoint, host: str, path: str) -> Optional[bytes]:
        asked.append(path)
        return get_directly(endpoint, host, path, timeout=0.2)
    monkeypatch.setattr(probe, "get_directly", counted)
    monkeypatch.setattr(probe.ask, "__defaults__", (0.2,))
    code = "import socket, time; s = socket.create_server(('', 80)); print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=place) as silent:
        try:
            assert silent.stdout is not None and silent.stdout.readline()
            Solver(OrderOptions(80), Journal(str(place / "journal"))).find_out(["a.sample.com", "b.sample.com"])
        finally:
            silent.kill()
    assert len(asked) == 1


def test_failure_names_unread_configuration(place: Path) -> None:
    """A script of the server decides about the root, and scripts are not run."""
    make(place, "lighttpd", "one", "two")
    (place / "more.conf").write_text(f'server.document-root := "{place}/two"\n')
    config = f'server.document-root = "{place}/one"\ninclude_shell "head {place}/more.conf"\n'
    with Lighttpd(place / "lighttpd", config), solved(place) as solver:
        said = messages.failure(solver.outcomes[NAME])
    assert f"looks in the directory {place}/one/.well-known/acme-challenge; the test file did not come back" in said
    assert "cannot be known: what include_shell" in said


def test_slow_programs_have_one_time_limit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user may own a thousand ports, each of which delays a name."""
    make(place, "public")
    (place / "public/robots.txt").write_text("here")
    monkeypatch.setattr(candidates, "MAX_GUESSING", 1.0)
    asked: List[Endpoint] = []

    def late(endpoint: Endpoint, host: str, path: str) -> None:
        asked.append(endpoint)
        time.sleep(0.2)
    monkeypatch.setattr(probe, "get_directly", late)
    code = ("import socket, time; s = [socket.create_server(('127.0.0.1', port)) for port in range(8100, 8130)]; "
            "print('up', flush=True); time.sleep(60)")
    members = "".join(f"server 127.0.0.1:{port};" for port in range(8100, 8130))
    config = f"upstream u {{ {members} }} server {{ listen 80; location / {{ proxy_pass http://u; }} }}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=place) as program, \
            Nginx(place / "nginx", config):
        try:
            assert program.stdout is not None and program.stdout.readline()
            monkeypatch.setattr(probe.ask, "__defaults__", (0.2,))
            Solver(OrderOptions(80), Journal(str(place / "journal"))).find_out([NAME])
        finally:
            program.kill()
    assert 1 < len(asked) < 8


def test_slow_resolver_has_one_time_limit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's upstream may have a thousand names whose name server never answers."""
    monkeypatch.setattr(listening, "MAX_RESOLVING", 1.0)
    asked: List[str] = []

    def late(host: str) -> List[str]:
        asked.append(host)
        time.sleep(0.2)
        return []
    monkeypatch.setattr(addresses, "resolve", late)
    here = Host()
    for number in range(30):
        assert here.reach(Endpoint(f"{number}.sample.org", 80), Endpoint(PUBLIC_V4, 80)) == []
    assert 1 < len(asked) < 8


def test_proven_directory_is_first_next_time(place: Path) -> None:
    """No configuration is read then."""
    make(place, "root")
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/root; }}"):
        with solved(place) as solver:
            (root, directory), = solver.proven_directories()[NAME]
        with solved(place, hints={NAME: [Hint(root, "last time", directory)]}) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN
            assert solver.outcomes[NAME].routes == {}


def test_directory_served_in_turns_is_not_remembered(place: Path) -> None:
    """One probe next time would find one of them only."""
    make(place, "one", "two")
    with Nginx(place / "nginx", f"""
            upstream app {{ server 127.0.0.1:8081; server 127.0.0.1:8082; }}
            server {{ listen 80; location / {{ proxy_pass http://app; }} }}
            server {{ listen 127.0.0.1:8081; root {place}/one; }}
            server {{ listen 127.0.0.1:8082; root {place}/two; }}"""), solved(place) as solver:
        assert solver.proven_directories() == {}


def test_silent_client_does_not_block_the_ca(place: Path) -> None:
    """acme.standalone alone would answer one client after the other."""
    with solved(place), contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection((PUBLIC_V4, 80)))
        assert ask() == CONTENT


def free(address: str) -> Optional[OSError]:
    try:
        socket.create_server((address, 80)).close()
    except OSError as error:
        return error
    return None


def test_port_is_free_afterwards(place: Path) -> None:
    """A pre-hook's server must be able to start again."""
    with solved(place):
        assert free(PUBLIC_V4) is not None
    assert free(PUBLIC_V4) is None
