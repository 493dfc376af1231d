"""Orders that are answered on the wire, and the application whose names need it."""
import re
import socket
from types import TracebackType
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Type

from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx
from tests.lab.visitors import Visitors

#: An application that fails on every request.
APPLICATION = """
import http.server
class Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(500)
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", 3000), Application).serve_forever()
"""
#: Lines of nginx's http{}, for :func:`names_the_ca_asked_for`.
VISITS = "log_format visits '$host $http_user_agent'; access_log {dir}/visits.log visits;"


def order(names: str, fallback: str) -> List[str]:
    """A new certificate."""
    return ["certonly", "-a", "autowebroot", "-d", names, "--autowebroot-fallback", fallback]


def answered_by(certbot: Certbot) -> Dict[str, str]:
    """By name, the authenticator that answered, from Certbot's log."""
    return dict(re.findall(r"(\S+): answered (?:by the authenticator|on the) (\S+)", certbot.log))


def untouched(nginx: Nginx) -> List[object]:
    """What a reload, a restart or an edit would change."""
    return [nginx.pid, list(nginx.workers), nginx.conf.read_bytes()]


def names_the_ca_asked_for(nginx: Nginx) -> Set[str]:
    """The names for which requests of pebble have reached nginx, by its access log; it needs :data:`VISITS`."""
    visits = [line.split(" ", 1) for line in (nginx.directory / "visits.log").read_text().splitlines()]
    return {name for name, user_agent in visits if "LetsEncrypt-Pebble-VA" in user_agent}


def get(stream: socket.socket, name: str) -> bytes:
    """One request on an open connection, and the first segment of its answer."""
    stream.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
    return stream.recv(4096)


class Others(Visitors):
    """Other clients of the same server: new connections, and one that stays open.

    :param name: a site whose pages are "the site".
    """

    def __init__(self, addresses: Sequence[str], name: str) -> None:
        super().__init__(addresses, 0.002)
        self._name = name
        self._open = socket.create_connection((addresses[0], 80), timeout=10)

    def __enter__(self) -> "Others":
        assert b"the site" in get(self._open, self._name)
        super().__enter__()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        super().__exit__(kind, error, traceback)
        with self._open:
            if kind is None:
                assert b"the site" in get(self._open, self._name)  # a reload would have closed it

    def visit(self, address: str) -> None:
        """A request: the answer is the site."""
        with socket.create_connection((address, 80), timeout=10) as stream:
            answer = get(stream, self._name)
        if b"the site" not in answer:
            raise ConnectionError(f"another answer: {answer!r}")
