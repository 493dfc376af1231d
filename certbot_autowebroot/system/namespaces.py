"""Other network namespaces of this machine: containers, and who listens in them. Linux, proc(5).

A process of each namespace shows its addresses and sockets below ``/proc/PID/net``; nothing is entered.
"""
import contextlib
import ipaddress
import os
import socket
import struct
import time
from typing import Dict
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Set
from typing import Tuple

from certbot_autowebroot.route import CA_PORTS
from certbot_autowebroot.system import processes

ESTABLISHED = 0x01
_LISTEN = 0x0A
#: Seconds that a server gets to accept a connection that we want to find again.
_PATIENCE = 1.0
#: The beginning of a request, which every server waits to see the rest of: of a whole line, Python's would take the end
#: of the connection for the end of the request, and answer. On the port of https, half a ClientHello (RFC 8446, section
#: 5.1): Apache httpd closes a connection with anything else before we have found it.
HALF = b"G"
_HALF_OF_TLS = b"\x16\x03\x01\x02"


class Connection(NamedTuple):
    """One line of ``/proc/PID/net/tcp``."""

    address: str
    port: int
    peer: str
    peer_port: int
    state: int
    inode: int


class Namespace(NamedTuple):
    """A network namespace.

    :ivar number: the inode of its ``/proc/PID/ns/net``; 0 stands for our own.
    :ivar pid: a process in it.
    """

    number: int
    pid: int

    @property
    def addresses(self) -> Set[str]:
        """Its own IP addresses."""
        return set(_v4_addresses(self.pid)) | set(_v6_addresses(self.pid))

    def connections(self, state: int = _LISTEN) -> List[Connection]:
        """Its TCP sockets in one state. An IPv6 socket is taken to be dual-stack: these files do not tell."""
        return [c for family in ("tcp", "tcp6") for c in _connections(self.pid, family) if c.state == state]


def others() -> Dict[int, Namespace]:
    """All network namespaces but our own, by number, as far as their processes are ours to see."""
    own = _number("self")
    found: Dict[int, Namespace] = {}
    for pid in processes.all_pids():
        number = _number(str(pid))
        if number and number != own:
            found.setdefault(number, Namespace(number, pid))
    return found


class Acceptor(NamedTuple):
    """Where a connection that we made really ended: the accepting socket's own address."""

    address: str
    port: int
    namespace: int


def acceptor(address: str, port: int, elsewhere: Dict[int, Namespace]) -> Optional[Acceptor]:
    """Find out who really accepts a connection to an address, through a kernel's forward (nft, iptables).

    A connection is opened with a little data, for some servers accept only when some has come, and then looked for by
    its port among those that are established, in every namespace.

    :returns: None where nobody accepts, or it cannot be found.
    """
    here = Namespace(0, os.getpid())
    try:
        connection = socket.create_connection((address, port), timeout=_PATIENCE)
    except OSError:
        return None
    with contextlib.closing(connection):
        our_port = connection.getsockname()[1]
        with contextlib.suppress(OSError):
            connection.sendall(_HALF_OF_TLS if port == CA_PORTS["https"] else HALF)
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            for namespace in [here, *elsewhere.values()]:
                for found in namespace.connections(ESTABLISHED):
                    if found.peer_port == our_port and found.inode:
                        return Acceptor(found.address, found.port, namespace.number)
            time.sleep(0.01)
    return None


def _number(pid: str) -> int:
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return 0


def _lines(pid: int, name: str) -> Iterator[List[str]]:
    try:
        with open(f"/proc/{pid}/net/{name}", encoding="ascii", errors="replace") as file:
            for line in file:
                yield line.split()
    except OSError:  # the process has ended, or has no IPv6
        return


def _connections(pid: int, name: str) -> Iterator[Connection]:
    for fields in _lines(pid, name):
        if len(fields) < 10 or ":" not in fields[1]:
            continue
        yield Connection(*_address(fields[1]), *_address(fields[2]), int(fields[3], 16), int(fields[9]))


def _address(text: str) -> Tuple[str, int]:
    """Address and port; the kernel prints each 32-bit word of the address in the byte order of the machine."""
    address, port = text.split(":")
    words = struct.pack(f"={len(address) // 8}I", *(int(address[i:i + 8], 16) for i in range(0, len(address), 8)))
    parsed = ipaddress.ip_address(words)
    return str(getattr(parsed, "ipv4_mapped", None) or parsed), int(port, 16)


def _v4_addresses(pid: int) -> Iterator[str]:
    """Of ``fib_trie``: an address, and on the line below it that it is a local one."""
    last = ""
    for fields in _lines(pid, "fib_trie"):
        if fields[:1] == ["|--"]:
            last = fields[1]
        elif fields[:3] == ["/32", "host", "LOCAL"]:
            yield last


def _v6_addresses(pid: int) -> Iterator[str]:
    for fields in _lines(pid, "if_inet6"):
        if len(fields[0]) == 32:
            yield str(ipaddress.ip_address(bytes.fromhex(fields[0])))
