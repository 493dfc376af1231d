"""An answer on the wire before a server that answers 404: clients, firewalls, proxies, kernels."""
import contextlib
import math
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Iterator
from typing import List

import pytest
from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IResponder
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.wire import answering
from certbot_autowebroot.responders.wire.responder import WireResponder
from certbot_autowebroot.responders.wire.responder import Wires
from certbot_autowebroot.responders.wire.responder import why_not
from certbot_autowebroot.responders.wire.rules import VARIANTS
from certbot_autowebroot.responders.wire.rules import Variant
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx
from tests.lab.wire import CONTENT
from tests.lab.wire import FRONT
from tests.lab.wire import NOT_OURS
from tests.lab.wire import OURS
from tests.lab.wire import PATH
from tests.lab.wire import SERVER
from tests.lab.wire import THEIRS
from tests.lab.wire import TOKEN
from tests.lab.wire import Peer
from tests.lab.wire import answered
from tests.lab.wire import curl
from tests.lab.wire import rules
from tests.lab.wire import set_offloads
from tests.lab.wire import sysctl
from tests.lab.wire import tables
from tests.lab.wire import wait_until

pytestmark = pytest.mark.lab

REQUEST = f"GET {PATH} HTTP/1.1\r\nHost: www.sample.com\r\n\r\n".encode()
V1 = b"PROXY TCP4 192.0.2.9 203.0.113.10 40000 80\r\n"
V2 = b"".join([b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", socket.inet_aton("192.0.2.9"), socket.inet_aton(PUBLIC_V4),
               b"\x9c\x40\0\x50"])
FIREWALL = """
table inet firewall {
    chain input {
        type filter hook input priority 0; policy drop;
        ct state invalid drop
        ct state established,related accept
        meta l4proto ipv6-icmp accept
        tcp dport 80 ct state new accept
    }
    chain output {
        type filter hook output priority 0; policy drop;
        ct state invalid drop
        ct state established,related accept
        meta l4proto ipv6-icmp accept
    }
}
"""


@pytest.fixture
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with Nginx(tmp_path_factory.mktemp("nginx"), SERVER) as running:
        yield running


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as running:
        yield running


