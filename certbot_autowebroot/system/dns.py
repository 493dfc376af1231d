"""Names as DNS has them, which is what a CA sees; and what this machine alone believes of them.

The system's resolver mixes DNS with /etc/hosts and the machine's own name (nss-myhostname(8)): neither counts for a CA.
So the name servers are asked directly. Where none of them answers (an isolated machine), the system's resolver counts,
and :attr:`Resolution.is_from_system` says so.
"""
import errno
import ipaddress
import os
import selectors
import socket
import time
from typing import Dict
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.system import threads
from certbot_autowebroot.system.addresses import resolve as resolve_by_system
from certbot_autowebroot.system.dns_messages import AAAA
from certbot_autowebroot.system.dns_messages import A
from certbot_autowebroot.system.dns_messages import Answer
from certbot_autowebroot.system.dns_messages import Outcome
from certbot_autowebroot.system.dns_messages import WrongAnswerError
from certbot_autowebroot.system.dns_messages import parse
from certbot_autowebroot.system.dns_messages import query
from certbot_autowebroot.system.resolver_files import HostsLine
from certbot_autowebroot.system.resolver_files import hosts_lines
from certbot_autowebroot.system.resolver_files import is_address
from certbot_autowebroot.system.resolver_files import name_servers

#: Seconds for all names together.
TIMEOUT = 5.0
#: Seconds until the next name server is asked too, and the first again after the last.
_RETRY_AFTER = 1.0
#: RFC 1035 section 4.2.1 allows 512 bytes; some servers send more.
_MAX_UDP = 4096
_PORT = 53


class Records(NamedTuple):
    """The addresses of one family.

    :ivar addresses: in the order received.
    :ivar outcome: why there are none, or :attr:`Outcome.ADDRESSES`.
    :ivar server: the name server that answered; empty where none did.
    """

    addresses: Tuple[str, ...] = ()
    outcome: Outcome = Outcome.NO_ANSWER
    server: str = ""


class Resolution(NamedTuple):
    """What is known of the addresses of one name.

    :ivar v6: its AAAA records.
    :ivar v4: its A records.
    :ivar hosts: what /etc/hosts says of it; a CA sees none of that.
    :ivar system: the system's resolver's addresses; it is asked only where the name servers say nothing.
    :ivar is_own_name: this is the machine's host name, which nss-myhostname(8) answers with the machine's addresses.
    """

    name: str
    v6: Records
    v4: Records
    hosts: Tuple[HostsLine, ...] = ()
    system: Tuple[str, ...] = ()
    is_own_name: bool = False

    @property
    def is_from_system(self) -> bool:
        """Whether the name servers say nothing of it, so that the system's resolver is all there is.

        A dnsmasq without a server above it refuses, and systemd-resolved fails: that is no answer either.
        """
        return not (self.v4.outcome.is_final or self.v6.outcome.is_final)

    @property
    def addresses(self) -> Tuple[str, ...]:
        """All addresses, IPv6 before IPv4, each family in the order received: a CA takes the first of each."""
        if self.is_from_system:
            return tuple(sorted(self.system, key=lambda address: ":" not in address))
        return self.v6.addresses + self.v4.addresses

    @property
    def is_missing(self) -> bool:
        """Whether DNS says that there is no such name."""
        return Outcome.NO_SUCH_NAME in (self.v4.outcome, self.v6.outcome) and not self.addresses

    @property
    def contradicting_hosts(self) -> Tuple[HostsLine, ...]:
        """The lines of /etc/hosts that give other addresses than DNS: this machine is led by them, a CA is not."""
        if self.is_from_system:
            return ()
        return tuple(line for line in self.hosts if line.address not in self.addresses)


def resolve(names: Sequence[str], server: str = "", timeout: float = TIMEOUT) -> Dict[str, Resolution]:
    """Find the addresses of many names at once.

    :param names: DNS names (A-labels) or IP addresses; an address is its own.
    :param server: the only name server to ask, an IP address (``--autowebroot-resolver``); else the machine's own.
    :param timeout: seconds for all of them.
    """
    servers = [server] if server else name_servers()
    deadline = time.monotonic() + timeout
    hosts, own_name = hosts_lines(names), socket.gethostname().lower()

    def resolution(name: str) -> Resolution:
        if is_address(name):
            return _of_address(name)
        try:
            v6, v4 = _ask(name, servers, deadline)
        except ValueError:  # no DNS name
            v6 = v4 = Records((), Outcome.NO_SUCH_NAME)
        result = Resolution(name, v6, v4, hosts.get(name, ()), is_own_name=name.lower().rstrip(".") == own_name)
        return result._replace(system=tuple(resolve_by_system(name))) if result.is_from_system else result
    names = list(dict.fromkeys(names))
    return dict(zip(names, threads.each(resolution, names)))


