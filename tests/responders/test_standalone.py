"""Listeners of our own on ports that other programs use."""
import contextlib
import socket
import threading
from typing import Iterator

import pytest

from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders import standalone
from certbot_autowebroot.route import Endpoint

pytestmark = pytest.mark.lab

#: Within the range of Linux for the ports of connections.
ENDPOINT = Endpoint("127.0.0.1", 43580)


@pytest.fixture
def listeners(monkeypatch: pytest.MonkeyPatch) -> Iterator[standalone.Listeners]:
    monkeypatch.setattr(standalone, "_RETRY_DELAYS", (0.1, 0.2))
    with contextlib.ExitStack() as stack:
        running = standalone.Listeners()
        stack.callback(running.stop)
        yield running


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    """A connection of another program, from the port of the endpoint."""
    with socket.create_server(("127.0.0.1", 0)) as server, \
            socket.create_connection(server.getsockname(), source_address=ENDPOINT[:2]) as client:
        server.accept()[0].close()  # this end closes first, and no TIME_WAIT is left at the other one
        yield client


def test_port_of_a_connection_is_tried_again(listeners: standalone.Listeners, connection: socket.socket) -> None:
    """The connection ends between the attempts."""
    timer = threading.Timer(0.05, connection.close)
    timer.start()
    listeners.listen_at(ENDPOINT)
    timer.join()
    assert listeners.endpoints == [ENDPOINT]


def test_port_of_a_lasting_connection(listeners: standalone.Listeners, connection: socket.socket) -> None:
    """The error says that no program listens, and how to reserve the port."""
    with pytest.raises(PublishError, match=r"no program listens there.*net.ipv4.ip_local_reserved_ports=43580"):
        listeners.listen_at(ENDPOINT)


def test_port_of_a_listener_is_not_tried_again(listeners: standalone.Listeners,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program has just started."""
    monkeypatch.setattr(standalone, "_RETRY_DELAYS", (60.0,))
    with socket.create_server(ENDPOINT[:2]), \
            pytest.raises(PublishError, match="another program listens there now"):
        listeners.listen_at(ENDPOINT)
