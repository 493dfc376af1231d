"""Where a program passes on what connects to it: rinetd, ssh -L, stunnel, hitch, pasta, systemd-socket-proxyd. Linux.

What is read of their configurations would be a module for each. All of them open a connection for each that comes in,
and close it with that, which proc(5) shows; a connection to a database that an application keeps does not go with ours.
"""
import contextlib
import os
import socket
import time
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import NamedTuple
from typing import Optional
from typing import Set
from typing import Tuple

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.system import namespaces
from certbot_autowebroot.system import processes
from certbot_autowebroot.system import tls
from certbot_autowebroot.system.namespaces import HALF
from certbot_autowebroot.system.namespaces import Namespace

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
    if endpoint.is_unix or endpoint.namespace or pid == processes.INIT:
        return None
    for handshake in (False, True)[:1 + secure]:
        found = _attempt(pid, endpoint, secure, name if handshake else None)
        if found is not None:
            return PassedOn(found, secure and not handshake)
    return None


def _attempt(pid: int, endpoint: Endpoint, secure: bool, server_name: Optional[str]) -> Optional[Endpoint]:
    before = _sockets(pid)
    made: Dict[int, Endpoint] = {}

    def is_passed_on() -> bool:
        new = _sockets(pid) - before
        made.clear()
        # Other visitors come meanwhile. A forwarder makes one connection for each; to an application we give no reason.
        accepted, found = _connections(new, endpoint.port, port) if len(new) > 1 else (0, {})
        made.update(found)
        return 0 < accepted == len(made)
    try:
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(socket.create_connection((endpoint.host, endpoint.port), _TIME_LIMIT))
            port = stream.getsockname()[1]
            if server_name is not None:
                stream = stack.enter_context(tls.context().wrap_socket(stream, server_hostname=server_name))
            if server_name is not None or not secure:
                stream.sendall(HALF)
            if not _wait(is_passed_on) or len(set(made.values())) != 1:
                return None
    except OSError:
        return None
    return next(iter(made.values())) if _wait(lambda: bool(made.keys() - _sockets(pid))) else None


def _wait(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _connections(inodes: Set[int], listens_on: int, own_port: int) -> Tuple[int, Dict[int, Endpoint]]:
    """How many connections were accepted, and the other ends of those that were made; none where ours was not accepted.

    A forwarder may make them in a container.
    """
    accepted: Set[int] = set()
    made: Dict[int, Endpoint] = {}
    for namespace in _namespaces():
        for connection in namespace.connections(namespaces.ESTABLISHED):
            if connection.inode not in inodes:
                continue
            if connection.port == listens_on and not namespace.number:
                accepted.add(connection.peer_port)
            else:
                inside = namespace.number if connection.peer in namespace.addresses else 0
                made[connection.inode] = Endpoint(connection.peer, connection.peer_port, inside)
        if made:
            break
    return (len(accepted), made) if own_port in accepted else (0, {})


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
