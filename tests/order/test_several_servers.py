"""The solver where a request passes several servers, addresses or redirects."""
import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Dict
from typing import Iterator
from typing import List

import pytest

from certbot_autowebroot.order import messages
from certbot_autowebroot.order.hints import Hint
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.ca_verdict import Verdict
from tests.lab import certificates
from tests.lab.apache import Apache
from tests.lab.haproxy import Haproxy
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.orders import CONTENT
from tests.lab.orders import GRANTED
from tests.lab.orders import NAME
from tests.lab.orders import ask
from tests.lab.orders import make
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved
from tests.lab.programs import Program

pytestmark = pytest.mark.lab

__all__ = ["names", "place"]  # fixtures


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


def test_two_servers_on_two_addresses(place: Path, names: Dict[str, List[str]]) -> None:
    """A name with two A records, one for each server."""
    make(place, "one", "two")
    names[NAME] = [PUBLIC_V4, OTHER_V4]
    with Nginx(place / "a", f"server {{ listen {PUBLIC_V4}:80; root {place}/one; }}"), \
            Nginx(place / "b", f"server {{ listen {OTHER_V4}:80; root {place}/two; }}"), solved(place):
        assert (ask(PUBLIC_V4), ask(OTHER_V4)) == (CONTENT, CONTENT)


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
