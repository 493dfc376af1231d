"""HAProxy: the configuration of the running process, read and evaluated."""
import errno
import posixpath
from typing import Dict
from typing import List
from typing import Sequence
from typing import Tuple
from typing import Union

from zope.interface import implementer

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.common.configuration import readable
from certbot_autowebroot.servers.haproxy.config import Config
from certbot_autowebroot.servers.haproxy.config import ConfigError
from certbot_autowebroot.servers.haproxy.config import parse
from certbot_autowebroot.servers.haproxy.evaluate import destinations
from certbot_autowebroot.servers.registry import executables
from certbot_autowebroot.system.processes import Process

#: Lines of a file of an ACL or a map.
MAX_LINES = 1_000_000


@implementer(IWebServer)
class HaproxyServer:
    """HAProxy 2.0 and up."""

    name = "HAProxy"

    def __init__(self) -> None:
        self._configs: Dict[int, Union[Config, str]] = {}
        self._lists: Dict[Tuple[int, str], Sequence[str]] = {}

    def recognises(self, process: Process) -> bool:
        """Whether the executable is haproxy."""
        return process.name in executables("haproxy")

    def ask(self, process: Process, request: Request) -> Sequence[Destination]:
        """The destinations in its configuration; see :meth:`~certbot_autowebroot.interfaces.IWebServer.ask`."""
        if process.pid not in self._configs:
            self._configs[process.pid] = _read(process)
        config = self._configs[process.pid]
        if isinstance(config, str):
            return [Unknown(config)]

        def lines(path: str) -> Sequence[str]:
            key = process.pid, posixpath.join(directory(process), path)
            if key not in self._lists:
                content = readable(process, key[1]).read(key[1])
                if content.count(b"\n") > MAX_LINES:
                    raise OSError(errno.EFBIG, f"it has more than {MAX_LINES} lines")
                self._lists[key] = content.decode("utf-8", "surrogateescape").splitlines()
            return self._lists[key]
        return destinations(config, request, lines)


def _read(process: Process) -> Union[Config, str]:
    """The configuration, or the reason why there is none."""
    names = config_paths(process.argv)
    if not names:
        return "HAProxy was started without -f"
    files: List[Tuple[str, bytes]] = []
    for name in names:
        path = posixpath.join(directory(process), name)
        try:
            view = readable(process, path)
            paths: List[str] = [path]
            if view.is_dir(path):
                # "only files with .cfg, in lexical order": haproxy(1), -f.
                paths = [posixpath.join(path, file) for file in view.list_dir(path) if file.endswith(".cfg")]
            files.extend((path, view.read(path)) for path in paths)
        except OSError as error:
            return f"HAProxy's configuration {path} cannot be read: {error.strerror or error}"
    try:
        return parse(files, process.environment)
    except ConfigError as error:
        return f"HAProxy's configuration is not understood: {error}"


def config_paths(argv: Sequence[str]) -> List[str]:
    """haproxy(1): the values of ``-f``, and all arguments after ``--``."""
    end = argv.index("--") if "--" in argv else len(argv)
    return [argv[n + 1] for n in range(end - 1) if argv[n] == "-f"] + list(argv[end + 1:])


def directory(process: Process) -> str:
    """The value of ``-C``, the directory into which HAProxy changes before it reads a file."""
    given = [process.argv[n + 1] for n in range(len(process.argv) - 1) if process.argv[n] == "-C"]
    return posixpath.join(process.cwd or "/", *given[-1:])
