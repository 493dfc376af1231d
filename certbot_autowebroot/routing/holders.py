"""The programs that accept connections on this host; :mod:`~.follow` asks them for the next hop."""
import logging
import time
from dataclasses import dataclass
from typing import NamedTuple
from typing import Sequence

from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.registry import WebServers
from certbot_autowebroot.system import limits
from certbot_autowebroot.system.processes import Process

logger = logging.getLogger(__name__)

#: Seconds of CPU time for one server, reading its configuration included. 10,000 sites take three.
MAX_CPU_TIME = 30.0


class PortForward(NamedTuple):
    """A port forward of the kernel: it sends connections on to another address or port."""

    target: Endpoint

    @property
    def program(self) -> Program:
        """The program, as plain data."""
        return Program("a port forward of the kernel (nft, iptables)")

    def ask(self, request: Request) -> Sequence[Destination]:
        """The next hop of a request."""
        step = Step(f"forwarded to {self.target}" + (" in a container" if self.target.namespace else ""))
        return [Upstream((self.target,), request.host, request.path, request.scheme, trail=(step,))]


@dataclass
class IdentifiedProgram:
    """A process that holds the endpoint.

    :ivar spent: seconds of CPU time that its configuration has taken so far.
    """

    process: Process
    web_servers: WebServers
    spent: float = 0.0

    @property
    def program(self) -> Program:
        """The program, as plain data."""
        return self.process.program

    def ask(self, request: Request) -> Sequence[Destination]:
        """The next hop of a request."""
        started = time.process_time()
        try:
            with limits.cpu_time(MAX_CPU_TIME - self.spent):
                web_server = self.web_servers.for_process(self.process)
                return web_server.ask(self.process, request)  # type: ignore[no-any-return]
        except limits.TimeLimitError:
            return [Unknown(f"the configuration of {self.program} takes too long to evaluate")]
        except OSError as error:  # the process has ended, or its files are not visible to this user
            return [Unknown(f"{self.program} cannot be inspected: {error}")]
        except Exception as error:
            # A bug in an evaluator costs this candidate alone; given directories and other names go on.
            logger.warning("The configuration of %s could not be evaluated: %r", self.program, error)
            logger.debug("Traceback:", exc_info=True)
            return [Unknown(f"the configuration of {self.program} could not be evaluated, which is a bug: {error!r}")]
        finally:
            self.spent += time.process_time() - started


class UnidentifiedListener(NamedTuple):
    """A listener whose process is not visible: no root, another Unix, a listener of the kernel itself."""

    reason: str

    @property
    def program(self) -> Program:
        """The program, as plain data."""
        return Program("a program that is not visible to us")

    def ask(self, request: Request) -> Sequence[Destination]:
        """The next hop of a request."""
        return [Unknown(self.reason)]
