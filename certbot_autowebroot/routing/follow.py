"""The one function that follows a request to every place where it may end.

Nothing here touches the machine. :func:`follow` asks a :class:`Machine` who holds an endpoint, and asks that holder
where the request goes next; tests hand it a table instead.
"""
import ipaddress
from itertools import islice
from typing import Dict
from typing import Iterator
from typing import List
from typing import Protocol
from typing import Sequence
from typing import Tuple
from urllib.parse import unquote
from urllib.parse import urljoin
from urllib.parse import urlsplit

from certbot_autowebroot.route import CA_PORTS
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Elsewhere
from certbot_autowebroot.route import End
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.route import Vacant

#: Redirects that Let's Encrypt follows at most; we allow as many hops of any kind.
MAX_HOPS = 10
#: Ten members that each pass it on to ten members ... are a small file, and end in 10^10 ways.
MAX_ROUTES = 1000


class Holder(Protocol):
    """A program that accepts connections at an endpoint."""

    @property
    def program(self) -> Program:
        """Who it is."""

    def ask(self, request: Request) -> Sequence[Destination]:
        """Where the program's configuration sends the request; alternatives, the likeliest first, never empty."""


class Machine(Protocol):
    """What :func:`follow` needs to know of the machine."""

    def holders(self, endpoint: Endpoint) -> Sequence[Holder]:
        """Everyone who would accept a connection there; several share the port by SO_REUSEPORT. Empty: nobody."""

    def addresses(self, host: str) -> Sequence[str]:
        """The addresses of a name (or the address itself). Empty where it does not resolve."""

    def local_addresses(self) -> Sequence[str]:
        """All addresses of this machine."""

    def is_here(self, address: str) -> bool:
        """Whether this machine has the address, for all to come to."""

    def reach(self, member: Endpoint, origin: Endpoint) -> Sequence[Endpoint]:
        """The endpoints of this machine that a program at ``origin`` reaches by a member's host.

        A name such as localhost has several addresses. Empty: another machine.
        """


def follow(request: Request, machine: Machine) -> List[Route]:
    """Follow a request to every place where it may end.

    :param request: as the CA makes it, at the front door.
    :returns: the routes, the likeliest first; at least one.
    """
    routes = list(islice(_follow(request, machine, (), (), request), MAX_ROUTES + 1))
    if len(routes) > MAX_ROUTES:
        routes[-1] = routes[-1]._replace(end=Unknown(f"the request may end in more than {MAX_ROUTES} ways"))
    return routes


def _follow(request: Request, machine: Machine, hops: Tuple[Hop, ...], branch: Tuple[int, ...],
            asked: Request) -> Iterator[Route]:
    """:param asked: what the CA itself has asked last; a proxy may have made another request of it."""
    if any(hop.request == request for hop in hops):
        yield Route(hops, DeadEnd("the request goes round in a loop: "
                                  + ", ".join(str(hop.program) for hop in hops)), branch)
        return
    if len(hops) >= MAX_HOPS:
        yield Route(hops, DeadEnd(f"the request is passed on more than {MAX_HOPS} times"), branch)
        return
    holders = machine.holders(request.endpoint)
    if not holders:
        yield Route(hops, _without_holder(request), branch)
    for number, holder in enumerate(holders):
        here = (*branch, number) if len(holders) > 1 else branch
        for destination in holder.ask(request):
            shut = isinstance(destination, Upstream) and destination.depends_on_client
            so_far = (*hops, Hop(holder.program, request, destination.trail, shut))
            if isinstance(destination, Redirect):
                yield from _redirected(destination, asked, machine, so_far, here)
            elif isinstance(destination, Upstream):
                yield from _passed_on(destination, request, machine, so_far, here, asked)
            else:
                yield Route(so_far, destination, here)


def _without_holder(request: Request) -> End:
    """Where nobody listens, we can; but not with a certificate, not in a container, and not as somebody's socket."""
    endpoint = request.endpoint
    if endpoint.namespace:
        return DeadEnd(f"no program listens on {endpoint} in the container's own network, where we cannot listen")
    if request.scheme == "https":
        return DeadEnd(f"the request is sent on to {request.url}, and no program listens on {endpoint}")
    if endpoint.is_unix:
        return DeadEnd(f"the request is sent on to {endpoint}, and no program listens there")
    return Vacant(endpoint, request.path)


