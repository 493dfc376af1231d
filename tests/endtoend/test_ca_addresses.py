"""Where does the CA come in? Each situation of a machine, with a real Certbot and a CA that comes from outside."""
import time
from typing import Sequence
from typing import Tuple

import pytest

from certbot_autowebroot.routing.probe import CONNECT_TIMEOUT
from tests.lab.edge import balancer
from tests.lab.edge import edge
from tests.lab.networks import replaced
from tests.lab.outside import BALANCER
from tests.lab.outside import CA_V4
from tests.lab.outside import EDGE_V4
from tests.lab.outside import EDGE_V6
from tests.lab.outside import NAT
from tests.lab.outside import OTHER_V4
from tests.lab.outside import OTHER_V6
from tests.lab.outside import OWN_V4
from tests.lab.outside import OWN_V6
from tests.lab.outside import PRIVATE
from tests.lab.outside import SILENT_V4
from tests.lab.outside import SILENT_V6
from tests.lab.outside import Outside
from tests.lab.outside_orders import DEAD_END
from tests.lab.outside_orders import NAME
from tests.lab.outside_orders import ROOT
from tests.lab.outside_orders import Orders

pytestmark = pytest.mark.lab

CERTAIN = ("--autowebroot-unproven", "refuse")
UNPROVEN = "it could not be proved"


@pytest.mark.parametrize("addresses", [[OWN_V4], [OWN_V6], [OWN_V4, OWN_V6]], ids=["IPv4", "IPv6", "both"])
def test_own_address(orders: Orders, addresses: Sequence[str]) -> None:
    """A file where nginx holds the port, our own listener where it is free; check says good."""
    with orders.outside.machine(OWN_V4, OWN_V6):
        orders.outside.resolve(NAME, *addresses)
        with orders.nginx(f"listen 80; listen [::]:80; {ROOT}"):
            assert UNPROVEN not in orders.issue(*CERTAIN)
            status, name = orders.check()
            assert (status, name["outlook"]) == (0, "good")
        assert UNPROVEN not in orders.renew()


def test_own_ipv6_is_answered_where_only_ipv4_is_served(orders: Orders) -> None:
    """The CA comes over IPv6 first: we listen there beside nginx."""
    with orders.outside.machine(OWN_V4, OWN_V6), orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, OWN_V4, OWN_V6)
        orders.issue(*CERTAIN)
        orders.renew()


def test_own_ipv6_that_is_a_dead_end(orders: Orders) -> None:
    """A CA that gets a wrong answer over IPv6 does not turn to IPv4."""
    with orders.outside.machine(OWN_V4, OWN_V6), \
            orders.nginx(f"listen {OWN_V4}:80; {ROOT}", f"listen [::]:80; {DEAD_END}"):
        orders.outside.resolve(NAME, OWN_V4, OWN_V6)
        orders.refuse(f"[{OWN_V6}]:80")


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "free"])
def test_nat_with_hairpin(orders: Orders, is_held: bool) -> None:
    """The public address is asked as the CA asks it, through the router: proven, and nothing is guessed."""
    with orders.outside.machine(PRIVATE):
        orders.outside.resolve(NAME, NAT)
        with orders.nginx(f"listen {'80' if is_held else '8080'}; {ROOT}"):
            for said in (orders.issue(*CERTAIN), orders.renew()):
                assert UNPROVEN not in said


def test_check_behind_nat_with_hairpin(orders: Orders) -> None:
    """The CA's own address was proven, so it is good; there is no doubt to note."""
    with orders.outside.machine(PRIVATE), orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, NAT)
        status, name = orders.check()
        assert (status, name["outlook"]) == (0, "good")
        assert "not an address of this machine" not in name["note"]


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "free"])
@pytest.mark.parametrize("hairpin", ["refused", "silent"])
def test_nat_without_hairpin(orders: Orders, hairpin: str, is_held: bool) -> None:
    """The public address does not answer from here: the inside decides, and no order fails for it."""
    with orders.outside.machine(PRIVATE, hairpin=hairpin):
        orders.outside.resolve(NAME, NAT)
        with orders.nginx(f"listen {'80' if is_held else '8080'}; {ROOT}"):
            for said in (orders.issue(*CERTAIN), orders.renew()):
                assert UNPROVEN not in said


