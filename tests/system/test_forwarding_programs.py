"""Programs that are not known and pass connections on are followed by the connections that they make."""
import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterator

import pytest

from certbot_autowebroot.order import messages
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.system import forwarding_programs
from tests.lab import certificates
from tests.lab import forward
from tests.lab import ports
from tests.lab.container import ADDRESS
from tests.lab.container import Container
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.orders import CONTENT
from tests.lab.orders import NAME
from tests.lab.orders import ask
from tests.lab.orders import make
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved
from tests.lab.programs import Program
from tests.routing.test_containers import NGINX
from tests.routing.test_containers import files
from tests.routing.test_containers import ready
from tests.routing.test_containers import seen_by_all

__all__ = ["names", "place"]  # fixtures

PYTHON = Path(os.path.realpath(sys.executable)).name


def forwarder(place: Path, *arguments: object, port: int = 80) -> Program:
    """One of them, in a directory that holds nothing."""
    (place / "nothing").mkdir(exist_ok=True)
    return Program([sys.executable, forward.__file__, str(port), *map(str, arguments)], place / "nothing", port=port)


@pytest.mark.parametrize("how", [[], ["fork"], ["workers"]], ids=["threads", "processes", "workers"])
def test_a_forwarder_is_followed(place: Path, how: "list[str]") -> None:
    """As rinetd and ssh -L do it, as sshd and inetd, and as hitch, whose workers share the port."""
    make(place, "root")
    with Nginx(place / "nginx", f"server {{ listen 127.0.0.1:8080; root {place}/root; }}"), \
            forwarder(place, "127.0.0.1:8080", *how), solved(place) as solver:
        assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
        assert ask() == CONTENT
        assert set(seen_by_all(solver)) == {PYTHON, "nginx"}


def test_forwarders_one_behind_the_other(place: Path) -> None:
    """Each is followed on its own, though they are programs of one name with one parent."""
    make(place, "root")
    with Nginx(place / "nginx", f"server {{ listen 127.0.0.1:8080; root {place}/root; }}"), \
            forwarder(place, "127.0.0.1:8080", port=8081), forwarder(place, "127.0.0.1:8081", port=8082), \
            forwarder(place, "127.0.0.1:8082"), solved(place) as solver:
        assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
        assert seen_by_all(solver) == [PYTHON, PYTHON, PYTHON, "nginx"]


@pytest.mark.parametrize("ends_tls", [True, False], ids=["ended", "passed on"])
def test_tls_that_a_forwarder_ends_or_passes_on(place: Path, ends_tls: bool) -> None:
    """As hitch and stunnel in front of a server without TLS, and as rinetd in front of one with it."""
    make(place, "plain", "secure")
    crt, key = certificates.expired(place, NAME)
    how = ["127.0.0.1:8080", "tls", crt, key] if ends_tls else ["127.0.0.1:8443"]
    with Nginx(place / "nginx", f"""server {{ listen 80; return 301 https://$host$request_uri; }}
            server {{ listen 127.0.0.1:8080; root {place}/plain; }}
            server {{ listen 127.0.0.1:8443 ssl; ssl_certificate {crt}; ssl_certificate_key {key};
                      root {place}/secure; }}"""), forwarder(place, *how, port=443), solved(place) as solver:
        assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
        assert ask() == CONTENT
        assert seen_by_all(solver) == ["nginx", PYTHON, "nginx"]
        (root, _), = solver.proven_directories()[NAME]
        assert root == f"{place}/{'plain' if ends_tls else 'secure'}"


@pytest.mark.parametrize("host", ["127.0.0.1", ADDRESS])
def test_a_forwarder_with_one_foot_in_a_container(place: Path, host: str) -> None:
    """As pasta and rootlessport do it for podman: the program is here, its connections are made inside."""
    with Container(place / "box", NGINX, files()) as box:
        ready()
        with forwarder(place, f"{host}:80", "in", box.pid), solved(place) as solver:
            assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
            assert ask() == CONTENT
            assert seen_by_all(solver) == [PYTHON, "nginx"]


def test_a_connection_that_is_kept_was_not_passed_on(place: Path) -> None:
    """An application opens one to its database when the first visitor comes."""
    with socket.create_server(("127.0.0.1", 5432)) as database, \
            forwarder(place, "127.0.0.1:1", "keep", "127.0.0.1:5432") as application:
        assert forwarding_programs.passed_on(application.pid, Endpoint(PUBLIC_V4, 80), False, NAME) is None
        database.accept()[0].close()


@contextlib.contextmanager
def visitors() -> Iterator[None]:
    """Others, who come and go all the time."""
    gone = threading.Event()

    def visit() -> None:
        while not gone.wait(0.005):
            with contextlib.suppress(OSError):
                ports.fetch(PUBLIC_V4, 80, NAME, "/")
    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        gone.set()
        for thread in threads:
            thread.join()


def test_a_busy_forwarder_is_followed_all_the_same(place: Path) -> None:
    """What others have opened meanwhile leads to the same place, and stays when we go."""
    make(place, "root")
    with Nginx(place / "nginx", f"server {{ listen 127.0.0.1:8080; root {place}/root; }}"), \
            forwarder(place, "127.0.0.1:8080") as running, visitors():
        found = [forwarding_programs.passed_on(running.pid, Endpoint(PUBLIC_V4, 80), False, NAME) for _ in range(4)]
    assert forwarding_programs.PassedOn(Endpoint("127.0.0.1", 8080), False) in found
    assert set(found) <= {forwarding_programs.PassedOn(Endpoint("127.0.0.1", 8080), False), None}


def test_who_has_started_us_does_not_pass_our_connections_on(place: Path) -> None:
    """Our own connections are no sign, whoever is the parent of both: a shell, or a test of a program like us."""
    code = ("import sys; sys.path[:] = sys.argv[1:]; from certbot_autowebroot.system import forwarding_programs;"
            "from certbot_autowebroot.route import Endpoint;"
            f"print(forwarding_programs.passed_on({{pid}}, Endpoint('{PUBLIC_V4}', 80), False, 'x'))")
    with Program([sys.executable, "-m", "http.server", "80"], place) as server:
        said = subprocess.run([sys.executable, "-c", code.format(pid=server.pid), *sys.path], check=True, text=True,
                              capture_output=True).stdout
    assert said == "None\n"


def test_who_forwards_to_a_dead_port_answers_itself_for_all_we_know(place: Path) -> None:
    """There is no connection to be seen."""
    with forwarder(place, "127.0.0.1:8080") as running:
        assert forwarding_programs.passed_on(running.pid, Endpoint(PUBLIC_V4, 80), False, NAME) is None


def test_where_we_cannot_connect_nothing_is_known() -> None:
    """A unix socket, another network, a port where nobody is any more."""
    for endpoint in (Endpoint("unix:/nowhere", 0), Endpoint("127.0.0.1", 80, 5), Endpoint(PUBLIC_V4, 80)):
        assert forwarding_programs.passed_on(os.getpid(), endpoint, True, NAME) is None
