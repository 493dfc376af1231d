"""nginx, and the programs built from it (OpenResty, Angie, Tengine).

The plugin reads the files of the running master, in the master's own view of the file system. It never runs
``nginx -T``, which as root makes log files and directories, changes their owners, binds and listens.
"""
import functools
import os
import re
import shlex
import subprocess
from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Sequence
from typing import Tuple

from zope.interface import implementer

from certbot_autowebroot.interfaces import ILogsErrors
from certbot_autowebroot.interfaces import ILogsMisses
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.common.file_cache import FileCache
from certbot_autowebroot.servers.nginx import log
from certbot_autowebroot.servers.nginx.evaluator import Evaluator
from certbot_autowebroot.servers.nginx.parser import parse
from certbot_autowebroot.servers.registry import executables
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.views import View

#: nginx's own title; Angie's begins with its own name.
_TITLE = re.compile(r"[\w-]+: master process ")

#: Configuration file and prefix in the packages of distributions and in nginx's own build.
_USUAL_PATHS = (("/etc/nginx/nginx.conf", "/usr/share/nginx"),
           ("/usr/local/openresty/nginx/conf/nginx.conf", "/usr/local/openresty/nginx"),
           ("/etc/angie/angie.conf", "/etc/angie"),
           ("/usr/local/etc/nginx/nginx.conf", "/usr/local"),
           ("/usr/local/nginx/conf/nginx.conf", "/usr/local/nginx"))


class CompiledPaths(NamedTuple):
    """The compiled-in paths, which apply without ``-c`` and ``-p``."""

    conf: str
    prefix: str


#: By the master's pid and start time, and this machine's name.
_cache: FileCache[Evaluator] = FileCache()


@implementer(ILogsMisses, ILogsErrors)
class NginxServer:
    """Answers from the configuration files of a running nginx, read once per process and order."""

    name = "nginx"

    def __init__(self) -> None:
        self._evaluators: Dict[Tuple[int, int], Evaluator] = {}

    def recognises(self, process: Process) -> bool:
        """Whether the executable is an nginx."""
        return process.name in executables("nginx")

    def ask(self, process: Process, request: Request) -> Sequence[Destination]:
        """The destinations of the request in the configuration on disk."""
        master = master_of(process)
        key = (master.pid, master.start_time)
        try:
            if key not in self._evaluators:
                self._evaluators[key] = evaluator_of(master)
                self._evaluators[key].start_over()
        except OSError as error:
            return [Unknown(f"the files of nginx (pid {master.pid}) are not visible to us: {error}")]
        # To an ordinary user a path that may not be read looks like a missing one.
        return self._evaluators[key].destinations(request, None if os.geteuid() else master.view.stat)

    def missed(self, process: Process, request: Request) -> Sequence[Directory]:
        """The directories in which it looked for the file, from its error log."""
        return log.missed(master_of(process), request)

    def logged_errors(self, process: Process, request: Request) -> Sequence[str]:
        """Its lines of a request, from its error log."""
        return log.errors(master_of(process), request)


def master_of(process: Process) -> Process:
    """The master of a worker, whose title does not have the command line."""
    while not _TITLE.match(process.argv[0]):
        parent = processes.process(process.parent)
        if parent is None or parent.name != process.name:
            break
        process = parent
    return process


def options(argv: Sequence[str]) -> Dict[str, str]:
    """The values of ``-c``, ``-p``, ``-e`` and ``-g``, from the process title that nginx writes over its arguments.

    The title has no borders between arguments, so the value of ``-g`` ends where the next option begins.
    """
    title = argv[0] if argv else ""
    match = _TITLE.match(title)
    words = title[match.end():].split() if match else list(argv)
    values: Dict[str, str] = {}
    option = ""
    for word in words[1:]:
        if re.fullmatch("-[cpeg].*", word, re.DOTALL) and not (option == "g" and not values[option]):
            option = word[1]
            values[option] = word[2:]
        elif re.fullmatch("-[tTqvVhs?]+", word):
            option = ""
        elif option:
            values[option] = f"{values[option]} {word}" if values[option] else word
    return values


def evaluator_of(process: Process) -> Evaluator:
    """The evaluator of a running nginx, by the files on disk.

    :raises OSError: the process has ended, or its files are not visible to us.
    """
    master = master_of(process)
    hostname = "" if master.view.is_contained else os.uname().nodename
    key = (master.pid, master.start_time, hostname)
    return _cache.get(key, master.view, functools.partial(_read, master, hostname))


def _read(master: Process, hostname: str, view: View) -> Evaluator:
    given = options(master.argv)
    compiled = _compiled_paths(master, view, given)
    prefix = os.path.join(master.cwd or "/", given.get("p") or compiled.prefix)
    conf = os.path.join(prefix, given.get("c") or compiled.conf)
    return Evaluator(parse(conf, view.read, view.glob, prefix, hostname))


def _compiled_paths(master: Process, view: View, given: Dict[str, str]) -> CompiledPaths:
    """The compiled-in paths."""
    if os.path.isabs(given.get("c", "")) and given.get("p"):
        return CompiledPaths(given["c"], given["p"])
    # Root must not run the program of a container or of another user.
    if processes.has_our_files(master, master.exe) and master.uid in (0, os.geteuid()):
        try:
            arguments = dict(argument.partition("=")[::2] for argument in _configure_arguments(master))
            prefix = arguments.get("--prefix", "/usr/local/nginx")
            return CompiledPaths(os.path.join(prefix, arguments.get("--conf-path", "conf/nginx.conf")), prefix)
        except (OSError, ValueError, subprocess.SubprocessError):
            pass
    return CompiledPaths(*next((pair for pair in _USUAL_PATHS if view.is_file(pair[0])), _USUAL_PATHS[0]))


def _configure_arguments(master: Process) -> List[str]:
    """The arguments that ``nginx -V`` prints, of the running binary, even a deleted one. It changes nothing."""
    with processes.opened_program(master) as (fd, _, rights):
        if rights.uid not in (0, os.geteuid()):
            raise PermissionError(f"process {master.pid} has become another user's")
        result = subprocess.run([f"/proc/self/fd/{fd}", "-V"], stdin=subprocess.DEVNULL, capture_output=True,
                                pass_fds=(fd,), env={}, timeout=5, check=True)
    _, _, line = result.stderr.decode(errors="replace").partition("configure arguments:")
    return shlex.split(line)
