"""The one function that follows a request to every place where it may end.

It does no I/O. :func:`follow` asks a :class:`Machine` which program accepts at an endpoint, and asks that program's
configuration for the next hop. The tests pass a table as machine.
"""
import ipaddress
from itertools import islice
from typing import Dict
from typing import Iterator
from typing import List
from typing import Protocol
from typing import Sequence
from typing import Tuple

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
from certbot_autowebroot.routing.redirects import is_loopback
from certbot_autowebroot.routing.redirects import redirected
from certbot_autowebroot.routing.redirects import target_of

#: Hops of any kind.
MAX_HOPS = 10
#: A small file may have ten members that each pass on to ten members: 10^10 routes.
MAX_ROUTES = 1000


class Holder(Protocol):
    """A program that accepts connections at an endpoint."""

    @property
    def program(self) -> Program:
        """The program, as plain data."""

    def ask(self, request: Request) -> Sequence[Destination]:
        """Where the program's configuration sends the request; alternatives, the likeliest first, never empty."""


class Machine(Protocol):
    """What :func:`follow` asks about the host."""

    def holders(self, endpoint: Endpoint) -> Sequence[Holder]:
        """The programs that accept connections there; several share a port by SO_REUSEPORT. Empty: none listens."""

    def addresses(self, host: str) -> Sequence[str]:
        """The addresses of a name, or the address itself. Empty if it does not resolve."""

    def local_addresses(self) -> Sequence[str]:
        """All addresses of this host."""

    def is_here(self, address: str) -> bool:
        """Whether this host has the address."""

    def reach(self, member: Endpoint, origin: Endpoint) -> Sequence[Endpoint]:
        """The local endpoints to which a program at ``origin`` connects for an upstream member.

        A name such as localhost has several addresses. Empty: the member is on another machine.
        """


def follow(request: Request, machine: Machine) -> List[Route]:
    """Follow a request to every place where it may end.

    :param request: as the CA makes it, at a front endpoint.
    :returns: the routes, the likeliest first; at least one.
    """
    routes = list(islice(_follow(request, machine, (), (), request), MAX_ROUTES + 1))
    if len(routes) > MAX_ROUTES:
        routes[-1] = routes[-1]._replace(end=Unknown(f"the request may end in more than {MAX_ROUTES} ways"))
    return routes


def _follow(request: Request, machine: Machine, hops: Tuple[Hop, ...], branch: Tuple[int, ...],
            ca_request: Request) -> Iterator[Route]:
    """:param ca_request: the last request that the CA itself made; a proxy may have changed host and path since."""
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
        sub_branch = (*branch, number) if len(holders) > 1 else branch
        for destination in holder.ask(request):
            depends_on_client = isinstance(destination, Upstream) and destination.depends_on_client
            hops_here = (*hops, Hop(holder.program, request, destination.trail, depends_on_client))
            if isinstance(destination, Redirect):
                yield from _follow_redirect(destination, ca_request, machine, hops_here, sub_branch)
            elif isinstance(destination, Upstream):
                yield from _follow_upstream(destination, request, machine, hops_here, sub_branch, ca_request)
            else:
                yield Route(hops_here, destination, sub_branch)


def _without_holder(request: Request) -> End:
    """No program listens: a responder can, but not with TLS, not in a container, and not on a unix socket."""
    endpoint = request.endpoint
    if endpoint.namespace:
        return DeadEnd(f"no program listens on {endpoint} in the container's own network, and autowebroot cannot "
                       "listen there")
    if request.scheme == "https":
        return DeadEnd(f"the request is sent on to {request.url}, and no program listens on {endpoint}")
    if endpoint.is_unix:
        return DeadEnd(f"the request is sent on to {endpoint}, and no program listens there")
    return Vacant(endpoint, request.path)


def _follow_redirect(redirect: Redirect, ca_request: Request, machine: Machine, hops: Tuple[Hop, ...],
                     branch: Tuple[int, ...]) -> Iterator[Route]:
    try:
        targets = after_redirect(redirect.url, redirect.status, ca_request, hops[0].request.endpoint.port, machine)
    except ValueError as error:
        yield Route(hops, DeadEnd(str(error), redirect.trail), branch)
        return
    if not targets:
        host = target_of(redirect.url, redirect.status, ca_request).host
        yield Route(hops, Elsewhere(redirect.url, redirect.trail, bool(machine.addresses(host))), branch)
    for number, target in enumerate(targets):
        sub_branch = (*branch, number) if len(targets) > 1 else branch
        yield from _follow(target, machine, hops, sub_branch, target)


