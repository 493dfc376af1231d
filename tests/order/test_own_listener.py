"""The solver's own listener: at a free port, and in the place of an upstream that is down."""
import contextlib
import socket
import time
from pathlib import Path
from typing import Dict
from typing import List
from typing import Optional

import pytest

from certbot_autowebroot.order import messages
from certbot_autowebroot.order import proof
from certbot_autowebroot.routing.ca_verdict import Verdict
from tests.lab import ports
from tests.lab.haproxy import Haproxy
from tests.lab.lighttpd import Lighttpd
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx
from tests.lab.orders import CONTENT
from tests.lab.orders import NAME
from tests.lab.orders import ask
from tests.lab.orders import make
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved

pytestmark = pytest.mark.lab

__all__ = ["names", "place"]  # fixtures


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
