"""The data of the package: a request, where a server sends it, and the routes that it may take. *Pure*.

All of it can be logged and printed as JSON. This module imports nothing else of the package.
"""
import ipaddress
import re
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from typing import Dict
from typing import Iterable
from typing import List
from typing import NamedTuple
from typing import NewType
from typing import Optional
from typing import Tuple
from typing import Union

#: A path as one process sees it (its mount namespace, its chroot). Never open it as a path of ours:
#: :class:`certbot_autowebroot.system.views.View` does that.
PathInView = NewType("PathInView", str)

#: The path that a CA requests, before the token (RFC 8555 section 8.3).
CHALLENGE_PATH = "/.well-known/acme-challenge/"

#: "Redirects are followed to ports 80 and 443 only": Let's Encrypt, "Challenge Types", HTTP-01.
CA_PORTS = {"http": 80, "https": 443}


#: What Let's Encrypt sends ("Challenge Types"; boulder, va/http.go): a rule on it treats our probe as it treats the CA.
CA_HEADERS = {"user-agent": "Mozilla/5.0 (compatible; Let's Encrypt validation server; +https://www.letsencrypt.org)",
              "accept": "*/*"}


class Source(NamedTuple):
    """A line of a configuration file, as the server's own error messages name it."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Step(NamedTuple):
    """One directive that decides about a request: ``server www.sample.com``, ``location ^~ /a/``, ``root /x``.

    :ivar admits_some: it admits certain client addresses only. A public CA does not publish those that it comes from.
    """

    text: str
    source: Optional[Source] = None
    admits_some: bool = False

    def __str__(self) -> str:
        return f"{self.text} ({self.source})" if self.source else self.text


#: The steps that led to a destination, the virtual host first, the deciding directive last.
Trail = Tuple[Step, ...]


class Endpoint(NamedTuple):
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
        return f"{in_url(self.host)}:{self.port}"

    @property
    def is_unix(self) -> bool:
        """Whether this is a unix socket."""
        return self.host.startswith("unix:")

    @property
    def version(self) -> int:
        """The IP version, where the host is an address."""
        return 6 if ":" in self.host else 4

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine itself can connect to it."""
        return self.is_unix or ipaddress.ip_address(self.host).is_loopback


class Request(NamedTuple):
    """One GET request as it reaches a server.

    :ivar host: the Host header without a port, lower case.
    :ivar path: the path, percent-decoded, without the query.
    :ivar token: the file name that the CA requests (RFC 8555 section 8.3).
    :ivar endpoint: the local address and port that the connection arrives at.
    :ivar referer: the Referer header: after a redirect, the URL that redirected.
    """

    host: str
    path: str
    token: str
    endpoint: Endpoint
    scheme: str = "http"
    query: str = ""
    referer: str = ""

    def header(self, name: str) -> Optional[str]:
        """A header that the CA sends, by its name in lower case; None for all others."""
        return {**CA_HEADERS, "referer": self.referer}.get(name)

    @property
    def host_header(self) -> str:
        """The Host header."""
        return in_url(self.host)

    @property
    def url(self) -> str:
        """The URL as the CA requests it: without a port, since our port stands for the CA's."""
        return f"{self.scheme}://{self.host_header}{self.path}" + (f"?{self.query}" if self.query else "")


