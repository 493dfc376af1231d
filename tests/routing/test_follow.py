"""Follow a request through a machine made of tables."""
from typing import List
from typing import Sequence
from typing import Tuple

import pytest

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Elsewhere
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
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


def test_free_port_is_vacant() -> None:
    """The standalone case is the shortest route."""
    route, = follow(request(), TableMachine())
    assert route.hops == ()
    assert route.end == Vacant(FRONT, PATH)


def test_directory_ends_route_in_view_of_its_server() -> None:
    """A path belongs to the view of the process that serves it."""
    route, = follow(request(), TableMachine({FRONT: [Holder([DIRECTORY])]}))
    assert route.end == DIRECTORY
    assert route.program is not None and route.program.pid == 42


def test_alternatives_share_a_branch() -> None:
    """Of several places that one server may open, one is enough."""
    other = Directory(PathInView("/srv/cache"), DIRECTORY.name)
    routes = follow(request(), TableMachine({FRONT: [Holder([DIRECTORY, other])]}))
    assert [route.end for route in routes] == [DIRECTORY, other]
    assert {route.branch for route in routes} == {()}


def test_each_upstream_member_is_a_branch() -> None:
    """A balancer may send the CA to any of them, so each needs an answer."""
    one, two = Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)
    machine = TableMachine({FRONT: [Holder([Upstream((one, two), "www.sample.com", PATH)])],
                            one: [Holder([DIRECTORY])]})
    routes = follow(request(), machine)
    assert [(route.end, route.branch) for route in routes] == [(DIRECTORY, (0,)), (Vacant(two, PATH), (1,))]


def test_answer_before_a_group_counts_for_each_member() -> None:
    """``try_files $uri @group``: an application of several processes needs no file of its own."""
    one, two = Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)
    machine = TableMachine({FRONT: [Holder([DIRECTORY, Upstream((one, two), "www.sample.com", PATH)])],
                            one: [Holder([DeadEnd("an application")])]})
    branches = alternatives(follow(request(), machine))
    assert [[route.end for route in branch] for branch in branches] == [
        [DeadEnd("an application"), DIRECTORY], [Vacant(two, PATH), DIRECTORY]]


def test_two_servers_on_one_port_are_branches() -> None:
    """With SO_REUSEPORT, the kernel distributes the connections."""
    routes = follow(request(), TableMachine({FRONT: [Holder([DIRECTORY]), Holder([DIRECTORY])]}))
    assert [route.branch for route in routes] == [(0,), (1,)]


def test_upstream_gets_its_own_host_and_path() -> None:
    """proxy_set_header and a path in proxy_pass change the request to the next server."""
    backend = Holder([DIRECTORY])
    machine = TableMachine({FRONT: [Holder([Upstream((BACKEND,), "backend", "/x/" + TOKEN)])], BACKEND: [backend]})
    follow(request(), machine)
    assert (backend.asked[0].host, backend.asked[0].path) == ("backend", "/x/" + TOKEN)


@pytest.mark.parametrize("shut", [False, True])
def test_allow_list_of_a_proxy_counts_for_the_route(shut: bool) -> None:
    """A proxy's allow-list may refuse the probe for every place behind it."""
    upstream = Upstream((BACKEND,), "www.sample.com", PATH, depends_on_client=shut)
    route, = follow(request(), TableMachine({FRONT: [Holder([upstream])], BACKEND: [Holder([DIRECTORY])]}))
    assert route.depends_on_client == shut


def test_an_upstream_on_another_machine_leads_elsewhere() -> None:
    """The route names it: from here, nothing can be published there."""
    far = Endpoint("192.0.2.7", 8080)
    route, = follow(request(), TableMachine({FRONT: [Holder([Upstream((far,), "www.sample.com", PATH)])]}))
    assert route.end == Elsewhere("192.0.2.7:8080")


