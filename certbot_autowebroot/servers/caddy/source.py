"""The sources of the configuration of a running Caddy, the most reliable first."""
import json
import os
import posixpath
import re
import subprocess
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import Request
from certbot_autowebroot.servers.caddy import admin
from certbot_autowebroot.servers.common.edits import EditedView
from certbot_autowebroot.system import output
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process

#: Seconds for ``caddy adapt``.
TIME_LIMIT = 3.0
_MAX_SIZE = 64 * 1024 * 1024


class NoConfigurationError(Exception):
    """No configuration is readable; the text is the reason."""


def configuration(process: Process, request: Request) -> Any:
    """The running configuration as JSON data.

    Only the admin API certainly has it. Caddy also saves each configuration that it loads: that file needs neither its
    network nor its binary, and serves for a Caddy in a container.

    :raises NoConfigurationError: no source has it.
    """
    if process.argv[1:2] in (("file-server",), ("reverse-proxy",)):
        return _of_command(process.argv)
    if isinstance(process.view, EditedView):
        return _edited(process, process.view)
    reasons: List[str] = []
    sources: Sequence[Callable[[Process, Request], Any]] = (_from_admin_api, _from_autosave, _from_file)
    for source in sources:
        try:
            return source(process, request)
        except NoConfigurationError as error:
            reasons.append(str(error))
        except (OSError, ValueError, RecursionError) as error:
            reasons.append(f"{source.__name__.strip('_').replace('_', ' ')}: {error}")
    raise NoConfigurationError("; ".join(reasons))


def _from_admin_api(process: Process, request: Request) -> Any:
    """``GET /config/`` on a socket of this process alone."""
    try:
        return admin.running(process, request.endpoint).config
    except admin.AdminError as error:
        raise NoConfigurationError(str(error)) from error


def _from_autosave(process: Process, request: Request) -> Any:
    """The configuration that Caddy saved when it loaded it; not that of an earlier process.

    "Conventions: File locations": ``$XDG_CONFIG_HOME/caddy``, else ``$HOME/.config/caddy``.
    """
    environment = process.environment
    directory = environment.get("XDG_CONFIG_HOME") or posixpath.join(environment.get("HOME", ""), ".config")
    path = posixpath.join(directory, "caddy", "autosave.json")
    status = process.view.stat(path) if path.startswith("/") else None
    if status is None or status.st_mtime < _started(process):
        raise NoConfigurationError("it saved no configuration")
    return json.loads(process.view.read(path))


def _started(process: Process) -> float:
    """Its start time in seconds since the epoch, a second early: the clock's ticks are hundredths."""
    with open("/proc/stat", encoding="ascii") as file:
        boot = next(int(line.split()[1]) for line in file if line.startswith("btime "))
    return boot + process.start_time / os.sysconf("SC_CLK_TCK") - 1


def _from_file(process: Process, request: Request) -> Any:
    """The file of its arguments: read as JSON, or adapted."""
    options = _options(process.argv)
    path = posixpath.join(process.cwd, options.get("--config", [""])[-1] or "Caddyfile")
    if path.endswith(".json") and "--adapter" not in options:
        return json.loads(process.view.read(path))
    if not process.view.is_file(path):
        raise NoConfigurationError(f"{path} is not a file")
    if not processes.has_our_files(process):
        # We never run the binary of another file system.
        raise NoConfigurationError(f"{path} is in another file system and not JSON")
    return json.loads(_adapted(process, path, options.get("--adapter", ["caddyfile"])[-1]))


def caddyfile(process: Process) -> str:
    """The Caddyfile of its arguments; empty where it runs without one."""
    options = _options(process.argv)
    path = posixpath.join(process.cwd or "/", options.get("--config", [""])[-1] or "Caddyfile")
    other = "--resume" in options or options.get("--adapter", ["caddyfile"])[-1] != "caddyfile"
    return "" if other or path.endswith(".json") or process.argv[1:2] != ("run",) else path


def _edited(process: Process, view: EditedView) -> Any:
    """The Caddyfile as it would be with lines put in, adapted from memory."""
    path = caddyfile(process)
    if view.edited != {path} or not processes.has_our_files(process) or not hasattr(os, "memfd_create"):
        raise NoConfigurationError("edited")  # only the Caddyfile itself can be adapted from memory
    # Caddy looks for an imported file beside the file that imports it; the name of a snippet has no such characters.
    directory = os.fsencode(posixpath.dirname(path))
    text = re.sub(rb"(?m)^(\s*import\s+)(?!/)(?=\S*[/.*])", lambda match: match[1] + directory + b"/", view.read(path))
    fd = os.memfd_create("Caddyfile")
    try:
        os.write(fd, text)
        return json.loads(_adapted(process, f"/proc/self/fd/{fd}", "caddyfile", (fd,)))
    except (OSError, ValueError) as error:
        raise NoConfigurationError(str(error)) from error
    finally:
        os.close(fd)


def _adapted(process: Process, path: str, adapter: str, pass_fds: Tuple[int, ...] = ()) -> bytes:
    """``caddy adapt`` with the binary, the environment and the rights of the running process."""
    environment = process.environment
    with processes.opened_program(process) as (fd, directory, rights):
        adapt = subprocess.Popen(
            ["caddy", "adapt", "--config", path, "--adapter", adapter], executable=f"/proc/self/fd/{fd}",
            pass_fds=(fd, *pass_fds), cwd=directory, env=environment, user=rights.uid, group=rights.gid,
            extra_groups=rights.groups, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
    try:
        return output.read(adapt, TIME_LIMIT, _MAX_SIZE)
    except output.OutputLimitError as error:
        raise NoConfigurationError(f"caddy adapt {error}") from error


def _options(argv: Sequence[str]) -> Dict[str, List[str]]:
    """Long options with their values, ``--x y`` and ``--x=y``."""
    options: Dict[str, List[str]] = {}
    for number, arg in enumerate(argv):
        if arg.startswith("--"):
            name, equals, value = arg.partition("=")
            following = "".join(argv[number + 1:number + 2])
            options.setdefault(name, []).append(value if equals else "" if following.startswith("-") else following)
    return options


def _of_command(argv: Sequence[str]) -> Any:
    """The configuration that ``caddy file-server`` and ``caddy reverse-proxy`` make from their options."""
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
