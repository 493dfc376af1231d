"""Programs that forward connections unchanged: Docker's userland proxy, socat, and any other by what it does."""
import re
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple

from zope.interface import implementer

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.registry import executables
from certbot_autowebroot.system import limits
from certbot_autowebroot.system.forwarding_programs import ForwardTarget
from certbot_autowebroot.system.forwarding_programs import forward_target
from certbot_autowebroot.system.processes import Process

#: Seconds of waiting for all programs that are asked what they are. A user may have a thousand, which never answer.
MAX_WAITING = 10.0
#: socat(1), address specifications: ``TCP:<host>:<port>``, ``TCP4-CONNECT:…``, ``UNIX-CONNECT:<path>``.
_SOCAT_TCP = re.compile(r"tcp[46]?(?:-connect)?:(?:\[([^\]]+)\]|([^:,]+)):([0-9]{1,9})(?:,|$)", re.IGNORECASE)
_SOCAT_UNIX = re.compile(r"unix(?:-connect)?:([^,]+)", re.IGNORECASE)


@implementer(IWebServer)
class Forwarder:
    """The target is among the arguments."""

    name = "port forwarder"

    def recognises(self, process: Process) -> bool:
        """Whether it is one of them."""
        return process.name in executables("forwarder")

    def ask(self, process: Process, request: Request) -> Sequence[Destination]:
        """The target of the connection."""
        arguments = list(process.argv[1:])
        target = _docker_target(arguments) if process.name == "docker-proxy" else _socat_target(arguments)
        if target is None:
            return [Unknown(f"the arguments of {process.program} do not say where it forwards to")]
        step = Step(f"{process.name} forwards to {target}")
        return [Upstream((target,), request.host, request.path, request.scheme, trail=(step,))]


class ConnectionForwards:
    """The connections that programs forward, each looked for once.

    A forwarder may be a script of any name: an evaluator that knows a program by its arguments asks here first.

    :ivar waiting: the time for all programs together; what comes after it counts as not forwarded.
    """

    def __init__(self) -> None:
        self.waiting = limits.Waiting(MAX_WAITING)
        self._targets: Dict[Tuple[int, Endpoint, str], Optional[ForwardTarget]] = {}

    def of(self, process: Process, request: Request) -> Optional[Upstream]:
        """The endpoint to which a program forwards the connection of a request; None if it answers itself."""
        key = process.pid, request.endpoint, request.scheme
        if key not in self._targets and self.waiting.left > 0:
            with self.waiting:
                self._targets[key] = forward_target(process.pid, request.endpoint, request.scheme == "https",
                                                    request.host)
        target = self._targets.get(key)
        if target is None:
            return None
        step = Step(f"{process.name} passes connections on to {target.endpoint}")
        return Upstream((target.endpoint,), request.host, request.path, "https" if target.in_tls else "http",
                        trail=(step,))


def _docker_target(arguments: List[str]) -> Optional[Endpoint]:
    """``docker-proxy -proto tcp -host-ip … -host-port … -container-ip A -container-port P``."""
    options = dict(zip(arguments, arguments[1:]))
    try:
        return Endpoint(options["-container-ip"], int(options["-container-port"]))
    except (KeyError, ValueError):
        return None


def _socat_target(arguments: List[str]) -> Optional[Endpoint]:
    for argument in arguments:
        tcp = _SOCAT_TCP.match(argument)
        if tcp:
            return Endpoint(tcp[1] or tcp[2], int(tcp[3]))
        unix = _SOCAT_UNIX.match(argument)
        if unix:
            return Endpoint(f"unix:{unix[1]}", 0)
    return None