@pytest.mark.parametrize("hairpin", ["refused", "silent"])
def test_check_behind_nat_without_hairpin(orders: Orders, hairpin: str) -> None:
    """Good from inside is a state of its own, which --strict makes a failure."""
    with orders.outside.machine(PRIVATE, hairpin=hairpin), orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, NAT)
        status, name = orders.check()
        assert status not in (0, 1, 2) and name["outlook"] == "good from inside"
        assert f"{NAME} resolves to {NAT}" in name["reason"] and "port 80 there must lead here" in name["reason"]
        assert orders.check("--strict")[0] == 1


def test_silent_addresses_cost_one_timeout(orders: Orders) -> None:
    """Of twenty names behind one silent address, all wait for it at the same time, and once."""
    names = tuple(f"{number}.sample.com" for number in range(20))

    def seconds(hairpin: str) -> float:
        with orders.outside.machine(PRIVATE, hairpin=hairpin), orders.nginx(f"listen 80; {ROOT}"):
            for name in names:
                orders.outside.resolve(name, NAT)
            started = time.monotonic()
            orders.issue("--cert-name", hairpin, "--force-renewal", names=names)
            return time.monotonic() - started
    allowed = seconds("refused") + 2 * CONNECT_TIMEOUT
    # A second timeout is there in each order; what a busy machine adds is not.
    assert any(seconds("silent") < allowed for _ in range(3)), "two timeouts"


def test_nat_to_a_dead_end(orders: Orders) -> None:
    """The router leads here, and what it leads to answers something else."""
    with orders.outside.machine(PRIVATE, hairpin="silent"), orders.nginx(f"listen 80; {DEAD_END}"):
        orders.outside.resolve(NAME, NAT)
        orders.refuse(NAME, "nginx")


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "free"])
def test_balancer(orders: Orders, is_held: bool) -> None:
    """It passes connections on as they come."""
    with orders.outside.machine(OWN_V4), orders.outside.running(balancer(orders.place / "balancer", OWN_V4)), \
            orders.nginx(f"listen {'80' if is_held else '8080'}; {ROOT}"):
        orders.outside.resolve(NAME, BALANCER)
        orders.issue(*CERTAIN)


def test_balancer_with_proxy_protocol(orders: Orders) -> None:
    """The server closes each connection that does not begin with a PROXY line; the balancer sends one."""
    front = balancer(orders.place / "balancer", OWN_V4, options="send-proxy")
    with orders.outside.machine(OWN_V4), orders.outside.running(front), \
            orders.nginx(f"listen 80 proxy_protocol; {ROOT}"):
        orders.outside.resolve(NAME, BALANCER)
        orders.issue(*CERTAIN)


def test_balancer_over_two_machines(orders: Orders) -> None:
    """One of them has no file of ours: every second validation would fail."""
    front = balancer(orders.place / "balancer", OWN_V4, OTHER_V4)
    with orders.outside.machine(OWN_V4), orders.outside.other_machine(), orders.outside.running(front), \
            orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, BALANCER)
        orders.refuse(BALANCER)


def test_cdn_flexible(orders: Orders) -> None:
    """Its edge ends TLS, and comes to port 80 of the machine."""
    with orders.outside.machine(OWN_V4), \
            orders.outside.running(edge(orders.place / "edge", NAME, OWN_V4, https_only=True)), \
            orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, EDGE_V4, EDGE_V6)
        orders.issue(*CERTAIN)


@pytest.mark.parametrize("plain", [DEAD_END,
                                   "return 301 https://$host$request_uri;"], ids=["dead end", "redirect"])
