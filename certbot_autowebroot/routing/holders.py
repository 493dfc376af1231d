"""The programs that accept connections on this host: the holders that :mod:`~.follow` asks for the next hop."""
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

#: Seconds of CPU time for all that one server is asked, reading its configuration included; 10,000 sites take three.
MAX_CPU_TIME = 30.0


class PortForward(NamedTuple):
    """The kernel, that sends connections on to another address or port."""

    target: Endpoint

    @property
    def program(self) -> Program:
        """Who it is."""
        return Program("a port forward of the kernel (nft, iptables)")

    def ask(self, request: Request) -> Sequence[Destination]:
        """Where the request goes next."""
        step = Step(f"forwarded to {self.target}" + (" in a container" if self.target.namespace else ""))
        return [Upstream((self.target,), request.host, request.path, request.scheme, trail=(step,))]


@dataclass
class IdentifiedProgram:
    """A process that holds the endpoint.

    :ivar spent: the CPU time that its configuration has taken so far.
    """

    process: Process
    web_servers: WebServers
    spent: float = 0.0

    @property
    def program(self) -> Program:
        """Who it is."""
        return self.process.program

    def ask(self, request: Request) -> Sequence[Destination]:
        """Where the request goes next."""
        started = time.process_time()
        try:
            with limits.cpu_time(MAX_CPU_TIME - self.spent):
                web_server = self.web_servers.for_process(self.process)
                return web_server.ask(self.process, request)  # type: ignore[no-any-return]
        except limits.TimeLimitError:
            return [Unknown(f"what the configuration of {self.program} says takes too long to work out")]
        except OSError as error:  # the process has ended, or its files are not ours to see
            return [Unknown(f"{self.program} cannot be looked at: {error}")]
        except Exception as error:
            # An evaluator reads what others wrote. A mistake in it costs this candidate; hints and other names go on.
            logger.warning("The configuration of %s could not be evaluated: %r", self.program, error)
            logger.debug("Traceback:", exc_info=True)
            return [Unknown(f"the configuration of {self.program} could not be evaluated, which is a bug: {error!r}")]
        finally:
            self.spent += time.process_time() - started


class UnidentifiedListener(NamedTuple):
    """Somebody listens, and who it is we may not see: without root, on another Unix, a kernel's own listener."""

    reason: str

    @property
    def program(self) -> Program:
        """Who it is."""
        return Program("a program that is not visible to us")

    def ask(self, request: Request) -> Sequence[Destination]:
        """Where the request goes next."""
        return [Unknown(self.reason)]
