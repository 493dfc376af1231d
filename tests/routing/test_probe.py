"""The probe against real sockets that behave and misbehave."""
import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Callable
from typing import Iterator
from typing import List

import pytest

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing import probe
from certbot_autowebroot.system import tls
from tests.lab import certificates
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.table import TableMachine
from tests.lab.table import request

Behaviour = Callable[[socket.socket], None]
MACHINE = TableMachine(local=["127.0.0.1", PUBLIC_V4])


class Server:
    """Accepts connections and lets each behaviour in turn answer one; the last one answers all the others."""

    def __init__(self, port: int, behaviours: List[Behaviour]) -> None:
        self.requests: List[bytes] = []
        self._behaviours = behaviours
        self._socket = socket.create_server((PUBLIC_V4, port))
        self._socket.settimeout(0.05)
        self._stopped = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stopped:
            try:
                connection, _ = self._socket.accept()
            except socket.timeout:
                continue
            with connection:
                connection.settimeout(5)
                behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
                try:
                    self.requests.append(connection.recv(65536))
                    behaviour(connection)
                except OSError:
                    pass

    def stop(self) -> None:
        self._stopped = True
        self._thread.join()
        self._socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: List[Server] = []

    def start(*behaviours: Behaviour, port: int = 80) -> Server:
        servers.append(Server(port, list(behaviours)))
        return servers[-1]
    yield start
    for server in servers:
        server.stop()


def answer(status: str, body: bytes = b"", *headers: str) -> Behaviour:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return lambda connection: connection.sendall(head.encode() + b"\r\n\r\n" + body)


def drip(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"H")
        time.sleep(0.05)


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def endless_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: y\r\n")


def endless_continue(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)


def silent(connection: socket.socket) -> None:
    connection.recv(1)


def test_the_request_is_the_ca_s(serve: Callable[..., Server]) -> None:
    """Host without a port, no compression, the path as it is."""
    server = serve(answer("200 OK", b"hello"))
    got = probe.ask(request(), MACHINE)
    assert (got.status, got.body) == (200, b"hello")
    head = server.requests[0].decode()
    assert head.startswith("GET /.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA HTTP/1.1\r\n")
    assert "\r\nHost: www.sample.com\r\n" in head
    assert "\r\nAccept-Encoding: identity\r\n" in head


def test_redirects_are_followed_to_their_end(serve: Callable[..., Server]) -> None:
    """Absolute and relative ones, on this machine."""
    server = serve(answer("301 Moved", b"", "Location: http://www.sample.com/a"),
                   answer("302 Found", b"", "Location: b?c=d"), answer("200 OK", b"end"))
    got = probe.ask(request(), MACHINE)
    assert (got.status, got.body) == (200, b"end")
    assert [r.split(b" ")[1] for r in server.requests][1:] == [b"/a", b"/b?c=d"]


def test_a_redirect_to_another_machine_is_not_followed(serve: Callable[..., Server]) -> None:
    """Nothing is proved, and nobody else is asked."""
    serve(answer("301 Moved", b"", "Location: http://198.51.100.1/a"))
    assert probe.ask(request(), MACHINE).elsewhere == "http://198.51.100.1/a"


def test_endless_redirects_end(serve: Callable[..., Server]) -> None:
    """Let's Encrypt follows ten."""
    server = serve(answer("301 Moved", b"", "Location: /again"))
    assert "redirects" in probe.ask(request(), MACHINE).error
    assert len(server.requests) == 11


def test_a_redirect_to_an_odd_port_is_an_error(serve: Callable[..., Server]) -> None:
    """The CA does not follow it, and the error says so."""
    serve(answer("301 Moved", b"", "Location: http://www.sample.com:8080/"))
    assert "does not follow" in probe.ask(request(), MACHINE).error


@pytest.mark.parametrize("behaviour", [silent, drip, endless_headers, endless_continue])
def test_whoever_does_not_come_to_an_end_is_cut_off(serve: Callable[..., Server], behaviour: Behaviour) -> None:
    """Silent, one byte at a time, headers without end: one time limit for all of it."""
    serve(behaviour)
    before = time.monotonic()
    got = probe.ask(request(), MACHINE, timeout=0.5)
    assert got.error and got.status == 0
    assert time.monotonic() - before < 5, "the limit did not hold"


def test_of_an_endless_body_only_the_beginning_is_read(serve: Callable[..., Server]) -> None:
    """A key authorization has 87 bytes."""
    serve(endless)
    assert len(probe.ask(request(), MACHINE).body) == probe.MAX_BODY


