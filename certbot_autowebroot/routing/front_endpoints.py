"""Front endpoints of a name: the local endpoints at which the CA may arrive."""
import ipaddress
from typing import List
from typing import NamedTuple
from typing import Tuple

from certbot_autowebroot.route import CA_PORTS
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.follow import Machine

#: A hosting machine may have hundreds of addresses. Behind a port forward, which one it leads to is a guess.
MAX_GUESSED_ENDPOINTS = 8
#: IP versions of ``--http-01-address``, where it is a wildcard. Certbot's standalone takes IPv4 too on ``::`` (ipv6(7),
#: IPV6_V6ONLY).
_WILDCARD_VERSIONS = {"": {4, 6}, "::": {4, 6}, "0.0.0.0": {4}}  # noqa: S104 - compared, not bound


class FrontEndpoints(NamedTuple):
    """Where the CA's request for a name arrives.

    :ivar certain: the name resolves to these addresses. Each of them has to answer: the CA asks over IPv6 first, and
        over IPv4 only after a timeout. If false (a port forward, a private address), the CA arrives at one of them.
    :ivar note: a remark on the name's addresses for the user; empty for none.
    :ivar resolved: the name resolves to some address on this host.
    """

    endpoints: Tuple[Endpoint, ...]
    certain: bool
    note: str = ""
    resolved: bool = True


def front_endpoints(name: str, machine: Machine, port: int, address: str = "") -> FrontEndpoints:
    """Find the front endpoints of a name.

    :param port: the local port behind the CA's port 80 (``--http-01-port``).
    :param address: the only local address to use (``--http-01-address``); empty or a wildcard for all.
    """
    resolved = machine.addresses(name)
    # Debian's /etc/hosts has the host's own name at 127.0.1.1. No CA arrives there.
    public = [a for a in resolved if not ipaddress.ip_address(a).is_loopback]
    versions = _WILDCARD_VERSIONS.get(address)
    if versions is None:
        note = _other_addresses(name, [a for a in public if machine.is_here(a)], address, port)
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
    endpoints = _guessed(machine, port, {ipaddress.ip_address(a).version for a in away} or versions)
    return FrontEndpoints(endpoints, certain=False, note=note, resolved=bool(resolved))


def _other_addresses(name: str, here: List[str], address: str, port: int) -> str:
    """A remark where a name resolves to other addresses of this host than ``--http-01-address``; else empty.

    With another port or the loopback, a proxy or a port forward passes the CA's requests on: that is no mistake.
    """
    is_behind_proxy = port != CA_PORTS["http"] or ipaddress.ip_address(address).is_loopback
    if not here or address in here or is_behind_proxy:
        return ""
    return f"{name} resolves to {', '.join(here)} of this machine, and not to {address}"


def _guessed(machine: Machine, port: int, versions: "set[int]") -> Tuple[Endpoint, ...]:
    parsed = [ipaddress.ip_address(a) for a in machine.local_addresses()]
    reachable = [a for a in parsed if not a.is_loopback and not a.is_link_local] or parsed
    guesses: List[Endpoint] = []
    for version in sorted(versions):
        family = [Endpoint(str(a), port) for a in reachable if a.version == version]
        # A bridge of containers has an address too. The port forward leads to an address where a program listens.
        guesses += [endpoint for endpoint in family if machine.holders(endpoint)] or family
    return tuple(guesses[:MAX_GUESSED_ENDPOINTS])
