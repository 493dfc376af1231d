"""Which programs accept connections at which endpoints, in our network namespace and in those of containers."""
import errno
import functools
import ipaddress
import logging
import os
import socket
import sys
from typing import Dict
from typing import Iterable
from typing import List
from typing import Sequence
from typing import Set
from typing import Tuple

from certbot_autowebroot.interfaces import ILogsErrors
from certbot_autowebroot.interfaces import ILogsMisses
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import Program
from certbot_autowebroot.routing.follow import Holder
from certbot_autowebroot.routing.holders import IdentifiedProgram
from certbot_autowebroot.routing.holders import PortForward
from certbot_autowebroot.routing.holders import UnidentifiedListener
from certbot_autowebroot.servers import registry
from certbot_autowebroot.servers.registry import WebServers
from certbot_autowebroot.system import container_dns
from certbot_autowebroot.system import limits
from certbot_autowebroot.system import listeners
from certbot_autowebroot.system import namespaces
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.addresses import Addresses
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.terminal import printable
from certbot_autowebroot.system.views import View

logger = logging.getLogger(__name__)

#: Seconds for looking up all upstream names of configurations. A user's configuration may have a thousand names with a
#: name server that never answers.
MAX_RESOLVING = 20.0
#: Seconds for a connection to a local address, where nothing else shows whether a program listens.
_CONNECT_TIMEOUT = 2.0


class ListeningPrograms:
    """Snapshot of the programs that listen, and of the endpoints to which they pass connections on.

    :param addresses: names and addresses as certbot's own network namespace has them.
    """

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._addresses_elsewhere: Dict[Tuple[int, str], Sequence[str]] = {}
        self._listeners: Dict[int, List[listeners.Listener]] = {}
        self._holders: Dict[Endpoint, Sequence[Holder]] = {}
        self._forwarded: Dict[Endpoint, bool] = {}
        self._processes: Dict[int, Process] = {}
        self._resolving = limits.Waiting(MAX_RESOLVING)

    @functools.cached_property
    def _web_servers(self) -> WebServers:
        return WebServers()

    def view_of(self, program: Program) -> View:
        """The file system as a program sees it; the host's own for a program that is not visible.

        :raises OSError: the process has ended, or its root directory is not visible to this user.
        """
        process = self._processes.get(program.pid)
        return process.view if process else View.of_host()

    def reach(self, member: Endpoint, origin: Endpoint) -> Sequence[Endpoint]:
        """The local endpoints to which a program at ``origin`` connects for an upstream member."""
        if member.namespace:  # a forward into a container: already looked up
            return [member]
        if member.is_unix:
            return [member._replace(namespace=origin.namespace)]
        if self._resolving.left < 0:
            logger.debug("%s is not looked up: other names have taken too long", printable(member.host))
            return []
        with self._resolving:
            return self._reach(member, origin)

    def _reach(self, member: Endpoint, origin: Endpoint) -> Sequence[Endpoint]:
        return [Endpoint(address, member.port, namespace) for address in self._resolved(member.host, origin.namespace)
                for namespace in self._namespaces_of(address, member.port, origin.namespace)]

    def _resolved(self, host: str, namespace: int) -> Sequence[str]:
        if not namespace:
            return self._addresses.of(host)
        if (namespace, host) not in self._addresses_elsewhere:
            self._addresses_elsewhere[namespace, host] = container_dns.addresses_in(self._namespaces[namespace], host)
        return self._addresses_elsewhere[namespace, host]

    def _namespaces_of(self, address: str, port: int, origin: int) -> List[int]:
        """The network namespace that has an address, seen from ``origin``: that itself first, then certbot's own."""
        if ipaddress.ip_address(address).is_loopback or (origin and address in self._addresses_inside[origin]):
            return [origin]
        if self._addresses.is_here(address):
            return [0]
        owners = {number: other for number, other in self._namespaces.items()
                  if address in self._addresses_inside[number]}
        if len(owners) > 1:  # nested engines reuse the same private networks: connect, to see which one accepts
            acceptor = namespaces.acceptor(address, port, owners)
            return [acceptor.namespace] if acceptor else []
        return list(owners)

    @functools.cached_property
    def _namespaces(self) -> Dict[int, namespaces.Namespace]:
        return namespaces.others()

    @functools.cached_property
    def _addresses_inside(self) -> Dict[int, Set[str]]:
        return {number: namespace.addresses for number, namespace in self._namespaces.items()}

    def holders(self, endpoint: Endpoint) -> Sequence[Holder]:
        """The programs that accept connections there."""
        if endpoint not in self._holders:
            self._holders[endpoint] = self._find_holders(endpoint)
        return self._holders[endpoint]

    def missed(self, hop: Hop) -> Sequence[Directory]:
        """The places where the program at a hop did not find a file, if it logs them."""
        process = self._processes.get(hop.program.pid)
        if process is None:
            return []
        web_server = self._web_servers.for_process(process)
        try:
            return web_server.missed(process, hop.request) if ILogsMisses.providedBy(web_server) else []
        except OSError as error:
            logger.debug("the log of %s cannot be read: %s", hop.program, error)
            return []

    def logged_error(self, hop: Hop) -> str:
        """The latest line that the program at a hop has logged of its request; empty where it has logged none."""
        process = self._processes.get(hop.program.pid)
        if process is None:
            return ""
        web_server = self._web_servers.for_process(process)
        if not ILogsErrors.providedBy(web_server):
            return ""
        try:
            return "".join(web_server.logged_errors(process, hop.request)[-1:])
        except OSError as error:
            logger.debug("the log of %s cannot be read: %s", hop.program, error)
            return ""

    def _find_holders(self, endpoint: Endpoint) -> Sequence[Holder]:
        try:
            accepting = listeners.accepting(endpoint, self._listeners_in(endpoint.namespace))
        except OSError as error:
            reason = _why_listeners_unknown(error)
            _announce(reason)
            return [] if _is_free(endpoint) else [UnidentifiedListener(reason)]
        if not accepting:
            return self._port_forward(endpoint)
        owners = listeners.owners({listener.inode for listener in accepting}, registry.LIKELY)
        pids = {pid for inode_owners in owners.values() for pid in inode_owners}
        if pids == {os.getpid()}:  # a responder of this run is no web server
            return []
        main = _main_processes(process for process in map(processes.process, sorted(pids)) if process)
        self._processes.update({process.pid: process for process in main})
        return [IdentifiedProgram(process, self._web_servers) for process in main] or [
            UnidentifiedListener(f"the program that listens on {endpoint} is not visible: only root can see it")]

    def _listeners_in(self, namespace: int) -> List[listeners.Listener]:
        if namespace not in self._listeners:
            self._listeners[namespace] = (listeners.listeners_in(self._namespaces[namespace]) if namespace
                                          else listeners.listeners())
        return self._listeners[namespace]

    def _port_forward(self, endpoint: Endpoint) -> Sequence[PortForward]:
        """The port forward of the kernel (nft, iptables) at an endpoint, or none."""
        if endpoint.namespace or endpoint.is_unix:
            return []
        acceptor = namespaces.acceptor(endpoint.host, endpoint.port, self._namespaces)
        if acceptor is None:
            return []
        return [PortForward(Endpoint(acceptor.address, acceptor.port, acceptor.namespace))]

    def detect_port_forward(self, endpoint: Endpoint) -> bool:
        """Whether the kernel forwards connections past the listener there; then :meth:`holders` follows the forward.

        A rule of nft or iptables comes before any listener: k3s and other users of the CNI forward port 80 so.
        """
        if endpoint not in self._forwarded:
            is_known = any(isinstance(holder, PortForward) for holder in self.holders(endpoint))
            forward = [] if is_known else self._port_forward(endpoint)
            self._forwarded[endpoint] = any(
                (f.target.port, f.target.namespace) != (endpoint.port, endpoint.namespace) for f in forward)
            if self._forwarded[endpoint]:
                self._holders[endpoint] = forward
        return self._forwarded[endpoint]


