"""Make one HTTP request as the CA makes it, to a given address, and return the answer.

As the CA: the headers are those of Let's Encrypt, the Host header has no port, redirects are followed by the CA's rules
(:mod:`certbot_autowebroot.routing.redirects`), certificates are not verified (RFC 8555 section 8.3; Let's Encrypt,
"Challenge Types"; boulder, va/http.go). A rule on the User-Agent treats the probe as it treats the CA. One header is
our own, :data:`HEADER`: an administrator can log it. Time and size are limited: a server may accept and never answer,
send one byte a second, or never stop.
"""
import contextlib
import http.client
import io
import socket
import time
from typing import TYPE_CHECKING
from typing import Callable
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot import __version__
from certbot_autowebroot.route import CA_HEADERS
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.routing.redirects import MAX_REDIRECTS
from certbot_autowebroot.routing.redirects import STATUSES
from certbot_autowebroot.routing.redirects import is_address
from certbot_autowebroot.routing.redirects import is_public
from certbot_autowebroot.routing.redirects import redirected
from certbot_autowebroot.routing.redirects import request_target
from certbot_autowebroot.routing.redirects import target_of
from certbot_autowebroot.system import tls
from certbot_autowebroot.system.terminal import printable

if TYPE_CHECKING:
    from certbot_autowebroot.routing.follow import Machine

#: Seconds for one whole probe with all its redirects: what Let's Encrypt gives a validation.
TIMEOUT = 10.0
#: Seconds for a connection, within :data:`TIMEOUT`.
CONNECT_TIMEOUT = 3.0
#: Bytes of a body to read. A key authorization has 87.
MAX_BODY = 4096
#: Bytes that boulder reads of a body: one that fills them is refused, white space at its end included.
CA_MAX_BODY = 128
#: Characters of a Server header to keep.
MAX_SERVER = 80
#: The header that tells the probe from the CA; its value is our version.
HEADER = "Autowebroot-Probe"

_HEADERS = {
    "User-Agent": CA_HEADERS["user-agent"],
    "Accept": CA_HEADERS["accept"],
    "Accept-Encoding": "identity",
    "Connection": "close",
    HEADER: __version__,
}


class Answer(NamedTuple):
    """The answer to a request, after redirects.

    :ivar request: the last request, after redirects.
    :ivar status: the HTTP status; 0 without an HTTP answer.
    :ivar body: empty where the CA does not accept it: the status is not 200, or white space makes it too long.
    :ivar error: why there is no HTTP answer, or why it does not count.
    :ivar refused: the connection was refused.
    :ivar elsewhere: a redirect to another machine, which proves nothing: its URL.
    :ivar redirects: the URLs of all redirects.
    :ivar connected: a server accepted the first connection; without it, a CA turns to the next IP version.
    :ivar server: the Server header, printable, at most :data:`MAX_SERVER` characters.
    :ivar with_proxy_line: a server answered only after a PROXY line, which a balancer sends and the CA does not.
    :ivar logged: what a server's error log says of the request, as the end of a sentence.
    """

    request: Request
    status: int = 0
    body: bytes = b""
    error: str = ""
    refused: bool = False
    elsewhere: str = ""
    redirects: Tuple[str, ...] = ()
    connected: bool = True
    server: str = ""
    with_proxy_line: bool = False
    logged: str = ""

    def __str__(self) -> str:
        where = f"{self.request.url} at {self.request.endpoint}"
        return (f"{where}: {self.error}" if self.error else f"{where}: status {self.status}") + self.logged


class _NotConnectedError(OSError):
    """No connection; the cause says why."""


class _Response(NamedTuple):
    status: int
    body: bytes
    location: str
    server: str
    with_proxy_line: bool


#: The requests that may follow a redirect, by its URL and status and the request that got it; raises ValueError.
_NextRequests = Callable[[str, int, Request], Sequence[Request]]


def ask(request: Request, machine: "Machine", timeout: float = TIMEOUT, *, may_send_proxy_line: bool = True) -> Answer:
    """Make a request to an endpoint of this host and follow its redirects within this host.

    :param request: connects to ``request.endpoint``.
    :param machine: resolves the names in redirects.
    :param timeout: seconds for all requests together.
    :param may_send_proxy_line: a balancer may be in front. Where the name resolves to this host, none is.
    """
    front_port = request.endpoint.port

    def next_requests(location: str, status: int, redirected: Request) -> Sequence[Request]:
        from certbot_autowebroot.routing.follow import after_redirect  # late for speed: only for a redirect
        return after_redirect(location, status, redirected, front_port, machine)
    return _ask(request, next_requests, time.monotonic() + timeout, may_send_proxy_line)


def ask_as_the_ca(request: Request, resolve: Callable[[str], Sequence[str]], timeout: float = TIMEOUT) -> Answer:
    """Make a request over the network and follow its redirects to wherever they lead. A body of ours is a proof.

    :param request: connects to ``request.endpoint``, one of the name's public addresses.
    :param resolve: the addresses of a redirect's host, by DNS. The first AAAA counts, or else the first A.
    :param timeout: seconds for all requests together.
    """
    def next_requests(location: str, status: int, redirected: Request) -> Sequence[Request]:
        return _over_the_network(location, status, redirected, resolve)
    return _ask(request, next_requests, time.monotonic() + timeout, may_send_proxy_line=False)


