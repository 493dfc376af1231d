"""An answer on the wire where the front endpoint is not where the connection ends: forwards, containers, proxies."""
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Dict
from typing import Iterator
from typing import List

import pytest

from certbot_autowebroot.responders.wire.responder import CatchPoint
from certbot_autowebroot.responders.wire.responder import catch_point
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.system.namespaces import others
from tests.lab import forward
from tests.lab import slirp
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.container import ADDRESS
from tests.lab.container import Container
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.ports import wait_for_port
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
from tests.lab.wire import sysctl
from tests.lab.wire import wait_until

pytestmark = pytest.mark.lab

FRONT_ENDPOINT = Endpoint(PUBLIC_V4, 80)
CONFIG = f"""daemon off; user root; pid /run/nginx.pid; error_log /var/log/error.log; events {{ }}
http {{ access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e;
server {{ listen 80; listen 8080; location / {{ return 404 "{THEIRS}"; }} }} }}"""
#: What Docker does for what comes from elsewhere and from the machine itself; the second half is kube-proxy's.
DNAT = """
table ip nat {{
    chain prerouting {{ type nat hook prerouting priority -100; ip daddr {address} tcp dport 80 dnat to {target}; }}
    chain local {{ type nat hook output priority -100; ip daddr {address} tcp dport 80 dnat to {target}; }}
    chain postrouting {{ type nat hook postrouting priority 100; {masquerade}; }}
}}
"""


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as running:
        yield running


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    """nginx in a network of its own, with the machine between it and the peer."""
    sysctl("net.ipv4.ip_forward=1")
    with Container(tmp_path, "nginx -c /etc/inside.conf", {"/etc/inside.conf": CONFIG}) as running:
        wait_until(lambda: curl(ADDRESS, "/") == NOT_OURS)
        yield running
    sysctl("net.ipv4.ip_forward=0")


def dnat(target: str, masquerade: str = "accept") -> "contextlib.AbstractContextManager[None]":
    return rules(DNAT.format(address=PUBLIC_V4, target=target, masquerade=masquerade))


@pytest.mark.parametrize("port", [80, 8080])
@pytest.mark.parametrize("masquerade", ["accept", f"ip daddr {ADDRESS} masquerade"])
def test_in_the_network_of_the_container(container: Container, peer: Peer, tmp_path: Path, port: int,
                                         masquerade: str) -> None:
    """Behind the forward, and its translation of the client's address; the machine's own requests as well."""
    with dnat(f"{ADDRESS}:{port}", masquerade):
        where = catch_point(FRONT_ENDPOINT)
        assert (where.network.number, where.port) == (os.stat(f"/proc/{container.pid}/ns/net").st_ino, port)
        with answered(tmp_path, where):
            assert_token_alone_is_ours(peer)
        assert curl(PUBLIC_V4, peer=peer) == NOT_OURS


@pytest.mark.parametrize("port", [80, 8080])
def test_before_the_container(container: Container, peer: Peer, tmp_path: Path, port: int) -> None:
    """In the machine's own network, where the connection passes: the fallback if the container is not found."""
    with dnat(f"{ADDRESS}:{port}"), answered(tmp_path, FRONT):
        for client in (peer, None):
            assert curl(PUBLIC_V4, "/", peer=client) == NOT_OURS
            assert curl(PUBLIC_V4, peer=client) == OURS


def test_redirect(peer: Peer, tmp_path: Path) -> None:
    """Port 80 is redirected to a server without rights at 8080."""
    redirect = """table ip nat {
        chain prerouting { type nat hook prerouting priority -100; tcp dport 80 redirect to :8080; }
        chain local { type nat hook output priority -100; oifname "lo" tcp dport 80 redirect to :8080; }
    }"""
    text = SERVER.replace("listen 80;", "listen 8080;").replace("listen [::]:80;", "")
    with Nginx(tmp_path / "nginx", text), rules(redirect):
        assert curl(PUBLIC_V4, "/", peer=peer) == NOT_OURS
        where = catch_point(FRONT_ENDPOINT)
        assert where.port == 8080
        for place in (where, FRONT):
            with answered(tmp_path, place):
                assert_token_alone_is_ours(peer)


def assert_token_alone_is_ours(peer: Peer) -> None:
    """From another machine, and from this one."""
    for client in (peer, None):
        assert curl(PUBLIC_V4, peer=client) == OURS
        assert curl(PUBLIC_V4, "/", peer=client) == NOT_OURS


@pytest.mark.parametrize("extra", [[], ["fork"]])
def test_forwarding_program(container: Container, peer: Peer, tmp_path: Path, extra: List[str]) -> None:
    """The connection ends at a program such as docker-proxy: that is where it is answered."""
    command = [sys.executable, forward.__file__, "80", f"{ADDRESS}:8080", *extra]
    with subprocess.Popen(command, start_new_session=True) as forwarder:
        try:
            wait_for_port(PUBLIC_V4, 80, forwarder)
            where = catch_point(FRONT_ENDPOINT)
            assert where == FRONT
            with answered(tmp_path, where):
                assert_token_alone_is_ours(peer)
        finally:
            os.killpg(forwarder.pid, signal.SIGKILL)  # and the processes that it has forked


