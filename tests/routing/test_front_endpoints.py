"""At which endpoints a CA may arrive, by what DNS says."""
from typing import Any
from typing import List
from typing import Sequence

import pytest

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Source
from certbot_autowebroot.routing.front_endpoints import MAX_OF_FAMILY
from certbot_autowebroot.routing.front_endpoints import Kind
from certbot_autowebroot.routing.front_endpoints import front_endpoints
from certbot_autowebroot.system.dns import Resolution
from certbot_autowebroot.system.dns_messages import Outcome
from certbot_autowebroot.system.resolver_files import HostsLine
from tests.lab import table
from tests.lab.table import Holder
from tests.lab.table import TableMachine

NAME = "www.sample.com"
PUBLIC, V6 = "203.0.113.10", "2001:db8::10"
PRIVATE, BRIDGE = "10.0.0.5", "172.17.0.1"
NAT, CDN, CDN_V6 = "198.51.100.77", "198.51.100.80", "2001:db8:f::80"


def resolution(*addresses: str, outcome: Outcome = Outcome.NO_DATA, **more: Any) -> Resolution:
    return table.resolution(NAME, *addresses, outcome=outcome, **more)


def machine(*local: str, held: Sequence[str] = ()) -> TableMachine:
    return TableMachine({Endpoint(address, 80): [Holder([])] for address in held}, {},
                        ["127.0.0.1", "::1", "fe80::1", *local])


def endpoints(known: Resolution, here: TableMachine, port: int = 80, address: str = "") -> List[str]:
    """The endpoints, each with its kind."""
    return [f"{one.kind.value} {one.endpoint}" for one in front_endpoints(known, here, port, address).every]


@pytest.mark.parametrize(("resolved", "local", "held", "expected"), [
    ([PUBLIC, V6], [PUBLIC, V6, PRIVATE], [], [f"local [{V6}]:80", f"local {PUBLIC}:80"]),
    ([PUBLIC], [PUBLIC, V6], [V6], [f"local {PUBLIC}:80"]),
    ([NAT], [PRIVATE, V6], [], [f"remote {NAT}:80", f"guessed {PRIVATE}:80"]),
    ([NAT], [PRIVATE, BRIDGE], [], [f"remote {NAT}:80", f"guessed {PRIVATE}:80", f"guessed {BRIDGE}:80"]),
    ([NAT], [BRIDGE, PRIVATE], [PRIVATE], [f"remote {NAT}:80", f"guessed {PRIVATE}:80"]),
    ([NAT, V6], [PRIVATE, V6], [], [f"local [{V6}]:80", f"remote {NAT}:80", f"guessed {PRIVATE}:80"]),
    ([NAT, V6], [V6], [], [f"local [{V6}]:80", f"remote {NAT}:80"]),
    ([PUBLIC, NAT], [PUBLIC], [], [f"remote {NAT}:80", f"local {PUBLIC}:80"]),
    ([CDN, CDN_V6], [PUBLIC], [], [f"remote [{CDN_V6}]:80", f"remote {CDN}:80", f"guessed {PUBLIC}:80"]),
    ([CDN, CDN_V6], [PUBLIC, V6], [PUBLIC], [f"remote [{CDN_V6}]:80", f"guessed [{V6}]:80", f"remote {CDN}:80",
                                              f"guessed {PUBLIC}:80"]),
    ([CDN_V6], [PUBLIC], [], [f"remote [{CDN_V6}]:80", f"guessed {PUBLIC}:80"]),
    ([], [PUBLIC, V6], [PUBLIC], [f"guessed [{V6}]:80", f"guessed {PUBLIC}:80"]),
    (["127.0.1.1"], [PUBLIC], [], [f"guessed {PUBLIC}:80"]),
    ([NAT], [], [], [f"remote {NAT}:80", "guessed 127.0.0.1:80"]),
], ids=["own addresses", "no AAAA", "NAT", "NAT and a bridge", "NAT, one held", "NAT and own IPv6",
        "IPv6 alone is here", "round robin", "CDN", "CDN, both versions here", "CDN over IPv6 alone", "unresolved",
        "loopback", "no address at all"])
