"""The lines of ``snippet --to`` and ``--peers`` in the real servers, on three machines of which one is down."""
from pathlib import Path
from typing import Any
from typing import Callable
from typing import Iterator
from typing import List

import pytest

from certbot_autowebroot.cli import __main__ as cli
from tests.lab.certbot import Certbot
from tests.lab.fleet import ADDRESSES
from tests.lab.fleet import CHALLENGES
from tests.lab.fleet import FORWARDING
from tests.lab.fleet import NAME
from tests.lab.fleet import Fleet
from tests.lab.fleet import fleet
from tests.lab.nginx import Nginx

pytestmark = pytest.mark.lab

PEERS = ",".join(ADDRESSES)
DOWN_BETWEEN = ",".join((ADDRESSES[0], ADDRESSES[2], ADDRESSES[1]))
RENEWS = "renews.sample.com"


@pytest.fixture
def machines() -> Iterator[Fleet]:
    with fleet() as three:
        yield three


@pytest.fixture
def printed(capsys: "pytest.CaptureFixture[str]") -> Callable[..., str]:
    """The output of the command."""
    def run(*arguments: str) -> str:
        assert cli.main(["snippet", *arguments]) == 0
        return capsys.readouterr().out
    return run


#: Of these each has a shared directory of its own.
SERVING = ("nginx", "caddy")


def renewing(place: Path, directory: Path) -> Nginx:
    """The machine that renews: every site answers from the shared directory."""
    return Nginx(place, f"server {{ listen 80; root {directory}; }}")


@pytest.mark.parametrize("server", FORWARDING)
@pytest.mark.parametrize("host", [ADDRESSES[0], RENEWS])
def test_to(server: str, host: str, machines: Fleet, printed: Callable[..., str]) -> None:
    """The other machine proxies to an address and redirects to a public name; a missing file is missing."""
    machines.run(0, lambda place: renewing(place, machines.directories[0]))
    machines.run(1, lambda place: FORWARDING[server](place, printed(server, "--to", host)))
    if host == RENEWS:
        assert machines.location(1, "token") == f"http://{RENEWS}{CHALLENGES}token"
    else:
        content = machines.publish(0, "token")
        assert machines.get(1, "token") == (200, content)
        assert machines.get(1, "missing")[0] == 404


def check_peers(machines: Fleet) -> None:
    """Each machine returns the file of each; the one that is down is passed over every time."""
    contents = [machines.publish(number, f"token-{number}") for number in (0, 1)]
    answers: List[Any] = [machines.get(machine, f"token-{number}") for machine in (0, 1) for number in (0, 1)]
    assert answers == [(200, content) for content in contents] * 2
    assert [machines.get(machine, "missing")[0] for machine in (0, 1)] == [404, 404]


@pytest.mark.parametrize("peers", [PEERS, DOWN_BETWEEN], ids=["down-is-last", "down-is-between"])
@pytest.mark.parametrize("server", SERVING)
def test_peers(server: str, peers: str, machines: Fleet, printed: Callable[..., str]) -> None:
    """A machine serves its own file, and asks the others for one that it does not have."""
    for number in (0, 1):
        lines = printed(server, "--peers", peers, "--directory", str(machines.directories[number]))
        machines.run(number, lambda place, lines=lines: FORWARDING[server](place, lines))
    check_peers(machines)


def test_peers_of_two_kinds(machines: Fleet, printed: Callable[..., str]) -> None:
    """nginx and Caddy ask each other."""
    for number, server in enumerate(SERVING):
        lines = printed(server, "--peers", DOWN_BETWEEN, "--directory", str(machines.directories[number]))
        machines.run(number, lambda place, server=server, lines=lines: FORWARDING[server](place, lines))
    check_peers(machines)


@pytest.mark.parametrize(("server", "own"), [("haproxy", "127.0.0.1:488"), ("varnish", "127.0.0.1:8080")])
def test_peers_of_a_server_without_files(server: str, own: str, machines: Fleet, printed: Callable[..., str]) -> None:
    """Its own web server, or the plugin's listener, is asked as a peer is."""
    lines = printed(server, "--peers", DOWN_BETWEEN)
    for number in (0, 1):
        site = f"server {{ listen {own}; root {machines.directories[number]}; }}"
        machines.run(number, lambda place, site=site: Nginx(place, site))
        machines.run(number, lambda place: FORWARDING[server](place, lines))
    check_peers(machines)


def test_plugin_behind_one_haproxy(machines: Fleet, printed: Callable[..., str]) -> None:
    """The plugin listens on the machine that renews only."""
    machines.run(0, lambda place: Nginx(place, f"server {{ listen 127.0.0.1:488; root {machines.directories[0]}; }}"))
    for number in (0, 1):
        machines.run(number, lambda place: FORWARDING["haproxy"](place, printed("haproxy", "--peers", DOWN_BETWEEN)))
    content = machines.publish(0, "token")
    assert [machines.get(machine, "token") for machine in (0, 1) * 2] == [(200, content)] * 4
    assert [machines.get(machine, "missing")[0] for machine in (0, 1)] == [404, 404]


@pytest.mark.parametrize("server", ["apache", "lighttpd"])
def test_no_peers(server: str, capsys: "pytest.CaptureFixture[str]") -> None:
    """It returns the first response, and the command says so."""
    assert cli.main(["snippet", server, "--peers", PEERS]) == 2
    assert "cannot ask another machine after a 404" in capsys.readouterr().err


def test_peers_ask_once(machines: Fleet, printed: Callable[..., str]) -> None:
    """For a missing file, each machine that runs gets one request of a peer."""
    running = []
    for number in (0, 1):
        lines = printed("nginx", "--peers", PEERS, "--directory", str(machines.directories[number]))
        running.append(machines.run(number, lambda place, lines=lines: FORWARDING["nginx"](place, lines)))
    assert machines.get(0, "missing")[0] == 404
    for server in running:  # nginx writes the line after the response
        server.stop()
    assert [server.access_log.read_text().count("missing") for server in running] == [2, 1]


def test_certificate_behind_haproxy(certbot: Certbot, tmp_path: Path, printed: Callable[..., str]) -> None:
    """The plugin listens where its own HAProxy asks it among the peers, and the CA gets the file."""
    place = tmp_path / "haproxy"
    place.mkdir()
    with FORWARDING["haproxy"](place, printed("haproxy", "--peers", "127.0.0.1,127.0.0.9")):
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    assert done.returncode == 0, done.stdout