def test_rootless_container(container: Container, peer: Peer, tmp_path: Path) -> None:
    """The connection ends at slirp4netns, in the machine's own network; its guest has one of its own."""
    with slirp.forwarded(tmp_path, container) as forwarder:
        wait_for_port(PUBLIC_V4, 80, forwarder)
        wait_until(lambda: curl(PUBLIC_V4, "/") == NOT_OURS)
        where = catch_point(FRONT_ENDPOINT)
        assert where == FRONT
        with answered(tmp_path, where):
            assert_token_alone_is_ours(peer)


def test_macvlan(peer: Peer, tmp_path: Path) -> None:
    """A container beside the machine on the same wire: the machine's own network never sees the connection."""
    with contextlib.ExitStack() as stack:
        inside = stack.enter_context(subprocess.Popen(["unshare", "--net", "sh", "-c", "sleep 600"]))
        stack.callback(inside.kill)
        wait_until(lambda: inside.pid in [found.pid for found in others().values()])
        enter = ["nsenter", f"--net=/proc/{inside.pid}/ns/net"]
        for command in (["ip", "link", "add", "beside", "link", "peer", "type", "macvlan", "mode", "bridge"],
                        ["ip", "link", "set", "beside", "netns", str(inside.pid)],
                        [*enter, "ip", "link", "set", "lo", "up"], [*enter, "ip", "link", "set", "beside", "up"],
                        [*enter, "ip", "addr", "add", "192.0.2.3/24", "dev", "beside"]):
            subprocess.run(command, check=True)
        (tmp_path / "nginx.conf").write_text(CONFIG.replace("/var/log", str(tmp_path)).replace("/run", str(tmp_path)))
        server = stack.enter_context(subprocess.Popen([*enter, "nginx", "-c", str(tmp_path / "nginx.conf")]))
        stack.callback(server.terminate)
        wait_until(lambda: curl("192.0.2.3", "/", peer=peer) == NOT_OURS)
        network = next(found for found in others().values() if found.pid in (inside.pid, server.pid))
        with answered(tmp_path, CatchPoint(network, 80)):
            assert curl("192.0.2.3", peer=peer) == OURS
            assert curl("192.0.2.3", "/", peer=peer) == NOT_OURS


def test_policy_routing(peer: Peer, tmp_path: Path) -> None:
    """The way back depends on the source address and on a mark: our answer takes the server's."""
    marks = """table inet marks {
        chain prerouting { type filter hook prerouting priority -150; iifname "peer" meta mark set 7; }
    }"""
    with rules(marks), Nginx(tmp_path / "nginx", SERVER):
        sysctl("net.ipv4.tcp_fwmark_accept=1")
        for command in (f"rule add fwmark 7 from {PUBLIC_V4} lookup 77", "route add default dev peer table 77",
                        "route add prohibit 192.0.2.0/24 metric 1", "rule add from all lookup 78 pref 40000"):
            subprocess.run(["ip", *command.split()], check=True)
        subprocess.run(["ip", "route", "del", "192.0.2.0/24", "dev", "peer"], check=True)
        try:
            with answered(tmp_path):
                assert curl(PUBLIC_V4, "/", peer=peer) == NOT_OURS
                assert curl(PUBLIC_V4, peer=peer) == OURS
        finally:
            for command in (f"rule del fwmark 7 from {PUBLIC_V4} lookup 77", "rule del pref 40000",
                            "route del prohibit 192.0.2.0/24 metric 1"):
                subprocess.run(["ip", *command.split()], check=True)
            sysctl("net.ipv4.tcp_fwmark_accept=0")


HOOK = """#!/bin/sh
echo "$CERTBOT_TOKEN $CERTBOT_VALIDATION" > {place}/wanted.new
mv {place}/wanted.new {place}/wanted
while [ ! -e {place}/published ]; do sleep 0.05; done
"""


def test_certificate(tmp_path: Path) -> None:
    """pebble, a client in Go that asks three times, over an nginx that passes all to an application that fails."""
    hook = tmp_path / "hook"
    hook.write_text(HOOK.format(place=tmp_path))
    hook.chmod(0o755)
    application = 'server { listen 127.0.0.1:3000; return 500; }'
    front = 'server { listen 80; location / { proxy_pass http://127.0.0.1:3000; } }'
    with CA(tmp_path / "ca") as ca, Nginx(tmp_path / "nginx", application + front) as nginx:
        certbot = Certbot(tmp_path / "certbot", ca)
        outcome: Dict[str, subprocess.CompletedProcess[str]] = {}
        order = threading.Thread(target=lambda: outcome.update(done=certbot.run(
            "certonly", "--manual", "--manual-auth-hook", str(hook), "-d", "www.sample.com")))
        order.start()
        wait_until((tmp_path / "wanted").exists, 15)
        token, content = (tmp_path / "wanted").read_text().split()
        with answered(tmp_path, catch_point(FRONT_ENDPOINT), token, content) as wires:
            assert curl(PUBLIC_V4, PATH.replace(TOKEN, token)).body == content
            assert curl(PUBLIC_V4, "/").status == 500
            (tmp_path / "published").touch()
            order.join()
        assert outcome["done"].returncode == 0, outcome["done"].stdout
        assert certbot.certificates("www.sample.com") == 1
        assert wires.reports[0].answered >= 2
        assert token not in nginx.access_log.read_text()
