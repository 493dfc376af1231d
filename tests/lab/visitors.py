"""Visitors of a site: new connections all the time, and a record of those without an answer."""
import abc
import socket
import ssl
import threading
from types import TracebackType
from typing import List
from typing import Optional
from typing import Sequence
from typing import Type

from certbot_autowebroot.renewals.lineages import parse_certificate
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.system import tls

_AT_ONCE = 3


class Visitors(abc.ABC):
    """They connect from :meth:`__enter__` to :meth:`__exit__`.

    :param addresses: one visitor for each.
    :param pause: seconds between two connections of a visitor, which leave CPU time for the others.
    :ivar served: the number of answers.
    :ivar lost: the errors of the others.
    """

    def __init__(self, addresses: Sequence[str], pause: float) -> None:
        self.served = 0
        self.lost: List[str] = []
        self._pause = pause
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._come, args=(address,)) for address in addresses]

    def __enter__(self) -> "Visitors":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _come(self, address: str) -> None:
        while not self._ended.wait(self._pause):
            try:
                self.visit(address)
                self.served += 1
            except OSError as error:
                self.lost.append(repr(error))

    @abc.abstractmethod
    def visit(self, address: str) -> None:
        """Make one connection. Raises OSError if it gets no answer, or another one."""


class TlsVisitors(Visitors):
    """They come to one address by TLS."""

    def __init__(self, address: str, name: str, port: int = 443) -> None:
        super().__init__([address] * _AT_ONCE, 0.005)
        self._port = port
        self._name = name
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    def visit(self, address: str) -> None:
        """A handshake and a request: any answer will do."""
        request = f"GET / HTTP/1.1\r\nHost: {self._name}\r\nConnection: close\r\n\r\n".encode()
        with socket.create_connection((address, self._port), timeout=10) as plain, \
                self._tls.wrap_socket(plain, server_hostname=self._name) as stream:
            stream.sendall(request)
            answer = stream.recv(4096)
        if not answer.startswith(b"HTTP/1."):
            raise ConnectionError(f"no answer: {answer!r}")


def shown(address: str, name: str, port: int = 443) -> str:
    """The fingerprint of the certificate that a visitor sees."""
    return parse_certificate(tls.certificate_of(Endpoint(address, port), name, 10.0)).fingerprint
