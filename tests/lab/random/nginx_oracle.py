"""The evaluator's answer and a running nginx's answer to the same request, compared."""
import http.client
import os
import re
import ssl
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Iterable
from typing import Iterator
from typing import List
from typing import Sequence
from urllib.parse import urljoin

from certbot_autowebroot.route import CA_HEADERS
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.nginx.evaluator import Evaluator
from certbot_autowebroot.servers.nginx.parser import parse
from certbot_autowebroot.system.views import View
from tests.lab.nginx import Nginx

TOKEN = "tok-En_0123456789abcdefghijklmnopqrstuvwxyzABCD"
PATH = CHALLENGE_PATH + TOKEN

#: Backends whose answer names their own address and the request: ``backend ADDRESS HOST PATH``.
BACKENDS = """
server {
    listen 127.0.0.1:9001; listen 127.0.0.1:9002; listen 127.0.0.1:9003;
    return 200 "backend $server_addr:$server_port $http_host $request_uri";
}
server {
    listen [::1]:9001;
    return 200 "backend [$server_addr]:$server_port $http_host $request_uri";
}
server {
    listen unix:{dir}/backend.sock;
    return 200 "backend unix $http_host $request_uri";
}
"""


@dataclass(frozen=True)
class Answer:
    """What nginx answered. Status 0: it closed the connection without an answer."""

    status: int
    body: str
    location: str = ""

    @property
    def served(self) -> bool:
        """Whether a test file, a redirect or a backend's answer came back, and not a dead end."""
        # nginx answers a directory with a redirect to itself with a slash: no test file. (A server name may be a
        # regular expression with a question mark, and appear in the URL.)
        of_directory = self.location.endswith("/") or self.location.partition("?")[0].endswith("/")
        return (self.status == 200 and self.body.startswith(("/", "backend "))) or (
            bool(self.location) and not of_directory)


def evaluator_of(nginx: Nginx) -> Evaluator:
    """The evaluator of the files of an nginx, which need not run."""
    view = View.of_host()
    return Evaluator(parse(str(nginx.conf), view.read, view.glob, str(nginx.directory)))


def ask_evaluator(evaluator: Evaluator, request: Request) -> List[Destination]:
    """What the evaluator says of a request."""
    return list(evaluator.destinations(request))


def ask_server(request: Request) -> Answer:
    """What the running nginx answers to the same request, made as a CA makes it."""
    address, port = request.endpoint.host, request.endpoint.port
    connection = http.client.HTTPConnection(address, port, timeout=10)
    if request.scheme == "https":
        connection = http.client.HTTPSConnection(address, port, timeout=10, context=_unverified())
        connection.connect = lambda: _connect_tls(connection, request.host)  # type: ignore[method-assign]
    try:
        connection.request("GET", request.path + ("?" + request.query if request.query else ""),
                           headers={**CA_HEADERS, "Host": request.host})
        response = connection.getresponse()
        return Answer(response.status, response.read().decode(), response.headers.get("Location", ""))
    except (http.client.RemoteDisconnected, ConnectionResetError, ssl.SSLError):
        return Answer(0, "")
    finally:
        connection.close()


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _connect_tls(connection: http.client.HTTPConnection, name: str) -> None:
    http.client.HTTPConnection.connect(connection)
    connection.sock = _unverified().wrap_socket(connection.sock, server_hostname=name)


def put(path: str) -> None:
    """Write a file whose content is its own path."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(path, encoding="utf-8")


def disagreements(destinations: Sequence[Destination], request: Request,
                  elsewhere: Iterable[str] = ()) -> Iterator[str]:
    """Ask the running nginx; one text for each answer that contradicts the evaluator.

    :param destinations: the evaluator's answer.
    :param elsewhere: other paths where a file could lie: with files there too, nginx still serves the named ones only.
    """
    files = [str(destination) for destination in destinations if isinstance(destination, Directory)]
    for number, destination in enumerate(destinations):
        # Each alternative that is a file does alone. The destination without a file is the first.
        if number == 0 or isinstance(destination, Directory):
            paths = [str(destination)] if isinstance(destination, Directory) else assumed_files(destination)
            answer = answer_with(paths, request)
            guessed = any("unknown here" in step.text for step in destination.trail)
            # After a guess any alternative may be the one. The evaluator names no dead end beside other destinations.
            possible = guessed and (not answer.served or _agrees_with_any(destinations, answer, request))
            if not (agree(destination, answer, request) or possible):
                yield _mismatch(destination, answer, request)
    # Where the route tests for one of our files, two files can serve what neither does alone.
    tests_for_file = any(" assumed to " in step.text for step in destinations[0].trail)
    for paths in ([[path] for path in elsewhere] if tests_for_file else [[*files, *elsewhere]]):
        answer = answer_with(paths, request)
        relevant = files or answer.body.startswith("/")
        if relevant and answer.served and not _agrees_with_any(destinations, answer, request):
            yield _mismatch(destinations[0], answer, request)


def answer_with(paths: Sequence[str], request: Request) -> Answer:
    """The answer while there are files at these paths."""
    for path in paths:
        put(path)
    answer = ask_server(request)
    for path in set(paths):
        os.unlink(path)
    return answer


def assumed_files(destination: Destination) -> List[str]:
    """The test files that the evaluator assumed to exist."""
    return list({step.text.split(" ")[0] for step in destination.trail if step.text.endswith(" assumed to exist")})


def _agrees_with_any(destinations: Sequence[Destination], answer: Answer, request: Request) -> bool:
    return any(agree(destination, answer, request) for destination in destinations)


def _mismatch(destination: Destination, answer: Answer, request: Request) -> str:
    what = str(destination) if isinstance(destination, Directory) else str(replace(destination, trail=()))
    trail = " > ".join(map(str, destination.trail))
    return f"{request.url} at {request.endpoint}:\n  we say {what}\n  by {trail}\n  nginx answers {answer}"


def agree(destination: Destination, answer: Answer, request: Request) -> bool:
    """Whether the server did what a destination says."""
    if isinstance(destination, Directory):
        return answer == Answer(200, str(destination))
    if isinstance(destination, Redirect):
        base = request._replace(host=request.host.lower().rstrip(".")).url
        url = answer.location if "://" in answer.location else urljoin(base, answer.location)
        return bool(answer.location) and (destination.status, destination.url) == (answer.status, url)
    if isinstance(destination, Upstream):
        if answer.status != 200 or not answer.body.startswith("backend "):
            return False
        _, member, host, path = answer.body.split(" ", 3)
        members = ["unix" if member.is_unix else str(member) for member in destination.members]
        host = re.sub(r":\d+$", "", host.lower()).strip("[]")
        return member in members and (host, path.partition("?")[0]) == (destination.host, destination.path)
    if isinstance(destination, DeadEnd):
        return not answer.served
    return isinstance(destination, Unknown)
