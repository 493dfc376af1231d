"""Following a request through a machine made of tables."""
from typing import List
from typing import Tuple

import pytest

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Elsewhere
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.route import alternatives
from certbot_autowebroot.routing.follow import MAX_HOPS
from certbot_autowebroot.routing.follow import after_redirect
from certbot_autowebroot.routing.follow import follow
from tests.lab.table import FRONT
from tests.lab.table import TOKEN
from tests.lab.table import Holder
from tests.lab.table import TableMachine
from tests.lab.table import request

DIRECTORY = Directory(PathInView("/srv/www"), f".well-known/acme-challenge/{TOKEN}")
BACKEND = Endpoint("127.0.0.1", 8402)
PATH = f"/.well-known/acme-challenge/{TOKEN}"


def test_a_port_that_nobody_holds_is_vacant() -> None:
    """The standalone case is the shortest road."""
    route, = follow(request(), TableMachine())
    assert route.hops == ()
    assert route.end == Vacant(FRONT, PATH)


def test_a_directory_ends_the_road_in_the_view_of_its_server() -> None:
    """A path means something only together with the process that sees it."""
    route, = follow(request(), TableMachine({FRONT: [Holder([DIRECTORY])]}))
    assert route.end == DIRECTORY
    assert route.program is not None and route.program.pid == 42


def test_alternatives_share_a_branch() -> None:
    """Of several places that one server may open, one is enough."""
    other = Directory(PathInView("/srv/cache"), DIRECTORY.name)
    routes = follow(request(), TableMachine({FRONT: [Holder([DIRECTORY, other])]}))
    assert [route.end for route in routes] == [DIRECTORY, other]
    assert {route.branch for route in routes} == {()}


def test_every_member_of_an_upstream_is_a_branch_of_its_own() -> None:
    """A balancer may send the CA to any of them, so each needs an answer."""
    one, two = Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)
    machine = TableMachine({FRONT: [Holder([Upstream((one, two), "www.sample.com", PATH)])],
                            one: [Holder([DIRECTORY])]})
    routes = follow(request(), machine)
    assert [(route.end, route.branch) for route in routes] == [(DIRECTORY, (0,)), (Vacant(two, PATH), (1,))]


def test_what_answers_before_a_group_answers_for_each_of_its_members() -> None:
    """``try_files $uri @group``: an application of several processes needs no file of its own."""
    one, two = Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)
    machine = TableMachine({FRONT: [Holder([DIRECTORY, Upstream((one, two), "www.sample.com", PATH)])],
                            one: [Holder([DeadEnd("an application")])]})
    branches = alternatives(follow(request(), machine))
    assert [[route.end for route in branch] for branch in branches] == [
        [DeadEnd("an application"), DIRECTORY], [Vacant(two, PATH), DIRECTORY]]


def test_two_servers_on_one_port_are_branches() -> None:
    """SO_REUSEPORT: the kernel deals the connections out."""
    routes = follow(request(), TableMachine({FRONT: [Holder([DIRECTORY]), Holder([DIRECTORY])]}))
    assert [route.branch for route in routes] == [(0,), (1,)]


def test_an_upstream_is_asked_with_its_own_host_and_path() -> None:
    """proxy_set_header and a path in proxy_pass change what the next server decides by."""
    backend = Holder([DIRECTORY])
    machine = TableMachine({FRONT: [Holder([Upstream((BACKEND,), "backend", "/x/" + TOKEN)])], BACKEND: [backend]})
    follow(request(), machine)
    assert (backend.asked[0].host, backend.asked[0].path) == ("backend", "/x/" + TOKEN)


@pytest.mark.parametrize("shut", [False, True])
def test_who_may_not_come_in_at_the_front_is_not_asked_behind_it(shut: bool) -> None:
    """An allow-list of a proxy is a doubt about everything that it passes requests on to."""
    upstream = Upstream((BACKEND,), "www.sample.com", PATH, depends_on_client=shut)
    route, = follow(request(), TableMachine({FRONT: [Holder([upstream])], BACKEND: [Holder([DIRECTORY])]}))
    assert route.depends_on_client == shut


def test_an_upstream_on_another_machine_leads_elsewhere() -> None:
    """It is named, for nothing can be published there from here."""
    far = Endpoint("192.0.2.7", 8080)
    route, = follow(request(), TableMachine({FRONT: [Holder([Upstream((far,), "www.sample.com", PATH)])]}))
    assert route.end == Elsewhere("192.0.2.7:8080")