def test_upstream_by_name_goes_to_the_listening_address() -> None:
    """Localhost is ::1 and 127.0.0.1; the application listens on one of them."""
    machine = TableMachine({FRONT: [Holder([Upstream((Endpoint("localhost", 8402),), "www.sample.com", PATH)])],
                            BACKEND: [Holder([DIRECTORY])]},
                           names={"localhost": ["::1", "127.0.0.1"]}, local=["::1", "127.0.0.1", FRONT.host])
    route, = follow(request(), machine)
    assert route.end == DIRECTORY


def test_upstream_by_name_without_listener_is_vacant_at_each_address() -> None:
    """Some servers begin with IPv6, some with IPv4, and nginx takes turns."""
    six = Endpoint("::1", 8402)
    machine = TableMachine({FRONT: [Holder([Upstream((Endpoint("localhost", 8402),), "www.sample.com", PATH)])]},
                           names={"localhost": ["::1", "127.0.0.1"]}, local=["::1", "127.0.0.1", FRONT.host])
    assert [(route.end, route.branch) for route in follow(request(), machine)] == [
        (Vacant(six, PATH), (0,)), (Vacant(BACKEND, PATH), (1,))]


@pytest.mark.parametrize("pid, branches", [(42, [()]), (43, [(0,), (1,)])])
def test_upstream_by_name_with_several_programs_is_one_for_each(pid: int, branches: List[Tuple[int]]) -> None:
    """A program that listens on both addresses counts once; of two programs, each may get the CA."""
    machine = TableMachine({FRONT: [Holder([Upstream((Endpoint("localhost", 8402),), "www.sample.com", PATH)])],
                            Endpoint("::1", 8402): [Holder([DIRECTORY])],
                            BACKEND: [Holder([DIRECTORY], Program("nginx", pid))]},
                           names={"localhost": ["::1", "127.0.0.1"]}, local=["::1", "127.0.0.1", FRONT.host])
    assert [route.branch for route in follow(request(), machine)] == branches


def test_a_loop_of_proxies_is_named() -> None:
    """Two servers that pass a request to each other never end."""
    machine = TableMachine({FRONT: [Holder([Upstream((BACKEND,), "www.sample.com", PATH)])],
                            BACKEND: [Holder([Upstream((FRONT,), "www.sample.com", PATH)])]})
    route, = follow(request(), machine)
    assert isinstance(route.end, DeadEnd) and "loop" in route.end.reason


def test_a_chain_that_never_ends_is_cut() -> None:
    """Each hop changes the path, so it is no loop, but it has no end."""
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


def test_redirect_from_behind_a_proxy_leads_to_the_front_endpoint() -> None:
    """The CA makes a new request at the address where it arrived, whatever the proxy has changed."""
    tls = Holder([DIRECTORY])
    machine = TableMachine({FRONT: [Holder([Upstream((BACKEND,), "backend", "/x")])],
                            BACKEND: [Holder([Redirect(f"https://www.sample.com{PATH}", 301)])],
                            Endpoint(FRONT.host, 443): [tls]}, names={"www.sample.com": ["127.0.1.1"]})
    route, = follow(request(), machine)
    assert route.end == DIRECTORY
    assert (tls.asked[0].host, tls.asked[0].path, tls.asked[0].endpoint.host) == ("www.sample.com", PATH, FRONT.host)


def test_redirect_to_https_without_listener_is_a_dead_end() -> None:
    """The responder has no certificate."""
    route, = follow(request(), TableMachine({FRONT: [Holder([Redirect(f"https://www.sample.com{PATH}", 301)])]}))
    assert isinstance(route.end, DeadEnd) and "203.0.113.10:443" in route.end.reason


@pytest.mark.parametrize("addresses, is_served, is_here", [
    (["192.0.2.7"], False, False), (["192.0.2.7"], True, True), ([FRONT.host], False, True),
    ([FRONT.host, "2001:db8::7"], False, True), ([], False, True)])
def test_a_redirect_to_https_of_a_balancer_in_front(addresses: List[str], is_served: bool, is_here: bool) -> None:
    """The name is the balancer's, which terminates TLS: no listener on port 443 here is needed."""
    tls = {Endpoint(FRONT.host, 443): [Holder([DIRECTORY])]} if is_served else {}
    url = f"https://www.sample.com{PATH}"
    machine = TableMachine({FRONT: [Holder([Redirect(url, 301)])], **tls}, names={"www.sample.com": addresses})
    route, = follow(request(), machine)
    assert (route.end != Elsewhere(url)) is is_here


