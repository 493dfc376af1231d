"""A program that serves HTTP in the foreground, and files whose content is their path."""
import dataclasses
import http.client
import http.server
import os
import posixpath
import re
import socket
import socketserver
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Type

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.system import processes
from tests.lab.ports import wait_for_port

CHALLENGES = ".well-known/acme-challenge"


class Program:
    """One running program; use it as a context manager, or call :meth:`start` and :meth:`stop`.

    :param argv: the command line; the program must stay in the foreground.
    :param cwd: its working directory.
    :param environment: instead of ours.
    :param executable: the program that runs under the name ``argv[0]``, if it is another.
    """

    def __init__(self, argv: Sequence[str], cwd: "os.PathLike[str]", *, address: str = "127.0.0.1", port: int = 80,
                 executable: Optional[str] = None, environment: Optional[Mapping[str, str]] = None) -> None:
        self.argv = list(argv)
        self.cwd = Path(cwd)
        self.address = address
        self.port = port
        self._executable = executable
        self._environment = environment
        self._process: Optional[subprocess.Popen[bytes]] = None

    def __enter__(self) -> "Program":
        self.start()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The pid of the started process."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def process(self) -> processes.Process:
        """The process as the plugin sees it."""
        found = processes.process(self.pid)
        assert found is not None
        return found

    @property
    def simulated_process(self) -> processes.Process:
        """The process that would run, for an evaluator that only reads files: ours under another name."""
        own = processes.process(os.getpid())
        assert own is not None
        return dataclasses.replace(own, name=self.argv[0], argv=tuple(self.argv), cwd=PathInView(str(self.cwd)))

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(self.argv, cwd=self.cwd, executable=self._executable, stdout=log,
                                             stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                             env=self._environment)
        try:
            wait_for_port(self.address, self.port, self._process)
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}: {self.log.read_text(errors='replace')}") from None

    def reload(self) -> None:
        """Start it anew, with the edited configuration."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """End it; nothing happens when it has ended."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    @property
    def log(self) -> Path:
        """The file with its output."""
        return self.cwd.parent / f"{self.cwd.name}.log"

    def get(self, request: Request) -> "Answer":
        """Its answer to this request, without following redirects."""
        for _ in range(5):
            try:
                return get(self.address, self.port, request)
            except ConnectionResetError:  # webfsd and mini_httpd, still busy with the connection that waited for them
                time.sleep(0.1)
        return get(self.address, self.port, request)


class Answer(NamedTuple):
    """The answer of a server."""

    status: int
    body: str
    location: str


def get(address: str, port: int, request: Request) -> Answer:
    """One GET as a CA makes it: the Host header has no port. Status 0 for a connection that was just closed."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        target = request.path + (f"?{request.query}" if request.query else "")
        connection.request("GET", target, headers={"Host": request.host_header, "Accept-Encoding": "identity"})
        response = connection.getresponse()
        return Answer(response.status, response.read().decode(errors="replace"), response.headers.get("Location", ""))
    except http.client.RemoteDisconnected:
        return Answer(0, "", "")
    finally:
        connection.close()


def plant(token: str, *directories: "os.PathLike[str]", below: str = CHALLENGES) -> None:
    """Put a challenge file into each directory; its body is its own path, so an answer names the file."""
    for directory in directories:
        folder = Path(directory, below)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / token).write_text(str(folder / token))


class Echo:
    """An upstream that answers with the request: its own endpoint, the Host header without a port, the path.

    :param addresses: ``127.0.0.1:8001``, or the path of a unix socket.
    :param proxy_protocol: addresses that expect a PROXY line first, and close a connection without one.
    """

    def __init__(self, *addresses: str, proxy_protocol: Sequence[str] = ()) -> None:
        self._servers = [_EchoServer(address, address in proxy_protocol) for address in (*addresses, *proxy_protocol)]

    def __enter__(self) -> "Echo":
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _EchoServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: str, proxy_protocol: bool) -> None:
        self.proxy_protocol = proxy_protocol
        self.endpoint = f"unix:{address}" if address.startswith("/") else address
        host, _, port = address.rpartition(":")
        if address.startswith("/"):
            self.address_family = socket.AF_UNIX
            Path(address).unlink(missing_ok=True)
            super().__init__(address, _EchoHandler)  # type: ignore[arg-type]
            Path(address).chmod(0o666)
        else:
            self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            super().__init__((host.strip("[]"), int(port)), _EchoHandler)


class _EchoHandler(http.server.BaseHTTPRequestHandler):
    server: _EchoServer

    def handle(self) -> None:
        if not self.server.proxy_protocol or self.rfile.readline().startswith(b"PROXY "):
            super().handle()

    def do_GET(self) -> None:
        host = re.sub(r":\d+$", "", self.headers["Host"])
        body = f"{self.server.endpoint} {host} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "a client"

    def log_message(self, *args: object) -> None:
        """Quiet."""


def brief(destination: Destination, place: "os.PathLike[str]") -> str:
    """A destination in a few words, for tables: directories below ``place``, files other than the usual in full."""
    if isinstance(destination, Directory):
        usual = posixpath.dirname(destination.name) == CHALLENGES
        return posixpath.relpath(destination.root, place) + ("" if usual else f" {destination.name[:-43]}*")
    if isinstance(destination, Redirect):
        return f"{destination.status} {destination.url}"
    if isinstance(destination, Upstream):
        members = ",".join(map(str, destination.members)).replace(os.fspath(place), "")
        return f"to {members} {destination.host} {destination.path}"
    return "dead end" if isinstance(destination, DeadEnd) else "unknown"


def assert_true(destination: Destination, answer: Answer) -> None:
    """Compare a destination with the answer of the real server.

    Every possible file was made by :func:`plant`, and every upstream is an :class:`Echo`.
    """
    if isinstance(destination, Directory):
        assert (answer.status, answer.body) == (200, str(destination)), (destination, answer)
    elif isinstance(destination, Redirect):
        assert (answer.status, answer.location) == (destination.status, destination.url), (destination, answer)
    elif isinstance(destination, Upstream):
        host = f"[{destination.host}]" if ":" in destination.host else destination.host
        said = [f"{member} {host} {destination.path}" for member in destination.members]
        assert answer.status == 200, (destination, answer)
        assert answer.body.partition("?")[0] in said, (destination, answer)
    else:
        assert isinstance(destination, DeadEnd), destination
        assert answer.status >= 400 or not answer.body.startswith("/"), (destination, answer)
