"""Caddy's admin API, on a socket of this process alone.

"API", https://caddyserver.com/docs/api: ``GET /config/`` and ``POST /load``.
"""
import json
import re
import socket
import struct
import time
from typing import Any
from typing import NamedTuple

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.system import listeners
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process

#: Seconds for one answer; :func:`load` waits for all apps of a configuration to start.
TIME_LIMIT = 3.0
LOAD_LIMIT = 30.0
_MAX_SIZE = 64 * 1024 * 1024


class AdminError(Exception):
    """The admin API does not answer, or refuses; the text is a phrase."""


class Running(NamedTuple):
    """The running configuration, as JSON data, and the endpoint of the admin API."""

    endpoint: Endpoint
    config: Any


def running(process: Process, but: Endpoint) -> Running:
    """Ask a Caddy for its running configuration.

    :param but: the endpoint at which it serves, which is not its admin API.
    :raises AdminError: it is off, or not reachable from here.
    :raises OSError: the process has ended, or is not visible to us.
    """
    own = [listener.endpoint for listener in listeners.listeners() if listener.inode in processes.sockets(process.pid)]
    local = sorted((endpoint for endpoint in own if endpoint != but and endpoint.is_loopback),
                   key=lambda endpoint: endpoint.port != 2019)
    for endpoint in local[:3]:
        try:
            answer = _ask(endpoint, process.pid, "GET", "/config/", TIME_LIMIT)
            # On another port a site may have a page of that name; the admin API has the path in its ETag.
            if answer.status == 200 and (endpoint.port == 2019 or endpoint.is_unix or '"/config/' in answer.head):
                return Running(endpoint, json.loads(answer.body))
        except (OSError, ValueError, RecursionError, AdminError):
            continue
    raise AdminError("its admin API does not answer")


def load(process: Process, what: Running) -> None:
    """Let Caddy load a configuration, even its present one; after a failure it keeps the present one.

    Without ``Cache-Control: must-revalidate`` it ignores its present configuration, and does not read a renewed
    certificate.

    :raises AdminError: it failed; the text is Caddy's.
    :raises OSError: no program listens any more.
    """
    answer = _ask(what.endpoint, process.pid, "POST", "/load", LOAD_LIMIT, json.dumps(what.config).encode(),
                  "Content-Type: application/json\r\nCache-Control: must-revalidate\r\n")
    if answer.status != 200:
        raise AdminError(answer.body.decode(errors="replace").strip() or f"status {answer.status}")


class _Answer(NamedTuple):
    status: int
    head: str
    body: bytes


def _ask(endpoint: Endpoint, pid: int, method: str, path: str, limit: float, body: bytes = b"",
         headers: str = "") -> _Answer:
    deadline = time.monotonic() + limit
    family = socket.AF_UNIX if endpoint.is_unix else socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(limit)
        connection.connect(endpoint.host[len("unix:"):] if endpoint.is_unix else (endpoint.host, endpoint.port))
        if endpoint.is_unix:
            # Another process may have taken over the path. SO_PEERCRED is Linux's, as processes are.
            peer, _, _ = struct.unpack("3i", connection.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, 12))  # type: ignore[attr-defined,unused-ignore]
            if peer != pid:
                raise AdminError("its admin socket belongs to another process")
        host = "" if endpoint.is_unix else str(endpoint)
        # HTTP/1.0: the answer ends with the connection.
        head = f"{method} {path} HTTP/1.0\r\nHost: {host}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        answer = bytearray()
        while True:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            data = connection.recv(65536)
            answer += data
            if not data:
                break
            if time.monotonic() > deadline or len(answer) > _MAX_SIZE:
                raise AdminError("its admin API has no end")
    start, _, rest = bytes(answer).partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3}) ", start)
    return _Answer(int(status[1]) if status else 0, start.decode("latin-1"), rest)
