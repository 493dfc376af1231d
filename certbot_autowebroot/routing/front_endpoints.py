"""The front doors of a name: the local endpoints that a CA's request may arrive at."""
import ipaddress
from typing import List
from typing import NamedTuple
from typing import Tuple

from certbot_autowebroot.route import CA_PORTS
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.follow import Machine

#: A hosting machine may have hundreds of addresses; behind a port forward we can only guess which one is meant.
MAX_GUESSED_DOORS = 8
#: The IP versions that ``--http-01-address`` stands for, where it is no single address. A socket of standalone's takes
#: IPv4 too where it listens on ``::`` (ipv6(7), IPV6_V6ONLY).
_ALL_ADDRESSES = {"": {4, 6}, "::": {4, 6}, "0.0.0.0": {4}}  # noqa: S104 - whose addresses are looked at


class FrontEndpoints(NamedTuple):
    """Where a name's request arrives.

    :ivar certain: the name resolves to these addresses: each of them has to answer, for the CA asks over IPv6 first
        and turns to IPv4 only after a timeout. Otherwise (a port forward, a private address) one of them is the one.
    :ivar note: what a person should know of the name's addresses; a sentence, or empty.
    :ivar resolved: the name has an address, seen from here.
    """

    endpoints: Tuple[Endpoint, ...]
    certain: bool
    note: str = ""
    resolved: bool = True


def front_endpoints(name: str, machine: Machine, port: int, address: str = "") -> FrontEndpoints:
    """Find the front doors of a name.

    :param port: the port that the CA's port 80 leads to.
    :param address: the only local address that counts (``--http-01-address``); empty or a wildcard for all.
    """
    resolved = machine.addresses(name)
    # Debian's /etc/hosts has the host's own name at 127.0.1.1: no CA comes in there.
    public = [a for a in resolved if not ipaddress.ip_address(a).is_loopback]
    versions = _ALL_ADDRESSES.get(address)
    if versions is None:
        note = _leads_elsewhere(name, [a for a in public if machine.is_here(a)], address, port)
        return FrontEndpoints((Endpoint(address, port),), certain=True, note=note, resolved=bool(resolved))
    public = [a for a in public if ipaddress.ip_address(a).version in versions]
    here = [a for a in public if machine.is_here(a)]
    away = [a for a in public if a not in here]
    if here:
        note = f"{name} also resolves to {', '.join(away)}, which is not an address of this machine" if away else ""
        return FrontEndpoints(tuple(Endpoint(a, port) for a in here), certain=True, note=note)
    if not resolved:
        note = f"{name} does not resolve to any address, seen from here"
    elif away:
        note = f"{name} resolves to {', '.join(away)}, which is not an address of this machine (a port forward?)"
    else:
        note = f"{name} resolves to {', '.join(resolved)} only, seen from here"
    doors = _guessed(machine, port, {ipaddress.ip_address(a).version for a in away} or versions)
    return FrontEndpoints(doors, certain=False, note=note, resolved=bool(resolved))


def _leads_elsewhere(name: str, here: List[str], address: str, port: int) -> str:
    """That a name leads to other addresses of this machine than ``--http-01-address``; empty where that may be meant.

    On another port or the loopback, something here passes the CA's requests on.
    """
    meant = port != CA_PORTS["http"] or ipaddress.ip_address(address).is_loopback
    if not here or address in here or meant:
        return ""
    return f"{name} resolves to {', '.join(here)} of this machine, and not to {address}"


def _guessed(machine: Machine, port: int, versions: "set[int]") -> Tuple[Endpoint, ...]:
    parsed = [ipaddress.ip_address(a) for a in machine.local_addresses()]
    reachable = [a for a in parsed if not a.is_loopback and not a.is_link_local] or parsed
    doors = [Endpoint(str(a), port) for a in reachable if a.version in versions]
    chosen: List[Endpoint] = []
    for version in sorted(versions):
        family = [door for door in doors if ipaddress.ip_address(door.host).version == version]
        # A bridge of containers has an address too. Where somebody listens, that is where the forward leads.
        chosen += [door for door in family if machine.holders(door)] or family
    return tuple(chosen[:MAX_GUESSED_DOORS])