def after_redirect(location: str, status: int, request: Request, front_port: int, machine: Machine) -> List[Request]:
    """The requests that the CA makes after a redirect, one for each address of this host at which it may arrive.

    :param location: the Location header.
    :param request: the CA's request that got this redirect.
    :param front_port: the local port behind the CA's port 80.
    :returns: empty if the redirect leads to another machine.
    :raises ValueError: the CA does not follow it; the text gives the reason.
    """
    target = target_of(location, status, request)
    port = front_port if target.port == CA_PORTS["http"] else target.port
    same = Endpoint(request.endpoint.host, port)
    if target.host == request.host:
        is_followed = target.scheme == request.scheme or not _is_behind_balancer(target.host, same, machine)
        endpoints = [same] if is_followed else []
    else:
        # /etc/hosts often has a name of this host at 127.0.1.1; the CA arrives from outside all the same.
        endpoints = list(dict.fromkeys(same if is_loopback(address) else Endpoint(address, port)
                                       for address in machine.addresses(target.host) if machine.is_here(address)))
        if not endpoints and _share_a_router(request, target.host, machine) and machine.holders(same):
            endpoints = [same]
    return [redirected(request, target, endpoint) for endpoint in endpoints]


def _share_a_router(request: Request, host: str, machine: Machine) -> bool:
    """Whether a host has an address of the request's name, in the IP version by which the request came in.

    Behind a provider's NAT all names of a machine resolve to one address, which the machine does not have. The router
    sends the CA's second request where it sent the first one. Where neither name resolves from here, it may be so too.
    """
    ours, its = {*machine.addresses(request.host)}, {*machine.addresses(host)}
    if not ours and not its:
        return True
    shared = ours & its
    version = ipaddress.ip_address(request.endpoint.host).version
    return any(ipaddress.ip_address(address).version == version for address in shared
               if not machine.is_here(address) and not is_loopback(address))


def _is_behind_balancer(host: str, endpoint: Endpoint, machine: Machine) -> bool:
    """Whether a name resolves to another machine, a balancer or a router, which serves this port itself.

    A balancer that terminates TLS forwards both of its ports to port 80 here, with X-Forwarded-Proto.
    """
    addresses = machine.addresses(host)
    return bool(addresses) and not any(map(machine.is_here, addresses)) and not machine.holders(endpoint)


def _follow_upstream(upstream: Upstream, request: Request, machine: Machine, hops: Tuple[Hop, ...],
                     branch: Tuple[int, ...], ca_request: Request) -> Iterator[Route]:
    for number, member in enumerate(upstream.members):
        member_branch = (*branch, number) if len(upstream.members) > 1 else branch
        if not member.is_unix and not 0 < member.port < 65536:
            dead_end = DeadEnd(f"it is passed on to {member}, and there is no such port", upstream.trail)
            yield Route(hops, dead_end, member_branch)
            continue
        local = machine.reach(member, request.endpoint)
        if not local:
            yield Route(hops, Elsewhere(str(member), upstream.trail), member_branch)
            continue
        endpoints = _one_per_program(local, machine)
        for position, endpoint in enumerate(endpoints):
            target = request._replace(host=upstream.host, path=upstream.path, scheme=upstream.scheme, endpoint=endpoint)
            sub_branch = (*member_branch, position) if len(endpoints) > 1 else member_branch
            yield from _follow(target, machine, hops, sub_branch, ca_request)


def _one_per_program(endpoints: Sequence[Endpoint], machine: Machine) -> List[Endpoint]:
    """Of the addresses of a name such as localhost, one for each program that listens; all if none does.

    nginx uses them by turns. Apache httpd, HAProxy and Caddy begin with IPv6, lighttpd and Varnish with IPv4.
    """
    by_programs: Dict[Tuple[Program, ...], Endpoint] = {}
    for endpoint in endpoints:
        by_programs.setdefault(tuple(holder.program for holder in machine.holders(endpoint)), endpoint)
    by_programs.pop((), None)
    return list(by_programs.values()) or list(endpoints)
