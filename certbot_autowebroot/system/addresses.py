"""Names by the system's resolver, and the addresses of this host."""
import ipaddress
import logging
import socket
from typing import Dict
from typing import List
from typing import Optional

from certbot_autowebroot.system import netlink
from certbot_autowebroot.system.terminal import printable

logger = logging.getLogger(__name__)


class Addresses:
    """Snapshot of names and addresses: each is looked up once."""

    def __init__(self) -> None:
        self._names: Dict[str, List[str]] = {}
        self._local: Optional[List[str]] = None
        self._lists_addresses = True

    def of(self, host: str) -> List[str]:
        """The addresses of a name by the system's resolver; an address itself."""
        if host not in self._names:
            self._names[host] = resolve(host)
        return self._names[host]

    def is_here(self, address: str) -> bool:
        """Whether this host has the address."""
        if ipaddress.ip_address(address).is_loopback or address in self.local():
            return True
        return not self._lists_addresses and _can_bind(address)

    def local(self) -> List[str]:
        """All addresses of this host; if the kernel does not list them, those that it sends from."""
        if self._local is None:
            try:
                self._local = netlink.local_addresses()
            except OSError as error:
                logger.debug("the kernel does not list the local addresses: %s", error)
                self._lists_addresses = False
                self._local = [a for a in map(source_address, ("192.0.2.1", "2001:db8::1")) if a]
        return self._local


def resolve(host: str) -> List[str]:
    """The addresses of a name, or the address itself; empty if it does not resolve."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        results = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        logger.debug("%s does not resolve here: %s", printable(host), error)
        return []
    return list(dict.fromkeys(str(sockaddr[0]).partition("%")[0] for *_, sockaddr in results))


def has_route(address: str) -> bool:
    """Whether this host has a route to an address: without IPv6, it cannot go where the CA goes."""
    return source_address(address) is not None


def source_address(target: str) -> Optional[str]:
    """The local address of packets to an address; None without a route.

    Nothing is sent: connect(2) on UDP only looks up the route.
    """
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def _can_bind(address: str) -> bool:
    """Whether bind(2) accepts an address: it accepts no other than those of this host."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as attempt:
            attempt.bind((address, 0))
    except OSError:
        return False
    return True
