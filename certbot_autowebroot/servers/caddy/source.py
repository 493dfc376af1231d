"""Where the configuration that a Caddy runs with is found, the truest source first."""
import json
import os
import posixpath
import re
import socket
import struct
import subprocess
import threading
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Sequence
from typing import Set
from typing import Tuple

from certbot_autowebroot import listeners
from certbot_autowebroot.processes import Process
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request

#: Seconds for one answer of the admin API, and for ``caddy adapt``.
TIME_LIMIT = 3.0
_MAX_SIZE = 64 * 1024 * 1024


class NoConfiguration(Exception):
    """There is none that we can read; the text says why."""


def configuration(process: Process, request: Request) -> Any:
    """The running configuration as JSON data.

    The admin API alone has it for sure. Caddy saves what it loads, too, wherever its data directory is: that needs
    neither its network nor its binary, and is how one in a container is read.

    :raises NoConfiguration: none of the sources has it.
    """
    if process.argv[1:2] in (("file-server",), ("reverse-proxy",)):
        return _of_command(process.argv)
    reasons: List[str] = []
    sources: Sequence[Callable[[Process, Request], Any]] = (_from_admin_api, _from_autosave, _from_file)
    for source in sources:
        try:
            return source(process, request)
        except NoConfiguration as error:
            reasons.append(str(error))
        except (OSError, ValueError, RecursionError) as error:
            reasons.append(f"{source.__name__.strip('_').replace('_', ' ')}: {error}")
    raise NoConfiguration("; ".join(reasons))


def _from_admin_api(process: Process, request: Request) -> Any:
    """``GET /config/`` on a socket that this very process listens on, and only it can."""
    own = [listener.endpoint for listener in listeners.listeners() if listener.inode in _sockets(process.pid)]
    local = sorted((endpoint for endpoint in own if endpoint != request.endpoint and endpoint.is_loopback),
                   key=lambda endpoint: endpoint.port != 2019)
    for endpoint in local[:3]:
        try:
            status, headers, body = _get(endpoint, process.pid)
            # Elsewhere a site of Caddy's may have a page of that name; the admin API signs with the path.
            if status == 200 and (endpoint.port == 2019 or endpoint.is_unix or '"/config/' in headers):
                return json.loads(body)
        except (OSError, ValueError, RecursionError):
            continue
    raise NoConfiguration("its admin API does not answer")


def _get(endpoint: Endpoint, pid: int) -> Tuple[int, str, bytes]:
    deadline = time.monotonic() + TIME_LIMIT
    family = socket.AF_UNIX if endpoint.is_unix else socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIME_LIMIT)
        connection.connect(endpoint.host[len("unix:"):] if endpoint.is_unix else (endpoint.host, endpoint.port))
        if endpoint.is_unix:
            # The path of a socket may have been taken over by another since. SO_PEERCRED is Linux's alone.
            peer, _, _ = struct.unpack("3i", connection.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, 12))  # type: ignore[attr-defined,unused-ignore]
            if peer != pid:
                raise NoConfiguration("its admin socket belongs to another process")
        host = "" if endpoint.is_unix else str(endpoint)
        # HTTP/1.0: the answer ends where the connection does.
        connection.sendall(f"GET /config/ HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        answer = bytearray()
        while True:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            data = connection.recv(65536)
            answer += data
            if not data:
                break
            if time.monotonic() > deadline or len(answer) > _MAX_SIZE:
                raise NoConfiguration("its admin API has no end")
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3}) ", head)
    return int(status[1]) if status else 0, head.decode("latin-1"), body


