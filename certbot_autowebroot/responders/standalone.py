"""Answer by a listener of this process: ``acme.standalone`` on exactly the endpoints that are free."""
import errno
import logging
import socket
import socketserver
import threading
import time
from dataclasses import dataclass
from typing import Any
from typing import Dict
from typing import Iterable
from typing import Iterator
from typing import List
from typing import Set
from typing import Tuple

from acme import standalone
from zope.interface import implementer

from certbot_autowebroot.interfaces import IResponder
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.system import listeners
from certbot_autowebroot.system.terminal import printable

logger = logging.getLogger(__name__)

#: Seconds that a client may keep a connection without a request.
_CLIENT_TIMEOUT = 10
#: Seconds before the second and the third attempt to bind a port that a connection of another program comes from.
_RETRY_DELAYS = (1.0, 2.0)
_PROXY_V1_MAX = 107
_PROXY_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_WILDCARDS = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - the CA may arrive at every address


class _Handler(standalone.HTTP01RequestHandler):
    """Escapes requests for the log: with ``certbot -vv`` it goes to the terminal."""

    def log_message(self, format: str, *args: Any) -> None:
        """As ``acme.standalone``, escaped."""
        super().log_message("%s", printable(format % args))


class _Server(socketserver.ThreadingMixIn, standalone.HTTP01Server):
    """A server with one thread for each connection.

    ``acme.standalone`` answers one client after the other: a scanner that connects and stays silent would delay the CA,
    which asks from several places at once.
    """

    daemon_threads = True

    def __init__(self, address: Tuple[str, int], resources: "_Resources", ipv6: bool) -> None:
        super().__init__(address, resources, ipv6=ipv6)
        self.RequestHandlerClass = _Handler.partial_init(resources, _CLIENT_TIMEOUT)

    def server_bind(self) -> None:
        if self.ipv6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Not HTTPServer's: that resolves the name of the address, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Skip the PROXY header of a proxy with ``send-proxy``, and answer."""
        request.settimeout(_CLIENT_TIMEOUT)
        _skip_proxy_header(request)
        super().finish_request(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep it off the terminal: a client that hangs up is no error."""
        logger.debug("while answering %s:", client_address, exc_info=True)


class _Resources(Set[standalone.HTTP01RequestHandler.HTTP01Resource]):
    """A set that may change while threads iterate: each iterates over a copy."""

    def __iter__(self) -> Iterator[standalone.HTTP01RequestHandler.HTTP01Resource]:
        return iter(list(super().__iter__()))


@dataclass(frozen=True)
class _Path:
    """A challenge for ``acme.standalone``: behind a proxy, its path is another than the CA's."""

    path: str

    def encode(self, _field: str) -> str:
        return self.path.rpartition("/")[2]


class Listeners:
    """The listeners of one order, shared by all its :class:`StandaloneResponder`.

    They start with the first endpoint that is needed; :meth:`stop` stops all.
    """

    def __init__(self) -> None:
        self.resources = _Resources()
        self._servers: Dict[Endpoint, _Server] = {}
        self._threads: List[threading.Thread] = []

    @property
    def endpoints(self) -> List[Endpoint]:
        """The endpoints of the listeners."""
        return list(self._servers)

    def listen_at_front(self, vacant: Iterable[Endpoint], address: str) -> None:
        """Listen for the CA: on all addresses of an IP version if they are free, else on those known to be free.

        :param vacant: free endpoints of the host's addresses, all with one port.
        :param address: the only address to listen on (``--http-01-address``); empty or a wildcard for all.
        :raises PublishError: one of them cannot be bound.
        """
        if address in _WILDCARDS.values():
            address = ""
        for endpoint in vacant:
            if self._serves(endpoint):
                continue
            wildcard = Endpoint(address or _WILDCARDS[endpoint.version], endpoint.port)
            try:
                self._start(wildcard)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or address:
                    raise PublishError(_sentence(wildcard, error)) from error
                # Another program holds one address of the port: 127.0.0.1:80 taken, the public address free.
                self.listen_at(endpoint)

    def listen_at(self, endpoint: Endpoint) -> None:
        """Listen at one endpoint: behind a proxy, or beside another server's address.

        :raises PublishError: it cannot be bound.
        """
        if self._serves(endpoint):
            return
        try:
            self._start(endpoint)
        except OSError as error:
            raise PublishError(_sentence(endpoint, error)) from error

    def stop(self) -> None:
        """Stop all of them. Never raises; may be called again."""
        for server in self._servers.values():
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()
        self._servers.clear()
        self._threads.clear()
        self.resources.clear()

    def _serves(self, endpoint: Endpoint) -> bool:
        wildcard = Endpoint(_WILDCARDS[endpoint.version], endpoint.port)
        return endpoint in self._servers or wildcard in self._servers

    def _start(self, endpoint: Endpoint) -> None:
        server = self._bound(endpoint)
        # The interval is for stop(); a connection wakes the thread at once.
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True,
                                  name=f"autowebroot {endpoint}")
        thread.start()
        self._servers[endpoint] = server
        self._threads.append(thread)
        logger.debug("listening on %s", endpoint)

    def _bound(self, endpoint: Endpoint) -> _Server:
        """A server at an endpoint. A connection of another program may come from a proxied port, for a moment."""
        address, is_v6 = (endpoint.host, endpoint.port), ":" in endpoint.host
        for delay in _RETRY_DELAYS:
            try:
                return _Server(address, self.resources, is_v6)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or _has_listener(endpoint.port):
                    raise
            logger.debug("a connection comes from port %s, next attempt in %s s", endpoint.port, delay)
            time.sleep(delay)
        return _Server(address, self.resources, is_v6)


