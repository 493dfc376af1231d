"""Visitors of a site: new TLS connections all the time, and a record of those without an answer."""
import socket
import ssl
import threading
from types import TracebackType
from typing import List
from typing import Optional
from typing import Type

from certbot_autowebroot.renewals.lineages import parse_certificate
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.system import tls

_AT_ONCE = 3


class Visitors:
    """They connect from :meth:`__enter__` to :meth:`__exit__`.

    :ivar served: the number of answers.
    :ivar lost: the errors of the others.
    """

    def __init__(self, address: str, name: str, port: int = 443) -> None:
        self.served = 0
        self.lost: List[str] = []
        self._where = address, port
        self._name = name
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._come) for _ in range(_AT_ONCE)]
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    def __enter__(self) -> "Visitors":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _come(self) -> None:
        request = f"GET / HTTP/1.1\r\nHost: {self._name}\r\nConnection: close\r\n\r\n".encode()
        while not self._ended.wait(0.005):  # leave CPU time for the others
            try:
                with socket.create_connection(self._where, timeout=10) as plain, \
                        self._tls.wrap_socket(plain, server_hostname=self._name) as stream:
                    stream.sendall(request)
                    answer = stream.recv(4096)
                if not answer.startswith(b"HTTP/1."):
                    raise ConnectionError(f"no answer: {answer!r}")
                self.served += 1
            except OSError as error:
                self.lost.append(repr(error))


def shown(address: str, name: str, port: int = 443) -> str:
    """The fingerprint of the certificate that a visitor sees."""
    return parse_certificate(tls.certificate_of(Endpoint(address, port), name, 10.0)).fingerprint
