"""Which programs accept connections at which endpoints, in our network namespace and in those of containers."""
import errno
import functools
import ipaddress
import logging
import os
import socket
import sys
import time
from typing import Dict
from typing import Iterable
from typing import List
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.interfaces import ILogsMisses
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import Program
from certbot_autowebroot.routing.follow import Holder
from certbot_autowebroot.routing.holders import Forward
from certbot_autowebroot.routing.holders import Known
from certbot_autowebroot.routing.holders import Stranger
from certbot_autowebroot.servers import registry
from certbot_autowebroot.servers.registry import WebServers
from certbot_autowebroot.system import container_dns
from certbot_autowebroot.system import listeners
from certbot_autowebroot.system import namespaces
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.addresses import Addresses
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.terminal import printable
from certbot_autowebroot.system.views import View

logger = logging.getLogger(__name__)

#: Seconds after which names that configurations pass requests on to are not looked up any more. A user's may have a
#: thousand whose name server never answers.
MAX_RESOLVING = 20.0
#: Seconds that a connection to an address of our own may take, where nothing else tells whether somebody listens.
_PATIENCE = 2.0


class Endpoints:
    """One look at who listens where, and at where programs pass connections on to.

    :param addresses: as they are seen from our own network namespace.
    """

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._addresses_elsewhere: Dict[Tuple[int, str], Sequence[str]] = {}
        self._listeners: Dict[int, List[listeners.Listener]] = {}
        self._holders: Dict[Endpoint, Sequence[Holder]] = {}
        self._forwarded: Dict[Endpoint, bool] = {}
        self._processes: Dict[int, Process] = {}
        self._resolving = 0.0

    @functools.cached_property
    def _web_servers(self) -> WebServers:
        return WebServers()

    def view_of(self, program: Program) -> View:
        """The file system as a program sees it; our own for one that is not visible.

        :raises OSError: the process has ended, or its root is not ours to see.
        """
        process = self._processes.get(program.pid)
        return process.view if process else View.of_host()

    def reach(self, member: Endpoint, origin: Endpoint) -> Sequence[Endpoint]:
        """The endpoints of this machine that a program at ``origin`` reaches by a member's host."""
        if member.namespace:  # a forward into a container: already looked up
            return [member]
        if member.is_unix:
            return [member._replace(namespace=origin.namespace)]
        if self._resolving > MAX_RESOLVING:
            logger.debug("%s is not looked up: other names have taken too long", printable(member.host))
            return []
        started = time.monotonic()
        try:
            return self._reach(member, origin)
        finally:
            self._resolving += time.monotonic() - started

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
        """The network namespace whose address this is, seen from one of them: its own first, then ours."""
        if ipaddress.ip_address(address).is_loopback or (origin and address in self._namespaces[origin].addresses):
            return [origin]
        if self._addresses.is_here(address):
            return [0]
        having = {number: other for number, other in self._namespaces.items() if address in other.addresses}
        if len(having) > 1:  # nested engines use the same private networks again: see which one is reached
            accepting = namespaces.acceptor(address, port, having)
            return [accepting.namespace] if accepting else []
        return list(having)

    @functools.cached_property
    def _namespaces(self) -> Dict[int, namespaces.Namespace]:
        return namespaces.others()

    def holders(self, endpoint: Endpoint) -> Sequence[Holder]:
        """Everyone who would accept a connection there."""
        if endpoint not in self._holders:
            self._holders[endpoint] = self._find_holders(endpoint)
        return self._holders[endpoint]

    def missed(self, hop: Hop) -> Sequence[Directory]:
        """Where the program at a hop looked for a file in vain, as far as it writes that down."""
        process = self._processes.get(hop.program.pid)
        if process is None:
            return []
        web_server = self._web_servers.for_process(process)
        try:
            return web_server.missed(process, hop.request) if ILogsMisses.providedBy(web_server) else []
        except OSError as error:
            logger.debug("the log of %s cannot be read: %s", hop.program, error)
            return []

    def _find_holders(self, endpoint: Endpoint) -> Sequence[Holder]:
        try:
            accepting = listeners.accepting(endpoint, self._listeners_in(endpoint.namespace))
        except OSError as error:
            untold = _untold(error)
            _announce(untold)
            return [] if _is_free(endpoint) else [Stranger(untold)]
        if not accepting:
            return self._behind_a_forward(endpoint)
        owners = listeners.owners({listener.inode for listener in accepting}, registry.LIKELY)
        pids = {pid for inode_owners in owners.values() for pid in inode_owners}
        held = [process for process in map(processes.process, sorted(pids)) if process]
        if pids == {os.getpid()}:  # our own responder: it takes part in nothing that a look finds
            return []
        leaders = _leaders(held)
        self._processes.update({leader.pid: leader for leader in leaders})
        return [Known(leader, self._web_servers) for leader in leaders] or [
            Stranger(f"whoever listens on {endpoint} is not visible to us (root would see it)")]

    def _listeners_in(self, namespace: int) -> List[listeners.Listener]:
        if namespace not in self._listeners:
            self._listeners[namespace] = (listeners.listeners_beside(self._namespaces[namespace]) if namespace
                                          else listeners.listeners())
        return self._listeners[namespace]

    def _behind_a_forward(self, endpoint: Endpoint) -> Sequence[Forward]:
        """Whoever listens, if anybody, another may accept: the kernel forwards the port (nft, iptables)."""
        if endpoint.namespace or endpoint.is_unix:
            return []
        accepting = namespaces.acceptor(endpoint.host, endpoint.port, self._namespaces)
        if accepting is None:
            return []
        return [Forward(Endpoint(accepting.address, accepting.port, accepting.namespace))]

    def finds_a_forward(self, endpoint: Endpoint) -> bool:
        """Whether the kernel takes connections away from whoever listens there; then they are followed.

        A rule of nft or iptables comes before any listener: k3s and other users of the CNI forward port 80 so.
        """
        if endpoint not in self._forwarded:
            is_known = any(isinstance(holder, Forward) for holder in self.holders(endpoint))
            forward = [] if is_known else self._behind_a_forward(endpoint)
            self._forwarded[endpoint] = any(
                (f.target.port, f.target.namespace) != (endpoint.port, endpoint.namespace) for f in forward)
            if self._forwarded[endpoint]:
                self._holders[endpoint] = forward
        return self._forwarded[endpoint]


