"""The answers of the real httpd and of the evaluator to one request, described in the same words.

Every directory that could be meant holds the challenge file under several paths, and each file's content is its own
path: the body names the file. Backends answer with the request that reached them.
"""
import contextlib
import dataclasses
import http.client
import http.server
import os
import pathlib
import socket
import socketserver
import ssl
import threading
import time
from typing import Any
from typing import Iterator
from typing import List
from typing import Sequence
from urllib.parse import unquote

from certbot_autowebroot.route import CA_HEADERS
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.apache import parser
from certbot_autowebroot.servers.apache.configuration import Configuration
from certbot_autowebroot.servers.apache.dump import dump
from certbot_autowebroot.servers.apache.evaluator import evaluate
from certbot_autowebroot.servers.apache.htaccess import Htaccess
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.processes import process
from certbot_autowebroot.system.views import View
from tests.lab.apache import PROGRAM
from tests.lab.apache import Apache
from tests.lab.net import PUBLIC_V4

TOKEN = "t0ken_of-" + "x" * 34
PATH = CHALLENGE_PATH + TOKEN

#: Paths of the file below each directory: as the CA asks, and as rules shorten or change the path.
FILES = (CHALLENGE_PATH[1:] + TOKEN, "acme-challenge/" + TOKEN, TOKEN, "acme/" + TOKEN,
         "site/" + CHALLENGE_PATH[1:] + TOKEN)

BACKENDS = (8081, 8082)


def request_for(host: str, path: str = PATH, address: str = PUBLIC_V4, port: int = 80, tls: bool = False) -> Request:
    """The request for the challenge of a host; the path may have a query."""
    path, _, query = path.partition("?")
    return Request(host, path, TOKEN, Endpoint(address, port), "https" if tls else "http", query)


def fill(directory: pathlib.Path) -> None:
    """Write the challenge file under all its paths."""
    for name in FILES:
        put(directory / name)


def put(path: pathlib.Path) -> None:
    """Write a file whose content is its own path, unless it exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(f"file {path}")


def put_files(destinations: Sequence[Destination]) -> None:
    """Write a file at each destination that is a directory; never make a missing root."""
    for destination in destinations:
        if isinstance(destination, Directory) and os.path.isdir(destination.root):
            put(pathlib.Path(str(destination)))


def process_of(server: Apache) -> Process:
    """The parent process of a running httpd."""
    parent = process(server.pid)
    assert parent is not None
    return parent


def dumped_configuration(server: Apache) -> Configuration:
    """The configuration as a running httpd dumps it."""
    return Configuration(dump(process_of(server)))


def read_configuration(server: Apache) -> Configuration:
    """The configuration as our own parser reads it from the files; httpd need neither run nor be installed."""
    ourselves = process(os.getpid())
    assert ourselves is not None
    return Configuration(parser.read(dataclasses.replace(ourselves, argv=tuple(server.argv), exe=PathInView(PROGRAM))))


def ask_evaluator(configuration: Configuration, request: Request) -> List[Destination]:
    """The evaluator's answer to a request."""
    view = View.of_host()
    return evaluate(configuration, request, view, Htaccess(configuration, view))


def ask_server(request: Request) -> str:
    """The running httpd's answer to the same request, made as a CA makes it."""
    tls = request.scheme == "https"
    raw = socket.create_connection((request.endpoint.host, request.endpoint.port), timeout=5)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            raw = context.wrap_socket(raw, server_hostname=request.host)
        except ssl.SSLError:
            raw.close()
            return "none, no TLS"
    connection = http.client.HTTPConnection(request.host, request.endpoint.port, timeout=5)
    connection.sock = raw
    path = request.path + ("?" + request.query if request.query else "")
    try:
        connection.request("GET", path, headers={**CA_HEADERS, "Host": request.host})
        response = connection.getresponse()
        body = response.read().decode("utf-8", "replace")
    finally:
        connection.close()
    if response.status in (301, 302, 303, 307, 308):
        location = response.headers.get("Location", "")
        if location.startswith("/"):
            location = f"{request.scheme}://{request.host}{location}"
        if location.endswith(f"{path}/"):
            return "none, a directory"
        return f"{response.status} {location}" if location else f"none {response.status}"
    if response.status == 200 and body.startswith(("file /", "upstream ")):
        return body
    return f"none {response.status}"


def described(destinations: Sequence[Destination]) -> List[str]:
    """The likeliest destination in the words of :func:`ask_server`; of a group of upstreams each member."""
    first = destinations[0]
    if isinstance(first, Directory):
        return [f"file {first}"]
    if isinstance(first, Redirect):
        return [f"{first.status} {first.url}"]
    if isinstance(first, Upstream):
        members = [str(member).replace("localhost:", "127.0.0.1:") for member in first.members]
        return [f"upstream {member} {first.host} {first.path}" for member in members]
    return ["none" if isinstance(first, DeadEnd) else f"unknown {first.reason}"]


def all_described(destinations: Sequence[Destination]) -> List[str]:
    """Every destination in these words."""
    return [words for destination in destinations for words in described([destination])]


def disagreements(destinations: Sequence[Destination], request: Request, server: Apache) -> List[str]:
    """Ask the running httpd while only the files of the destinations exist; its answer where that contradicts them."""
    files = [pathlib.Path(str(end)) for end in destinations if isinstance(end, Directory)]
    if any(file.is_dir() for file in files):
        return []  # the document root of another virtual host, which has the token as its name
    for file in files:
        file.write_text(f"file {file}")
    answer = answer_without_query(request)
    for file in set(files):
        file.unlink()
    if answer == "none" and _has_crashed(server):
        return []
    possible = all_described(destinations)
    possible += ["index"] if any(isinstance(end, DeadEnd) and end.reason.endswith("a slash: no file answers")
                                 for end in destinations) else []
    # After a guess, the dead end of the other answer is not among the destinations; nor is a redirect that needs our
    # file to exist.
    possible += ["none", "elsewhere"] if any(text in step.text for end in destinations for step in end.trail
                                             for text in ("taken as", "depends on the client")) else []
    return [] if _agree(answer, possible) else [f"httpd answers {answer}"]


def answer_without_query(request: Request) -> str:
    """The running httpd's answer, of an upstream without query and escapes; "none" where the connection breaks."""
    try:
        answer = ask_server(request)
    except (OSError, http.client.HTTPException):
        return "none"
    return unquote(answer.partition("?")[0]) if answer.startswith("upstream ") else answer


def _has_crashed(server: Apache) -> bool:
    """Whether a worker has crashed: httpd does at ``%1`` after a ``RewriteCond expr`` without groups.

    The parent looks after its children once a second.
    """
    time.sleep(1.5)
    return "exit signal Segmentation fault" in server.log


def is_refusal(answer: str) -> bool:
    """Whether neither a file nor a redirect came back: mod_dir's redirect to a directory serves no file of ours."""
    return answer.startswith("none") or (answer.startswith("301 http://") and answer.partition("?")[0].endswith("/"))


def _agree(answer: str, possible: Sequence[str]) -> bool:
    none = is_refusal(answer)
    # httpd may pass a directory's index on or redirect it, without the token.
    none = none or (answer.startswith(("upstream ", "30")) and TOKEN not in answer
                    and bool({"index", "elsewhere"} & set(possible)))
    return answer in possible or (none and "none" in possible)


class _Backend(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        address: Any = self.server.server_address
        where = f"unix:{address}" if isinstance(address, str) else f"{address[0]}:{address[1]}"
        # self.path has lost doubled slashes.
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
