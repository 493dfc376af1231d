"""``--autowebroot-nodes``: every machine to which a balancer may send the CA, with a real Certbot."""
import subprocess

import pytest

from tests.lab.edge import balancer
from tests.lab.outside import BALANCER
from tests.lab.outside import CA_V4
from tests.lab.outside import OTHER_V4
from tests.lab.outside import OWN_V4
from tests.lab.outside import SILENT_V4
from tests.lab.outside import Outside
from tests.lab.outside_orders import NAME
from tests.lab.outside_orders import ROOT
from tests.lab.outside_orders import Orders
from tests.lab.public_fleet import ADDRESSES
from tests.lab.public_fleet import BEHIND_BALANCER
from tests.lab.public_fleet import IN_DNS
from tests.lab.public_fleet import PublicFleet

pytestmark = pytest.mark.lab

_UNPROVEN = "it could not be proved"
#: Two hundred addresses outside, each of which the router sends back to the machine.
_MANY = [f"198.18.0.{number}" for number in range(1, 201)]
_RETURNS = f"""
table ip many {{
    chain prerouting {{
        type nat hook prerouting priority dstnat - 1
        ip daddr 198.18.0.0/24 tcp dport 80 dnat to {OWN_V4}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat - 1
        ip daddr {OWN_V4} ip saddr {OWN_V4} masquerade
    }}
}}
"""


def test_node_that_sends_challenges_here(orders: Orders) -> None:
    """The list is kept with the lineage, and this machine's own address in it does not count."""
    with orders.outside.machine(OWN_V4), orders.outside.running(balancer(orders.place / "node", OWN_V4)), \
            orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, OWN_V4)
        assert _UNPROVEN not in orders.issue("--autowebroot-nodes", f"{BALANCER},{OWN_V4}")
        assert _UNPROVEN not in orders.renew()
        status, name = orders.check("--nodes", BALANCER)
        assert (status, name["outlook"]) == (0, "good")
        assert name["nodes"] == [{"address": BALANCER, "port": 80, "proven": True, "status": 200, "error": "",
                                  "lines": None}]


def test_node_without_its_lines(orders: Orders) -> None:
    """An order is refused before the CA is asked, a renewal and check as well; each names the node."""
    with orders.outside.machine(OWN_V4), orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, OWN_V4)
        with orders.outside.running(balancer(orders.place / "node", OWN_V4)):
            orders.issue("--autowebroot-nodes", f"{BALANCER}")
        with orders.outside.other_machine(addresses=[OTHER_V4, BALANCER]):
            nodes = ("--autowebroot-nodes", f"{OTHER_V4},{BALANCER}")
            reason = f"the node {BALANCER} does not send the challenges of {NAME} here (status 404 of Other/1.0"
            orders.refuse(reason, command=("certonly", "-a", "autowebroot", "-d", NAME, "--force-renewal", *nodes))
            orders.refuse(reason, command=("renew", "--force-renewal"))
            assert orders.check_lineage() == (1, "fails")
            assert reason in orders.check_lineages().stdout


@pytest.mark.parametrize("front", [BEHIND_BALANCER, IN_DNS])
def test_printed_lines_make_node_send_challenges_here(front: str, orders: Orders) -> None:
    """check prints lines for an Apache, by its Server header; with them, the renewal succeeds."""
    with PublicFleet(orders, "--to", front) as fleet:
        orders.issue(*fleet.options)
        fleet.stop(2)
        fleet.start_without_lines(2)
        start = f"  what to do at {ADDRESSES[2]}: put these lines into its configuration"
        printed = orders.check_lineages().stdout.splitlines()
        first = next(number for number, line in enumerate(printed) if start in line) + 1
        indent = printed[first].partition("#")[0]
        lines = [line[len(indent):] for line in printed[first:] if line.startswith(indent)]
        assert "<IfModule" in "".join(lines)
        orders.refuse("what to do at " + ADDRESSES[2], *lines[-1:], command=("renew", "--force-renewal"))
        fleet.stop(2)
        fleet.start(2, "\n".join(lines))
        assert _UNPROVEN not in orders.renew()


def test_command_for_node_of_unknown_server(orders: Orders) -> None:
    """Its Server header says nothing: the command is printed, without the name of the server."""
    with orders.outside.machine(OWN_V4), orders.nginx(f"listen 80; {ROOT}"), \
            orders.outside.other_machine(addresses=[OTHER_V4]):
        orders.outside.resolve(NAME, OWN_V4)
        command = f"certbot-autowebroot snippet SERVER --to {OWN_V4}"
        orders.refuse(f"run {command}, and put", "SERVER is its web server: nginx, apache", command=(
            "certonly", "-a", "autowebroot", "-d", NAME, "--autowebroot-nodes", OTHER_V4))
        status, name = orders.check("--nodes", OTHER_V4)
        assert (status, name["nodes"][0]["lines"]) == (1, command)


def test_silent_node(orders: Orders) -> None:
    """It may be down, and the balancer may know it: unproven."""
    with orders.outside.machine(OWN_V4), orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, OWN_V4)
        nodes = ("--autowebroot-nodes", SILENT_V4)
        orders.refuse(f"the node {SILENT_V4} does not answer", command=(
            "certonly", "-a", "autowebroot", "-d", NAME, "--autowebroot-unproven", "refuse", *nodes))
        assert _UNPROVEN in orders.issue(*nodes)
        status, name = orders.check("--nodes", SILENT_V4)
        assert (status, name["outlook"]) == (4, "unproven")


def test_many_nodes(orders: Orders, outside: Outside) -> None:
    """Two hundred of them, each of which returns the test file."""
    with outside.machine(OWN_V4), orders.nginx(f"listen 80; {ROOT}"):
        outside.router.ip(f"route replace 198.18.0.0/24 via {CA_V4}")
        with outside.router.entered():
            subprocess.run(["nft", "-f", "-"], input=_RETURNS, text=True, check=True)
        outside.resolve(NAME, OWN_V4)
        status, name = orders.check("--nodes", ",".join(_MANY))
        assert (status, name["outlook"]) == (0, "good")
        assert [node["address"] for node in name["nodes"] if node["proven"]] == _MANY


@pytest.mark.parametrize("value", ["nonsense", "10.0.0.7,www.sample.com"])
def test_node_is_an_address(orders: Orders, value: str) -> None:
    """A name has several addresses, each of which is a node."""
    with orders.outside.machine(OWN_V4):
        orders.refuse(f"--autowebroot-nodes {value.rpartition(',')[2]}: this is no IP address", command=(
            "certonly", "-a", "autowebroot", "-d", NAME, "--autowebroot-nodes", value))
