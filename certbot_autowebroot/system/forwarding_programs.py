"""Find the endpoint to which a program forwards connections: rinetd, ssh -L, stunnel, hitch, pasta. Linux.

A parser for each of their configurations would be a module each. All of them open one connection for each that they
accept, as proc(5) shows. They send as many bytes there as came in, or close both together; a script of ten lines may
leave it open. An application sends its database other bytes, and keeps that connection.

slirp4netns has a TCP of its own and makes no connection: its guest accepts one from the client's port.
"""
import contextlib
import functools
import os
import socket
import time
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Set
from typing import Tuple

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.system import namespaces
from certbot_autowebroot.system import netlink
from certbot_autowebroot.system import processes
from certbot_autowebroot.system import tls
from certbot_autowebroot.system.namespaces import PARTIAL_CLIENT_HELLO
from certbot_autowebroot.system.namespaces import PARTIAL_REQUEST
from certbot_autowebroot.system.namespaces import Connection
from certbot_autowebroot.system.namespaces import Namespace

#: Seconds for a program to accept a connection. A busy machine may start a script's process or thread late.
_ACCEPT_TIMEOUT = 1.0
#: Seconds for a program to forward a connection, and to close its own after the client's: idle, and while it runs.
_FORWARD_TIMEOUT = 0.3
_RUNNING_TIMEOUT = 3.0
#: Seconds between the first two polls, and the factor for the next ones: each reads the sockets of every container.
_POLL_INTERVAL = 0.003
_POLL_FACTOR = 1.5
#: Seconds for a connection and a handshake.
_CONNECT_TIMEOUT = 2.0

#: Reads the connections of a namespace that are in one state.
_ReadConnections = Callable[[Namespace, int], List[Connection]]


class ForwardTarget(NamedTuple):
    """The endpoint to which a program forwards connections.

    :ivar in_tls: it forwards TLS connections as TLS.
    """

    endpoint: Endpoint
    in_tls: bool


def forward_target(pid: int, endpoint: Endpoint, secure: bool, name: str) -> Optional[ForwardTarget]:
    """Connect to a program, and find the endpoint to which it forwards the connection; None if it answers itself.

    :param endpoint: the local endpoint at which it listens.
    :param secure: connect by TLS. A program that forwards TLS does so at once, one that terminates TLS after the
        handshake.
    :param name: the server name for TLS (SNI).
    """
    if endpoint.is_unix or endpoint.namespace or pid == processes.INIT:
        return None
    for handshake in (False, True)[:1 + secure]:
        target = _attempt(pid, endpoint, secure, name if handshake else None)
        if target is not None:
            return ForwardTarget(target, secure and not handshake)
    return None


def _attempt(pid: int, endpoint: Endpoint, secure: bool, server_name: Optional[str]) -> Optional[Endpoint]:
    elsewhere = list(namespaces.others().values())
    before = _sockets(pid)
    outgoing: Dict[int, Endpoint] = {}
    guests: List[Endpoint] = []

    def is_forwarded() -> bool:
        new = _sockets(pid) - before
        outgoing.clear()
        # Other clients connect meanwhile: a forwarder makes one connection for each, an application none for this one.
        read = functools.cache(Namespace.connections)  # each namespace once
        accepted, made = _connections(new, endpoint.port, port, elsewhere, read) if len(new) > 1 else (0, {})
        outgoing.update(made)
        if new and not made:
            guests[:] = _guests(port, elsewhere, read)
        return 0 < accepted == len(outgoing) or bool(guests)
    try:
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(socket.create_connection((endpoint.host, endpoint.port), _CONNECT_TIMEOUT))
            port = stream.getsockname()[1]
            if server_name is not None:
                stream = stack.enter_context(tls.context().wrap_socket(stream, server_hostname=server_name))
            sent = PARTIAL_CLIENT_HELLO if secure and server_name is None else PARTIAL_REQUEST
            stream.sendall(sent)
            _wait(lambda: bool(_sockets(pid) - before), pid, _ACCEPT_TIMEOUT)
            is_new = _wait(is_forwarded, pid)
            if not is_new or len({*outgoing.values(), *guests}) != 1:
                return None
            target = next(iter([*outgoing.values(), *guests]))
            if not target.namespace and _wait(lambda: _has_sent(outgoing, len(sent)), pid):
                return target
    except OSError:
        return None
    if guests:
        inside = [namespace for namespace in elsewhere if namespace.number == target.namespace]
        return target if _wait(lambda: not _guests(port, inside), pid) else None
    return target if _wait(lambda: bool(outgoing.keys() - _sockets(pid)), pid) else None


