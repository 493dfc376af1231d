"""Unknown programs that forward connections are followed by the connections that they make."""
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
from tests.lab.container_nginx import NGINX
from tests.lab.container_nginx import files
from tests.lab.container_nginx import wait_for_answer
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.orders import CONTENT
from tests.lab.orders import NAME
from tests.lab.orders import ask
from tests.lab.orders import make
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import programs_of
from tests.lab.orders import solved
from tests.lab.programs import Program

__all__ = ["names", "place"]  # fixtures

pytestmark = pytest.mark.lab

PYTHON = Path(os.path.realpath(sys.executable)).name
FRONT = Endpoint(PUBLIC_V4, 80)


def forwarder(place: Path, *arguments: object, port: int = 80) -> Program:
    """A forwarder in an empty directory."""
    (place / "nothing").mkdir(exist_ok=True)
    return Program([sys.executable, forward.__file__, str(port), *map(str, arguments)], place / "nothing", port=port)


@pytest.mark.parametrize("how", [[], ["fork"], ["workers"], ["leaves"]],
                         ids=["threads", "processes", "workers", "left open"])
def test_a_forwarder_is_followed(place: Path, how: "list[str]") -> None:
    """As rinetd and ssh -L do it, as sshd and inetd, as hitch, whose workers share the port, and as a short script."""
    make(place, "root")
    with Nginx(place / "nginx", f"server {{ listen 127.0.0.1:8080; root {place}/root; }}"), \
            forwarder(place, "127.0.0.1:8080", *how), solved(place) as solver:
        assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
        assert ask() == CONTENT
        assert set(programs_of(solver)) == {PYTHON, "nginx"}


def test_script_with_the_name_of_a_server(place: Path) -> None:
    """The npm package serve has files; a script serve.js may forward."""
    make(place, "root", "script")
    script = place / "script" / "serve.js"
    script.write_text("const net = require('net');\nnet.createServer(client => { const server = "
                      "net.connect(8080, '127.0.0.1'); client.pipe(server); server.pipe(client); }).listen(80);\n")
    with Nginx(place / "nginx", f"server {{ listen 127.0.0.1:8080; root {place}/root; }}"), \
            Program(["node", str(script)], place / "script"), solved(place) as solver:
        assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
        assert programs_of(solver) == ["node", "nginx"]


def test_chain_of_forwarders(place: Path) -> None:
    """Each is followed by itself, though they are programs of one name with one parent."""
    make(place, "root")
    with Nginx(place / "nginx", f"server {{ listen 127.0.0.1:8080; root {place}/root; }}"), \
            forwarder(place, "127.0.0.1:8080", port=8081), forwarder(place, "127.0.0.1:8081", port=8082), \
            forwarder(place, "127.0.0.1:8082"), solved(place) as solver:
        assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
        assert programs_of(solver) == [PYTHON, PYTHON, PYTHON, "nginx"]


@pytest.mark.parametrize("ends_tls", [True, False], ids=["ended", "passed on"])
def test_tls_terminated_or_forwarded(place: Path, ends_tls: bool) -> None:
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
        assert programs_of(solver) == ["nginx", PYTHON, "nginx"]
        (root, _), = solver.proven_directories()[NAME]
        assert root == f"{place}/{'plain' if ends_tls else 'secure'}"


@pytest.mark.parametrize("host", ["127.0.0.1", ADDRESS])
def test_forwarder_into_a_container(place: Path, host: str) -> None:
    """As pasta and rootlessport for podman: the program is here, its connections are made inside."""
    with Container(place / "box", NGINX, files()) as box:
        wait_for_answer()
        with forwarder(place, f"{host}:80", "in", box.pid), solved(place) as solver:
            assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
            assert ask() == CONTENT
            assert programs_of(solver) == [PYTHON, "nginx"]


def test_kept_connection_is_no_forward(place: Path) -> None:
    """An application connects to its database at its first client."""
    with socket.create_server(("127.0.0.1", 5432)) as database, \
            forwarder(place, "127.0.0.1:1", "keep", "127.0.0.1:5432") as application:
        assert forwarding_programs.forward_target(application.pid, FRONT, False, NAME) is None
        database.accept()[0].close()


@contextlib.contextmanager
def visitors() -> Iterator[None]:
    """Other clients, which connect all the time."""
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


def test_busy_forwarder_is_followed(place: Path) -> None:
    """Other clients' connections lead to the same place, and stay open."""
    make(place, "root")
    with Nginx(place / "nginx", f"server {{ listen 127.0.0.1:8080; root {place}/root; }}"), \
            forwarder(place, "127.0.0.1:8080") as running, visitors():
        targets = [forwarding_programs.forward_target(running.pid, FRONT, False, NAME) for _ in range(4)]
    target = forwarding_programs.ForwardTarget(Endpoint("127.0.0.1", 8080), False)
    assert target in targets
    assert set(targets) <= {target, None}


def test_parent_of_certbot_is_no_forwarder(place: Path) -> None:
    """Connections of this process are ignored, though a shell or a test is the parent of both."""
    code = ("import sys; sys.path[:] = sys.argv[1:]; from certbot_autowebroot.system import forwarding_programs;"
            "from certbot_autowebroot.route import Endpoint;"
            f"print(forwarding_programs.forward_target({{pid}}, Endpoint('{PUBLIC_V4}', 80), False, 'x'))")
    with Program([sys.executable, "-m", "http.server", "80"], place) as server:
        output = subprocess.run([sys.executable, "-c", code.format(pid=server.pid), *sys.path], check=True, text=True,
                                capture_output=True).stdout
    assert output == "None\n"


def test_forwarder_to_a_dead_port_is_unknown(place: Path) -> None:
    """There is no connection to see."""
    with forwarder(place, "127.0.0.1:8080") as running:
        assert forwarding_programs.forward_target(running.pid, FRONT, False, NAME) is None


def test_no_target_without_a_connection() -> None:
    """A unix socket, another network, a port without listener."""
    for endpoint in (Endpoint("unix:/nowhere", 0), Endpoint("127.0.0.1", 80, 5), Endpoint(PUBLIC_V4, 80)):
        assert forwarding_programs.forward_target(os.getpid(), endpoint, True, NAME) is None