def _leaders(held: Iterable[Process]) -> List[Process]:
    """One process for each server: workers inherit the socket from their master, who knows the configuration.

    systemd holds the socket of a socket-activated service too; it is not who answers.
    """
    by_pid = {process.pid: process for process in held}
    if len(by_pid) > 1:
        by_pid.pop(processes.INIT, None)
    return [process for process in by_pid.values() if process.parent not in by_pid]


def _untold(error: OSError) -> str:
    """Why nobody says who listens: it is another Unix, or a Linux without netlink or ``/proc``."""
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} does not tell which program listens on a port"
    return f"the kernel does not tell which program listens on a port ({error.strerror})"


@functools.cache
def _announce(untold: str) -> None:
    """Say once what cannot be found out here, and what is done instead."""
    logger.info("%s. So autowebroot answers by itself where the port is free, and else from the directories that are "
                "given (--autowebroot-path) or were proven last time.", untold)


def _is_free(endpoint: Endpoint) -> bool:
    """Whether nobody listens at an endpoint of ours, where the kernel does not list the listeners.

    Not by bind(2): on FreeBSD and macOS, a single address can be bound beside a server that listens on all, and its
    visitors would be ours for as long.
    """
    try:
        # From the same address: one that is not ours is free, and the responder will say that there is none.
        socket.create_connection((endpoint.host, endpoint.port), _PATIENCE, (endpoint.host, 0)).close()
    except OSError as error:
        return error.errno in (errno.ECONNREFUSED, errno.EADDRNOTAVAIL)
    return False