def test_an_upstream_by_name_goes_where_somebody_listens() -> None:
    """Localhost is ::1 and 127.0.0.1; the application listens on one of them."""
    machine = TableMachine({FRONT: [Holder([Upstream((Endpoint("localhost", 8402),), "www.sample.com", PATH)])],
                            BACKEND: [Holder([DIRECTORY])]},
                           names={"localhost": ["::1", "127.0.0.1"]}, local=["::1", "127.0.0.1", FRONT.host])
    route, = follow(request(), machine)
    assert route.end == DIRECTORY


def test_an_upstream_by_name_where_nobody_listens_is_vacant_at_each_address() -> None:
    """Some servers begin with IPv6, some with IPv4, and nginx takes turns."""
    six = Endpoint("::1", 8402)
    machine = TableMachine({FRONT: [Holder([Upstream((Endpoint("localhost", 8402),), "www.sample.com", PATH)])]},
                           names={"localhost": ["::1", "127.0.0.1"]}, local=["::1", "127.0.0.1", FRONT.host])
    assert [(route.end, route.branch) for route in follow(request(), machine)] == [
        (Vacant(six, PATH), (0,)), (Vacant(BACKEND, PATH), (1,))]


@pytest.mark.parametrize("pid, branches", [(42, [()]), (43, [(0,), (1,)])])
def test_an_upstream_by_name_that_several_serve_is_one_for_each_of_them(pid: int, branches: List[Tuple[int]]) -> None:
    """One program that listens on both addresses is one; two may each get the CA."""
    machine = TableMachine({FRONT: [Holder([Upstream((Endpoint("localhost", 8402),), "www.sample.com", PATH)])],
                            Endpoint("::1", 8402): [Holder([DIRECTORY])],
                            BACKEND: [Holder([DIRECTORY], Program("nginx", pid))]},
                           names={"localhost": ["::1", "127.0.0.1"]}, local=["::1", "127.0.0.1", FRONT.host])
    assert [route.branch for route in follow(request(), machine)] == branches


def test_a_loop_of_proxies_is_named() -> None:
    """Two servers that pass a request to each other would do so for ever."""
    machine = TableMachine({FRONT: [Holder([Upstream((BACKEND,), "www.sample.com", PATH)])],
                            BACKEND: [Holder([Upstream((FRONT,), "www.sample.com", PATH)])]})
    route, = follow(request(), machine)
    assert isinstance(route.end, DeadEnd) and "loop" in route.end.reason


def test_a_chain_that_never_ends_is_cut() -> None:
    """Each hop makes another path, so it is no loop, and yet it has no end."""
    class Growing(Holder):
        def ask(self, request):  # type: ignore[no-untyped-def]
            return [Upstream((FRONT,), request.host, request.path + "x")]
    route, = follow(request(), TableMachine({FRONT: [Growing([])]}))
    assert isinstance(route.end, DeadEnd) and len(route.hops) == MAX_HOPS


def test_a_redirect_to_https_is_followed_at_the_same_address() -> None:
    """The virtual host of port 443 may have another root."""
    tls = Holder([DIRECTORY])
    machine = TableMachine({FRONT: [Holder([Redirect(f"https://www.sample.com{PATH}", 301)])],
                            Endpoint(FRONT.host, 443): [tls]})
    route, = follow(request(), machine)
    assert route.end == DIRECTORY
    assert tls.asked[0].scheme == "https"


def test_a_redirect_from_behind_a_proxy_leads_to_the_front_door() -> None:
    """The CA asks anew, at the address where it came in, whatever the proxy has made of its request."""
    tls = Holder([DIRECTORY])
    machine = TableMachine({FRONT: [Holder([Upstream((BACKEND,), "backend", "/x")])],
                            BACKEND: [Holder([Redirect(f"https://www.sample.com{PATH}", 301)])],
                            Endpoint(FRONT.host, 443): [tls]}, names={"www.sample.com": ["127.0.1.1"]})
    route, = follow(request(), machine)
    assert route.end == DIRECTORY
    assert (tls.asked[0].host, tls.asked[0].path, tls.asked[0].endpoint.host) == ("www.sample.com", PATH, FRONT.host)


