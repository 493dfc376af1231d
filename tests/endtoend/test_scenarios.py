"""The cases that were tried with real servers: check predicts what certbot renew then does."""
import contextlib
import json
from pathlib import Path
from typing import Dict
from typing import Iterator

import pytest

from certbot_autowebroot.cli import __main__ as cli
from tests.lab import scenarios
from tests.lab.ca import CA
from tests.lab.certbot import SHORT_SLEEPS
from tests.lab.certbot import Certbot
from tests.lab.dns import DnsServer
from tests.lab.scenarios import SCENARIOS
from tests.lab.scenarios import Scenario

#: Addresses that this host has no route to.
NAT_V4, NAT_V6 = "198.51.100.77", "2001:db8:77::1"

pytestmark = pytest.mark.lab


class Lineages:
    """Lineages of our authenticator, issued while port 80 was free: no directory is remembered."""

    def __init__(self, certbot: Certbot, ca: CA) -> None:
        self.certbot = certbot
        self._conf: Dict[str, str] = {}
        for name in (scenarios.NAME, scenarios.DEEP, *scenarios.ADDRESSES):
            ca.resolve(name, *scenarios.ADDRESSES.get(name, ()))
            done = certbot.run("certonly", "-a", "autowebroot", "-d", name)
            assert done.returncode == 0, done.stdout
            self._conf[name] = certbot.renewal_conf(name).read_text()

    def only(self, name: str) -> None:
        """Leave one of them, as it was issued."""
        for known in self._conf:
            self.certbot.renewal_conf(known).unlink(missing_ok=True)
        self.certbot.renewal_conf(name).write_text(self._conf[name])


@pytest.fixture(scope="module")
def lineages(ca: CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineages]:
    yield Lineages(Certbot(tmp_path_factory.mktemp("certbot"), ca, SHORT_SLEEPS), ca)
    for name in scenarios.ADDRESSES:
        ca.resolve(name)


@pytest.fixture(scope="module")
def behind_nat() -> Iterator[DnsServer]:
    """A name server that gives every name the addresses of a router that does not let us come back in."""
    with DnsServer("127.0.0.54", (NAT_V4,)) as server:
        server.resolve(scenarios.SIX, NAT_V6)
        server.resolve(scenarios.DUAL, NAT_V4, NAT_V6)
        yield server


@pytest.fixture(scope="module")
def without_addresses() -> Iterator[DnsServer]:
    """A name server that knows the names, and no address of theirs."""
    with DnsServer("127.0.0.55") as server:
        for name in (scenarios.NAME, scenarios.DEEP, *scenarios.ADDRESSES):
            server.resolve(name)
        yield server


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_check_predicts_what_renew_does(scenario: Scenario, lineages: Lineages, behind_nat: DnsServer,
                                        without_addresses: DnsServer, place: Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    """The output names program, line or directory, and no file is left behind.

    A name that resolves to a router's address, or to none, is answered wherever one that resolves here is.
    """
    scenarios.make_place(place)
    lineages.only(scenario.name)
    with contextlib.ExitStack() as servers:
        for server in scenario.servers:
            servers.enter_context(server(place))
        cli.main(["check", "--json", *lineages.certbot.directories])
        outlook = json.loads(capsys.readouterr().out)["lineages"][0]["outlook"]
        cli.main(["check", scenario.name, *lineages.certbot.directories])
        said = capsys.readouterr().out
        elsewhere = {}
        for name_server in (behind_nat, without_addresses):
            cli.main(["check", "--json", "--resolver", name_server.address, *lineages.certbot.directories])
            elsewhere[name_server] = json.loads(capsys.readouterr().out)["lineages"][0]["outlook"]
        done = lineages.certbot.run("renew", "--force-renewal")
        print(said, done.stdout)  # pytest shows it where something is wrong
        assert outlook == scenario.outlook
        assert (done.returncode == 0) is (scenario.outlook == "good" if scenario.renews is None else scenario.renews)
        answered = scenario.outlook == "good"
        assert elsewhere[behind_nat] == ("good from inside" if answered else scenario.outlook)
        assert elsewhere[without_addresses] == ("unproven" if answered else scenario.outlook)
        assert [text for text in scenario.says if scenarios.filled(text, place) not in said] == []
    assert [path for path in place.rglob("*") if path.name == ".well-known"] == []


def test_every_case_is_here() -> None:
    """But for 45, a server that starts between snapshot and bind, which is among the faults."""
    assert {int(name.split()[0]) for name in SCENARIOS} == set(range(1, 45))
