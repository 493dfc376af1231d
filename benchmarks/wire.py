"""An answer on the wire: what it takes to install and to remove, and what others notice: ``python -m benchmarks.wire``.

Blocks of requests with the table and without it take turns, so that what the machine does otherwise falls on both
alike. So do orders for one name on the wire, and by Certbot's nginx plugin.
"""
import argparse
import contextlib
import os
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import List

from benchmarks import measure
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.wire.child import OWN_NETWORK
from certbot_autowebroot.responders.wire.responder import CatchPoint
from certbot_autowebroot.responders.wire.responder import WireResponder
from certbot_autowebroot.responders.wire.responder import Wires
from certbot_autowebroot.responders.wire.responder import why_not
from tests.lab import net
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx
from tests.lab.wire import processes_of

_NAME = "app.sample.com"
_CONFIG = f"""
server {{ listen 80; server_name {_NAME}; location / {{ return 204; }}
         keepalive_timeout 600; keepalive_requests 10000000; }}
"""
_REQUEST = f"GET / HTTP/1.1\r\nHost: {_NAME}\r\n\r\n".encode()
_LAST_REQUEST = _REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
_IDLE = 50
_TIMES = Dict[str, List[float]]


@contextlib.contextmanager
def answering(directory: Path, tokens: int, times: _TIMES) -> Iterator[None]:
    """Answer for so many tokens; notes the milliseconds."""
    wires = Wires(Journal(str(directory)))
    responders = [WireResponder(wires, CatchPoint(OWN_NETWORK, 80), f"{number:043}") for number in range(tokens)]
    started = time.perf_counter()
    responders[0].publish(b"content")
    times["install, with the first token"].append((time.perf_counter() - started) * 1000)
    started = time.perf_counter()
    for responder in responders[1:]:
        responder.publish(b"content")
    times["one more token"].append((time.perf_counter() - started) * 1000 / max(1, tokens - 1))
    try:
        yield
    finally:
        started = time.perf_counter()
        wires.stop()
        while processes_of(os.getpid()):
            time.sleep(0.001)
        times["remove"].append((time.perf_counter() - started) * 1000)


def new_connections(count: int) -> List[float]:
    """The seconds that each of so many requests takes, by a connection of its own."""
    def ask() -> None:
        with socket.create_connection((net.PUBLIC_V4, 80)) as connection:
            connection.sendall(_LAST_REQUEST)
            while connection.recv(65536):
                pass
    return [_seconds(ask) for _ in range(count)]


def kept_connection(count: int) -> List[float]:
    """The same, all by one connection."""
    with socket.create_connection((net.PUBLIC_V4, 80)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def ask() -> None:
            connection.sendall(_REQUEST)
            connection.recv(65536)
        return [_seconds(ask) for _ in range(count)]


def _seconds(act: Callable[[], None]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def compare(ask: Callable[[int], List[float]], tokens: int, options: argparse.Namespace, times: _TIMES) -> float:
    """The median request with the table, as a ratio to that without it just before and after: the median of all."""
    ratios = []
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(options.rounds):
            before = ask(options.block // 2)
            with answering(Path(directory), tokens, times):
                meanwhile = ask(options.block)
            without = before + ask(options.block // 2)
            ratios.append(statistics.median(meanwhile) / statistics.median(without))
    return statistics.median(ratios)


@contextlib.contextmanager
def idle_connections() -> Iterator[List[socket.socket]]:
    """Connections that wait for their next request."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection((net.PUBLIC_V4, 80))) for _ in range(_IDLE)]
        for connection in connections:
            connection.sendall(_REQUEST)
            connection.recv(65536)
            connection.setblocking(False)
        yield connections


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False


def order(certbot: Certbot, nginx: Nginx, count: int) -> None:
    """Order certificates on the wire and by Certbot's nginx plugin, by turns; prints what each takes and closes."""
    ways = {"on the wire": ["-a", "autowebroot", "--autowebroot-fallback", "wire"],
            "by Certbot's nginx plugin": ["-a", "nginx", "--nginx-server-root", str(nginx.directory)]}
    runs: Dict[str, List[measure.Run]] = {way: [] for way in ways}
    closed = dict.fromkeys(ways, 0)
    for phase in range(count):
        for way, options in ways.items():
            arguments = ["certonly", *options, "-d", _NAME, "--force-renewal"]
            with idle_connections() as connections:
                runs[way].append(measure.run(certbot, *arguments, phase=phase))
                closed[way] += sum(map(_is_closed, connections))
    print(f"an order{'':32}{'seconds':>10}{'CPU':>8}   idle connections closed, of {_IDLE}")
    for way in ways:
        wall, cpu = (statistics.median(values) for values in zip(*((run.wall, run.cpu) for run in runs[way])))
        print(f"  {way:38}{wall:10.2f}{cpu:8.2f}{closed[way] / count:8.0f}")


def _no_times() -> _TIMES:
    return {"install, with the first token": [], "one more token": [], "remove": []}


def main() -> None:
    """Set the scene and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", nargs="+", type=int, default=[1, 100])
    parser.add_argument("--block", type=int, default=1000, metavar="N", help="so many requests in each block")
    parser.add_argument("--rounds", type=int, default=24, metavar="N")
    parser.add_argument("--orders", type=int, default=5, metavar="N", help="so many on the wire, and by the plugin")
    options = parser.parse_args()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    net.enter_private_namespace()
    started = time.perf_counter()
    assert why_not() == ""
    print(f"milliseconds\n  {'find out whether it can be done':40}{(time.perf_counter() - started) * 1000:8.1f}")
    with tempfile.TemporaryDirectory() as directory, Nginx(Path(directory), _CONFIG) as nginx:
        ratios = {}
        for tokens in options.tokens:
            times = _no_times()
            for ask in (new_connections, kept_connection):
                ratios[tokens, ask.__name__] = compare(ask, tokens, options, times)
            print(f"with {tokens} tokens")
            for name, values in times.items():
                print(f"  {name:40}{statistics.median(values):8.1f}", flush=True)
        print("requests of others, ratio with the table to without it")
        for (tokens, name), ratio in ratios.items():
            print(f"  {name.replace('_', ' ')}, {tokens} tokens".ljust(42) + f"{ratio:8.3f}")
        with CA(Path(directory) / "ca") as ca:
            order(Certbot(Path(directory) / "certbot", ca), nginx, options.orders)


if __name__ == "__main__":
    main()
