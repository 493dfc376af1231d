"""Where a program passes on what connects to it: rinetd, ssh -L, stunnel, hitch, pasta, systemd-socket-proxyd. Linux.

What is read of their configurations would be a module for each. All of them open a connection for each that comes in,
and close it with that, which proc(5) shows; a connection to a database that an application keeps does not go with ours.
"""
import contextlib
import os
import socket
import ssl
import time
from typing import Callable
from typing import Iterable
from typing import NamedTuple
from typing import Optional
from typing import Set

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.system import namespaces
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.namespaces import HALF
from certbot_autowebroot.system.namespaces import Namespace

#: It starts whoever a socket is for, and all that happens on the machine happens below it.
_INIT = 1
#: Seconds that a program gets to pass a connection on, and to close the other when ours is closed.
_PATIENCE = 0.15
_PAUSE = 0.01
#: Seconds for a connection and a handshake.
_TIME_LIMIT = 2.0


class PassedOn(NamedTuple):
    """:ivar in_tls: what comes in as TLS goes on as TLS."""

    endpoint: Endpoint
    in_tls: bool


def passed_on(pid: int, endpoint: Endpoint, secure: bool, name: str) -> Optional[PassedOn]:
    """Find out where a program passes a connection on to; None where it answers itself.

    :param endpoint: where it listens, on this machine.
    :param secure: it is asked in TLS. Who forwards connections does so at once, who ends TLS after the handshake.
    :param name: which server is asked for in TLS.
    """
    if endpoint.is_unix or endpoint.namespace or pid == _INIT:
        return None
    for handshake in (False, True)[:1 + secure]:
        found = _attempt(pid, endpoint, secure, name if handshake else None)
        if found is not None:
            return PassedOn(found, secure and not handshake)
    return None


def _attempt(pid: int, endpoint: Endpoint, secure: bool, server_name: Optional[str]) -> Optional[Endpoint]:
    before = _sockets(pid)

    def opened() -> Set[int]:
        return _sockets(pid) - before
    try:
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(socket.create_connection((endpoint.host, endpoint.port), _TIME_LIMIT))
            port = stream.getsockname()[1]
            if server_name is not None:
                stream = stack.enter_context(_context().wrap_socket(stream, server_hostname=server_name))
            if server_name is not None or not secure:
                stream.sendall(HALF)
            # What it has accepted is one of them.
            _wait(lambda: len(opened()) > 1)
            new = opened()
            targets = _targets(new, port) if len(new) > 1 else set()
    except OSError:
        return None
    if len(targets) != 1 or not _wait(lambda: not new & _sockets(pid)):
        return None
    return targets.pop()


def _wait(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _targets(inodes: Set[int], own_port: int) -> Set[Endpoint]:
    """The other ends of connections, but of that of our own port. A forwarder may open them in a container."""
    found: Set[Endpoint] = set()
    for namespace in _namespaces():
        for connection in namespace.connections(namespaces.ESTABLISHED):
            if connection.inode in inodes and own_port not in (connection.port, connection.peer_port):
                inside = namespace.number if connection.peer in namespace.addresses else 0
                found.add(Endpoint(connection.peer, connection.peer_port, inside))
        if found:
            break
    return found


def _namespaces() -> Iterable[Namespace]:
    yield Namespace(0, os.getpid())
    yield from namespaces.others().values()


def _sockets(pid: int) -> Set[int]:
    """What a program and what it has started hold: some start a process for each connection, some workers.

    Each worker may have a listener of its own (``SO_REUSEPORT``), and another than this one accept the connection.
    """
    name, parent = processes.comm(pid), processes.parent_of(pid)
    family = {pid, *processes.children_of(pid)}
    if parent != os.getpid() and processes.comm(parent) == name:
        family.update(each for each in processes.children_of(parent) if processes.comm(each) == name)
    found: Set[int] = set()
    for each in family - {os.getpid()}:
        with contextlib.suppress(OSError):  # it has ended
            found |= processes.sockets(each)
    return found


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
