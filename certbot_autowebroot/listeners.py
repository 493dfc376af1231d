"""Which sockets take a connection to an endpoint, and which processes hold them."""
import ipaddress
import os
import re
from typing import Dict
from typing import Iterable
from typing import List
from typing import NamedTuple
from typing import Sequence
from typing import Set

from certbot_autowebroot import netlink
from certbot_autowebroot import processes
from certbot_autowebroot.namespaces import Namespace
from certbot_autowebroot.route import Endpoint

#: Names of executables (the first 15 characters, proc(5) "comm") whose descriptors are looked at first: scanning
#: those of 3,000 processes takes 0.3 to 0.9 s.
LIKELY = {"nginx", "apache2", "httpd", "lighttpd", "caddy", "haproxy", "varnishd", "cache-main", "docker-proxy",
          "rootlessport", "busybox", "php", "node", "python3", "envoy", "traefik", "openresty", "litespeed"}

_UNIX_LINE = re.compile(r"[0-9a-f]+: [0-9A-F]{8} [0-9A-F]{8} (?P<flags>[0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +"
                        r"(?P<inode>[0-9]{1,20}) (?P<path>.+)")
#: __SO_ACCEPTCON, include/uapi/linux/net.h.
_ACCEPTS = 1 << 16


class Listener(NamedTuple):
    """A socket that listens.

    :ivar endpoint: what it is bound to; the host is ``0.0.0.0`` or ``::`` for all addresses.
    :ivar v6only: bound to ``::``, and IPv4 does not come in.
    :ivar inode: names the socket among the descriptors of processes.
    """

    endpoint: Endpoint
    v6only: bool
    inode: int


def listeners() -> List[Listener]:
    """All TCP and unix sockets that listen.

    :raises OSError: this system does not tell (another Unix than Linux).
    """
    tcp = [Listener(Endpoint(s.address, s.port), s.v6only, s.inode) for s in netlink.listening_sockets()]
    return tcp + unix_listeners("self")


def listeners_beside(namespace: Namespace) -> List[Listener]:
    """The same in another network namespace.

    :raises OSError: its last process has ended.
    """
    tcp = [Listener(Endpoint(c.address, c.port), False, c.inode) for c in namespace.connections()]
    return tcp + unix_listeners(str(namespace.pid))


def accepting(endpoint: Endpoint, among: Iterable[Listener]) -> List[Listener]:
    """The listeners that the kernel chooses from for a connection to an endpoint.

    A socket bound to the very address is preferred to one bound to all; for IPv4, one of IPv4 to a dual-stack one of
    IPv6 (Linux, ``inet_lhashtable.c``, ``compute_score``). Several are left only where they share the port
    (``SO_REUSEPORT``).
    """
    if endpoint.is_unix:
        return [listener for listener in among if listener.endpoint.host == endpoint.host]
    here = [listener for listener in among if listener.endpoint.port == endpoint.port and not listener.endpoint.is_unix]
    hosts = [endpoint.host, "::"]
    if ipaddress.ip_address(endpoint.host).version == 4:
        hosts = [endpoint.host, f"::ffff:{ipaddress.ip_address(endpoint.host)}", "0.0.0.0", "::"]  # noqa: S104
    for host in hosts:
        chosen = [listener for listener in here if _same_host(listener.endpoint.host, host)]
        if host == "::" and len(hosts) > 2:
            chosen = [listener for listener in chosen if not listener.v6only]
        if chosen:
            return chosen
    return []


def owners(inodes: Set[int]) -> Dict[int, List[int]]:
    """The processes that hold these sockets: inode to pids. A socket without a visible owner is absent.

    Processes of known servers are looked at first, and the others only while a socket is without an owner.
    """
    found: Dict[int, List[int]] = {}
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    likely, others = _sorted_by_likelihood(processes.all_pids())
    for pids in (likely, others):
        for pid in pids:
            for inode in _held_by(pid, wanted):
                found.setdefault(inode, []).append(pid)
        if len(found) == len(inodes):
            break
    return found


def _sorted_by_likelihood(pids: Sequence[int]) -> "tuple[List[int], List[int]]":
    likely: List[int] = []
    others: List[int] = []
    for pid in pids:
        (likely if processes.comm(pid) in LIKELY else others).append(pid)
    return likely, others


def _held_by(pid: int, wanted: Dict[str, int]) -> Set[int]:
    directory = f"/proc/{pid}/fd"
    found: Set[int] = set()
    try:
        descriptors = os.listdir(directory)
    except OSError:  # it has ended, or is another user's and we are not root
        return found
    for descriptor in descriptors:
        try:
            inode = wanted.get(os.readlink(f"{directory}/{descriptor}"))
        except OSError:
            continue
        if inode is not None:
            found.add(inode)
    return found


def _same_host(one: str, other: str) -> bool:
    return ipaddress.ip_address(one) == ipaddress.ip_address(other)


def unix_listeners(pid: str) -> List[Listener]:
    """The unix sockets that listen in the network namespace of a process.

    :raises OSError: the process has ended.
    """
    found = []
    with open(f"/proc/{pid}/net/unix", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for line in file:
            # Num RefCount Protocol Flags Type St Inode Path. Any user may have a path with line feeds in it.
            match = _UNIX_LINE.match(line)
            if match and int(match["flags"], 16) & _ACCEPTS:
                found.append(Listener(Endpoint("unix:" + match["path"], 0), False, int(match["inode"])))
    return found