def test_endpoints(resolved: Sequence[str], local: Sequence[str], held: Sequence[str], expected: Sequence[str]) -> None:
    """In the CA's order; what is not here is asked at the CA's port, and what it may lead to is guessed."""
    assert endpoints(resolution(*resolved), machine(*local, held=held)) == expected


def test_another_port_is_this_machines_alone() -> None:
    """--http-01-port is where the CA's port 80 leads to; a remote address is asked as the CA does."""
    assert endpoints(resolution(NAT), machine(PRIVATE), 5080) == [f"remote {NAT}:80", f"guessed {PRIVATE}:5080"]


@pytest.mark.parametrize(("address", "resolved", "expected"), [
    (PRIVATE, [PUBLIC], [f"local {PRIVATE}:80"]),
    (PRIVATE, [NAT], [f"remote {NAT}:80", f"guessed {PRIVATE}:80"]),
    (PUBLIC, [PUBLIC, NAT], [f"remote {NAT}:80", f"local {PUBLIC}:80"]),
    ("0.0.0.0", [PUBLIC, V6], [f"local {PUBLIC}:80"]),
    ("0.0.0.0", [], [f"guessed {PUBLIC}:80", f"guessed {PRIVATE}:80"]),
    ("::", [PUBLIC, V6], [f"local [{V6}]:80", f"local {PUBLIC}:80"]),
])
def test_given_address(address: str, resolved: Sequence[str], expected: Sequence[str]) -> None:
    """--http-01-address, as standalone understands it."""
    assert endpoints(resolution(*resolved), machine(PUBLIC, PRIVATE, V6), address=address) == expected


def test_counts_are_bounded() -> None:
    """A hosting machine has hundreds of addresses."""
    many = [f"10.0.1.{number}" for number in range(200)]
    remote = [f"198.51.100.{number}" for number in range(100)]
    view = front_endpoints(resolution(*remote), machine(*many), 80)
    assert len(view.of_kind(Kind.GUESSED)) == len(view.of_kind(Kind.REMOTE)) == MAX_OF_FAMILY


def test_proxy_line_only_where_something_may_be_in_front() -> None:
    """At an address of our own, the CA's connection begins with none."""
    view = front_endpoints(resolution(NAT, V6), machine(PRIVATE, V6), 80)
    assert [one.may_begin_with_proxy_line for one in view.every] == [False, False, True]


@pytest.mark.parametrize(("known", "note"), [
    (resolution(PUBLIC), ""),
    (resolution(outcome=Outcome.NO_SUCH_NAME), f"{NAME} does not exist in DNS"),
    (resolution(), f"{NAME} resolves to no address at which a CA could arrive, seen from here"),
    (resolution(PUBLIC, hosts=(HostsLine("127.0.1.1", Source("/etc/hosts", 2)),)),
     f"{NAME} is 127.0.1.1 in /etc/hosts:2, for this machine alone; the CA goes by DNS"),
    (resolution(outcome=Outcome.NO_ANSWER, system=(PUBLIC,)),
     f"no name server answers for {NAME}: its addresses are known from this machine's resolver alone"),
])
def test_notes(known: Resolution, note: str) -> None:
    """What a person should know of the addresses."""
    assert front_endpoints(known, machine(PUBLIC), 80).notes == ((note,) if note else ())


def test_own_name_that_only_the_machine_knows_resolves_to_nothing() -> None:
    """nss-myhostname gives it every address of the machine; the CA's are not known."""
    known = resolution(outcome=Outcome.NO_ANSWER, system=(PUBLIC, V6), is_own_name=True)
    assert endpoints(known, machine(PUBLIC)) == [f"guessed {PUBLIC}:80"]
    known = known._replace(hosts=(HostsLine(PUBLIC, Source("/etc/hosts", 2)),))
    assert f"local {PUBLIC}:80" in endpoints(known, machine(PUBLIC))
