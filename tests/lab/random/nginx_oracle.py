"""Holding our answer against what a running nginx does with the same request."""
import http.client
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable
from typing import Iterator
from typing import List
from typing import Sequence
from urllib.parse import urljoin

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream

TOKEN = "tok-En_0123456789abcdefghijklmnopqrstuvwxyzABCD"
PATH = CHALLENGE_PATH + TOKEN

#: Backends that say who they are and what they were asked: ``backend ADDRESS HOST PATH``.
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
class Seen:
    """What came back. Status 0: the connection was closed without an answer."""

    status: int
    body: str
    location: str = ""

    @property
    def served(self) -> bool:
        """Whether a file of ours, a redirect or a backend came back, and not a dead end."""
        # A directory is answered with a redirect to itself with a slash: nothing of ours. (A server's name may be a
        # regular expression with a question mark, and stand in the URL.)
        of_directory = self.location.endswith("/") or self.location.partition("?")[0].endswith("/")
        return (self.status == 200 and self.body.startswith(("/", "backend "))) or (
            bool(self.location) and not of_directory)


def get(request: Request) -> Seen:
    """Make a request as a CA does."""
    address, port = request.endpoint.host, request.endpoint.port
    connection = http.client.HTTPConnection(address, port, timeout=10)
    if request.scheme == "https":
        connection = http.client.HTTPSConnection(address, port, timeout=10, context=_unverified())
        connection.connect = lambda: _connect_tls(connection, request.host)  # type: ignore[method-assign]
    try:
        connection.request("GET", request.path + ("?" + request.query if request.query else ""),
                           headers={"Host": request.host})
        response = connection.getresponse()
        return Seen(response.status, response.read().decode(), response.headers.get("Location", ""))
    except (http.client.RemoteDisconnected, ConnectionResetError, ssl.SSLError):
        return Seen(0, "")
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
    """Make a file whose body is its own path."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(path, encoding="utf-8")


def disagreements(ends: Sequence[Destination], request: Request, elsewhere: Iterable[str] = ()) -> Iterator[str]:
    """Ask the running nginx; nothing comes out where it does what we say.

    :param ends: our answer.
    :param elsewhere: other paths where a file could lie; with them there too, only what we name is served.
    """
    files = [str(end) for end in ends if isinstance(end, Directory)]
    for number, end in enumerate(ends):
        # Alternatives are files, each of which would do alone. What comes where there is none is named after them.
        if number == 0 or isinstance(end, Directory):
            alone = [str(end)] if isinstance(end, Directory) else _needed(end)
            for path in alone:
                put(path)
            seen = get(request)
            guessed = any("cannot be known" in step.text for step in end.trail)
            # Where both ways were walked, any end may be the one; the dead ones among them we do not name.
            if not (agree(end, seen, request) or (guessed and (not seen.served or _any(ends, seen, request)))):
                yield _complaint(end, seen, request)
            for path in alone:
                os.unlink(path)
    # Where the way asks for one of our files, two of them can open what none alone does.
    asks = any(" taken to " in step.text for step in ends[0].trail)
    for together in ([[path] for path in elsewhere] if asks else [[*files, *elsewhere]]):
        for path in together:
            put(path)
        seen = get(request)
        if (files or seen.body.startswith("/")) and seen.served and not _any(ends, seen, request):
            yield _complaint(ends[0], seen, request)
        for path in set(together):
            os.unlink(path)


def _needed(end: Destination) -> List[str]:
    """The files of ours that a way took for granted."""
    return list({step.text.split(" ")[0] for step in end.trail if step.text.endswith(" taken to exist")})


def _any(ends: Sequence[Destination], seen: Seen, request: Request) -> bool:
    return any(agree(end, seen, request) for end in ends)


def _complaint(end: Destination, seen: Seen, request: Request) -> str:
    what = str(end) if isinstance(end, Directory) else str(end._replace(trail=()))
    return (f"{request.url} at {request.endpoint}:\n  we say {what}\n  by {' > '.join(str(step) for step in end.trail)}"
            f"\n  nginx gives {seen}")


def agree(end: Destination, seen: Seen, request: Request) -> bool:
    """Whether the server did what a destination says."""
    if isinstance(end, Directory):
        return seen == Seen(200, str(end))
    if isinstance(end, Redirect):
        base = request._replace(host=request.host.lower().rstrip(".")).url
        url = seen.location if "://" in seen.location else urljoin(base, seen.location)
        return bool(seen.location) and (end.status, end.url) == (seen.status, url)
    if isinstance(end, Upstream):
        if seen.status != 200 or not seen.body.startswith("backend "):
            return False
        _, member, host, path = seen.body.split(" ", 3)
        members = ["unix" if member.is_unix else str(member) for member in end.members]
        host = re.sub(r":\d+$", "", host.lower()).strip("[]")
        return member in members and (host, path.partition("?")[0]) == (end.host, end.path)
    if isinstance(end, DeadEnd):
        return not seen.served
    return isinstance(end, Unknown)
