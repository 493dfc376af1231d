"""Connections to a server as a CA or a visitor makes them: in TLS without verification, with an end to all of it."""
import contextlib
import functools
import http.client
import ipaddress
import os
import socket
import ssl
import threading
import time
from typing import Callable
from typing import Iterator
from typing import Optional
from typing import TypeVar

from certbot_autowebroot.route import Endpoint

Result = TypeVar("Result")

#: Bytes of the longest record of TLS (RFC 8446 section 5.1).
_RECORD = 16384


def certificate_of(endpoint: Endpoint, name: str, timeout: float, key: str = "") -> bytes:
    """The certificate (DER) that a server shows for a name (SNI, RFC 6066 section 3).

    :param timeout: seconds for all of it.
    :param key: ``RSA`` or ``ECDSA``: the only kind of key that we know. A server may have a certificate for each.
    :raises OSError: there is none: no program listens, or it does not speak TLS.
    """
    deadline = time.monotonic() + timeout

    def attempt(has_proxy_line: bool) -> bytes:
        with connect(endpoint, deadline, has_proxy_line) as stream:
            return _certificate_over(stream, name, deadline, key)
    return retry_with_proxy_line(attempt)


def _certificate_over(stream: socket.socket, name: str, deadline: float, key: str) -> bytes:
    """OpenSSL gets what we have read: it cannot read past the deadline, and no thread has to hang up."""
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context(key).wrap_bio(received, to_send, server_hostname=_server_name(name))
    is_complete = False
    while True:
        with contextlib.suppress(ssl.SSLWantReadError):
            session.do_handshake()
            is_complete = True
        left = deadline - time.monotonic()
        if left < 0:
            raise socket.timeout("timed out")
        stream.settimeout(max(0.01, left))
        stream.sendall(to_send.read())
        if is_complete:
            return session.getpeercert(binary_form=True) or b""
        data = stream.recv(_RECORD)
        if data:
            received.write(data)
        else:
            received.write_eof()


def connect(endpoint: Endpoint, deadline: float, has_proxy_line: bool = False) -> socket.socket:
    """A connection to an endpoint of TCP or of a unix socket.

    :param deadline: on :func:`time.monotonic`'s clock.
    :param has_proxy_line: begin it with a PROXY line.
    :raises OSError: no program accepts it.
    """
    stream = socket.socket(socket.AF_UNIX if endpoint.is_unix else
                           socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET)
    try:
        stream.settimeout(max(0.01, deadline - time.monotonic()))
        stream.connect(endpoint.host[len("unix:"):] if endpoint.is_unix else (endpoint.host, endpoint.port))
        if has_proxy_line:
            stream.sendall(_proxy_line(stream))
    except BaseException:
        stream.close()
        raise
    return stream


def handshake(stream: socket.socket, name: str, deadline: float) -> ssl.SSLSocket:
    """Begin TLS on a connection, which is closed where that fails.

    :param name: the name to ask for; for an address there is no SNI.
    :raises OSError: the server does not speak TLS, or refuses the name.
    """
    try:
        with until(deadline, stream):
            stream.getpeername()  # wrap_socket of a connection that was reset leaves its descriptor open
            return context().wrap_socket(stream, server_hostname=_server_name(name))
    except BaseException:
        stream.close()
        raise


@functools.cache
def context(key: str = "") -> ssl.SSLContext:
    """Accept whatever a server offers: an expired certificate and an old cipher are no obstacle to a validation.

    :param key: up to TLS 1.2 the cipher suite names the kind of the key: openssl-ciphers(1), ``aRSA``, ``aECDSA``.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_ciphers(f"a{key}:@SECLEVEL=0" if key else "DEFAULT:@SECLEVEL=0")
    if key:
        made.maximum_version = ssl.TLSVersion.TLSv1_2
    return made


def retry_with_proxy_line(attempt: Callable[[bool], Result]) -> Result:
    """Try a second time with a PROXY line, for a server behind a balancer that begins each connection with one.

    Such a server closes any other connection. Others close one for reasons of their own, and do not take the line.

    :param attempt: gets whether to begin with a PROXY line.
    """
    try:
        return attempt(False)
    except (http.client.RemoteDisconnected, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            return attempt(True)
        raise


@contextlib.contextmanager
def until(deadline: float, stream: socket.socket) -> Iterator[None]:
    """Hang up at a deadline.

    OpenSSL goes on reading for as long as it gets no data of the application (session tickets, hello requests), and
    heeds no timeout meanwhile.

    :raises socket.timeout: it was hung up.
    """
    with socket.socket(fileno=os.dup(stream.fileno())) as same:  # to wrap a socket closes the one that is wrapped
        def hang_up() -> None:
            with contextlib.suppress(OSError):
                same.shutdown(socket.SHUT_RDWR)
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


def _proxy_line(stream: socket.socket) -> bytes:
    """The line by which a balancer names its client: haproxy.org, "The PROXY protocol", section 2.1."""
    if stream.family == socket.AF_UNIX:
        return b"PROXY UNKNOWN\r\n"
    (source, from_port), (target, to_port) = stream.getsockname()[:2], stream.getpeername()[:2]
    family = "TCP6" if stream.family == socket.AF_INET6 else "TCP4"
    return f"PROXY {family} {source} {target} {from_port} {to_port}\r\n".encode("ascii")


def _server_name(host: str) -> Optional[str]:
    """The server name to send; for an address there is none."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return None
