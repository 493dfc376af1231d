"""Where a request ends: plain data, and the one function that follows a request there.

Nothing here touches the machine. :func:`follow` asks a :class:`Machine` who holds an endpoint and asks that holder
where the request goes next; tests hand it a table instead. What comes out is plain data: it can be logged, printed as
JSON, or one day be asked of another node.
"""
import ipaddress
from dataclasses import dataclass
from dataclasses import replace
from typing import Iterator
from typing import List
from typing import NewType
from typing import Optional
from typing import Protocol
from typing import Sequence
from typing import Tuple
from typing import Union
from urllib.parse import unquote
from urllib.parse import urljoin
from urllib.parse import urlsplit

#: A path as one process sees it (its mount namespace, its chroot). Never open it as a path of ours:
#: :class:`certbot_autowebroot.views.View` does that.
PathInView = NewType("PathInView", str)

#: Where a CA asks, RFC 8555 section 8.3.
CHALLENGE_PATH = "/.well-known/acme-challenge/"

#: Redirects that Let's Encrypt follows at most; we allow as many hops of any kind.
MAX_HOPS = 10

#: "Redirects are followed to ports 80 and 443 only": Let's Encrypt, "Challenge Types", HTTP-01.
CA_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Source:
    """A line of a configuration file, as the server's own error messages name it."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Step:
    """One thing that the configuration says on the way: ``server www.sample.com``, ``location ^~ /a/``, ``root /x``."""

    text: str
    source: Optional[Source] = None

    def __str__(self) -> str:
        return f"{self.text} ({self.source})" if self.source else self.text


#: The steps that led to a destination, the virtual host first, the deciding directive last.
Trail = Tuple[Step, ...]


@dataclass(frozen=True)
class Endpoint:
    """What a connection is made to: a host (an address or, in an upstream, a name) and a port.

    A unix socket is ``Endpoint("unix:/run/app.sock", 0)``.

    :ivar namespace: the network namespace (a container's) that the host is an address in; 0 is our own.
    """

    host: str
    port: int
    namespace: int = 0

    def __str__(self) -> str:
        if self.is_unix:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_unix(self) -> bool:
        """Whether this is a unix socket."""
        return self.host.startswith("unix:")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine itself can come here."""
        return self.is_unix or ipaddress.ip_address(self.host).is_loopback


@dataclass(frozen=True)
class Request:
    """One GET request as it reaches a server.

    :ivar host: the Host header without a port, lower case.
    :ivar path: the path, percent-decoded, without the query.
    :ivar token: the file name that the CA asked for at the front door (RFC 8555 section 8.3).
    :ivar endpoint: the local address and port that the connection arrives at.
    """

    host: str
    path: str
    token: str
    endpoint: Endpoint
    scheme: str = "http"
    query: str = ""

    @property
    def url(self) -> str:
        """The URL as the CA asks it: without a port, for the port that we look at stands for the CA's."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{self.path}" + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True)
class Directory:
    """The server opens the file ``root`` + "/" + ``name``.

    :ivar root: the directory that the configuration names (document root, alias). It must exist; we never create it.
    :ivar name: the file below it, relative, its last component holding the token.
    :ivar guessed: no configuration names it (a directory among a program's arguments, its cwd): it must be seen to
        be served before anything is written there.
    :ivar depends_on_client: an allow-list or a password decides who gets the file: our probe may be refused where the
        CA is not.
    """

    root: PathInView
    name: str
    trail: Trail = ()
    guessed: bool = False
    depends_on_client: bool = False

    def named(self, old: str, new: str) -> "Directory":
        """The same place for another token."""
        head, _, last = self.name.rpartition("/")
        return replace(self, name=(head + "/" if head else "") + last.replace(old, new))

    def __str__(self) -> str:
        return f"{self.root.rstrip('/')}/{self.name}"


@dataclass(frozen=True)
class Redirect:
    """The server answers with a redirect to this absolute URL."""

    url: str
    status: int
    trail: Trail = ()


@dataclass(frozen=True)
class Upstream:
    """The server passes the request on. All members count: any of them may get the CA's request.

    :ivar host: the Host header that the upstream gets.
    :ivar path: the path that the upstream gets.
    :ivar proxy_protocol: a PROXY line goes first (HAProxy's ``send-proxy``).
    """

    members: Tuple[Endpoint, ...]
    host: str
    path: str
    scheme: str = "http"
    proxy_protocol: bool = False
    trail: Trail = ()


@dataclass(frozen=True)
class DeadEnd:
    """No file can answer here, and the configuration says why: ``deny all``, ``return 403``, content made by Lua."""

    reason: str
    trail: Trail = ()


@dataclass(frozen=True)
class Unknown:
    """We cannot know: an unreadable file, a variable that only the running server has. Never a guess."""

    reason: str
    trail: Trail = ()


@dataclass(frozen=True)
class Vacant:
    """Nobody listens at this endpoint: a responder of our own can.

    :ivar path: what it will be asked for there.
    """

    endpoint: Endpoint
    path: str
    trail: Trail = ()


@dataclass(frozen=True)
class Elsewhere:
    """The request leaves this machine."""

    target: str
    trail: Trail = ()


#: What a web server says of one request. Several destinations are alternatives, the likeliest first.
Destination = Union[Directory, Redirect, Upstream, DeadEnd, Unknown]
#: What a route ends in.
End = Union[Directory, Vacant, DeadEnd, Unknown, Elsewhere]


@dataclass(frozen=True)
class Program:
    """Who holds an endpoint, in plain data. ``pid`` 0: the owner is not visible to us.

    :ivar start_time: clock ticks since boot, field 22 of proc(5)'s stat: with the pid it names a process for good.
    """

    name: str
    pid: int = 0
    start_time: int = 0

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid else self.name


@dataclass(frozen=True)
class Hop:
    """One stop on the way: who accepted which request where, and what its configuration said."""

    program: Program
    request: Request
    trail: Trail


@dataclass(frozen=True)
class Route:
    """One road from the front door to an end.

    :ivar branch: which member was taken wherever *all* members count (upstream groups, shared ports). Routes with
        the same branch are alternatives: one of them serves. Each distinct branch needs an answer of its own.
    """

    hops: Tuple[Hop, ...]
    end: End
    branch: Tuple[int, ...] = ()

    @property
    def program(self) -> Optional[Program]:
        """Who serves the end, in whose view its path is meant."""
        return self.hops[-1].program if self.hops else None


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
    return list(_follow(request, machine, (), ()))


def _follow(request: Request, machine: Machine, hops: Tuple[Hop, ...],
            branch: Tuple[int, ...]) -> Iterator[Route]:
    if any(hop.request == request for hop in hops):
        yield Route(hops, DeadEnd("the request goes round in a loop: "
                                  + ", ".join(str(hop.program) for hop in hops)), branch)
        return
    if len(hops) >= MAX_HOPS:
        yield Route(hops, DeadEnd(f"the request is passed on more than {MAX_HOPS} times"), branch)
        return
    holders = machine.holders(request.endpoint)
    if not holders and request.endpoint.namespace:
        yield Route(hops, DeadEnd(f"nobody listens on {request.endpoint} in the container's own network, where we "
                                  "cannot listen either"), branch)
    elif not holders and request.scheme == "https":
        yield Route(hops, DeadEnd(f"the request is sent on to {request.url}, and nobody listens on "
                                  f"{request.endpoint}"), branch)
    elif not holders:
        yield Route(hops, Vacant(request.endpoint, request.path), branch)
    for number, holder in enumerate(holders):
        here = (*branch, number) if len(holders) > 1 else branch
        for destination in holder.ask(request):
            so_far = (*hops, Hop(holder.program, request, destination.trail))
            if isinstance(destination, Redirect):
                yield from _redirected(destination, request, machine, so_far, here)
            elif isinstance(destination, Upstream):
                yield from _passed_on(destination, request, machine, so_far, here)
            else:
                yield Route(so_far, destination, here)


def _redirected(redirect: Redirect, request: Request, machine: Machine, hops: Tuple[Hop, ...],
                branch: Tuple[int, ...]) -> Iterator[Route]:
    try:
        targets = after_redirect(redirect.url, request, hops[0].request.endpoint.port, machine)
    except ValueError as error:
        yield Route(hops, DeadEnd(str(error), redirect.trail), branch)
        return
    if not targets:
        yield Route(hops, Elsewhere(redirect.url, redirect.trail), branch)
    for number, target in enumerate(targets):
        here = (*branch, number) if len(targets) > 1 else branch
        yield from _follow(target, machine, hops, here)


def after_redirect(location: str, request: Request, front_port: int, machine: Machine) -> List[Request]:
    """The requests that a CA makes after a redirect, one for each address of this machine that it may come to.

    "Redirects are only followed to http and https, and only to ports 80 and 443" (Let's Encrypt, "Challenge Types").

    :param location: the Location header.
    :param request: the request that was answered with it.
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
    port = front_port if port == CA_PORTS["http"] else port
    if url.hostname == request.host:
        addresses = [request.endpoint.host]
    else:
        addresses = [a for a in machine.addresses(url.hostname) if machine.is_here(a)]
    return [replace(request, host=url.hostname, path=unquote(url.path) or "/", query=url.query, scheme=url.scheme,
                    endpoint=Endpoint(address, port)) for address in addresses]


def _passed_on(upstream: Upstream, request: Request, machine: Machine, hops: Tuple[Hop, ...],
               branch: Tuple[int, ...]) -> Iterator[Route]:
    for number, member in enumerate(upstream.members):
        here = (*branch, number) if len(upstream.members) > 1 else branch
        reached = machine.reach(member, request.endpoint)
        if not reached:
            yield Route(hops, Elsewhere(str(member), upstream.trail), here)
            continue
        # A server takes the first address that answers.
        endpoint = next((e for e in reached if machine.holders(e)), reached[0])
        target = replace(request, host=upstream.host, path=upstream.path, scheme=upstream.scheme, endpoint=endpoint)
        yield from _follow(target, machine, hops, here)