def _sockets(pid: int) -> Set[int]:
    """The inodes of the sockets that a process holds."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{name}"))
        except OSError:  # closed since
            continue
        if match:
            found.add(int(match[1]))
    return found


def _from_autosave(process: Process, request: Request) -> Any:
    """What Caddy saved when it loaded its configuration, unless that was an earlier Caddy.

    "Conventions: File locations": ``$XDG_CONFIG_HOME/caddy``, else ``$HOME/.config/caddy``.
    """
    environment = process.environment
    directory = environment.get("XDG_CONFIG_HOME") or posixpath.join(environment.get("HOME", ""), ".config")
    path = posixpath.join(directory, "caddy", "autosave.json")
    status = process.view.stat(path) if path.startswith("/") else None
    if status is None or status.st_mtime < _started(process):
        raise NoConfiguration("it saved no configuration")
    return json.loads(process.view.read(path))


def _started(process: Process) -> float:
    """When it started, in seconds since the epoch; a second early, for the clocks tick in hundredths."""
    with open("/proc/stat", encoding="ascii") as file:
        boot = next(int(line.split()[1]) for line in file if line.startswith("btime "))
    return boot + process.start_time / os.sysconf("SC_CLK_TCK") - 1


def _from_file(process: Process, request: Request) -> Any:
    """The file that it was started with: JSON is read, anything else adapted."""
    options = _options(process.argv)
    path = posixpath.join(process.cwd, options.get("--config", [""])[-1] or "Caddyfile")
    if path.endswith(".json") and "--adapter" not in options:
        return json.loads(process.view.read(path))
    if not process.view.is_file(path):
        raise NoConfiguration(f"{path} is not a file")
    if not process.view.is_host:
        # Never run as ourselves what somebody else's file system holds.
        raise NoConfiguration(f"{path} is in another file system and not JSON")
    return json.loads(_adapted(process, path, options.get("--adapter", ["caddyfile"])[-1]))


def _adapted(process: Process, path: str, adapter: str) -> bytes:
    """``caddy adapt`` with the binary, the environment and the rights of the running process: it may be its owner's."""
    status = _status(process.pid)
    command = [f"/proc/{process.pid}/exe", "adapt", "--config", path, "--adapter", adapter]
    with subprocess.Popen(command, cwd=process.cwd, env=process.environment, user=int(status["Uid"].split()[1]),
                          group=int(status["Gid"].split()[1]), extra_groups=[int(g) for g in status["Groups"].split()],
                          start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as adapt:
        timer = threading.Timer(TIME_LIMIT, adapt.kill)
        timer.start()
        try:
            output = adapt.stdout.read(_MAX_SIZE) if adapt.stdout else b""
        finally:
            adapt.kill()
            timer.cancel()
    return output


def _status(pid: int) -> Dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        return {name: value for name, _, value in (line.partition(":") for line in file)}


def _options(argv: Sequence[str]) -> Dict[str, List[str]]:
    """Long options with their values, ``--x y`` and ``--x=y``."""
    found: Dict[str, List[str]] = {}
    for number, arg in enumerate(argv):
        if arg.startswith("--"):
            name, equals, value = arg.partition("=")
            following = "".join(argv[number + 1:number + 2])
            found.setdefault(name, []).append(value if equals else "" if following.startswith("-") else following)
    return found


def _of_command(argv: Sequence[str]) -> Any:
    """``caddy file-server`` and ``caddy reverse-proxy`` make their configuration of their options."""
    options = _options(argv)
    if argv[1] == "file-server":
        root = options.get("--root", [""])[-1]
        handlers: List[Dict[str, Any]] = [{"handler": "file_server", **({"root": root} if root else {})}]
        domain, listen = options.get("--domain", [""])[-1], options.get("--listen", [""])[-1]
        listen = listen or (":443" if domain else ":80")
    else:
        dials = [re.sub(r"^https?://", "", to) for to in options.get("--to", [])]
        handlers = [{"handler": "reverse_proxy", "upstreams": [
            {"dial": dial if ":" in dial or "/" in dial else f"{dial}:80"} for dial in dials]}]
        scheme, mark, rest = options.get("--from", ["localhost"])[-1].rpartition("://")
        domain, _, port = (rest if mark else scheme + rest).partition(":")
        listen = f":{port or (80 if scheme == 'http' else 443)}"
    route: Dict[str, Any] = {"handle": handlers, **({"match": [{"host": [domain]}]} if domain else {})}
    return {"apps": {"http": {"servers": {argv[1]: {"listen": [listen], "routes": [route]}}}}}