def test_a_redirect_to_https_that_nobody_serves_is_a_dead_end() -> None:
    """We have no certificate to answer there with."""
    route, = follow(request(), TableMachine({FRONT: [Holder([Redirect(f"https://www.sample.com{PATH}", 301)])]}))
    assert isinstance(route.end, DeadEnd) and "203.0.113.10:443" in route.end.reason


@pytest.mark.parametrize("addresses, is_served, is_here", [
    (["192.0.2.7"], False, False), (["192.0.2.7"], True, True), ([FRONT.host], False, True),
    ([FRONT.host, "2001:db8::7"], False, True), ([], False, True)])
def test_a_redirect_to_https_of_a_balancer_in_front(addresses: List[str], is_served: bool, is_here: bool) -> None:
    """The name is the balancer's, which ends TLS: that no program listens on port 443 here says nothing."""
    tls = {Endpoint(FRONT.host, 443): [Holder([DIRECTORY])]} if is_served else {}
    url = f"https://www.sample.com{PATH}"
    machine = TableMachine({FRONT: [Holder([Redirect(url, 301)])], **tls}, names={"www.sample.com": addresses})
    route, = follow(request(), machine)
    assert (route.end != Elsewhere(url)) is is_here


def test_a_redirect_to_another_machine_leads_elsewhere() -> None:
    """The CA goes there; we cannot."""
    machine = TableMachine({FRONT: [Holder([Redirect(f"http://far.sample.com{PATH}", 302)])]},
                           names={"far.sample.com": ["192.0.2.7"]})
    route, = follow(request(), machine)
    assert route.end == Elsewhere(f"http://far.sample.com{PATH}")


@pytest.mark.parametrize("url", ["http://www.sample.com:8080/x", "ftp://www.sample.com/x", "https://", "http://[bad/x",
                                 "http://www.sample.com:99999/", "http://127.0.0.1/x", "https://[::1]/x",
                                 "http://[::ffff:127.0.0.1]/x", "http://0.0.0.0/x", "https://[::]/x",
                                 "http://localhost/x", "http://x.localhost/"])
def test_redirects_that_a_ca_does_not_follow_are_dead_ends(url: str) -> None:
    """Let's Encrypt: http and https on ports 80 and 443 only; and nobody's own machine is ours."""
    route, = follow(request(), TableMachine({FRONT: [Holder([Redirect(url, 301)])]}))
    assert isinstance(route.end, DeadEnd)


@pytest.mark.parametrize("addresses", [["127.0.1.1"], ["::1", "127.0.0.1"], ["127.0.1.1", FRONT.host],
                                       ["::ffff:127.0.0.1"], ["0.0.0.0"], ["::"]])
def test_a_redirect_never_leads_to_the_loopback(addresses: List[str]) -> None:
    """Where /etc/hosts, or a stranger's name server, says so: who listens there alone is not asked for the CA."""
    local = ["127.0.1.1", "127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", FRONT.host]
    machine = TableMachine(names={"own.sample.com": addresses}, local=local)
    target, = after_redirect("https://own.sample.com/x", request(), 80, machine)
    assert (target.host, target.endpoint) == ("own.sample.com", Endpoint(FRONT.host, 443))


def test_a_redirect_to_port_80_comes_back_to_the_port_that_stands_for_it() -> None:
    """With --http-01-port 8080 behind a port forward, the CA's port 80 is our 8080."""
    front = Endpoint(FRONT.host, 8080)
    targets = after_redirect("http://www.sample.com/x", request(endpoint=front), 8080, TableMachine())
    assert [target.endpoint for target in targets] == [front]


def test_a_relative_redirect_stays_on_the_name() -> None:
    """RFC 9110 section 10.2.2: Location is a URI reference."""
    target, = after_redirect("/elsewhere%20x?y=1", request(), 80, TableMachine())
    assert (target.host, target.path, target.query) == ("www.sample.com", "/elsewhere x", "y=1")


def test_ends_of_two_kinds_are_never_equal() -> None:
    """They are named tuples: to a plain one, what is certainly dead would equal what we merely do not know."""
    dead, unknown = DeadEnd("no root"), Unknown("no root")
    same = DeadEnd("no root")
    assert (dead == unknown, dead != unknown) == (False, True)
    assert (dead == same, dead != same) == (True, False)
    assert len({dead, unknown, same}) == 2