def say(*segments: bytes) -> bytes:
    """A client that sends exactly these segments, each in time; what it gets back."""
    with socket.create_connection((PUBLIC_V4, 80), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for segment in segments:
            connection.sendall(segment)
            time.sleep(0.1)
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.endswith((CONTENT.encode(), THEIRS.encode())):
            data = connection.recv(65536)
            if not data:
                break
            answer += data
    return answer


@contextlib.contextmanager
def serving(wire: answering.Wire) -> Iterator[None]:
    """A thread of ours answers, and not a process."""
    interrupt, end = os.pipe()
    server = threading.Thread(target=wire.serve, args=(math.inf, interrupt))
    server.start()
    try:
        yield
    finally:
        os.close(end)
        server.join()
        os.close(interrupt)


def test_is_a_responder() -> None:
    """What the solver expects of one."""
    assert verifyClass(IResponder, WireResponder)


def test_server_is_left_alone(nginx: Nginx, tmp_path: Path) -> None:
    """At every address; the server's processes, its configuration and its log are what they were."""
    before = (nginx.pid, nginx.workers, nginx.conf.read_bytes(), nginx.access_log.read_bytes())
    with answered(tmp_path) as wires:
        for host in ("127.0.0.1", "::1", PUBLIC_V4, PUBLIC_V6):
            assert curl(host) == OURS
        assert (nginx.pid, nginx.workers, nginx.conf.read_bytes(), nginx.access_log.read_bytes()) == before
        assert curl(PUBLIC_V4, PATH[:-1]) == curl(PUBLIC_V4, PATH + "A") == curl(PUBLIC_V4, PATH + "?x") == NOT_OURS
    assert curl(PUBLIC_V4) == NOT_OURS
    report, = wires.reports
    assert (report.answered, report.seconds < 20) == (4, True)
    wait_until(lambda: not tables())


@pytest.mark.parametrize("host", [PUBLIC_V4, PUBLIC_V6])
@pytest.mark.parametrize("settings", [
    (), ("net.ipv4.tcp_timestamps=0",), ("net.ipv4.tcp_sack=0",), ("net.ipv4.tcp_window_scaling=0",),
    ("net.ipv4.tcp_timestamps=0", "net.ipv4.tcp_sack=0", "net.ipv4.tcp_window_scaling=0")], ids=len)
def test_clients_from_elsewhere(nginx: Nginx, peer: Peer, tmp_path: Path, host: str, settings: List[str]) -> None:
    """Over a veth, whatever TCP options the client does without."""
    peer.sysctl(*settings)
    with answered(tmp_path):
        assert curl(host, peer=peer) == OURS
        assert curl(host, "/", peer=peer) == NOT_OURS


def test_requests_of_many_segments(nginx: Nginx, peer: Peer, tmp_path: Path) -> None:
    """8 kB of request, in segments of 1,460 and of 100 bytes, and with the token in a kept connection's second one."""
    big = ("--header", f"X-Big: {'x' * 8000}")
    with answered(tmp_path):
        assert curl(PUBLIC_V4, PATH, *big, peer=peer) == OURS
        two = subprocess.run([*peer.enter, "curl", "--silent", "--noproxy", "*", "--write-out",
                              " %{http_code} %{num_connects}\n", f"http://{PUBLIC_V4}/", f"http://{PUBLIC_V4}{PATH}"],
                             check=True, capture_output=True, text=True).stdout
        assert two == f"{THEIRS} 404 1\n{CONTENT} 200 0\n"
        peer.run("ip", "route", "change", "default", "via", "192.0.2.1", "advmss", "100")
        peer.run("ip", "link", "set", "wire", "mtu", "576")
        assert curl(PUBLIC_V4, peer=peer) == OURS
        assert curl(PUBLIC_V4, PATH, *big, peer=peer) == OURS


@pytest.mark.parametrize("is_on", [False, True])
def test_offloads(nginx: Nginx, peer: Peer, tmp_path: Path, is_on: bool) -> None:
    """The kernel gets 8 kB in segments of the network, or in one that a network card has put together."""
    set_offloads("peer", is_on)
    set_offloads("wire", is_on, *peer.enter)
    with answered(tmp_path):
        assert curl(PUBLIC_V4, PATH, "--header", f"X-Big: {'x' * 8000}", peer=peer) == OURS
        assert curl(PUBLIC_V4, "/", peer=peer) == NOT_OURS


def test_clients_at_once(nginx: Nginx, peer: Peer, tmp_path: Path) -> None:
    """Two hundred, of whom the server sees none."""
    urls = tmp_path / "urls"
    urls.write_text(f'url = "http://{PUBLIC_V4}{PATH}"\noutput = /dev/null\n' * 200)
    with answered(tmp_path):
        printed = peer.run("curl", "--silent", "--noproxy", "*", "--parallel", "--parallel-immediate", "--parallel-max",
                           "200", "--config", str(urls), "--write-out", "%{http_code} %{size_download}\n")
    assert printed == f"200 {len(CONTENT)}\n" * 200
    assert nginx.access_log.read_text() == ""


def test_other_kernel_settings(peer: Peer, tmp_path: Path) -> None:
    """Syncookies always, strict reverse path filters, a listener that defers its accept."""
    sysctl("net.ipv4.tcp_syncookies=2", "net.ipv4.conf.all.rp_filter=1")
    try:
        with Nginx(tmp_path / "nginx", SERVER.replace("listen 80;", "listen 80 deferred;")), answered(tmp_path):
            assert curl(PUBLIC_V4, peer=peer) == OURS
            assert curl(PUBLIC_V4, "/", peer=peer) == NOT_OURS
    finally:
        sysctl("net.ipv4.tcp_syncookies=1", "net.ipv4.conf.all.rp_filter=0")


def test_firewall(nginx: Nginx, peer: Peer, tmp_path: Path) -> None:
    """A policy of drop for what comes in and for what goes out; and what flushes it while we answer."""
    with rules(FIREWALL), answered(tmp_path):
        for host in (PUBLIC_V4, PUBLIC_V6):
            assert curl(host, peer=peer) == OURS
            assert curl(host, "/", peer=peer) == NOT_OURS
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        assert tables() != []
        assert curl(PUBLIC_V4, peer=peer) == OURS


def test_port_used_anew(nginx: Nginx, peer: Peer, tmp_path: Path) -> None:
    """A client connects from the port of a connection that was answered: the server gets that one."""
    with answered(tmp_path):
        assert curl(PUBLIC_V4, PATH, "--local-port", "40001", peer=peer) == OURS
        assert curl(PUBLIC_V4, "/", "--local-port", "40001", peer=peer) == NOT_OURS


FORGE = """
import socket, sys
from certbot_autowebroot.system import raw_sockets, segments
here, there = map(socket.inet_aton, sys.argv[1:3])
turned = segments.Segment(there, here, 80, 40002, 7, 7, segments.ACK, b"", 0)
raw_sockets.RawSockets().send(segments.reply(turned, segments.PSH | segments.ACK, sys.argv[3].encode()), here, there, 0)
"""


def test_segment_without_a_connection(nginx: Nginx, peer: Peer, tmp_path: Path) -> None:
    """A forged request by a client that knows the token is not answered where connections are tracked."""
    with rules(FIREWALL), answered(tmp_path) as wires:
        peer.run(sys.executable, "-c", FORGE, "192.0.2.2", PUBLIC_V4, REQUEST.decode())
        assert curl(PUBLIC_V4, peer=peer) == OURS
    assert wires.reports[0].answered == 1


def test_loss(nginx: Nginx, peer: Peer, tmp_path: Path) -> None:
    """Every fifth segment is lost, both ways: all are answered, for no state is kept of what was answered.

    The kernel of this machine has no netem; nft's random numbers do the same. SYN is spared: it is the client's own
    business, and a second each.
    """
    lossy = "tcp flags & syn == 0 numgen random mod 5 == 0 drop"
    with rules(f"""table inet loss {{
            chain in {{ type filter hook input priority 0; {lossy}; }}
            chain out {{ type filter hook output priority 0; {lossy}; }}
            }}""".replace("chain in ", "chain incoming ").replace("chain out ", "chain outgoing "), *peer.enter), \
            answered(tmp_path):
        answers = []
        clients = [threading.Thread(target=lambda: answers.append(curl(PUBLIC_V4, peer=peer))) for _ in range(30)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert answers == [OURS] * 30


@pytest.mark.parametrize("segments, is_ours", [
    ([REQUEST], True), ([REQUEST[:90], REQUEST[90:]], True),
    ([REQUEST[:60], REQUEST[60:]], False),  # cut within the token: the server answers
    ([V1, REQUEST], True), ([V1 + REQUEST], True), ([b"PROXY TCP6 2001:db8::9 ::1 40000 80\r\n" + REQUEST], True),
    ([V2, REQUEST], True), ([V2 + REQUEST], True)], ids=range(8))
def test_segments(tmp_path: Path, segments: List[bytes], is_ours: bool) -> None:
    """A request cut in two; the PROXY protocol's header in a segment of its own or before the request, v1 and v2."""
    speaks_proxy = not segments[0].startswith(b"GET")
    text = SERVER.replace("listen 80;", "listen 80 proxy_protocol;") if speaks_proxy else SERVER
    with Nginx(tmp_path / "nginx", text), answered(tmp_path):
        assert (CONTENT.encode() in say(*segments)) == is_ours


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2"])
def test_behind_haproxy(peer: Peer, tmp_path: Path, send: str) -> None:
    """A balancer on another machine that sends PROXY headers, and goes on sending requests of others."""
    config = tmp_path / "haproxy.cfg"
    config.write_text(f"""defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend front
    bind 192.0.2.2:80
    default_backend back
backend back
    server one {PUBLIC_V4}:80 {send}
""")
    text = SERVER.replace("listen 80;", "listen 80 proxy_protocol;")
    with Nginx(tmp_path / "nginx", text), answered(tmp_path), \
            subprocess.Popen([*peer.enter, "haproxy", "-f", str(config), "-db", "-q"]) as haproxy:
        try:
            wait_until(lambda: curl("192.0.2.2", "/") == NOT_OURS)
            for _ in range(3):
                assert curl("192.0.2.2") == OURS
                assert curl("192.0.2.2", "/") == NOT_OURS
        finally:
            haproxy.terminate()


def test_two_orders_at_once(nginx: Nginx, tmp_path: Path) -> None:
    """Two Certbots, each with its token: both are answered, and the end of one is not that of the other."""
    other, content = TOKEN[::-1], "other content"
    with answered(tmp_path):
        with answered(tmp_path / "other", FRONT, other, content):
            assert curl(PUBLIC_V4) == OURS
            assert curl(PUBLIC_V4, PATH.replace(TOKEN, other)).body == content
        assert curl(PUBLIC_V4) == OURS
        assert curl(PUBLIC_V4, PATH.replace(TOKEN, other)) == NOT_OURS


def test_an_order_of_many_names(nginx: Nginx, tmp_path: Path) -> None:
    """A hundred tokens of two lengths and 2,000 requests of others meanwhile, of which none fails."""
    wires = Wires(Journal(str(tmp_path / "journal")))
    tokens = [f"{number:0{43 if number % 2 else 22}}" for number in range(100)]
    responders = [WireResponder(wires, FRONT, token) for token in tokens]
    others = tmp_path / "others"
    others.write_text("".join(f'url = "http://{PUBLIC_V4}/{number}"\noutput = /dev/null\n' for number in range(2000)))
    with subprocess.Popen(["curl", "--silent", "--noproxy", "*", "--parallel", "--config", str(others), "--write-out",
                           "%{http_code}\n"], stdout=subprocess.PIPE, text=True) as visitors:
        for token, responder in zip(tokens, responders):
            responder.publish(token.encode())
        bodies = [curl(PUBLIC_V4, PATH.replace(TOKEN, token)).body for token in tokens]
        assert visitors.stdout is not None
        assert visitors.stdout.read() == "404\n" * 2000
    assert bodies == tokens
    assert "acme-challenge" not in nginx.access_log.read_text()
    for responder in responders:
        responder.withdraw()
        responder.withdraw()
    wait_until(lambda: not tables())


def test_a_token_that_two_places_share(nginx: Nginx, tmp_path: Path) -> None:
    """IPv4 and IPv6 are one place; the token goes with the last of its users."""
    wires = Wires(Journal(str(tmp_path / "journal")))
    one, two = WireResponder(wires, FRONT, TOKEN), WireResponder(wires, FRONT, TOKEN)
    one.publish(CONTENT.encode())
    two.publish(CONTENT.encode())
    one.withdraw()
    assert curl(PUBLIC_V4) == OURS
    two.withdraw()
    assert curl(PUBLIC_V4) == NOT_OURS


@pytest.mark.parametrize("variant", VARIANTS)
def test_older_kernels(nginx: Nginx, peer: Peer, monkeypatch: pytest.MonkeyPatch, variant: Variant) -> None:
    """Without @ih, without owners of tables, with TCP headers of several lengths."""
    monkeypatch.setattr(answering, "VARIANTS", [variant])
    wire = answering.Wire(f"certbot_autowebroot_{os.getpid()}_variant")
    wire.install([80])
    wire.add_token(TOKEN, CONTENT)
    wire.add_token(TOKEN[::-1], "other content")
    with serving(wire):
        for settings in ("net.ipv4.tcp_timestamps=1", "net.ipv4.tcp_timestamps=0"):
            peer.sysctl(settings)
            for host in (PUBLIC_V4, PUBLIC_V6):
                assert curl(host, peer=peer) == OURS
                assert curl(host, "/", peer=peer) == NOT_OURS
    wire.remove_tokens([TOKEN])
    with serving(wire):
        assert curl(PUBLIC_V4, peer=peer) == NOT_OURS
        assert curl(PUBLIC_V4, PATH.replace(TOKEN, TOKEN[::-1]), peer=peer).body == "other content"
    wire.close()
    assert not [name for name in tables() if name.endswith("variant")]


def test_why_not() -> None:
    """It can be done here, and that was found out without a trace."""
    before = tables()
    assert why_not() == ""
    assert set(tables()) <= set(before)


@pytest.mark.parametrize("start, reason", [
    ("setpriv --bounding-set=-net_admin,-net_raw", "it needs root, or in a container CAP_NET_ADMIN and CAP_NET_RAW"),
    ("setpriv --bounding-set=-net_raw", "it needs root, or in a container CAP_NET_RAW"),
    ("unshare --user --map-root-user", "not permitted here (SELinux, seccomp or a user namespace)"),
    ("unshare --user --map-root-user --net", "")])
def test_why_not_elsewhere(start: str, reason: str) -> None:
    """Without rights, in a container, in a user namespace; it can be done in one that has a network of its own."""
    program = "from certbot_autowebroot.responders.wire.responder import why_not; print(why_not())"
    printed = subprocess.run([*start.split(), sys.executable, "-c", program], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.strip()
    assert printed.endswith(reason) and bool(printed) == bool(reason), printed


def test_no_nft(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is not installed."""
    monkeypatch.setattr("certbot_autowebroot.system.nftables.program", lambda: "")
    with pytest.raises(answering.WireError, match=r"the program nft is not installed \(package nftables\)"):
        answering.Wire("certbot_autowebroot_none")


def test_what_cannot_be_published(tmp_path: Path) -> None:
    """A token that no CA has, and a container that has ended: one sentence, and nothing left."""
    wires = Wires(Journal(str(tmp_path / "journal")))
    with pytest.raises(PublishError, match="cannot be answered on the wire"):
        WireResponder(wires, FRONT, "no token; drop").publish(b"x")
    with pytest.raises(PublishError, match="Nothing can be answered on the wire at port 80 in the network of process"):
        WireResponder(wires, FRONT._replace(network=FRONT.network._replace(number=1, pid=1)), TOKEN).publish(b"x")
    assert not list(tmp_path.iterdir())
