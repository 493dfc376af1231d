"""What was seen on real machines, where the front endpoints were guessed: see "The address that the CA really uses"."""
import subprocess
import sys

import pytest

from tests.lab.apache import Apache
from tests.lab.outside import NAT
from tests.lab.outside import OTHER_V4
from tests.lab.outside import OWN_V4
from tests.lab.outside import OWN_V6
from tests.lab.outside import PRIVATE
from tests.lab.outside import SILENT_V4
from tests.lab.outside import SILENT_V6
from tests.lab.outside_orders import DEAD_END
from tests.lab.outside_orders import NAME
from tests.lab.outside_orders import ROOT
from tests.lab.outside_orders import Orders
from tests.lab.shared_directory import shared_directory

pytestmark = pytest.mark.lab

BARE = "sample.com"
CERTAIN = ("--autowebroot-unproven", "refuse")


def unresolved(orders: Orders, how: str) -> None:
    """The name as the machine sees it: not at all, or at addresses that say nothing."""
    if how == "resolves elsewhere":
        orders.outside.inner_dns.resolve(NAME, SILENT_V4, SILENT_V6)


@pytest.mark.parametrize("hairpin", ["works", "refused", "silent"])
def test_redirect_to_another_name_behind_the_same_nat(orders: Orders, hairpin: str) -> None:
    """1. Both names resolve to one public address that the machine does not have: a file answers."""
    with orders.outside.machine(PRIVATE, hairpin=hairpin), \
            orders.nginx("listen 80; return 301 https://{name}$request_uri;",
                         "listen 443 ssl; server_name {name}; {tls} root {place}/secure;"):
        orders.outside.resolve(NAME, NAT)
        orders.outside.resolve(BARE, NAT)
        orders.issue(*CERTAIN, names=(BARE, NAME))


@pytest.mark.parametrize("how", ["does not resolve", "resolves elsewhere"])
def test_our_listener_beside_a_dead_end(orders: Orders, how: str) -> None:
    """2. The CA comes over IPv4, where nginx answers; our own listener on IPv6 proves nothing."""
    with orders.outside.machine(PRIVATE, OWN_V6, hairpin="silent"), orders.nginx(f"listen 80; {DEAD_END}"):
        orders.outside.dns.resolve(NAME, NAT)
        unresolved(orders, how)
        orders.refuse(NAME, f"{PRIVATE}")


@pytest.mark.parametrize("how", ["does not resolve", "resolves elsewhere"])
def test_renewal_has_every_endpoint_of_the_first_issue(orders: Orders, how: str) -> None:
    """3. The CA comes over IPv6 first, where we have to listen as we did the first time."""
    with orders.outside.machine(PRIVATE, OWN_V6, hairpin="silent"), orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.dns.resolve(NAME, NAT, OWN_V6)
        unresolved(orders, how)
        orders.issue()
        orders.renew()


def test_directory_on_no_route_is_no_place_to_go_on_with(orders: Orders) -> None:
    """4. The redirect leads to NAME.well-known, which no CA follows, and the shared directory lies on no route."""
    config = f"Listen 80\nServerName {NAME}\nRedirect permanent / https://{NAME}\n"
    with orders.outside.machine(OWN_V4), Apache(orders.place / "apache", config), shared_directory():
        orders.outside.resolve(NAME, OWN_V4)
        orders.refuse(f"{NAME}.well-known")


@pytest.mark.parametrize("how", ["does not resolve", "resolves elsewhere"])
def test_dead_end_on_ipv6_of_a_name_that_does_not_resolve_here(orders: Orders, how: str) -> None:
    """5. AAAA leads to the default vhost, which answers 404."""
    with orders.outside.machine(PRIVATE, OWN_V6, hairpin="silent"), \
            orders.nginx(f"listen 80; {ROOT}", "listen [::]:80 default_server; location / { return 404; }"):
        orders.outside.dns.resolve(NAME, NAT, OWN_V6)
        unresolved(orders, how)
        orders.refuse(f"[{OWN_V6}]:80")


def test_rule_against_robots_lets_us_in_as_it_lets_the_ca_in(orders: Orders) -> None:
    """6. The CA's agent has no bot in it, and ours is the CA's."""
    rule = 'if ($http_user_agent ~* "bot|crawl|spider") { return 403; }'
    with orders.outside.machine(OWN_V4), orders.nginx(f"listen 80; {rule} {ROOT}"):
        orders.outside.resolve(NAME, OWN_V4)
        orders.issue(*CERTAIN)


def test_check_of_a_name_at_another_machine(orders: Orders) -> None:
    """7. Somebody else's 404 is no good, and is said first."""
    with orders.outside.machine(OWN_V4), orders.outside.other_machine(server="Elsewhere/2"), \
            orders.nginx(f"listen 80; {ROOT}"):
        orders.outside.resolve(NAME, OTHER_V4)
        status, name = orders.check()
        assert status not in (0, 2) and name["outlook"] == "unproven"
        assert OTHER_V4 in name["reason"] and "Elsewhere/2" in name["reason"]


def test_check_of_an_allow_list(orders: Orders) -> None:
    """7. What could not be proved has an exit status of its own, and --quiet shows it."""
    rule = "location /.well-known/ { allow 192.0.2.0/24; deny all; }"
    with orders.outside.machine(OWN_V4), orders.nginx(f"listen 80; {ROOT} {rule}"):
        orders.outside.resolve(NAME, OWN_V4)
        status, name = orders.check()
        assert status not in (0, 1, 2) and name["outlook"] == "unproven"
        assert orders.check("--strict")[0] == 1
        quiet = subprocess.run([sys.executable, "-m", "certbot_autowebroot.cli", "check", "--quiet", "--work-dir",
                                orders.place / "work", NAME], stdout=subprocess.PIPE, text=True, timeout=60)
        assert NAME in quiet.stdout


def test_proxy_protocol_without_a_balancer(orders: Orders) -> None:
    """8. The name resolves to the machine itself, so nothing sends a PROXY line for the CA."""
    with orders.outside.machine(OWN_V4), orders.nginx(f"listen 80 proxy_protocol; {ROOT}"):
        orders.outside.resolve(NAME, OWN_V4)
        orders.refuse(NAME, "PROXY")