def _main_processes(owners: Iterable[Process]) -> List[Process]:
    """One process for each server: workers inherit the socket from their main process, which has the configuration.

    systemd holds the socket of a socket-activated service too, and does not answer.
    """
    by_pid = {process.pid: process for process in owners}
    if len(by_pid) > 1:
        by_pid.pop(processes.INIT, None)
    return [process for process in by_pid.values() if process.parent not in by_pid]


def _why_listeners_unknown(error: OSError) -> str:
    """Why the listeners are unknown: another Unix, or a Linux without netlink or ``/proc``."""
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} does not report which program listens on a port"
    return f"the kernel does not report which program listens on a port ({error.strerror})"


@functools.cache
def _announce(reason: str) -> None:
    """Log once that the listeners are unknown, and what is done instead."""
    logger.info("%s. So autowebroot answers by itself where the port is free, and else from the directories that are "
                "given (--autowebroot-path) or were proven last time.", reason)


def _is_free(endpoint: Endpoint) -> bool:
    """Whether no program listens at a local endpoint, where the kernel does not list the listeners.

    Not by bind(2): on FreeBSD and macOS it may bind one address beside a server that listens on all, and would take
    that server's connections meanwhile.
    """
    try:
        # From the same address: an address that this host does not have counts as free, and the responder reports it.
        socket.create_connection((endpoint.host, endpoint.port), _CONNECT_TIMEOUT, (endpoint.host, 0)).close()
    except OSError as error:
        return error.errno in (errno.ECONNREFUSED, errno.EADDRNOTAVAIL)
    return False
