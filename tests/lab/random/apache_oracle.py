"""The real httpd's answer and ours, said in the same words.

Every directory that could be meant holds the challenge file under several paths, and each file's content is its own
path: the body names the place. Backends answer with what they were asked.
"""
import contextlib
import http.client
import http.server
import os
import pathlib
import socket
import socketserver
import ssl
import threading
from dataclasses import dataclass
from typing import Any
from typing import Iterator
from typing import List
from typing import Sequence

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.apache import parser
from certbot_autowebroot.servers.apache.configuration import Configuration
from certbot_autowebroot.servers.apache.dump import dump
from certbot_autowebroot.servers.apache.evaluator import evaluate
from certbot_autowebroot.servers.apache.htaccess import Htaccess
from certbot_autowebroot.system.processes import process
from tests.lab.apache import Apache
from tests.lab.net import PUBLIC_V4

TOKEN = "t0ken_of-" + "x" * 34
PATH = CHALLENGE_PATH + TOKEN

#: Where the file lies below each directory: as the CA asks, and as rules cut or change the path.
NAMES = (CHALLENGE_PATH[1:] + TOKEN, "acme-challenge/" + TOKEN, TOKEN, "acme/" + TOKEN,
         "site/" + CHALLENGE_PATH[1:] + TOKEN)

BACKENDS = (8081, 8082)


@dataclass(frozen=True)
class Asked:
    """One request to the front door."""

    host: str
    path: str = PATH
    address: str = PUBLIC_V4
    port: int = 80
    tls: bool = False

    @property
    def request(self) -> Request:
        """The same for the evaluator."""
        path, _, query = self.path.partition("?")
        return Request(self.host.lower(), path, TOKEN, Endpoint(self.address, self.port),
                       "https" if self.tls else "http", query)


def fill(directory: pathlib.Path) -> None:
    """Put the challenge file there under all its names."""
    for name in NAMES:
        write(directory / name)


def write(path: pathlib.Path) -> None:
    """A file whose content is its own path, readable by the server."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(f"file {path}")


def fetch(asked: Asked) -> str:
    """What the real server answers."""
    raw = socket.create_connection((asked.address, asked.port), timeout=5)
    if asked.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            raw = context.wrap_socket(raw, server_hostname=asked.host)
        except ssl.SSLError:
            raw.close()
            return "none, no TLS"
    connection = http.client.HTTPConnection(asked.host, asked.port, timeout=5)
    connection.sock = raw
    try:
        connection.request("GET", asked.path, headers={"Host": asked.host})
        response = connection.getresponse()
        body = response.read().decode("utf-8", "replace")
    finally:
        connection.close()
    if response.status in (301, 302, 303, 307, 308):
        location = response.headers.get("Location", "")
        if location.startswith("/"):
            location = f"http{'s' * asked.tls}://{asked.host}{location}"
        if location.endswith(f"{asked.path}/"):
            return "none, a directory"
        return f"{response.status} {location}" if location else f"none {response.status}"
    if response.status == 200 and body.startswith(("file /", "upstream ")):
        return body
    return f"none {response.status}"


def ours(destinations: Sequence[Destination]) -> List[str]:
    """What we say, in the same words; all members of a group of upstreams, else the likeliest alternative."""
    first = destinations[0]
    if isinstance(first, Directory):
        return [f"file {first}"]
    if isinstance(first, Redirect):
        return [f"{first.status} {first.url}"]
    if isinstance(first, Upstream):
        members = [str(member).replace("localhost:", "127.0.0.1:") for member in first.members]
        return [f"upstream {member} {first.host} {first.path}" for member in members]
    return ["none" if isinstance(first, DeadEnd) else f"unknown {first.reason}"]


def place(destinations: Sequence[Destination]) -> None:
    """Put a file where we say that it is served from; never make the root."""
    for destination in destinations:
        if isinstance(destination, Directory) and os.path.isdir(destination.root):
            write(pathlib.Path(str(destination)))


class Evaluators:
    """Our two ways to the configuration of one running httpd: its own dump, and the files read by ourselves."""

    def __init__(self, server: Apache) -> None:
        found = process(server.pid)
        assert found is not None
        self.process = found
        self.view = found.view
        self.dumped = Configuration(dump(found))
        self.read = Configuration(parser.read(found))

    def destinations(self, asked: Asked, configuration: Configuration) -> List[Destination]:
        """What the evaluator says."""
        return evaluate(configuration, asked.request, self.view, Htaccess(configuration, self.view))


class _Backend(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        address: Any = self.server.server_address
        where = f"unix:{address}" if isinstance(address, str) else f"{address[0]}:{address[1]}"
        # Not self.path, which has lost doubled slashes.
        body = f"upstream {where} {host} {self.requestline.split()[1]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "backend"

    def log_message(self, format: str, *args: object) -> None:
        pass


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextlib.contextmanager
def backends(directory: pathlib.Path) -> Iterator[None]:
    """Backends on the loopback ports, and one on the unix socket backend.sock in a directory."""
    servers: List[socketserver.BaseServer] = []
    for port in BACKENDS:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), _Backend)
        server.daemon_threads = True
        servers.append(server)
    path = directory / "backend.sock"
    servers.append(_UnixServer(str(path), _Backend))
    path.chmod(0o777)
    for one in servers:
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield
    finally:
        for one in servers:
            one.shutdown()
            one.server_close()
        path.unlink()