def _over_the_network(location: str, status: int, request: Request, resolve: Callable[[str], Sequence[str]]) \
        -> List[Request]:
    """The one request that the CA makes after a redirect; empty where its host has no public address."""
    target = target_of(location, status, request)
    if target.host == request.host and target.port == request.endpoint.port:
        addresses = [request.endpoint.host]
    else:
        found = [target.host] if is_address(target.host) else resolve(target.host)
        # A foreign name server must not get certbot, as root, to query services of a private network.
        addresses = sorted(filter(is_public, found), key=lambda address: ":" not in address)
    return [redirected(request, target, Endpoint(address, target.port)) for address in addresses[:1]]


def _ask(request: Request, next_requests: _NextRequests, deadline: float, may_send_proxy_line: bool) -> Answer:
    answer = Answer(request)
    urls: List[str] = []
    while True:
        try:
            response = _get_through(request, deadline, may_send_proxy_line)
        except (OSError, http.client.HTTPException, ValueError) as error:
            cause = error.__cause__ if isinstance(error, _NotConnectedError) else error
            return answer._replace(error=_reason(error), refused=isinstance(cause, ConnectionRefusedError),
                                   connected=bool(urls) or cause is error)
        location = response.location
        answer = answer._replace(status=response.status, server=response.server,
                                 with_proxy_line=answer.with_proxy_line or response.with_proxy_line)
        if response.status not in STATUSES or not location:
            return _judge(answer, response.body)
        if len(answer.redirects) == MAX_REDIRECTS:
            return answer._replace(error=f"more than {MAX_REDIRECTS} redirects")
        answer = answer._replace(redirects=(*answer.redirects, location))
        urls.append(request.url)
        try:
            targets = next_requests(location, response.status, request)
        except ValueError as error:
            return answer._replace(error=str(error))
        if not targets:
            return answer._replace(elsewhere=location)
        if targets[0].url in urls:
            return answer._replace(error=f"the CA does not request {targets[0].url} twice: the redirects go round")
        request = targets[0]
        answer = answer._replace(request=request, status=0, server="")


def _judge(answer: Answer, body: bytes) -> Answer:
    """An answer with the body that the CA reads."""
    if answer.status != http.client.OK:
        return answer
    if len(body) >= CA_MAX_BODY > len(body.rstrip()):
        return answer._replace(error=f"with white space at its end the body has {CA_MAX_BODY} bytes or more, and the "
                                     "CA refuses that")
    return answer._replace(body=body)


def get_directly(endpoint: Endpoint, host: str, path: str, timeout: float = TIMEOUT) -> Optional[bytes]:
    """The body at a path of one server, without redirects; None unless the status is 200.

    It verifies a guessed document root by a file that exists there.

    :raises socket.timeout: the server accepts the connection and does not answer.
    """
    request = Request(host=host, path=path, token="", endpoint=endpoint)
    try:
        response = _get(request, time.monotonic() + timeout)
    except socket.timeout:
        raise
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return response.body if response.status == http.client.OK else None


def _get_through(request: Request, deadline: float, may_send_proxy_line: bool) -> _Response:
    def attempt(has_proxy_line: bool) -> _Response:
        response = _get(request, deadline, has_proxy_line)
        if has_proxy_line and response.status == http.client.BAD_REQUEST:
            raise http.client.BadStatusLine(str(response.status))
        return response
    return tls.retry_with_proxy_line(attempt) if may_send_proxy_line else attempt(False)


def _get(request: Request, deadline: float, has_proxy_line: bool = False) -> _Response:
    with _connect(request, deadline, has_proxy_line) as stream, \
            tls.until(deadline, stream) if request.scheme == "https" else contextlib.nullcontext():
        connection = http.client.HTTPConnection("")
        connection.sock = _DeadlineSocket(stream, deadline)
        connection.putrequest("GET", request_target(request), skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": request.host_header, **_HEADERS, "Referer": request.referer}.items():
            if value:
                connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return _Response(response.status, response.read(MAX_BODY), response.getheader("Location", ""),
                         printable(response.getheader("Server", ""))[:MAX_SERVER], has_proxy_line)


def _connect(request: Request, deadline: float, has_proxy_line: bool) -> socket.socket:
    """:raises _NotConnectedError: no server accepts the connection."""
    try:
        stream = tls.connect(request.endpoint, min(deadline, time.monotonic() + CONNECT_TIMEOUT), has_proxy_line)
    except OSError as error:
        raise _NotConnectedError(str(error)) from error
    stream.settimeout(max(0.01, deadline - time.monotonic()))
    return tls.handshake(stream, request.host, deadline) if request.scheme == "https" else stream


class _DeadlineSocket:
    """A socket for http.client with one deadline for all reads.

    With a timeout for each read, a server that sends one byte a second would never end.
    """

    def __init__(self, stream: socket.socket, deadline: float) -> None:
        self._reader = _DeadlineReader(stream, deadline)
        self.sendall = stream.sendall

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader)

    def close(self) -> None:
        """Do nothing: http.client closes its socket as soon as it has made a file of it."""


class _DeadlineReader(io.RawIOBase):
    def __init__(self, stream: socket.socket, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise socket.timeout("timed out")
        self._stream.settimeout(remaining)
        return self._stream.recv_into(buffer)


def _reason(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, _NotConnectedError) else error
    if isinstance(cause, socket.timeout):
        return "no complete answer within the time limit" if cause is error else "no connection within the time limit"
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    if isinstance(cause, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(cause, http.client.BadStatusLine):
        from certbot_autowebroot.system.greeting import first_line  # late for speed: it is seldom no HTTP
        return f"the answer is not HTTP: {first_line(str(cause))}"
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