def in_url(host: str) -> str:
    """A host as in a URL: an IPv6 address stands in brackets there (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def host_of(header: str) -> str:
    """The host of a Host header: without a port, and an IPv6 address without its brackets."""
    return re.sub(r":\d*$", "", header).strip("[]").lower()


class _End:
    """What the ends have in common: they are equal where class and fields are. Never change one: ``replace`` it.

    A frozen dataclass is so too, but compiles seven methods of its own: a millisecond for each class, at each renewal.
    """

    @property
    def _compared(self) -> Tuple[object, ...]:
        return tuple(getattr(self, one.name) for one in fields(self) if one.compare)  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._compared == self._compared

    def __hash__(self) -> int:
        return hash(self._compared)

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._compared}"


@dataclass(eq=False, repr=False)
class Directory(_End):
    """The server opens the file ``root`` + "/" + ``name``.

    :ivar root: the directory that the configuration names (document root, alias). It must exist; we never create it.
    :ivar name: the file below it, relative, its last component holding the token.
    :ivar guessed: no configuration names it (a directory among a program's arguments, its working directory): an
        existing file of it must be fetched before anything is written there.
    :ivar depends_on_client: an allow-list or a password decides about the client: our probe may be refused where the
        CA is not.
    """

    root: PathInView
    name: str
    trail: Trail = ()
    guessed: bool = False
    depends_on_client: bool = False

    def __str__(self) -> str:
        return f"{self.root.rstrip('/')}/{self.name}"


@dataclass(eq=False, repr=False)
class Redirect(_End):
    """The server answers with a redirect to this absolute URL."""

    url: str
    status: int
    trail: Trail = ()


@dataclass(eq=False, repr=False)
class Upstream(_End):
    """The server passes the request on, to one of several members: any of them may get the CA's request.

    :ivar host: the Host header that the upstream gets.
    :ivar path: the path that the upstream gets.
    :ivar proxy_protocol: a PROXY line goes first (HAProxy's ``send-proxy``).
    :ivar depends_on_client: as of :class:`Directory`.
    """

    members: Tuple[Endpoint, ...]
    host: str
    path: str
    scheme: str = "http"
    proxy_protocol: bool = False
    trail: Trail = ()
    depends_on_client: bool = False


@dataclass(eq=False, repr=False)
class DeadEnd(_End):
    """No file can answer here, for a known reason: ``deny all``, ``return 403``, content made by Lua."""

    reason: str
    trail: Trail = ()


@dataclass(eq=False, repr=False)
class Unknown(_End):
    """Not known: an unreadable file, a variable that only the running server has. Never a guess."""

    reason: str
    trail: Trail = ()


@dataclass(eq=False, repr=False)
class Vacant(_End):
    """No program listens at this endpoint: a responder of our own can.

    :ivar path: the path of the request there.
    """

    endpoint: Endpoint
    path: str
    trail: Trail = ()


@dataclass(eq=False, repr=False)
class Elsewhere(_End):
    """The request leaves this machine.

    :ivar resolves: false for a redirect to a host that has no address.
    """

    target: str
    trail: Trail = ()
    resolves: bool = field(default=True, compare=False)


#: Where a web server sends one request. Several destinations are alternatives, the likeliest first.
Destination = Union[Directory, Redirect, Upstream, DeadEnd, Unknown]
#: What a route ends in.
End = Union[Directory, Vacant, DeadEnd, Unknown, Elsewhere]


class Program(NamedTuple):
    """The program that holds an endpoint. ``pid`` 0: we may not see its process.

    :ivar start_time: clock ticks since boot, field 22 of proc(5)'s stat: with the pid it names a process for good.
    """

    name: str
    pid: int = 0
    start_time: int = 0

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid else self.name


class Hop(NamedTuple):
    """One program on the way: the request that it accepts, and the directives that decide about it.

    :ivar depends_on_client: as of :class:`Directory`.
    """

    program: Program
    request: Request
    trail: Trail
    depends_on_client: bool = False


class Route(NamedTuple):
    """One way of a request from a front endpoint to an end.

    :ivar branch: the member that was taken at each point where *all* members count (upstream groups, shared ports).
        Routes with the same branch are alternatives: one of them serves. Each branch needs an answer, its own or that
        of a route before it divides (:func:`alternatives`).
    """

    hops: Tuple[Hop, ...]
    end: End
    branch: Tuple[int, ...] = ()

    @property
    def program(self) -> Optional[Program]:
        """The program at the end, in whose view its path is meant."""
        return self.hops[-1].program if self.hops else None

    @property
    def allow_list(self) -> Optional[Step]:
        """The first line that admits certain client addresses only: of the servers to which the CA itself connects."""
        own = self.hops[0].request.endpoint.host if self.hops else ""
        return next((step for hop in self.hops if hop.request.endpoint.host == own
                     for step in hop.trail if step.admits_some), None)

    @property
    def depends_on_client(self) -> bool:
        """Whether our probe may be refused on the way where the CA is not."""
        return any(stop.depends_on_client for stop in (*self.hops, self.end) if isinstance(stop, (Hop, Directory)))


def alternatives(routes: Iterable[Route]) -> List[List[Route]]:
    """The routes that are alternatives, for each branch that needs an answer: the closest to its end first.

    What answers before a request is passed on to all members of a group (``try_files $uri @group``) answers for each.
    """
    by_branch: Dict[Tuple[int, ...], List[Route]] = {}
    for route in routes:
        by_branch.setdefault(route.branch, []).append(route)
    inner = {branch[:length] for branch in by_branch for length in range(len(branch))}
    return [[route for length in range(len(branch), -1, -1) for route in by_branch.get(branch[:length], ())]
            for branch in by_branch if branch not in inner]