@pytest.mark.parametrize("garbage", [b"\0\xff\n\n", b"HTTP/1.1 999999 X\r\n\r\n",
                                     b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                                     b"", b"220 smtp\r\n",
                                     b"HTTP/1.1 301 X\r\nLocation: http://[\r\n\r\n",
                                     b"HTTP/1.1 301 X\r\nLocation: //\xff\xfe:x/\r\n\r\n",
                                     b"HTTP/1.1 301 X\r\nLocation: http://a\r\n b/\r\n\r\n"])
def test_garbage_is_an_answer_without_a_traceback(serve: Callable[..., Server], garbage: bytes) -> None:
    """What comes back is an Answer, whatever the other side sends."""
    serve(lambda connection: connection.sendall(garbage))
    assert isinstance(probe.ask(request(), MACHINE), probe.Answer)


def greet_without_end(connection: socket.socket) -> None:
    """HelloRequests (RFC 5246, section 7.4.1.1): a client that shakes hands already passes over them."""
    while True:
        connection.sendall(b"\x16\x03\x03\x3e\x80" + bytes(16000))


def test_a_handshake_has_an_end(serve: Callable[..., Server]) -> None:
    """Whatever passes for a part of it, OpenSSL goes on for as long as more comes."""
    serve(greet_without_end, port=443)
    ended: List[str] = []

    def ask() -> None:
        ended.append(probe.ask(request(endpoint=Endpoint(PUBLIC_V4, 443))._replace(scheme="https"), MACHINE, 0.5).error)
        with pytest.raises(socket.timeout):
            tls.certificate_of(Endpoint(PUBLIC_V4, 443), "www.sample.com", 0.5)
        ended.append("too")
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(15)
    assert ended == ["no complete answer within the time limit", "too"]


def test_what_takes_no_notice_of_a_timeout_is_hung_up() -> None:
    """As OpenSSL does not, while it reads session tickets."""
    ours, theirs = socket.socketpair()

    def write() -> None:
        with contextlib.suppress(OSError):
            while True:
                theirs.sendall(bytes(65536))
    thread = threading.Thread(target=write)
    thread.start()
    with ours, theirs, pytest.raises(socket.timeout), tls.until(time.monotonic() + 0.2, ours):
        while ours.recv(65536):
            pass
        raise ssl.SSLEOFError
    thread.join(5)
    assert not thread.is_alive()


def test_a_refused_connection_is_said() -> None:
    """Nobody listens: a state of its own, for then we can."""
    got = probe.ask(request(endpoint=Endpoint(PUBLIC_V4, 81)), MACHINE)
    assert got.refused and "refused" in got.error


def test_an_expired_certificate_for_another_name_is_no_obstacle(tmp_path: Path, serve: Callable[..., Server]) -> None:
    """A redirect to https has to work just when the certificate has run out: RFC 8555 section 8.3."""
    cert, key = certificates.expired(tmp_path, "other.sample.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    asked: List[str] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    listener = socket.create_server((PUBLIC_V4, 443))
    listener.settimeout(5)

    def serve_tls() -> None:
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as stream:
            stream.recv(65536)
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntls")
    thread = threading.Thread(target=serve_tls)
    thread.start()
    serve(answer("301 Moved", b"", "Location: https://www.sample.com/x"))
    try:
        got = probe.ask(request(), MACHINE)
    finally:
        thread.join()
        listener.close()
    assert (got.status, got.body) == (200, b"tls")
    assert asked == ["www.sample.com"]


def test_whoever_closes_the_connection_and_takes_no_proxy_line_has_closed_it(serve: Callable[..., Server]) -> None:
    """nginx's 444: that it answers 400 to such a line is not what a CA would see."""
    server = serve(lambda connection: None, answer("400 Bad Request"))
    found = probe.ask(request(), MACHINE)
    assert (found.status, "closed" in found.error) == (0, True)
    assert server.requests[1].startswith(b"PROXY TCP4 203.0.113.10 203.0.113.10 ")


def test_a_certificate_is_shown_behind_a_proxy_line_too(tmp_path: Path) -> None:
    """Else nobody would be seen to serve it."""
    crt, key = certificates.expired(tmp_path, "www.sample.com")
    config = f"server {{ listen 443 ssl proxy_protocol; ssl_certificate {crt}; ssl_certificate_key {key}; }}"
    with Nginx(tmp_path / "nginx", config):
        shown = tls.certificate_of(Endpoint(PUBLIC_V4, 443), "www.sample.com", 5.0)
    assert shown == ssl.PEM_cert_to_DER_cert(Path(crt).read_text())
