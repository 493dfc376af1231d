"""Make one HTTP request as the CA makes it, to a given address, and return the answer.

As the CA: the Host header has no port, redirects are followed to ports 80 and 443, certificates are not verified
(RFC 8555 section 8.3; Let's Encrypt, "Challenge Types"). Time and size are limited: a server may accept and never
answer, send one byte a second, or never stop.
"""
import contextlib
import http.client
import io
import socket
import time
from typing import NamedTuple
from typing import Optional
from typing import Tuple
from urllib.parse import quote

from certbot_autowebroot import __version__
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.routing.follow import MAX_HOPS
from certbot_autowebroot.routing.follow import Machine
from certbot_autowebroot.routing.follow import after_redirect
from certbot_autowebroot.system import tls

#: Seconds for one whole probe with all its redirects: what Let's Encrypt gives a validation.
TIMEOUT = 10.0
#: Bytes of a body to read. A key authorization has 87.
MAX_BODY = 4096

_REDIRECTS = (301, 302, 303, 307, 308)
_HEADERS = {
    "User-Agent": f"Mozilla/5.0 (compatible; certbot-autowebroot/{__version__}; checks before the CA does)",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


class Answer(NamedTuple):
    """The answer to a request, after redirects.

    :ivar request: the last request, after redirects.
    :ivar status: the HTTP status; 0 without an HTTP answer.
    :ivar error: why there is no HTTP answer, or why it does not count.
    :ivar refused: the connection was refused.
    :ivar elsewhere: a redirect to another machine, which proves nothing: its URL.
    :ivar redirects: the URLs of all redirects.
    :ivar connected: the first connection was made: without one, the CA turns to the next IP version.
    :ivar server: the Server header.
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

    def __str__(self) -> str:
        where = f"{self.request.url} at {self.request.endpoint}"
        return f"{where}: {self.error}" if self.error else f"{where}: status {self.status}"


def ask(request: Request, machine: Machine, timeout: float = TIMEOUT) -> Answer:
    """Make a request and follow its redirects.

    :param request: connects to ``request.endpoint``.
    :param machine: resolves the names in redirects.
    :param timeout: seconds for all requests together.
    """
    deadline = time.monotonic() + timeout
    front_port = request.endpoint.port
    redirects: Tuple[str, ...] = ()
    while True:
        try:
            status, body, location = _get_through(request, deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answer(request, error=_reason(error), refused=isinstance(error, ConnectionRefusedError),
                          redirects=redirects)
        if status not in _REDIRECTS or not location:
            return Answer(request, status, body, redirects=redirects)
        if len(redirects) == MAX_HOPS:
            return Answer(request, status, error=f"more than {MAX_HOPS} redirects", redirects=redirects)
        redirects += (location,)
        try:
            targets = after_redirect(location, request, front_port, machine)
        except ValueError as error:
            return Answer(request, status, error=str(error), redirects=redirects)
        if not targets:
            return Answer(request, status, elsewhere=location, redirects=redirects)
        request = targets[0]


def get_directly(endpoint: Endpoint, host: str, path: str, timeout: float = TIMEOUT) -> Optional[bytes]:
    """The body at a path of one server, without redirects; None unless the status is 200.

    It verifies a guessed document root by a file that exists there.

    :raises socket.timeout: the server accepts the connection and does not answer.
    """
    request = Request(host=host, path=path, token="", endpoint=endpoint)
    try:
        status, body, _ = _get(request, time.monotonic() + timeout)
    except socket.timeout:
        raise
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return body if status == http.client.OK else None


def _get_through(request: Request, deadline: float) -> "tuple[int, bytes, str]":
    def attempt(has_proxy_line: bool) -> "tuple[int, bytes, str]":
        found = _get(request, deadline, has_proxy_line)
        if has_proxy_line and found[0] == http.client.BAD_REQUEST:
            raise http.client.BadStatusLine(str(found[0]))
        return found
    return tls.retry_with_proxy_line(attempt)


def _get(request: Request, deadline: float, has_proxy_line: bool = False) -> "tuple[int, bytes, str]":
    with _connect(request, deadline, has_proxy_line) as stream, \
            tls.until(deadline, stream) if request.scheme == "https" else contextlib.nullcontext():
        connection = http.client.HTTPConnection("")
        connection.sock = _DeadlineSocket(stream, deadline)
        target = quote(request.path, safe="/%:@!$&'()*+,;=~") + (f"?{request.query}" if request.query else "")
        connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": request.host_header, **_HEADERS}.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read(MAX_BODY), response.getheader("Location", "")


def _connect(request: Request, deadline: float, has_proxy_line: bool) -> socket.socket:
    stream = tls.connect(request.endpoint, deadline, has_proxy_line)
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
    if isinstance(error, socket.timeout):
        return "no complete answer within the time limit"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    return str(error) or type(error).__name__
