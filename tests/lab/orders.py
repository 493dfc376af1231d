"""One order without a CA: a solver, and the answer that a CA would get."""
import contextlib
import threading
from pathlib import Path
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List
from typing import Sequence

import pytest

from certbot_autowebroot.order.candidates import OrderOptions
from certbot_autowebroot.order.solver import Challenge
from certbot_autowebroot.order.solver import Solver
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.routing import probe
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.system import dns
from certbot_autowebroot.system.dns import Resolution
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import public_directory
from tests.lab.table import resolution

NAME = "www.sample.com"
TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
CONTENT = TOKEN.encode() + b".nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ"
GRANTED = "<Directory />\nRequire all granted\n</Directory>\n"


@pytest.fixture
def place() -> Iterator[Path]:
    with public_directory() as path:
        yield path


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> Dict[str, List[str]]:
    """The addresses of names: this host's by default, without a name server."""
    known: Dict[str, List[str]] = {}
    resolve = dns.resolve

    def resolved(names: Sequence[str], *rest: Any) -> Dict[str, Resolution]:
        ours = [name for name in names if name.endswith("sample.com")]
        return {**resolve([name for name in names if name not in ours], *rest),
                **{name: resolution(name, *known.get(name, [PUBLIC_V4])) for name in ours}}
    monkeypatch.setattr(dns, "resolve", resolved)
    return known


@contextlib.contextmanager
def solved(place: Path, *names: str, **settings: Any) -> "Iterator[Any]":
    """A solver that has solved these names; afterwards neither a file nor a listener is left."""
    solver = Solver(OrderOptions(**{"port": 80, **settings}), Journal(str(place / "journal")))
    challenges = [Challenge(name, TOKEN[:-2] + f"{number:02}", CONTENT) for number, name in enumerate(names or (NAME,))]
    try:
        solver.unanswered = [challenge.identifier for challenge in solver.solve(challenges)]  # type: ignore[attr-defined]
        yield solver
    finally:
        solver.withdraw(challenges)
    assert [path for path in place.rglob("*") if ".well-known" in path.name or TOKEN[:-2] in path.name] == []
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("autowebroot")]


def ask(address: str = PUBLIC_V4, name: str = NAME, number: int = 0) -> bytes:
    """The answer that a CA gets at this address."""
    token = TOKEN[:-2] + f"{number:02}"
    request = Request(name, CHALLENGE_PATH + token, token, Endpoint(address, 80))
    return probe.ask(request, Host()).body


def make(place: Path, *names: str) -> None:
    for name in names:
        (place / name).mkdir(parents=True)


def programs_of(solver: Any) -> List[str]:
    """The names of the programs on all routes of a name."""
    return [hop.program.name for routes in solver.outcomes[NAME].routes.values() for route in routes
            for hop in route.hops]
