"""A name server whose answers stand in a table, and which can be as bad as real ones are."""
import contextlib
import socket
import socketserver
import struct
import threading
from types import TracebackType
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Type

A, CNAME, AAAA = 1, 5, 28
NO_ERROR, SERVER_FAILURE, NAME_ERROR, REFUSED = 0, 2, 3, 5


class DnsServer:
    """One running name server, over UDP and TCP; use it as a context manager.

    It is made in the network namespace of the thread that enters it. A name that it does not know does not exist.

    :ivar queries: the name and the type of all questions so far.
    :ivar aliases: names that are CNAMEs.
    :ivar codes: names, or ``*``, that are answered with a code.
    :ivar silent: names, or ``*``, that are not answered.
    :ivar rotating: names whose addresses take turns at being the first.
    :ivar truncated: names that are answered in full over TCP alone.
    :ivar forge: makes of a true answer those that are sent.
    :param default: what every name resolves to that :meth:`resolve` says nothing else of; empty: it does not exist.
    """

    def __init__(self, address: str = "127.0.0.1", default: Sequence[str] = (), port: int = 53) -> None:
        self.address = address
        self.port = port
        self.default = tuple(default)
        self.names: Dict[str, Tuple[str, ...]] = {}
        self.aliases: Dict[str, str] = {}
        self.codes: Dict[str, int] = {}
        self.silent: List[str] = []
        self.rotating: List[str] = []
        self.truncated: List[str] = []
        self.queries: List[Tuple[str, int]] = []
        self.forge: Callable[[bytes], List[bytes]] = lambda answer: [answer]
        self._servers: List[socketserver.BaseServer] = []

    def __enter__(self) -> "DnsServer":
        for kind, handler in ((_Udp, _OverUdp), (_Tcp, _OverTcp)):
            server: Any = kind(self, handler)
            self._servers.append(server)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        while self._servers:
            server = self._servers.pop()
            server.shutdown()
            server.server_close()

    def resolve(self, name: str, *addresses: str) -> None:
        """Set what a name resolves to; to nothing: it exists and has no address."""
        self.names[name] = addresses

    def forget(self) -> None:
        """Know nothing any more, and have no fault."""
        for known in (self.names, self.aliases, self.codes, self.silent, self.rotating, self.truncated,
                      self.queries):
            known.clear()

    def answers(self, message: bytes, over_tcp: bool) -> List[bytes]:
        """What is sent back for a query."""
        number, = struct.unpack_from("!H", message)
        name, end = _name(message)
        kind, = struct.unpack_from("!H", message, end)
        self.queries.append((name, kind))
        if {name, "*"} & set(self.silent):
            return []
        code = self.codes.get(name, self.codes.get("*", NO_ERROR))
        target = self.aliases.get(name, name)
        addresses = self.names.get(target, self.default)
        if target in self.rotating:
            self.names[target] = addresses = (*addresses[1:], addresses[0])
        if code == NO_ERROR and not addresses and target not in self.names:
            code = NAME_ERROR
        is_truncated = name in self.truncated and not over_tcp
        records = [] if code or is_truncated else [record(target, kind, packed) for packed in map(_packed, addresses)
                                                   if len(packed) == (4 if kind == A else 16)]
        if target != name:
            records.insert(0, record(name, CNAME, encoded(target)))
        flags = 0x8180 | code | (0x0200 if is_truncated else 0)
        question = message[12:end + 4]
        return self.forge(struct.pack("!6H", number, flags, 1, len(records), 0, 0) + question + b"".join(records))


def encoded(name: str) -> bytes:
    """A name on the wire."""
    return b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"


def record(name: str, kind: int, data: bytes) -> bytes:
    """A resource record for a minute."""
    return encoded(name) + struct.pack("!2HIH", kind, 1, 60, len(data)) + data


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _name(message: bytes) -> Tuple[str, int]:
    offset, labels = 12, []
    while message[offset]:
        labels.append(message[offset + 1:offset + 1 + message[offset]].decode())
        offset += 1 + message[offset]
    return ".".join(labels).lower(), offset + 1


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True

    def __init__(self, dns: DnsServer, handler: Any) -> None:
        self.dns = dns
        self.address_family = socket.AF_INET6 if ":" in dns.address else socket.AF_INET
        super().__init__((dns.address, dns.port), handler)


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, dns: DnsServer, handler: Any) -> None:
        self.dns = dns
        self.address_family = socket.AF_INET6 if ":" in dns.address else socket.AF_INET
        super().__init__((dns.address, dns.port), handler)


class _OverUdp(socketserver.BaseRequestHandler):
    server: _Udp

    def handle(self) -> None:
        message, stream = self.request
        for answer in self.server.dns.answers(message, False):
            stream.sendto(answer, self.client_address)


class _OverTcp(socketserver.BaseRequestHandler):
    server: _Tcp

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            length = int.from_bytes(self.request.recv(2, socket.MSG_WAITALL), "big")
            message = self.request.recv(length, socket.MSG_WAITALL)
            for answer in self.server.dns.answers(message, True):
                self.request.sendall(len(answer).to_bytes(2, "big") + answer)