class _Lookup:
    """One question, asked of one name server after the other until one of them answers it.

    Each query has a socket of its own: a random port, and answers of one server alone.

    :ivar next_attempt: when the next server is asked, by the monotonic clock.
    """

    def __init__(self, name: str, record_type: int, servers: Sequence[str], selector: selectors.BaseSelector) \
            -> None:
        self.records = Records()
        self.next_attempt = 0.0
        self._question = name, record_type
        self._servers = servers
        self._attempts = 0
        self._selector = selector
        self._waiting: Dict[socket.socket, Tuple[int, str]] = {}

    @property
    def is_done(self) -> bool:
        """Whether a server has answered, or each of them says that it cannot."""
        return self.records.outcome.is_final or (self._attempts >= len(self._servers) and not self._waiting)

    def ask_next(self, now: float) -> None:
        """Send the query to the next server."""
        server = self._servers[self._attempts % len(self._servers)]
        number = int.from_bytes(os.urandom(2), "big")
        self._attempts += 1
        self.next_attempt = now + _RETRY_AFTER
        try:
            stream = _connect(server, socket.SOCK_DGRAM)
        except OSError:
            self._drop()
            return
        self._waiting[stream] = number, server
        self._selector.register(stream, selectors.EVENT_READ, self)
        try:
            stream.send(query(*self._question, number))
        except OSError:
            self._drop(stream)

    def receive(self, stream: socket.socket, deadline: float) -> None:
        """Take the answer that has come; the true one may come after a forged one."""
        number, server = self._waiting[stream]
        if self.records.outcome.is_final:
            self._drop(stream)
            return
        try:
            answer = parse(stream.recv(_MAX_UDP), *self._question, number)
            if answer.is_truncated:
                answer = _ask_over_tcp(server, self._question, number, deadline)
        except WrongAnswerError:
            return
        except OSError:
            self._drop(stream)
            return
        self.records = Records(answer.addresses, answer.outcome, server)
        self._drop(stream)

    def _drop(self, stream: Optional[socket.socket] = None) -> None:
        if stream:
            del self._waiting[stream]
            self._selector.unregister(stream)
            stream.close()
        if self._attempts < len(self._servers):
            self.next_attempt = 0.0

    def close(self) -> None:
        """Forget what is still waited for."""
        for stream in self._waiting:
            stream.close()


def _ask(name: str, servers: Sequence[str], deadline: float) -> Tuple[Records, Records]:
    """The AAAA and the A records of a name; both are asked for at once."""
    with selectors.DefaultSelector() as selector:
        lookups = [_Lookup(name, record_type, servers, selector) for record_type in (AAAA, A)]
        try:
            while True:
                now = time.monotonic()
                pending = [lookup for lookup in lookups if not lookup.is_done]
                if not pending or now >= deadline:
                    return lookups[0].records, lookups[1].records
                for lookup in pending:
                    if now >= lookup.next_attempt:
                        lookup.ask_next(now)
                wait = min(deadline, *(lookup.next_attempt for lookup in pending)) - now
                for key, _ in selector.select(max(0.0, wait)):
                    key.data.receive(key.fileobj, deadline)
        finally:
            for lookup in lookups:
                lookup.close()


def _ask_over_tcp(server: str, question: Tuple[str, int], number: int, deadline: float) -> Answer:
    """Ask once more, as RFC 1035 section 4.2.2 says: each message after its length.

    :raises OSError: the server takes no connection, or hangs up.
    """
    message = query(*question, number)
    with _connect(server, socket.SOCK_STREAM, deadline) as stream:
        stream.sendall(len(message).to_bytes(2, "big") + message)
        length = int.from_bytes(_read_exactly(stream, 2, deadline), "big")
        return parse(_read_exactly(stream, length, deadline), *question, number)


def _read_exactly(stream: socket.socket, length: int, deadline: float) -> bytes:
    data = b""
    while len(data) < length:
        stream.settimeout(max(0.01, deadline - time.monotonic()))
        part = stream.recv(length - len(data))
        if not part:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        data += part
        if time.monotonic() > deadline:
            raise socket.timeout
    return data


def _connect(server: str, kind: int, deadline: float = 0.0) -> socket.socket:
    """A socket that takes answers of this server alone; to connect(2) it chooses a random port.

    :param server: an address, with a scope where it is link-local.
    """
    family, _, _, _, address = socket.getaddrinfo(server, _PORT, type=kind, flags=socket.AI_NUMERICHOST)[0]
    stream = socket.socket(family, kind)
    try:
        if deadline:
            stream.settimeout(max(0.01, deadline - time.monotonic()))
        stream.connect(address)
        stream.settimeout(None if deadline else 0.0)
    except BaseException:
        stream.close()
        raise
    return stream


def _of_address(address: str) -> Resolution:
    records = Records((str(ipaddress.ip_address(address)),), Outcome.ADDRESSES)
    none = Records((), Outcome.NO_DATA)
    return Resolution(address, records, none) if ":" in address else Resolution(address, none, records)
