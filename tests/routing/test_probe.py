"""The probe against real sockets, with good and bad answers."""
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

pytestmark = pytest.mark.lab

Behaviour = Callable[[socket.socket], None]
MACHINE = TableMachine(local=["127.0.0.1", PUBLIC_V4])


class Server:
    """Accepts connections; each behaviour in turn answers one, the last one all others."""

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


def test_request_is_as_the_cas(serve: Callable[..., Server]) -> None:
    """Host without a port, no compression, the path as it is."""
    server = serve(answer("200 OK", b"hello"))
    got = probe.ask(request(), MACHINE)
    assert (got.status, got.body) == (200, b"hello")
    head = server.requests[0].decode()
    assert head.startswith("GET /.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA HTTP/1.1\r\n")
    assert "\r\nHost: www.sample.com\r\n" in head
    assert "\r\nAccept-Encoding: identity\r\n" in head


def test_redirects_are_followed_to_their_end(serve: Callable[..., Server]) -> None:
    """Absolute and relative redirects on this host."""
    server = serve(answer("301 Moved", b"", "Location: http://www.sample.com/a"),
                   answer("302 Found", b"", "Location: b?c=d"), answer("200 OK", b"end"))
    got = probe.ask(request(), MACHINE)
    assert (got.status, got.body) == (200, b"end")
    assert [r.split(b" ")[1] for r in server.requests][1:] == [b"/a", b"/b?c=d"]


def test_a_redirect_to_another_machine_is_not_followed(serve: Callable[..., Server]) -> None:
    """It proves nothing, and no request leaves this host."""
    serve(answer("301 Moved", b"", "Location: http://198.51.100.1/a"))
    assert probe.ask(request(), MACHINE).elsewhere == "http://198.51.100.1/a"


def test_endless_redirects_end(serve: Callable[..., Server]) -> None:
    """Let's Encrypt follows ten."""
    server = serve(answer("301 Moved", b"", "Location: again/again"))
    assert "more than 10 redirects" in probe.ask(request(), MACHINE).error
    assert len(server.requests) == 11


def test_a_redirect_to_an_odd_port_is_an_error(serve: Callable[..., Server]) -> None:
    """The CA does not follow it, and the error says so."""
    serve(answer("301 Moved", b"", "Location: http://www.sample.com:8080/"))
    assert "does not follow" in probe.ask(request(), MACHINE).error


@pytest.mark.parametrize("behaviour", [silent, drip, endless_headers, endless_continue])
def test_endless_answer_ends_at_the_time_limit(serve: Callable[..., Server], behaviour: Behaviour) -> None:
    """Silent, one byte at a time, headers without end: one time limit for all."""
    serve(behaviour)
    before = time.monotonic()
    got = probe.ask(request(), MACHINE, timeout=0.5)
    assert got.error and got.status == 0
    assert time.monotonic() - before < 5, "the limit did not hold"


def test_endless_body_is_cut(serve: Callable[..., Server]) -> None:
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
    """The probe returns an Answer, whatever the server sends."""
    serve(lambda connection: connection.sendall(garbage))
    assert isinstance(probe.ask(request(), MACHINE), probe.Answer)


def send_hello_requests(connection: socket.socket) -> None:
    """HelloRequests (RFC 5246 section 7.4.1.1): a client ignores them during a handshake."""
    while True:
        connection.sendall(b"\x16\x03\x03\x3e\x80" + bytes(16000))


def test_handshake_ends_at_the_time_limit(serve: Callable[..., Server]) -> None:
    """OpenSSL reads on for as long as HelloRequests come."""
    serve(send_hello_requests, port=443)
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


def test_hang_up_ends_a_read_that_ignores_timeouts() -> None:
    """As OpenSSL does while it reads session tickets."""
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


def test_refused_connection_is_reported() -> None:
    """No program listens: a case of its own, for then a responder can."""
    got = probe.ask(request(endpoint=Endpoint(PUBLIC_V4, 81)), MACHINE)
    assert got.refused and "refused" in got.error


def test_an_expired_certificate_for_another_name_is_no_obstacle(tmp_path: Path, serve: Callable[..., Server]) -> None:
    """A redirect to https has to work when the certificate has expired: RFC 8555 section 8.3."""
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


def test_closed_connection_counts_if_the_proxy_line_is_rejected(serve: Callable[..., Server]) -> None:
    """nginx's 444: a CA does not see the 400 that answers a PROXY line."""
    server = serve(lambda connection: None, answer("400 Bad Request"))
    got = probe.ask(request(), MACHINE)
    assert (got.status, "closed" in got.error) == (0, True)
    assert server.requests[1].startswith(b"PROXY TCP4 203.0.113.10 203.0.113.10 ")


def test_certificate_behind_a_proxy_line(tmp_path: Path) -> None:
    """Else the server would seem to have none."""
    crt, key = certificates.expired(tmp_path, "www.sample.com")
    config = f"server {{ listen 443 ssl proxy_protocol; ssl_certificate {crt}; ssl_certificate_key {key}; }}"
    with Nginx(tmp_path / "nginx", config):
        shown = tls.certificate_of(Endpoint(PUBLIC_V4, 443), "www.sample.com", 5.0)
    assert shown == ssl.PEM_cert_to_DER_cert(Path(crt).read_text())


