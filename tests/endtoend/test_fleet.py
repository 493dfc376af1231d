"""The lines of ``snippet --to`` and ``--peers`` in the real servers, on three machines of which one is down."""
from pathlib import Path
from typing import Any
from typing import Callable
from typing import Iterator
from typing import List

import pytest

from certbot_autowebroot.cli import __main__ as cli
from tests.lab.fleet import ADDRESSES
from tests.lab.fleet import CHALLENGES
from tests.lab.fleet import NAME
from tests.lab.fleet import Fleet
from tests.lab.fleet import fleet
from tests.lab.nginx import Nginx

pytestmark = pytest.mark.lab

PEERS = ",".join(ADDRESSES)
RENEWS = "renews.sample.com"
#: Runs a server with the lines in it; what stands beside them would stop a challenge.
Maker = Callable[[Path, str], Any]


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


def nginx(place: Path, lines: str) -> Nginx:
    upstream, separator, server = lines.rpartition("# File: /etc/nginx/snippets/")
    return Nginx(place, f"{upstream}server {{ listen 80; server_name {NAME}; {separator}{server}\n"
                        "deny all; return 301 https://other.example$request_uri; }")


FORWARDING = {"nginx": nginx}
#: Of these each has a shared directory of its own.
SERVING = {"nginx": nginx}


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


@pytest.mark.parametrize("server", SERVING)
def test_peers(server: str, machines: Fleet, printed: Callable[..., str]) -> None:
    """A machine serves its own file, and asks the others for one that it does not have."""
    for number in (0, 1):
        lines = printed(server, "--peers", PEERS, "--directory", str(machines.directories[number]))
        machines.run(number, lambda place, lines=lines: SERVING[server](place, lines))
    check_peers(machines)


def test_peers_ask_once(machines: Fleet, printed: Callable[..., str]) -> None:
    """For a missing file, each machine that runs gets one request of a peer."""
    running = []
    for number in (0, 1):
        lines = printed("nginx", "--peers", PEERS, "--directory", str(machines.directories[number]))
        running.append(machines.run(number, lambda place, lines=lines: nginx(place, lines)))
    assert machines.get(0, "missing")[0] == 404
    assert [server.access_log.read_text().count("missing") for server in running] == [2, 1]