def test_a_redirect_to_another_machine_leads_elsewhere() -> None:
    """The CA goes there, and the probe cannot follow."""
    machine = TableMachine({FRONT: [Holder([Redirect(f"http://far.sample.com{PATH}", 302)])]},
                           names={"far.sample.com": ["192.0.2.7"]})
    route, = follow(request(), machine)
    assert route.end == Elsewhere(f"http://far.sample.com{PATH}")


@pytest.mark.parametrize("url", ["http://www.sample.com:8080/x", "ftp://www.sample.com/x", "https://", "http://[bad/x",
                                 "http://www.sample.com:99999/", "http://127.0.0.1/x", "https://[::1]/x",
                                 "http://[::ffff:127.0.0.1]/x", "http://0.0.0.0/x", "https://[::]/x",
                                 "http://localhost/x", "http://x.localhost/", "http://10.1.2.3/", "http://[fd00::1]/",
                                 "http://backend/x", "http://www.sample.com.", "http://www.sample.c0m/",
                                 f"http://www.sample.com/{'x' * 2001}"])
def test_redirects_that_a_ca_does_not_follow_are_dead_ends(url: str) -> None:
    """Let's Encrypt: http and https on ports 80 and 443 only; and the CA's own loopback is not this host's."""
    route, = follow(request(), TableMachine({FRONT: [Holder([Redirect(url, 301)])]}))
    assert isinstance(route.end, DeadEnd)


@pytest.mark.parametrize("status, is_followed", [(301, True), (302, True), (307, True), (308, True), (303, False)])
def test_statuses_that_a_ca_follows(status: int, is_followed: bool) -> None:
    """Boulder refuses 303, See Other; the reason names it."""
    machine = TableMachine({FRONT: [Holder([Redirect(f"https://www.sample.com{PATH}", status)])],
                            Endpoint(FRONT.host, 443): [Holder([DIRECTORY])]})
    route, = follow(request(), machine)
    assert route.end == DIRECTORY if is_followed else isinstance(route.end, DeadEnd) and "303" in route.end.reason


@pytest.mark.parametrize("url, start", [(f"https://www.sample.com{PATH[1:]}", "www.sample.com"),
                                        (f"https://sample.com{PATH[1:]}", "sample.com"),
                                        (f"https://www.sample.comacme-challenge/{TOKEN}", "www.sample.com")])
def test_redirect_without_a_slash_is_named(url: str, start: str) -> None:
    """httpd's Redirect permanent / https://NAME leads to NAME.well-known."""
    route, = follow(request(), TableMachine({FRONT: [Holder([Redirect(url, 301)])]}))
    assert isinstance(route.end, DeadEnd) and f"a slash is missing after {start} in" in route.end.reason


@pytest.mark.parametrize("host", ["a.sample.com", "xn--bcher-kva.xn--p1ai", "198.51.100.7"])
def test_redirect_to_a_public_host_leads_elsewhere(host: str) -> None:
    """Newer versions of boulder follow a redirect to a public address too."""
    machine = TableMachine({FRONT: [Holder([Redirect(f"http://{host}/x", 301)])]}, {request().host: [FRONT.host]})
    route, = follow(request(), machine)
    assert route.end == Elsewhere(f"http://{host}/x")


def test_redirect_to_the_name_itself_may_have_any_shape() -> None:
    """A CA of one's own accepts names without a dot, and follows their redirects."""
    target, = after_redirect("https://intranet/x", 301, request("intranet"), 80, TableMachine())
    assert target.endpoint == Endpoint(FRONT.host, 443)