def test_headers_are_those_of_lets_encrypt(serve: Callable[..., Server]) -> None:
    """A rule on the User-Agent treats the probe as it treats the CA; one header of ours stands in the log."""
    server = serve(answer("200 OK", b"hello"))
    probe.ask(request(), MACHINE)
    head = server.requests[0].decode()
    agent = "Mozilla/5.0 (compatible; Let's Encrypt validation server; +https://www.letsencrypt.org)"
    assert f"\r\nUser-Agent: {agent}\r\n" in head and "\r\nAccept: */*\r\n" in head
    assert f"\r\n{probe.HEADER}: " in head and "\r\nReferer:" not in head


def test_referer_is_the_url_that_redirected(serve: Callable[..., Server]) -> None:
    """Go's HTTP client, which boulder uses, sends it."""
    server = serve(answer("301 Moved", b"", "Location: /a%20b?c=d"), answer("302 Found", b"", "Location: /e"),
                   answer("200 OK", b"end"))
    assert probe.ask(request(), MACHINE).body == b"end"
    assert f"\r\nReferer: {request().url}\r\n" in server.requests[1].decode()
    assert "\r\nReferer: http://www.sample.com/a%20b?c=d\r\n" in server.requests[2].decode()


def test_no_url_is_requested_twice(serve: Callable[..., Server]) -> None:
    """Boulder: "Redirect loop detected"."""
    server = serve(answer("301 Moved", b"", "Location: /again"))
    assert "twice" in probe.ask(request(), MACHINE).error
    assert len(server.requests) == 2


@pytest.mark.parametrize("status, body, wanted, error", [
    ("200 OK", b"ours" + b"\n" * 123, b"ours" + b"\n" * 123, ""),
    ("200 OK", b"ours" + b"\n" * 124, b"", "128 bytes"), ("200 OK", b"x" * 200, b"x" * 200, ""),
    ("404 Not Found", b"ours", b"", ""), ("206 Partial Content", b"ours", b"", "")])
def test_body_that_the_ca_refuses_does_not_count(
        serve: Callable[..., Server], status: str, body: bytes, wanted: bytes, error: str) -> None:
    """Status exactly 200, and fewer than 128 bytes with the white space at the end."""
    serve(answer(status, body))
    got = probe.ask(request(), MACHINE)
    assert (got.body, str(got.status)) == (wanted, status[:3])
    assert error in got.error and bool(error) is bool(got.error)


def test_see_other_is_an_error(serve: Callable[..., Server]) -> None:
    """The CA refuses status 303."""
    serve(answer("303 See Other", b"", "Location: /x"))
    assert "303" in probe.ask(request(), MACHINE).error


def test_server_header_is_printable_and_bounded(serve: Callable[..., Server]) -> None:
    """Another machine's text must not move root's cursor."""
    serve(answer("404 Not Found", b"", "Server: cloud\x1b[2J" + "x" * 200))
    server = probe.ask(request(), MACHINE).server
    assert server.startswith("cloud\\x1b[2Jxx") and len(server) == probe.MAX_SERVER


def test_proxy_line_is_reported(serve: Callable[..., Server]) -> None:
    """A balancer sends one; the CA does not."""
    serve(lambda connection: None, answer("200 OK", b"ours"))
    got = probe.ask(request(), MACHINE)
    assert (got.body, got.with_proxy_line) == (b"ours", True)


def test_no_proxy_line_where_no_balancer_can_be(serve: Callable[..., Server]) -> None:
    """The name resolves to this host: the CA sends none, so none proves nothing."""
    server = serve(lambda connection: None, answer("200 OK", b"ours"))
    got = probe.ask(request(), MACHINE, may_send_proxy_line=False)
    assert (got.status, got.connected, got.with_proxy_line) == (0, True, False)
    assert len(server.requests) == 1


@pytest.mark.parametrize("port, connected", [(80, True), (81, False)])
def test_failed_connection_is_told_from_a_failed_answer(
        serve: Callable[..., Server], port: int, connected: bool) -> None:
    """Only after a failed connection does a CA turn to the next IP version."""
    serve(lambda connection: None)
    assert probe.ask(request(endpoint=Endpoint(PUBLIC_V4, port)), MACHINE).connected is connected


def test_connection_has_a_time_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full backlog answers no SYN."""
    monkeypatch.setattr(probe, "CONNECT_TIMEOUT", 0.3)
    with socket.create_server((PUBLIC_V4, 80), backlog=0), contextlib.ExitStack() as clients:
        for _ in range(3):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((PUBLIC_V4, 80))
        before = time.monotonic()
        got = probe.ask(request(), MACHINE)
    assert (got.connected, got.error) == (False, "no connection within the time limit")
    assert time.monotonic() - before < 3


@pytest.mark.parametrize("addresses, body", [([PUBLIC_V4], b"ours"), ([PUBLIC_V4, "2001:db8::77"], b""),
                                             (["127.0.0.1"], b""), (["10.0.0.1"], b""), ([], b"")])
def test_redirect_of_the_ca_has_one_public_address(
        serve: Callable[..., Server], addresses: List[str], body: bytes) -> None:
    """The first AAAA, without a fallback; a foreign name server must not have us query a private network."""
    serve(answer("301 Moved", b"", "Location: http://far.sample.com/x"), answer("200 OK", b"ours"))
    got = probe.ask_as_the_ca(request(), {"far.sample.com": addresses}.__getitem__)
    assert (got.body, got.connected) == (body, True)
    assert bool(got.elsewhere) is not any(map(probe.is_public, addresses))
