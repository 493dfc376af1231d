"""Which local endpoints a CA's request may arrive at."""
from typing import List

import pytest

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.front_endpoints import front_endpoints
from tests.lab.table import FRONT
from tests.lab.table import Holder
from tests.lab.table import TableMachine

NAME = "www.sample.com"
V6 = "2001:db8::10"


def test_a_name_that_resolves_here_has_exactly_these_doors() -> None:
    """Each of them has to answer: the CA asks over IPv6 first."""
    machine = TableMachine(names={NAME: [V6, FRONT.host]}, local=["127.0.0.1", "203.0.113.99", FRONT.host, V6])
    doors = front_endpoints(NAME, machine, 80)
    assert doors.endpoints == (Endpoint(V6, 80), FRONT)
    assert doors.certain


def test_a_name_behind_a_port_forward_may_come_to_any_address_of_its_family() -> None:
    """The public address is the router's; ours is private, and IPv6 is not meant."""
    machine = TableMachine(names={NAME: ["198.51.100.1"]}, local=["127.0.0.1", "10.0.0.5", V6])
    doors = front_endpoints(NAME, machine, 80)
    assert doors.endpoints == (Endpoint("10.0.0.5", 80),)
    assert not doors.certain
    assert "198.51.100.1" in doors.note


def test_where_somebody_listens_is_preferred_to_the_bridge_of_containers() -> None:
    """A responder of ours on 172.17.0.1 would prove nothing."""
    inside = Endpoint("10.0.0.5", 80)
    machine = TableMachine({inside: [Holder([])]}, names={NAME: ["198.51.100.1"]},
                           local=["127.0.0.1", "172.17.0.1", "10.0.0.5"])
    assert front_endpoints(NAME, machine, 80).endpoints == (inside,)


def test_debians_own_entry_in_etc_hosts_is_no_door() -> None:
    """127.0.1.1 is the host's name to itself; no CA comes there."""
    doors = front_endpoints(NAME, TableMachine(names={NAME: ["127.0.1.1"]}), 80)
    assert doors.endpoints == (FRONT,)
    assert not doors.certain


def test_a_name_that_does_not_resolve_is_tried_everywhere_and_said() -> None:
    """Our resolver may be wrong; the CA's decides."""
    doors = front_endpoints(NAME, TableMachine(local=["127.0.0.1", "::1", FRONT.host, V6, "fe80::1"]), 80)
    assert doors.endpoints == (FRONT, Endpoint(V6, 80))
    assert "does not resolve" in doors.note


def test_a_machine_without_other_addresses_is_asked_at_loopback() -> None:
    """The last resort, for it met another default server than the public address did."""
    assert front_endpoints(NAME, TableMachine(local=["127.0.0.1"]), 80).endpoints == (Endpoint("127.0.0.1", 80),)


def test_http_01_address_is_the_only_door() -> None:
    """As standalone understands it."""
    doors = front_endpoints(NAME, TableMachine(names={NAME: [FRONT.host]}), 5080, "10.0.0.5")
    assert doors.endpoints == (Endpoint("10.0.0.5", 5080),)
    assert doors.note == ""


def test_an_http_01_address_that_the_name_does_not_lead_to_is_said() -> None:
    """The CA would come to another address of this machine; where it comes to the router's, that is not known."""
    def note(*addresses: str, asked: str = "10.0.0.5") -> str:
        machine = TableMachine(names={NAME: addresses}, local=[FRONT.host, "10.0.0.5"])
        return front_endpoints(NAME, machine, 80, asked).note
    assert note(FRONT.host) == f"{NAME} resolves to {FRONT.host} of this machine, and not to 10.0.0.5"
    assert [note(FRONT.host, "10.0.0.5"), note("198.51.100.1"), note(FRONT.host, asked="0.0.0.0"),
            note(FRONT.host, asked="127.0.0.1")] == [""] * 4


@pytest.mark.parametrize(("address", "resolved", "endpoints"), [
    ("::", [V6, FRONT.host], [V6, FRONT.host]),
    ("0.0.0.0", [V6, FRONT.host], [FRONT.host]),
    ("0.0.0.0", [], [FRONT.host]),
])
def test_a_wildcard_as_http_01_address_is_every_address_that_it_takes(
        address: str, resolved: List[str], doors: List[str]) -> None:
    """A listener of standalone's on :: takes IPv4 too; no CA comes to 0.0.0.0 itself."""
    machine = TableMachine(names={NAME: resolved}, local=["127.0.0.1", FRONT.host, V6])
    assert [door.host for door in front_endpoints(NAME, machine, 80, address).endpoints] == doors


def test_an_ip_identifier_is_its_own_door() -> None:
    """RFC 8738: the identifier is the address."""
    assert front_endpoints(FRONT.host, TableMachine(), 80).endpoints == (FRONT,)


def test_a_name_with_a_foreign_address_too_is_said() -> None:
    """A second machine behind the same name gets its share of validations."""
    doors = front_endpoints(NAME, TableMachine(names={NAME: [FRONT.host, "198.51.100.1"]}), 80)
    assert doors.endpoints == (FRONT,)
    assert "198.51.100.1" in doors.note
