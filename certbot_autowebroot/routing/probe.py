"""Make one HTTP request as the CA makes it, to a given address, and return the answer.

As the CA: the Host header has no port, redirects are followed to ports 80 and 443, certificates are not verified
(RFC 8555 section 8.3; Let's Encrypt, "Challenge Types"). Time and size are limited: a server may accept and never
answer, send one byte a second, or never stop.
"""
import contextlib
import functools
import http.client
import io
import ipaddress
import os
import socket
import ssl
import threading
import time
from typing import Callable
from typing import Iterator
from typing import NamedTuple
from typing import Optional
from typing import Tuple
from typing import TypeVar
from urllib.parse import quote

from certbot_autowebroot import __version__
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.routing.follow import MAX_HOPS
from certbot_autowebroot.routing.follow import Machine
from certbot_autowebroot.routing.follow import after_redirect

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

Result = TypeVar("Result")


class Answer(NamedTuple):
    """The answer to a request, after redirects.

    :ivar request: the last request, after redirects.
    :ivar status: the HTTP status; 0 without an HTTP answer.
    :ivar error: why there is no HTTP answer, or why it does not count.
    :ivar refused: the connection was refused.
    :ivar elsewhere: a redirect to another machine, which proves nothing: its URL.
    :ivar redirects: the URLs of all redirects.
    """

    request: Request
    status: int = 0
    body: bytes = b""
    error: str = ""
    refused: bool = False
    elsewhere: str = ""
    redirects: Tuple[str, ...] = ()

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
            status, body, location = _get_with_retry(request, deadline)
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


def certificate_of(endpoint: Endpoint, name: str, timeout: float = TIMEOUT, key: str = "") -> bytes:
    """The certificate (DER) that a server presents for a name (SNI, RFC 6066 section 3).

    :param key: ``RSA`` or ``ECDSA``: the only kind of key to offer. A server may have a certificate for each.
    :raises OSError: no certificate: no program listens, or it does not speak TLS.
    """
    request = Request(host=name, path="/", token="", endpoint=endpoint, scheme="https")
    deadline = time.monotonic() + timeout

    def attempt(with_proxy_line: bool) -> bytes:
        with _connect(request, deadline, key, with_proxy_line) as stream:
            assert isinstance(stream, ssl.SSLSocket)  # noqa: S101 - for the type checker
            return stream.getpeercert(binary_form=True) or b""
    return _retry_with_proxy_protocol(attempt)


def _get_with_retry(request: Request, deadline: float) -> "tuple[int, bytes, str]":
    def attempt(with_proxy_line: bool) -> "tuple[int, bytes, str]":
        answer = _get(request, deadline, with_proxy_line)
        if with_proxy_line and answer[0] == http.client.BAD_REQUEST:
            raise http.client.BadStatusLine(str(answer[0]))
        return answer
    return _retry_with_proxy_protocol(attempt)


def _retry_with_proxy_protocol(attempt: Callable[[bool], Result]) -> Result:
    """Connect, and connect again with a PROXY line if the server closes the connection.

    A server behind a balancer may expect the line and close every other connection. A server that closes one for
    another reason rejects the line: then the first error counts.

    :param attempt: its argument is whether to send a PROXY line.
    """
    try:
        return attempt(False)
    except (http.client.RemoteDisconnected, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            return attempt(True)
        raise


def _get(request: Request, deadline: float, with_proxy_line: bool = False) -> "tuple[int, bytes, str]":
    with _connect(request, deadline, with_proxy_line=with_proxy_line) as stream, \
            _hang_up_at(deadline, stream) if request.scheme == "https" else contextlib.nullcontext():
        connection = http.client.HTTPConnection("")
        connection.sock = _DeadlineSocket(stream, deadline)
        target = quote(request.path, safe="/%:@!$&'()*+,;=~") + (f"?{request.query}" if request.query else "")
        connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": request.host_header, **_HEADERS}.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read(MAX_BODY), response.getheader("Location", "")


def _connect(request: Request, deadline: float, key: str = "", with_proxy_line: bool = False) -> socket.socket:
    endpoint = request.endpoint
    stream = socket.socket(socket.AF_UNIX if endpoint.is_unix else
                           socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET)
    try:
        stream.settimeout(max(0.01, deadline - time.monotonic()))
        stream.connect(endpoint.host[len("unix:"):] if endpoint.is_unix else (endpoint.host, endpoint.port))
        if with_proxy_line:
            stream.sendall(_proxy_line(stream))
        if request.scheme == "https":
            server_name = None if _is_address(request.host) else request.host
            with _hang_up_at(deadline, stream):
                stream = _tls(key).wrap_socket(stream, server_hostname=server_name)
    except BaseException:
        stream.close()
        raise
    return stream


def _proxy_line(stream: socket.socket) -> bytes:
    """The line by which a balancer reports its client: haproxy.org, "The PROXY protocol", section 2.1."""
    if stream.family == socket.AF_UNIX:
        return b"PROXY UNKNOWN\r\n"
    (source, from_port), (target, to_port) = stream.getsockname()[:2], stream.getpeername()[:2]
    family = "TCP6" if stream.family == socket.AF_INET6 else "TCP4"
    return f"PROXY {family} {source} {target} {from_port} {to_port}\r\n".encode("ascii")


@contextlib.contextmanager
def _hang_up_at(deadline: float, stream: socket.socket) -> Iterator[None]:
    """Shut the connection down at the deadline.

    OpenSSL reads session tickets and HelloRequests for as long as they come, and ignores the timeout meanwhile.

    :raises socket.timeout: the deadline has passed.
    """
    with socket.socket(fileno=os.dup(stream.fileno())) as copy:  # wrap_socket() closes the socket that it wraps
        def hang_up() -> None:
            with contextlib.suppress(OSError):
                copy.shutdown(socket.SHUT_RDWR)
        timer = threading.Timer(max(0.0, deadline - time.monotonic()), hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        except OSError as error:
            if time.monotonic() < deadline:
                raise
            raise socket.timeout("timed out") from error
        finally:
            timer.cancel()
            timer.join()


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


@functools.cache
def _tls(key: str) -> ssl.SSLContext:
    """Accept every certificate and cipher: a CA validates in spite of an expired certificate or an old cipher.

    The cipher suite selects the kind of key, up to TLS 1.2: openssl-ciphers(1), ``aRSA``, ``aECDSA``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(f"a{key}:@SECLEVEL=0" if key else "DEFAULT:@SECLEVEL=0")
    if key:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return "no complete answer within the time limit"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    return str(error) or type(error).__name__
