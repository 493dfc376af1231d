"""At which local endpoints the CA may arrive."""
from typing import List

import pytest

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.front_endpoints import front_endpoints
from tests.lab.table import FRONT
from tests.lab.table import Holder
from tests.lab.table import TableMachine

NAME = "www.sample.com"
V6 = "2001:db8::10"


def test_name_of_this_host_has_exactly_its_addresses() -> None:
    """Each of them has to answer: the CA asks over IPv6 first."""
    machine = TableMachine(names={NAME: [V6, FRONT.host]}, local=["127.0.0.1", "203.0.113.99", FRONT.host, V6])
    front = front_endpoints(NAME, machine, 80)
    assert front.endpoints == (Endpoint(V6, 80), FRONT)
    assert front.certain


def test_port_forward_may_lead_to_any_address_of_the_version() -> None:
    """The public address is the router's; the local one is private, and IPv6 is not meant."""
    machine = TableMachine(names={NAME: ["198.51.100.1"]}, local=["127.0.0.1", "10.0.0.5", V6])
    front = front_endpoints(NAME, machine, 80)
    assert front.endpoints == (Endpoint("10.0.0.5", 80),)
    assert not front.certain
    assert "198.51.100.1" in front.note


def test_address_with_a_listener_wins_over_a_container_bridge() -> None:
    """A responder on 172.17.0.1 would prove nothing."""
    inside = Endpoint("10.0.0.5", 80)
    machine = TableMachine({inside: [Holder([])]}, names={NAME: ["198.51.100.1"]},
                           local=["127.0.0.1", "172.17.0.1", "10.0.0.5"])
    assert front_endpoints(NAME, machine, 80).endpoints == (inside,)


def test_debians_entry_in_etc_hosts_is_no_front_endpoint() -> None:
    """127.0.1.1 is the host's name for itself; no CA arrives there."""
    front = front_endpoints(NAME, TableMachine(names={NAME: ["127.0.1.1"]}), 80)
    assert front.endpoints == (FRONT,)
    assert not front.certain


def test_unresolved_name_is_tried_at_all_addresses_with_a_note() -> None:
    """The local resolver may be wrong; the CA's decides."""
    front = front_endpoints(NAME, TableMachine(local=["127.0.0.1", "::1", FRONT.host, V6, "fe80::1"]), 80)
    assert front.endpoints == (FRONT, Endpoint(V6, 80))
    assert "does not resolve" in front.note


def test_loopback_is_the_last_resort() -> None:
    """It may reach another default server than the public address."""
    assert front_endpoints(NAME, TableMachine(local=["127.0.0.1"]), 80).endpoints == (Endpoint("127.0.0.1", 80),)


def test_http_01_address_is_the_only_front_endpoint() -> None:
    """As standalone understands it."""
    front = front_endpoints(NAME, TableMachine(names={NAME: [FRONT.host]}), 5080, "10.0.0.5")
    assert front.endpoints == (Endpoint("10.0.0.5", 5080),)
    assert front.note == ""


def test_note_on_another_address_than_http_01_address() -> None:
    """The CA arrives at another address of this host; behind a router, that is unknown."""
    def note(*addresses: str, asked: str = "10.0.0.5") -> str:
        machine = TableMachine(names={NAME: addresses}, local=[FRONT.host, "10.0.0.5"])
        return front_endpoints(NAME, machine, 80, asked).note
    assert note(FRONT.host) == f"{NAME} resolves to {FRONT.host} of this machine, and not to 10.0.0.5"
    assert [note(FRONT.host, "10.0.0.5"), note("198.51.100.1"), note(FRONT.host, asked="0.0.0.0"),
            note(FRONT.host, asked="127.0.0.1")] == [""] * 4


@pytest.mark.parametrize(("address", "resolved", "hosts"), [
    ("::", [V6, FRONT.host], [V6, FRONT.host]),
    ("0.0.0.0", [V6, FRONT.host], [FRONT.host]),
    ("0.0.0.0", [], [FRONT.host]),
])
def test_wildcard_http_01_address_is_every_address_of_its_versions(
        address: str, resolved: List[str], hosts: List[str]) -> None:
    """Standalone's listener on :: takes IPv4 too; no CA arrives at 0.0.0.0 itself."""
    machine = TableMachine(names={NAME: resolved}, local=["127.0.0.1", FRONT.host, V6])
    assert [endpoint.host for endpoint in front_endpoints(NAME, machine, 80, address).endpoints] == hosts


def test_ip_identifier_is_its_own_front_endpoint() -> None:
    """RFC 8738: the identifier is the address."""
    assert front_endpoints(FRONT.host, TableMachine(), 80).endpoints == (FRONT,)


def test_note_on_a_foreign_address() -> None:
    """A second machine behind the same name gets a share of the validations."""
    front = front_endpoints(NAME, TableMachine(names={NAME: [FRONT.host, "198.51.100.1"]}), 80)
    assert front.endpoints == (FRONT,)
    assert "198.51.100.1" in front.note
