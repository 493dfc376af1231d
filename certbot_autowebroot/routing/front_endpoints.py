"""At which endpoints a CA may arrive, by the addresses that DNS gives a name. *Pure*.

Let's Encrypt takes the first AAAA record, and the first A record only after a failed connect: a wrong answer over IPv6
is final. Records rotate, so each address counts.
"""
import enum
import ipaddress
from typing import TYPE_CHECKING
from typing import Dict
from typing import Iterable
from typing import List
from typing import NamedTuple
from typing import Sequence
from typing import Set
from typing import Tuple

from certbot_autowebroot.route import CA_PORTS
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.system.dns import Resolution

if TYPE_CHECKING:
    from certbot_autowebroot.routing.follow import Machine

#: A hosting machine may have hundreds of addresses, and a name as many: the number that counts of each IP version.
MAX_OF_FAMILY = 8
#: IP versions in the CA's order.
VERSIONS = (6, 4)
#: The IP versions that ``--http-01-address`` stands for, where it is no single address. A socket of standalone's takes
#: IPv4 too where it listens on ``::`` (ipv6(7), IPV6_V6ONLY).
_ALL_ADDRESSES = {"": VERSIONS, "::": VERSIONS, "0.0.0.0": (4,)}  # noqa: S104 - these are looked at, not bound


class Kind(enum.Enum):
    """What an endpoint is to the CA."""

    #: An address of this machine that the name resolves to: the CA's way and ours are one.
    LOCAL = "local"
    #: An address that this machine does not have. It is asked over the network, as the CA does.
    REMOTE = "remote"
    #: An address of this machine to which what holds a remote address (a router, a balancer, a CDN) may lead.
    GUESSED = "guessed"
    #: Another machine that a balancer sends the name's requests to, as the user says. It is asked like a remote one.
    NODE = "node"


class CAEndpoint(NamedTuple):
    """One endpoint at which the CA, or what it has come to, may arrive."""

    endpoint: Endpoint
    kind: Kind

    @property
    def version(self) -> int:
        """The IP version."""
        return self.endpoint.version

    @property
    def may_begin_with_proxy_line(self) -> bool:
        """Whether a balancer may be in front of it: only then does a PROXY line prove anything."""
        return self.kind is Kind.GUESSED


class FrontEndpoints(NamedTuple):
    """Where a name's requests arrive.

    :ivar every: in the CA's order: IPv6 first; guessed endpoints after the remote ones that may lead to them.
    :ivar notes: remarks on the name's addresses for the user; sentences without a full stop.
    :ivar is_missing: the name does not exist in DNS.
    """

    name: str
    every: Tuple[CAEndpoint, ...]
    notes: Tuple[str, ...] = ()
    is_missing: bool = False

    def of_kind(self, *kinds: Kind) -> List[Endpoint]:
        """The endpoints of these kinds."""
        return [one.endpoint for one in self.every if one.kind in kinds]

    @property
    def endpoints(self) -> List[Endpoint]:
        """The endpoints of this host: the requests are followed from them."""
        return self.of_kind(Kind.LOCAL, Kind.GUESSED)

    @property
    def remote(self) -> List[Endpoint]:
        """The addresses that this host does not have."""
        return self.of_kind(Kind.REMOTE, Kind.NODE)

    @property
    def groups(self) -> List[List[Endpoint]]:
        """The endpoints of this host, in groups of which one each is enough: the guesses of one IP version."""
        guessed: Dict[int, List[Endpoint]] = {}
        for one in self.every:
            if one.kind is Kind.GUESSED:
                guessed.setdefault(one.version, []).append(one.endpoint)
        return [*([endpoint] for endpoint in self.of_kind(Kind.LOCAL)), *guessed.values()]

    @property
    def addresses(self) -> List[str]:
        """The addresses of the name at which a CA may arrive."""
        return [endpoint.host for endpoint in self.of_kind(Kind.LOCAL, Kind.REMOTE)]