def _redirected(redirect: Redirect, asked: Request, machine: Machine, hops: Tuple[Hop, ...],
                branch: Tuple[int, ...]) -> Iterator[Route]:
    try:
        targets = after_redirect(redirect.url, asked, hops[0].request.endpoint.port, machine)
    except ValueError as error:
        yield Route(hops, DeadEnd(str(error), redirect.trail), branch)
        return
    if not targets:
        yield Route(hops, Elsewhere(redirect.url, redirect.trail), branch)
    for number, target in enumerate(targets):
        here = (*branch, number) if len(targets) > 1 else branch
        yield from _follow(target, machine, hops, here, target)


def after_redirect(location: str, request: Request, front_port: int, machine: Machine) -> List[Request]:
    """The requests that a CA makes after a redirect, one for each address of this machine that it may come to.

    "Redirects are only followed to http and https, and only to ports 80 and 443" (Let's Encrypt, "Challenge Types").

    :param location: the Location header.
    :param request: the CA's request that was answered with it.
    :param front_port: the port of ours that the CA's port 80 leads to.
    :returns: empty when the redirect leads to another machine.
    :raises ValueError: the CA would not follow it; the text says why.
    """
    location = urljoin(request.url, location)
    try:
        url = urlsplit(location)
        port = url.port or CA_PORTS.get(url.scheme, 0)
    except ValueError as error:
        raise ValueError(f"the redirect to {location} is not a URL: {error}") from None
    if url.scheme not in CA_PORTS or port not in CA_PORTS.values() or not url.hostname:
        raise ValueError(f"the CA does not follow a redirect to {location}: http and https on ports 80 and 443 only")
    if _is_loopback(url.hostname) and url.hostname != request.host:
        # Whoever writes a site's .htaccess must not have us ask what answers this machine alone.
        raise ValueError(f"the CA does not follow a redirect to {location}: that would be the CA's own machine")
    port = front_port if port == CA_PORTS["http"] else port
    if url.hostname == request.host:
        addresses = [request.endpoint.host]
        if url.scheme != request.scheme and _is_behind_another(url.hostname, Endpoint(addresses[0], port), machine):
            return []
    else:
        # A name of ours is often 127.0.1.1 in /etc/hosts: the CA comes to it from outside all the same.
        addresses = list(dict.fromkeys(request.endpoint.host if _is_loopback(address) else address
                                       for address in machine.addresses(url.hostname) if machine.is_here(address)))
    return [request._replace(host=url.hostname, path=unquote(url.path) or "/", query=url.query, scheme=url.scheme,
                             endpoint=Endpoint(address, port)) for address in addresses]


def _is_behind_another(host: str, endpoint: Endpoint, machine: Machine) -> bool:
    """Whether a name leads to another machine, a balancer or a router, that serves this port itself.

    A balancer that ends TLS sends what comes to both of its ports to our port 80, and says in a header which it was.
    """
    addresses = machine.addresses(host)
    return bool(addresses) and not any(map(machine.is_here, addresses)) and not machine.holders(endpoint)


def _is_loopback(host: str) -> bool:
    """Whether a host means the asking machine itself: RFC 6761 section 6.3, and the addresses of RFC 6890."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    address = getattr(address, "ipv4_mapped", None) or address  # Python before 3.13 does not look at that by itself
    return address.is_loopback or address.is_unspecified  # connect(2) takes the latter for the former


def _passed_on(upstream: Upstream, request: Request, machine: Machine, hops: Tuple[Hop, ...],
               branch: Tuple[int, ...], asked: Request) -> Iterator[Route]:
    for number, member in enumerate(upstream.members):
        here = (*branch, number) if len(upstream.members) > 1 else branch
        if not member.is_unix and not 0 < member.port < 65536:
            yield Route(hops, DeadEnd(f"it is passed on to {member}, and there is no such port", upstream.trail), here)
            continue
        reached = machine.reach(member, request.endpoint)
        if not reached:
            yield Route(hops, Elsewhere(str(member), upstream.trail), here)
            continue
        endpoints = _answering(reached, machine)
        for position, endpoint in enumerate(endpoints):
            target = request._replace(host=upstream.host, path=upstream.path, scheme=upstream.scheme, endpoint=endpoint)
            yield from _follow(target, machine, hops, (*here, position) if len(endpoints) > 1 else here, asked)


def _answering(reached: Sequence[Endpoint], machine: Machine) -> List[Endpoint]:
    """Of all addresses of a name such as localhost, those where somebody listens, one for each who does; else all.

    nginx takes them by turns, Apache httpd, HAProxy and Caddy begin with IPv6, lighttpd and Varnish with IPv4.
    """
    by_holder: Dict[Tuple[Program, ...], Endpoint] = {}
    for endpoint in reached:
        by_holder.setdefault(tuple(holder.program for holder in machine.holders(endpoint)), endpoint)
    by_holder.pop((), None)
    return list(by_holder.values()) or list(reached)