def test_cdn_full_with_redirect_at_its_edge(orders: Orders, plain: str) -> None:
    """The CA never comes to port 80 of the machine: what is there does not matter."""
    front = edge(orders.place / "edge", NAME, OWN_V4, "full", https_only=True)
    with orders.outside.machine(OWN_V4), orders.outside.running(front), \
            orders.nginx(f"listen 80; {plain}", "listen 443 ssl; {tls} root {place}/secure;"):
        orders.outside.resolve(NAME, EDGE_V4, EDGE_V6)
        orders.issue(*CERTAIN)


def test_cdn_whose_origin_refuses(orders: Orders) -> None:
    """521 is the CDN's word for a machine on which no program listens at the port that it comes to."""
    front = edge(orders.place / "edge", NAME, OWN_V4, "full", https_only=True)
    with orders.outside.machine(OWN_V4), orders.outside.running(front), orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, EDGE_V4)
        orders.refuse(EDGE_V4, "521")


def test_cdn_with_a_challenge_page(orders: Orders) -> None:
    """A puzzle for us is none for the CA: it is asked, with a warning; who wants certainty has the order refused."""
    front = edge(orders.place / "edge", NAME, OWN_V4, challenge=["Mozilla"])
    with orders.outside.machine(OWN_V4), orders.outside.running(front), orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, EDGE_V4)
        assert UNPROVEN in orders.issue()
        orders.refuse("403", command=("renew", "--force-renewal", *CERTAIN))


@pytest.mark.parametrize(("own", "other"), [(OWN_V4, OTHER_V4), (OWN_V6, OTHER_V6)], ids=["IPv4", "IPv6"])
def test_round_robin_over_two_machines(orders: Orders, own: str, other: str) -> None:
    """The other machine's address answers something else: a dead end that names it."""
    with orders.outside.machine(OWN_V4, OWN_V6), orders.outside.other_machine(addresses=[other]), \
            orders.nginx(f"listen 80; listen [::]:80; {ROOT}"):
        orders.outside.resolve(NAME, own, other)
        orders.refuse(other)


def test_other_family_leads_to_another_machine(orders: Orders) -> None:
    """AAAA is the CA's first address, and it is forgotten at the old machine."""
    with orders.outside.machine(OWN_V4, OWN_V6), orders.outside.other_machine(addresses=[OTHER_V6]), \
            orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, OWN_V4, OTHER_V6)
        orders.refuse(OTHER_V6)


def test_split_dns(orders: Orders) -> None:
    """Inside, the name is the machine's private address; outside, the router's."""
    with orders.outside.machine(PRIVATE, hairpin="silent"), orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.dns.resolve(NAME, NAT)
        orders.outside.inner_dns.resolve(NAME, PRIVATE)
        orders.issue(*CERTAIN)
        status, name = orders.check()
        assert (status, name["outlook"]) == (3, "good from inside")
        assert f"{NAME} resolves to {PRIVATE} from here, which no public CA can reach" in name["note"]
        orders.renew()
        assert orders.check_lineage() == (0, "good")


@pytest.mark.parametrize(("addresses", "silent", "expected"), [
    ([OWN_V4, SILENT_V4], SILENT_V4, (4, "unproven")), ([OWN_V4, SILENT_V6], SILENT_V6, (3, "good from inside"))],
    ids=["same version", "other version"])
def test_silent_second_address(orders: Orders, addresses: Sequence[str], silent: str,
                               expected: Tuple[int, str]) -> None:
    """The CA may take the silent one of a version; from IPv6 it turns to IPv4."""
    with orders.outside.machine(OWN_V4, OWN_V6), orders.nginx(f"listen {OWN_V4}:80; {ROOT}"):
        orders.outside.resolve(NAME, *addresses)
        status, name = orders.check()
        assert (status, name["outlook"]) == expected
        assert silent in name["note"]