def front_endpoints(resolution: Resolution, machine: "Machine", port: int, address: str = "",
                    nodes: Sequence[str] = ()) -> FrontEndpoints:
    """Find the front endpoints of a name.

    Behind a remote address the endpoints are guessed: for each IP version that the name resolves to; for those that
    this host has where it has none of these (a CDN speaks IPv6 for it), or where the name does not resolve.

    :param port: the port of ours that the CA's port 80 leads to (``--http-01-port``).
    :param address: the only local address that counts (``--http-01-address``); empty or a wildcard for all.
    :param nodes: the addresses of all machines that serve the name (``--autowebroot-nodes``). One of this host's own
        does not count: all machines may have the same list.
    """
    versions = _ALL_ADDRESSES.get(address, VERSIONS)
    resolved = [a for a in _addresses(resolution) if ipaddress.ip_address(a).version in versions]
    local = [a for a in resolved if machine.is_here(a)]
    remote = [a for a in resolved if a not in local]
    notes = _notes(resolution, resolved)
    if address not in _ALL_ADDRESSES:
        kind = Kind.LOCAL if address in local or not remote else Kind.GUESSED
        ours = [CAEndpoint(Endpoint(address, port), kind)]
        notes += _other_addresses(resolution.name, local, address, port)
    else:
        ours = [CAEndpoint(Endpoint(a, port), Kind.LOCAL) for a in local]
        ours += _guessed(machine, port, local, remote, versions)
    theirs = [CAEndpoint(Endpoint(a, CA_PORTS["http"]), Kind.REMOTE) for a in remote]
    endpoints = [one for version in VERSIONS for part in (theirs, ours)
                 for one in [one for one in part if one.version == version][:MAX_OF_FAMILY]]
    endpoints += [CAEndpoint(Endpoint(node, CA_PORTS["http"]), Kind.NODE) for node in dict.fromkeys(nodes)
                  if node not in remote and not machine.is_here(node)]
    return FrontEndpoints(resolution.name, tuple(endpoints), tuple(notes), resolution.is_missing)


def _addresses(resolution: Resolution) -> List[str]:
    """The addresses at which a CA can arrive: Debian's /etc/hosts has the host's own name at 127.0.1.1."""
    if resolution.is_from_system and resolution.is_own_name and not resolution.hosts:
        return []  # nss-myhostname(8) gives it all addresses of the machine
    return [a for a in resolution.addresses if not ipaddress.ip_address(a).is_loopback]


def _guessed(machine: "Machine", port: int, local: Sequence[str], remote: Sequence[str], versions: Sequence[int]) \
        -> List[CAEndpoint]:
    """:param versions: the IP versions that count at all."""
    if local and not remote:
        return []
    wanted = (_versions(remote) or {*versions}) - _versions(local)
    addresses = [ipaddress.ip_address(a) for a in machine.local_addresses()]
    addresses = [a for a in addresses if not a.is_loopback and not a.is_link_local] or addresses
    of_versions = [a for a in addresses if a.version in wanted]
    if not of_versions and not local:
        of_versions = [a for a in addresses if a.version in versions]
    endpoints = [CAEndpoint(Endpoint(str(a), port), Kind.GUESSED) for a in of_versions]
    held = [one for one in endpoints if machine.holders(one.endpoint)]
    # A bridge of containers has an address too. Where a program listens, that is where a port forward leads.
    return [one for one in endpoints if one in held or one.version not in {other.version for other in held}]


def _versions(addresses: Iterable[str]) -> Set[int]:
    return {ipaddress.ip_address(a).version for a in addresses}


def _notes(resolution: Resolution, resolved: Sequence[str]) -> List[str]:
    name = resolution.name
    notes = [f"{name} is {line.address} in {line.source}, for this machine alone; the CA goes by DNS"
             for line in resolution.contradicting_hosts]
    if resolution.is_missing:
        notes.append(f"{name} does not exist in DNS")
    elif resolution.is_from_system and resolved:
        notes.append(f"no name server answers for {name}: its addresses are known from this machine's resolver alone")
    elif not resolved:
        notes.append(f"{name} resolves to no address at which a CA could arrive, seen from here")
    return notes


def _other_addresses(name: str, local: Sequence[str], address: str, port: int) -> List[str]:
    """A note where a name resolves to other addresses of this host than ``--http-01-address``.

    With another port or the loopback, a proxy or a port forward passes the CA's requests on: that is no mistake.
    """
    is_behind_proxy = port != CA_PORTS["http"] or ipaddress.ip_address(address).is_loopback
    if not local or address in local or is_behind_proxy:
        return []
    return [f"{name} resolves to {', '.join(local)} of this machine, and not to {address}"]