NAT, NAT_V6, OTHER = "198.51.100.77", "2001:db8::77", "192.0.2.7"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("own, target, is_here", [
    ([NAT], [NAT], True), ([NAT, OTHER], [NAT], True), ([NAT_V6, NAT], [NAT_V6, NAT], True), ([NAT], [OTHER], False),
    ([NAT_V6], [NAT_V6], False), ([NAT], [], False), ([], [NAT], False), ([], [], True)])
def test_redirect_to_another_name_behind_the_same_nat(
        own: List[str], target: List[str], is_here: bool, scheme: str) -> None:
    """The router sends the CA's second request where it sent the first; it may, where neither name resolves here."""
    front = Endpoint("10.0.0.5", 8080)
    url = f"{scheme}://www.sample.com{PATH}"
    first = Holder([Redirect(url, 301)]) if scheme == "https" else ByHost(url)
    machine = TableMachine({front: [first], Endpoint(front.host, 443): [Holder([DIRECTORY])]},
                           {"sample.com": own, "www.sample.com": target}, [front.host])
    route, = follow(request("sample.com", front), machine)
    assert route.end == (DIRECTORY if is_here else Elsewhere(url))


class ByHost(Holder):
    """Redirects one name to another, which it serves."""

    def __init__(self, url: str) -> None:
        super().__init__([Redirect(url, 301)])

    def ask(self, request: Request) -> Sequence[Destination]:
        return self.answers if request.host == "sample.com" else [DIRECTORY]


def test_redirect_behind_a_nat_without_listener_leads_elsewhere() -> None:
    """A balancer in front serves port 443 itself."""
    url = f"https://www.sample.com{PATH}"
    machine = TableMachine({FRONT: [Holder([Redirect(url, 301)])]}, {"sample.com": [NAT], "www.sample.com": [NAT]})
    route, = follow(request("sample.com"), machine)
    assert route.end == Elsewhere(url)


def test_target_with_an_address_of_ours_is_asked_there() -> None:
    """An address of this machine counts before the shared one."""
    second = "203.0.113.11"
    machine = TableMachine({FRONT: [Holder([DIRECTORY])]}, {"sample.com": [NAT], "www.sample.com": [NAT, second]},
                           [FRONT.host, second])
    target, = after_redirect("http://www.sample.com/x", 301, request("sample.com"), 80, machine)
    assert target.endpoint == Endpoint(second, 80)


@pytest.mark.parametrize("addresses", [["127.0.1.1"], ["::1", "127.0.0.1"], ["127.0.1.1", FRONT.host],
                                       ["::ffff:127.0.0.1"], ["0.0.0.0"], ["::"]])
def test_a_redirect_never_leads_to_the_loopback(addresses: List[str]) -> None:
    """Not by /etc/hosts or a foreign name server: the probe must not query services of the loopback."""
    local = ["127.0.1.1", "127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", FRONT.host]
    machine = TableMachine(names={"own.sample.com": addresses}, local=local)
    target, = after_redirect("https://own.sample.com/x", 301, request(), 80, machine)
    assert (target.host, target.endpoint) == ("own.sample.com", Endpoint(FRONT.host, 443))


def test_redirect_to_port_80_leads_to_the_http_01_port() -> None:
    """With --http-01-port 8080 behind a port forward, the CA's port 80 is 8080 here."""
    front = Endpoint(FRONT.host, 8080)
    targets = after_redirect("http://www.sample.com/x", 301, request(endpoint=front), 8080, TableMachine())
    assert [target.endpoint for target in targets] == [front]


def test_a_relative_redirect_stays_on_the_name() -> None:
    """RFC 9110 section 10.2.2: Location is a URI reference."""
    target, = after_redirect("/elsewhere%20x?y=1", 301, request(), 80, TableMachine())
    assert (target.host, target.path, target.query) == ("www.sample.com", "/elsewhere x", "y=1")


def test_ends_of_two_kinds_are_never_equal() -> None:
    """A dead end is not an unknown end with the same reason."""
    dead, unknown = DeadEnd("no root"), Unknown("no root")
    same = DeadEnd("no root")
    assert (dead == unknown, dead != unknown) == (False, True)
    assert (dead == same, dead != same) == (True, False)
    assert len({dead, unknown, same}) == 2