def test_lineage_behind_nat(orders: Orders) -> None:
    """Good once the CA has agreed under these addresses."""
    with orders.outside.machine(PRIVATE, hairpin="silent"), orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, NAT)
        orders.issue(*CERTAIN)
        assert orders.check_lineage() == (0, "good")
        assert orders.check_lineage("--strict") == (0, "good")


def test_lineage_behind_nat_at_other_addresses(orders: Orders) -> None:
    """From inside again; another name server may still know those under which the CA has agreed."""
    with orders.outside.machine(PRIVATE, hairpin="silent"), orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, NAT)
        orders.issue(*CERTAIN)
        orders.outside.inner_dns.resolve(NAME, SILENT_V4)
        assert orders.check_lineage() == (3, "good from inside")
        assert orders.check_lineage("--strict") == (1, "good from inside")
        assert orders.check_lineage("--resolver", CA_V4) == (0, "good")


def test_check_uses_the_resolver_of_a_lineage(orders: Orders) -> None:
    """The machine's own name server knows an address of another machine."""
    with orders.outside.machine(OWN_V4), orders.nginx(f"listen 80; {ROOT}"), orders.outside.other_machine():
        orders.outside.dns.resolve(NAME, OWN_V4)
        orders.outside.inner_dns.resolve(NAME, OTHER_V4)
        orders.issue(*CERTAIN, "--autowebroot-resolver", CA_V4)
        assert orders.check_lineage() == (0, "good")
        assert orders.check()[0] != 0


@pytest.mark.parametrize("is_in_the_way", [True, False], ids=["another root", "its root"])
def test_webroot_lineage_behind_nat(orders: Orders, is_in_the_way: bool) -> None:
    """Its own directory is proven from inside, or autowebroot is the remedy, from inside as well."""
    with orders.outside.machine(PRIVATE, hairpin="silent"):
        orders.outside.resolve(NAME, NAT)
        with orders.nginx(f"listen 80; {ROOT}"):
            root = orders.place / "root"
            done = orders.certbot.run("certonly", "--webroot", "-w", str(root), "-d", NAME)
            assert done.returncode == 0, done.stdout
        with orders.nginx("listen 80; root {place}/secure;" if is_in_the_way else f"listen 80; {ROOT}"):
            printed = orders.check_lineages().stdout
            assert ("reconfigure" in printed) is is_in_the_way
            assert orders.check_lineage() == ((1, "fails") if is_in_the_way else (3, "good from inside"))


def test_given_resolver_sees_what_the_ca_sees(orders: Orders) -> None:
    """The machine's own name server knows another address; a public one is asked because the user says so."""
    with orders.outside.machine(OWN_V4), orders.nginx(f"listen 80; {ROOT}"), orders.outside.other_machine():
        orders.outside.dns.resolve(NAME, OWN_V4)
        orders.outside.inner_dns.resolve(NAME, OTHER_V4)
        orders.issue(*CERTAIN, "--autowebroot-resolver", CA_V4)


def test_line_of_etc_hosts_that_contradicts_dns_is_named(orders: Orders) -> None:
    """DNS wins, for a CA reads no file of ours."""
    with orders.outside.machine(OWN_V4), orders.nginx(f"listen 80; {ROOT}"), \
            replaced("/etc/hosts", f"127.0.0.1 localhost\n{OTHER_V4} {NAME}\n"):
        orders.outside.resolve(NAME, OWN_V4)
        orders.issue(*CERTAIN)
        status, name = orders.check()
        assert (status, name["outlook"]) == (0, "good")
        assert "/etc/hosts:2" in name["note"]


def test_missing_name_fails(orders: Orders, outside: Outside) -> None:
    """What does not exist in DNS cannot be validated."""
    with outside.machine(OWN_V4), orders.nginx(f"listen 80; {ROOT}"):
        status, name = orders.check()
        assert (status, name["outlook"]) == (1, "fails")
