"""Other network namespaces of this host: containers, and the sockets in them. Linux, proc(5).

``/proc/PID/net`` of a process shows the addresses and sockets of its namespace; no namespace is entered.
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
#: Seconds for a server to accept a connection.
_TIMEOUT = 1.0
#: The first byte of a request: every server waits for the rest. After a whole line, Python's server takes the end of
#: the connection for the end of the request, and answers. On the port of https, the beginning of a ClientHello (RFC
#: 8446 section 5.1): Apache httpd closes a connection with anything else at once.
PARTIAL_REQUEST = b"G"
PARTIAL_CLIENT_HELLO = b"\x16\x03\x01\x02"


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

    :ivar number: the inode of its ``/proc/PID/ns/net``; 0 for certbot's own.
    :ivar pid: a process in it.
    """

    number: int
    pid: int

    @property
    def addresses(self) -> Set[str]:
        """Its IP addresses."""
        return set(_v4_addresses(self.pid)) | set(_v6_addresses(self.pid))

    def connections(self, state: int = _LISTEN) -> List[Connection]:
        """Its TCP sockets in one state. IPv6 sockets count as dual-stack: these files do not show ``IPV6_V6ONLY``."""
        if state == ESTABLISHED and not self._has_established:
            return []
        return [c for family in ("tcp", "tcp6") for c in _connections(self.pid, family, state)]

    @property
    def _has_established(self) -> bool:
        """Whether it may have established connections, by tcpCurrEstab (RFC 4022).

        For each list of sockets the kernel goes through the hash table of all namespaces, which takes 5 ms where it is
        empty, too.
        """
        names_and_values = [fields for fields in _lines(self.pid, "snmp") if fields[0] == "Tcp:"]
        return dict(zip(*names_and_values)).get("CurrEstab") != "0"


def others() -> Dict[int, Namespace]:
    """All network namespaces with visible processes, except certbot's own; by number."""
    own = _number("self")
    namespaces: Dict[int, Namespace] = {}
    for pid in processes.all_pids():
        number = _number(str(pid))
        if number and number != own:
            namespaces.setdefault(number, Namespace(number, pid))
    return namespaces


class Acceptor(NamedTuple):
    """The socket that has accepted a connection: its own address and network namespace."""

    address: str
    port: int
    namespace: int


def acceptor(address: str, port: int, elsewhere: Dict[int, Namespace]) -> Optional[Acceptor]:
    """Find the socket that accepts a connection to an address, behind a port forward of the kernel (nft, iptables).

    It connects, sends a little data (some servers accept only then), and searches the established connections of every
    namespace for the client's port.

    slirp4netns accepts a connection here, and its guest accepts one from the same port: then this is the socket here,
    and the program that holds it is followed next.

    :returns: None if no socket accepts, or it is not visible.
    """
    here = Namespace(0, os.getpid())
    try:
        connection = socket.create_connection((address, port), timeout=_TIMEOUT)
    except OSError:
        return None
    with contextlib.closing(connection):
        client_port = connection.getsockname()[1]
        with contextlib.suppress(OSError):
            connection.sendall(PARTIAL_CLIENT_HELLO if port == CA_PORTS["https"] else PARTIAL_REQUEST)
        deadline = time.monotonic() + _TIMEOUT
        is_last = False
        while not is_last:
            is_last = time.monotonic() > deadline  # before the search, which takes its time on a busy machine
            # A program passes a connection on after it has accepted it: so certbot's own namespace counts first, and
            # is searched again after the others.
            for namespaces in ([here], [*elsewhere.values(), here]):
                acceptors = [Acceptor(accepted.address, accepted.port, namespace.number)
                             for namespace in namespaces for accepted in namespace.connections(ESTABLISHED)
                             if accepted.peer_port == client_port and accepted.inode]
                if acceptors:
                    return min(acceptors, key=lambda each: each.namespace)
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


def _connections(pid: int, name: str, state: int) -> Iterator[Connection]:
    for fields in _lines(pid, name):
        if len(fields) < 10 or ":" not in fields[1] or fields[3] != f"{state:02X}":
            continue
        yield Connection(*_address(fields[1]), *_address(fields[2]), int(fields[3], 16), int(fields[9]))


def _address(text: str) -> Tuple[str, int]:
    """Address and port. The kernel prints each 32-bit word of the address in the host's byte order."""
    address, port = text.split(":")
    words = struct.pack(f"={len(address) // 8}I", *(int(address[i:i + 8], 16) for i in range(0, len(address), 8)))
    parsed = ipaddress.ip_address(words)
    return str(getattr(parsed, "ipv4_mapped", None) or parsed), int(port, 16)


def _v4_addresses(pid: int) -> Iterator[str]:
    """From ``fib_trie``: a line with an address, and below it a line that marks it as local."""
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
