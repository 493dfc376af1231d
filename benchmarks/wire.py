"""An answer on the wire: what it takes to install and to remove, and what others notice: ``python -m benchmarks.wire``.

Blocks of requests with the table and without it take turns, so that what the machine does otherwise falls on both
alike; the ratio is that of the median requests.
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

from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.wire.child import OWN_NETWORK
from certbot_autowebroot.responders.wire.responder import CatchPoint
from certbot_autowebroot.responders.wire.responder import WireResponder
from certbot_autowebroot.responders.wire.responder import Wires
from certbot_autowebroot.responders.wire.responder import why_not
from tests.lab import net
from tests.lab.nginx import Nginx

_CONFIG = "server { listen 80; keepalive_timeout 600; keepalive_requests 10000000; return 204; }"
_REQUEST = b"GET / HTTP/1.1\r\nHost: www.sample.com\r\n\r\n"
_LAST_REQUEST = b"GET / HTTP/1.1\r\nHost: www.sample.com\r\nConnection: close\r\n\r\n"
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
    """The median request with the table, as a ratio to that without it."""
    without, meanwhile = [], []
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(options.rounds):
            without += ask(options.block)
            with answering(Path(directory), tokens, times):
                meanwhile += ask(options.block)
    return statistics.median(meanwhile) / statistics.median(without)


def closed_by(act: Callable[[], object]) -> int:
    """Of some idle connections, how many something closes."""
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection((net.PUBLIC_V4, 80))) for _ in range(_IDLE)]
        for connection in idle:
            connection.sendall(_REQUEST)
            connection.recv(65536)
        act()
        time.sleep(0.5)
        for connection in idle:
            connection.setblocking(False)
        return sum(_is_closed(connection) for connection in idle)


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False


def _answer_once() -> None:
    with tempfile.TemporaryDirectory() as directory, answering(Path(directory), 1, _no_times()):
        pass


def _no_times() -> _TIMES:
    return {"install, with the first token": [], "one more token": [], "remove": []}


def main() -> None:
    """Set the scene and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", nargs="+", type=int, default=[1, 100])
    parser.add_argument("--block", type=int, default=1000, metavar="N", help="so many requests in each block")
    parser.add_argument("--rounds", type=int, default=12, metavar="N")
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
        print(f"of {_IDLE} idle connections, closed by")
        print(f"  {'an answer on the wire':40}{closed_by(_answer_once):8}")
        print(f"  {'a reload of nginx':40}{closed_by(nginx.reload):8}")


if __name__ == "__main__":
    main()
