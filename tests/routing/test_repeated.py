"""On an unchanged machine every check gives the same answer: containers and forwarders, asked twenty times."""
import contextlib
from pathlib import Path
from typing import Iterator

import pytest

from certbot_autowebroot.order import messages
from tests.lab import slirp
from tests.lab.container import ADDRESS
from tests.lab.container import Container
from tests.lab.container_nginx import NGINX
from tests.lab.container_nginx import files
from tests.lab.container_nginx import forwarded
from tests.lab.container_nginx import wait_for_answer
from tests.lab.forwarders import docker_proxy
from tests.lab.forwarders import forwarder
from tests.lab.nginx import Nginx
from tests.lab.orders import NAME
from tests.lab.orders import make
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import programs_of
from tests.lab.orders import solved

__all__ = ["forwarded", "names", "place"]  # fixtures

pytestmark = pytest.mark.lab

ATTEMPTS = 20


@contextlib.contextmanager
def box(place: Path) -> Iterator[Container]:
    """An nginx in a container."""
    with Container(place / "box", NGINX, files()) as container:
        wait_for_answer()
        yield container


def answers(place: Path) -> "set[tuple[object, ...]]":
    """The different answers of many attempts: whether it is served, the last program of the route, and the reason."""
    results = set()
    for _ in range(ATTEMPTS):
        with solved(place) as solver:
            reason = messages.failure(solver.outcomes[NAME]) if solver.unanswered else ""
            programs = programs_of(solver)
            results.add((solver.outcomes[NAME].verdict.value, programs[-1], reason))
    return results


@pytest.mark.parametrize("how", [[], ["leaves"], ["fork"], ["workers"]],
                         ids=["closed", "left open", "a process for each connection", "four workers"])
def test_forwarder_to_a_server(place: Path, how: "list[str]") -> None:
    """Whether or not it closes its connection after the client's, and whichever of its processes accepts."""
    make(place, "root")
    with Nginx(place / "nginx", f"server {{ listen 127.0.0.1:8080; root {place}/root; }}"), \
            forwarder(place, "127.0.0.1:8080", *how):
        assert answers(place) == {("proven", "nginx", "")}


def test_forwarder_into_a_container(place: Path) -> None:
    """As pasta and rootlessport."""
    with box(place) as container, forwarder(place, "127.0.0.1:80", "in", container.pid):
        assert answers(place) == {("proven", "nginx", "")}


def test_dockers_userland_proxy(place: Path) -> None:
    """Its arguments name the target."""
    with box(place), docker_proxy(place / "bin", ADDRESS):
        assert answers(place) == {("proven", "nginx", "")}


def test_kernel_forward_into_a_container(place: Path, forwarded: None) -> None:
    """No program listens here."""
    with box(place):
        assert answers(place) == {("proven", "nginx", "")}


def test_slirp4netns_into_a_container(place: Path) -> None:
    """It accepts here, and the guest does from the same port: the forwarder is always found, and the guest after it."""
    with box(place) as container, slirp.forwarded(place, container):
        assert answers(place) == {("proven", "nginx", "")}
        with solved(place) as solver:
            assert programs_of(solver) == ["slirp4netns", "nginx"]