@implementer(IResponder)
class StandaloneResponder:
    """Answers one path at all endpoints of the order's :class:`Listeners`."""

    def __init__(self, listeners: Listeners, path: str) -> None:
        self._listeners = listeners
        self._path = _Path(path)

    def publish(self, content: bytes) -> None:
        """Answer the path with this content."""
        self._listeners.resources.add(
            standalone.HTTP01RequestHandler.HTTP01Resource(self._path, None, content.decode("ascii")))

    def withdraw(self) -> None:
        """Stop answering it."""
        for resource in [r for r in self._listeners.resources if r.chall == self._path]:
            self._listeners.resources.discard(resource)


def _skip_proxy_header(connection: socket.socket) -> None:
    """Read the header of the PROXY protocol, if there is one (haproxy.org, "The PROXY protocol", sections 2.1, 2.2)."""
    start = connection.recv(len(_PROXY_V2), socket.MSG_PEEK)
    if start == _PROXY_V2:
        header = connection.recv(16, socket.MSG_WAITALL)
        connection.recv(int.from_bytes(header[14:16], "big"), socket.MSG_WAITALL)
    elif start.startswith(b"PROXY "):
        line = b""
        while not line.endswith(b"\n") and len(line) < _PROXY_V1_MAX:
            line += connection.recv(1) or b"\n"


def _has_listener(port: int) -> bool:
    """Whether a program listens on a port, at any address; True where the kernel does not report it."""
    try:
        return any(listener.endpoint.port == port for listener in listeners.listeners())
    except OSError:
        return True


def _sentence(endpoint: Endpoint, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE and not _has_listener(endpoint.port):
        return (f"autowebroot cannot listen on {endpoint}: no program listens there, and another program uses that "
                f"port, mostly for a connection, now or in the last minute. To keep the port free: "
                f"sysctl -w net.ipv4.ip_local_reserved_ports={endpoint.port}")
    if error.errno == errno.EADDRINUSE:
        return f"{endpoint} was free a moment ago, and another program listens there now"
    if error.errno == errno.EACCES:
        return (f"autowebroot may not listen on {endpoint}: ports below 1024 need root (or the capability "
                "CAP_NET_BIND_SERVICE, or --http-01-port and a port forward)")
    if error.errno == errno.EADDRNOTAVAIL:
        return f"autowebroot cannot listen on {endpoint}: this host does not have the address"
    return f"autowebroot cannot listen on {endpoint}: {error.strerror}"
