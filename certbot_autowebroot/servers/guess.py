"""Any other program: one that forwards connections, or an application server with static files near it.

Rails serves ``public/`` below its working directory, Express the argument of ``express.static``, a Go binary the value
of a flag. No configuration names the directory, so these are guesses: before the solver writes, it fetches a file that
already exists there.
"""
import posixpath
import re
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import List
from typing import Sequence
from typing import Tuple

from zope.interface import implementer

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.common.paths import below
from certbot_autowebroot.servers.forwarder import ConnectionForwards
from certbot_autowebroot.system import greeting
from certbot_autowebroot.system import systemd
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.terminal import printable

#: Each costs a probe.
MAX_GUESSES = 8

#: Java's class paths and the like.
_MAX_ARGUMENTS = 64
#: Characters of a command line in a message.
_MAX_COMMAND_LINE = 200

#: Directories of static files in frameworks: Rails, Express, Flask, Angular, Jekyll, create-react-app, ASP.NET,
#: Tomcat.
_BELOW = ("public", "static", "htdocs", "www", "dist", "html", "build", "wwwroot", "_site", "web",
          "webapps/ROOT")

#: No program serves these; some programs serve directories below them.
_SYSTEM = re.compile(r"/((home|media|mnt|opt|srv|tmp|var|var/(lib|log|tmp|cache|spool))?)")
#: No program serves anything below these: programs, secrets and the kernel.
_SYSTEM_TREES = re.compile(r"/(bin|boot|dev|etc|lib\d*|libx?32|proc|root|run|sbin|sys|usr|var/run|var/log)(/|$)")


def is_system_directory(path: str) -> bool:
    """Whether a guess must never lead to a file there."""
    return bool(_SYSTEM.fullmatch(path) or _SYSTEM_TREES.match(path))


def directories(argv: Sequence[str], cwd: str, is_dir: Callable[[str], bool]) -> List[Tuple[str, str]]:
    """Directories that a program may serve, the likeliest first: at most :data:`MAX_GUESSES`, all of which exist.

    :param cwd: its working directory, in its view; may be empty.
    :returns: pairs of the directory and the reason.
    """
    guesses: Dict[str, str] = {}
    for directory, why in _suggestions(argv[1:_MAX_ARGUMENTS], cwd, is_dir):
        if directory not in guesses and not is_system_directory(directory) and is_dir(directory):
            guesses[directory] = why
        if len(guesses) == MAX_GUESSES:
            break
    return list(guesses.items())


def _suggestions(args: Sequence[str], cwd: str, is_dir: Callable[[str], bool]) -> Iterator[Tuple[str, str]]:
    named = list(_paths(args, cwd))
    for path in named:
        yield path, "an argument of the program"
    near = [path if is_dir(path) else posixpath.dirname(path) for path in named]
    for base in dict.fromkeys([cwd, *near]):
        if base.startswith("/") and is_dir(base):
            for name in _BELOW:
                yield posixpath.join(base, name), f"a usual place of static files below {base}"
    if cwd.startswith("/"):
        yield posixpath.normpath(cwd), "the program's working directory"


def _paths(args: Sequence[str], cwd: str) -> Iterator[str]:
    """The arguments that may be paths (``/srv/x``, ``--root=x``, ``x``), absolute and without ``..``."""
    for arg in args:
        value = re.sub(r"^-[^=]*=?", "", arg)
        path = posixpath.normpath(posixpath.join(cwd, value))
        if value and "://" not in value and path.startswith("/") and path != cwd:
            yield path


@implementer(IWebServer)
class AnyProgram:
    """The last in order: it recognises every process, and only guesses."""

    name = "a program that is not known"

    def __init__(self) -> None:
        self._forwards = ConnectionForwards()
        self._greetings: Dict[Tuple[int, Endpoint], str] = {}

    def recognises(self, process: Process) -> bool:
        """Yes."""
        return True

    def ask(self, process: Process, request: Request) -> Sequence[Destination]:
        """The target of its connections, else guesses, marked as such.

        See :meth:`~certbot_autowebroot.interfaces.IWebServer.ask`.
        """
        upstream = self._forwards.of(process, request)
        if upstream is not None:
            return [upstream]
        answer = self._answer_without_http(process, request)
        if answer:
            return [DeadEnd(f"{process.program} does not speak HTTP: it answered {answer}{_origin(process)}")]
        try:
            is_dir = process.view.is_dir
        except OSError as error:
            return [Unknown(f"the file system of {process.name} is not visible to us: {error.strerror}")]
        guesses = [Directory(PathInView(root), below(request.path), (Step(f"{root}, {why}"),), guessed=True)
                   for root, why in directories(process.argv, process.cwd, is_dir)]
        return guesses or [Unknown(f"{process.name} is not a web server whose configuration we can read, and nothing "
                                   "among its arguments or below its working directory looks like a web root"
                                   + _origin(process))]

    def _answer_without_http(self, process: Process, request: Request) -> str:
        if request.scheme != "http":
            return ""
        key = process.pid, request.endpoint
        if key not in self._greetings and self._forwards.waiting.left > 0:
            with self._forwards.waiting:
                self._greetings[key] = greeting.without_http(request)
        return self._greetings.get(key, "")


def _origin(process: Process) -> str:
    """What a person needs to find out why a program runs: its command line and its systemd unit."""
    words = printable(" ".join(process.argv)).strip()
    command_line = f"; its command line is {words[:_MAX_COMMAND_LINE]}" if words else ""
    unit = systemd.unit_of(process)
    return command_line + (f"; its systemd unit is {printable(unit)}" if unit else "")
