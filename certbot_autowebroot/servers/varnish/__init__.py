"""Varnish: the VCL with which it was started, read and evaluated.

A VCL from ``varnishadm vcl.load`` is ignored: Debian's reload loads the same file again.
"""
import posixpath
from typing import Dict
from typing import List
from typing import Sequence
from typing import Union

from zope.interface import implementer

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.registry import executables
from certbot_autowebroot.servers.varnish.evaluate import destinations
from certbot_autowebroot.servers.varnish.vcl import Backend
from certbot_autowebroot.servers.varnish.vcl import Vcl
from certbot_autowebroot.servers.varnish.vcl import VclError
from certbot_autowebroot.servers.varnish.vcl import parse
from certbot_autowebroot.system.processes import Process

#: The default of the parameter vcl_path, varnishd(1).
_SEARCH_PATH = "/etc/varnish:/usr/share/varnish/vcl"


@implementer(IWebServer)
class VarnishServer:
    """Varnish 6 and up. Its child process has the arguments of the manager."""

    name = "Varnish"

    def __init__(self) -> None:
        self._vcls: Dict[int, Union[Vcl, str]] = {}

    def recognises(self, process: Process) -> bool:
        """Whether the executable is varnishd."""
        return process.name in executables("varnish")

    def ask(self, process: Process, request: Request) -> Sequence[Destination]:
        """The destinations in its VCL; see :meth:`~certbot_autowebroot.interfaces.IWebServer.ask`."""
        if process.pid not in self._vcls:
            self._vcls[process.pid] = _read(process)
        vcl = self._vcls[process.pid]
        return [Unknown(vcl)] if isinstance(vcl, str) else destinations(vcl, request)


def _read(process: Process) -> Union[Vcl, str]:
    """The VCL, or the reason why there is none."""
    backends = _values(process.argv, "-b")
    if backends:
        return _of_backend(backends[-1])
    files = [name for name in _values(process.argv, "-f") if name]
    if not files:
        return "varnishd was started without -f and -b"
    try:
        return parse(files[0], process.view.read, _search_path(process))
    except OSError as error:
        return f"Varnish's {error.filename or files[0]} cannot be read: {error.strerror or error}"
    except VclError as error:
        return f"Varnish's VCL is not understood: {error}"


def main_file(process: Process) -> str:
    """The path of the VCL that a running Varnish was started with; empty where it has none, or it is not found."""
    name = next(filter(None, _values(process.argv, "-f")), "")
    paths = [posixpath.join(directory, name) for directory in _search_path(process)] if name else []
    return next((path for path in paths if process.view.is_file(path)), "")


def _search_path(process: Process) -> List[str]:
    paths = [value.partition("=")[2] for value in _values(process.argv, "-p") if value.startswith("vcl_path=")]
    return "".join(paths[-1:] or [_SEARCH_PATH]).split(":")


def _of_backend(text: str) -> Vcl:
    """``-b address[:port]``, ``-b /path``, ``-b none``, varnishd(1)."""
    source = Source(f"varnishd -b {text}")
    host, colon, port = text.rpartition(":")
    if text.startswith("/") or not colon or text.endswith("]"):
        host, port = text, "80"
    return Vcl({"default": Backend("default", "" if text == "none" else host, port, False, source)})


def _values(argv: Sequence[str], flag: str) -> List[str]:
    """The values of an option, after it or in the same word."""
    values: List[str] = []
    for number, arg in enumerate(argv):
        if arg == flag:
            values.extend(argv[number + 1:number + 2])
        elif arg.startswith(flag) and number > 0:
            values.append(arg[len(flag):])
    return values