def _guests(client_port: int, elsewhere: Iterable[Namespace],
            read: _ReadConnections = Namespace.connections) -> List[Endpoint]:
    """The endpoints in other network namespaces that have accepted a connection from the client's port."""
    return [Endpoint(connection.address, connection.port, namespace.number) for namespace in elsewhere
            for connection in read(namespace, namespaces.ESTABLISHED) if connection.peer_port == client_port]


def _has_sent(outgoing: Dict[int, Endpoint], size: int) -> bool:
    """Whether one of these connections has sent so many bytes; visible in certbot's own network namespace alone."""
    try:
        sent = netlink.bytes_sent(next(iter(outgoing.values())).port)
    except OSError:
        return False
    return any(sent.get(inode) == size for inode in outgoing)


def _wait(condition: Callable[[], bool], pid: int, timeout: float = _FORWARD_TIMEOUT) -> bool:
    """Whether a condition becomes true in time. On a busy machine a program that has work to do gets more time."""
    started = time.monotonic()
    interval = _POLL_INTERVAL
    while True:
        elapsed = time.monotonic() - started
        # Before the condition: on a busy machine this process may be stopped between them, while the program goes on.
        is_last = elapsed > _RUNNING_TIMEOUT or (elapsed > timeout and not any(map(processes.is_running, _family(pid))))
        if condition():
            return True
        if is_last:
            return False
        time.sleep(interval)
        interval *= _POLL_FACTOR


def _connections(inodes: Set[int], listening_port: int, client_port: int,
                 elsewhere: Iterable[Namespace], read: _ReadConnections) -> Tuple[int, Dict[int, Endpoint]]:
    """The number of accepted connections, and the peers of outgoing ones; none if the client's was not accepted.

    A forwarder may make them in the network namespace of a container.
    """
    accepted: Set[int] = set()
    made: Dict[int, Endpoint] = {}
    for namespace in (Namespace(0, os.getpid()), *elsewhere):
        for connection in read(namespace, namespaces.ESTABLISHED):
            if connection.inode not in inodes:
                continue
            if connection.port == listening_port and not namespace.number:
                accepted.add(connection.peer_port)
            else:
                inside = namespace.number if connection.peer in namespace.addresses else 0
                made[connection.inode] = Endpoint(connection.peer, connection.peer_port, inside)
        if made:
            break
    return (len(accepted), made) if client_port in accepted else (0, {})


def _family(pid: int) -> Set[int]:
    """A program, its children and its siblings of the same name.

    Some programs start a process for each connection, some have workers. Each worker may have a listener of its own
    (``SO_REUSEPORT``), and any of them accepts the connection.
    """
    name, parent = processes.comm(pid), processes.parent_of(pid)
    family = {pid, *processes.children_of(pid)}
    if parent != os.getpid() and processes.comm(parent) == name:
        family.update(each for each in processes.children_of(parent) if processes.comm(each) == name)
    return family - {os.getpid()}


def _sockets(pid: int) -> Set[int]:
    """The sockets of a program's family."""
    inodes: Set[int] = set()
    for each in _family(pid):
        with contextlib.suppress(OSError):  # it has ended
            inodes.update(processes.sockets(each))
    return inodes

