"""``check --certificates-only``: what port 443 shows, without Certbot's files and without root."""
import contextlib
import json
import re
import subprocess
from pathlib import Path
from typing import Dict
from typing import Iterator
from typing import Tuple

import pytest

from certbot_autowebroot.cli import __main__ as cli
from certbot_autowebroot.renewals.lineages import read_certificate
from tests.lab import certificates
from tests.lab import https
from tests.lab.check_formats import SCHEMA
from tests.lab.check_formats import conforms
from tests.lab.check_formats import samples
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.users import as_nobody

__all__ = ["names", "place"]  # fixtures
pytestmark = pytest.mark.lab

NAME = "www.sample.com"
BOTH = f"{PUBLIC_V4},{OTHER_V4}"


@contextlib.contextmanager
def showing(place: Path, *days: Tuple[str, int]) -> Iterator[Dict[str, str]]:
    """nginx at each of these addresses, with a certificate that was issued so many days ago; their fingerprints."""
    with contextlib.ExitStack() as stack:
        shown = {}
        for address, age in days:
            directory = place / str(age)
            if not directory.exists():
                certificates.lineage(directory / "live", NAME, age)
            shown[address] = read_certificate(str(directory / "live" / "cert.pem")).fingerprint
            site = https.Site(NAME, directory / "live", place / address)
            site.place.mkdir()
            stack.enter_context(https.nginx(site, f"{address}:443"))
        yield shown


def check(*arguments: str) -> int:
    """Run the command as an ordinary user on a machine without Certbot."""
    return cli.main(["check", "--certificates-only", "--config-dir", "/nonexistent", *arguments])


def test_all_show_the_same(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Issuer, serial number, fingerprint and expiry; an ordinary user may ask."""
    with showing(place, (PUBLIC_V4, 1), (OTHER_V4, 1)) as shown:
        assert check("--quiet", "--nodes", BOTH, NAME) == 0  # nobody may not import from a Python in root's home
        assert as_nobody(lambda: check("--nodes", BOTH, NAME)) == 0
        printed = capfd.readouterr().out
        assert f"{NAME}: one certificate is shown, the same at all 2 addresses\n" in printed
        lines = re.findall(rf"^  (\S+):443: until \S+ \S+ UTC, issuer CN={NAME}, serial (\S+), SHA-256 (\S+)$",
                           printed, re.MULTILINE)
        assert {address: fingerprint for address, _, fingerprint in lines} == shown
        said = subprocess.run(["openssl", "x509", "-noout", "-serial", "-in", place / "1" / "live" / "cert.pem"],
                              check=True, capture_output=True, text=True).stdout
        assert {int(serial, 16) for _, serial, _ in lines} == {int(said.partition("=")[2], 16)}


def test_this_machine_without_nodes(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The name's addresses here; for one that does not resolve here, where a program listens."""
    with showing(place, (PUBLIC_V4, 1)):
        assert as_nobody(lambda: check(NAME)) == 0
        assert f"{PUBLIC_V4}:443: until " in capfd.readouterr().out


@pytest.mark.parametrize(("days", "problem"), [
    (((PUBLIC_V4, 1), (OTHER_V4, 60)), "2 different certificates are shown"),
    (((PUBLIC_V4, 1),), f"no certificate at {OTHER_V4}:443"),
    (((PUBLIC_V4, 100), (OTHER_V4, 100)), "has expired"),
], ids=["not copied", "down", "expired"])
def test_problems(place: Path, capfd: pytest.CaptureFixture[str], days: Tuple[Tuple[str, int], ...],
                  problem: str) -> None:
    """Each format has them, and the exit status."""
    with showing(place, *days):
        assert check("--nodes", BOTH, NAME) == 1
        assert problem in capfd.readouterr().out.splitlines()[0]
        assert check("--nodes", BOTH, "--json", NAME) == 1
        report = json.loads(capfd.readouterr().out)
        conforms(report, SCHEMA)
        assert problem in report["certificates"][0]["problems"][0]
        assert check("--nodes", BOTH, "--format", "nagios", NAME) == 2
        line = capfd.readouterr().out
        assert re.fullmatch(rf"AUTOWEBROOT CRITICAL - {NAME}: .*{problem}.* \| days_left=-?\d+\n", line)
        assert check("--nodes", BOTH, "--format", "prometheus", NAME) == 1
        metrics = samples(capfd.readouterr().out)
    assert metrics["autowebroot_served_certificate_problem"] == [(f'name="{NAME}"', "1")]
    assert len(metrics["autowebroot_served_certificate_not_after_seconds"]) == len(days)
    page = (Path(__file__).parents[2] / "docs" / "check.rst").read_text(encoding="utf-8")
    assert set(re.findall(r"^``(autowebroot_served_\w+)", page, re.MULTILINE)) <= set(metrics)


def test_certificate_for_other_name(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A server shows its default certificate for a name that it does not know."""
    with showing(place, (PUBLIC_V4, 1)):
        assert check("--nodes", PUBLIC_V4, "other.example") == 1
        assert "is not for other.example" in capfd.readouterr().out


def test_a_name_is_needed(capfd: pytest.CaptureFixture[str]) -> None:
    """There are no lineages to take it from."""
    with pytest.raises(SystemExit) as ended:
        check()
    assert ended.value.code == 2 and "--certificates-only needs a NAME" in capfd.readouterr().err
