"""Which sockets accept connections at an endpoint, and which processes hold them."""
import contextlib
import ipaddress
import os
import re
from typing import Collection
from typing import Dict
from typing import Iterable
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Sequence
from typing import Set

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.system import netlink
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.namespaces import Namespace

_UNIX_LINE = re.compile(r"[0-9a-f]+: [0-9A-F]{8} [0-9A-F]{8} (?P<flags>[0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +"
                        r"(?P<inode>[0-9]{1,20}) (?P<path>.+)")
#: __SO_ACCEPTCON, include/uapi/linux/net.h.
_ACCEPTS = 1 << 16


class Listener(NamedTuple):
    """A listening socket.

    :ivar endpoint: the address that it is bound to; the host is ``0.0.0.0`` or ``::`` for all addresses.
    :ivar v6only: bound to ``::`` for IPv6 alone.
    :ivar inode: identifies the socket among the descriptors of processes.
    """

    endpoint: Endpoint
    v6only: bool
    inode: int


def listeners() -> List[Listener]:
    """All TCP and unix sockets that listen in certbot's own network namespace.

    :raises OSError: this system does not report them (another Unix than Linux).
    """
    tcp = [Listener(Endpoint(s.address, s.port), s.v6only, s.inode) for s in netlink.listening_sockets()]
    return tcp + unix_listeners("self")


def listeners_in(namespace: Namespace) -> List[Listener]:
    """All TCP and unix sockets that listen in another network namespace.

    :raises OSError: its process has ended.
    """
    tcp = [Listener(Endpoint(c.address, c.port), False, c.inode) for c in namespace.connections()]
    return tcp + unix_listeners(str(namespace.pid))


def accepting(endpoint: Endpoint, candidates: Iterable[Listener]) -> List[Listener]:
    """The listeners between which the kernel chooses for a connection to an endpoint.

    A socket bound to the exact address wins over one bound to all addresses; for IPv4, an IPv4 socket wins over a
    dual-stack IPv6 socket (Linux, ``inet_lhashtable.c``, ``compute_score``). Several remain only if they share the port
    (``SO_REUSEPORT``).
    """
    if endpoint.is_unix:
        return _bound_to_file([listener for listener in candidates if listener.endpoint.host == endpoint.host])
    here = [listener for listener in candidates
            if listener.endpoint.port == endpoint.port and not listener.endpoint.is_unix]
    hosts = [endpoint.host, "::"]
    if ipaddress.ip_address(endpoint.host).version == 4:
        hosts = [endpoint.host, f"::ffff:{ipaddress.ip_address(endpoint.host)}", "0.0.0.0", "::"]  # noqa: S104
    for host in hosts:
        matches = [listener for listener in here if _same_host(listener.endpoint.host, host)]
        if host == "::" and len(hosts) > 2:
            matches = [listener for listener in matches if not listener.v6only]
        if matches:
            return matches
    return []


def _bound_to_file(namesakes: List[Listener]) -> List[Listener]:
    """Of several unix sockets by one name, those bound to the host's file of that name; all if that is unknown.

    The kernel reports the name as it was bound, and any user may mount an empty /run in a mount namespace.
    """
    if len(namesakes) < 2:
        return namesakes
    try:
        status = os.stat(namesakes[0].endpoint.host[len("unix:"):])
        files = netlink.unix_files()
    except (OSError, ValueError):
        return namesakes
    file = status.st_dev, status.st_ino & 0xFFFFFFFF
    return [listener for listener in namesakes if files.get(listener.inode) == file] or namesakes


class _Search(NamedTuple):
    """The result of an earlier search for one socket: its owners, and all processes that existed."""

    owners: List[int]
    pids: Set[int]


#: By inode, which the kernel does not reuse. One certbot renew may ask for the same sockets 200 times.
_last_searches: Dict[int, _Search] = {}


def owners(inodes: Set[int], likely: Sequence[Collection[str]] = ()) -> Dict[int, List[int]]:
    """The processes that hold these sockets: inode to pids. A socket without a visible owner is absent.

    Children that have inherited a socket are left out. Likely processes are searched first, the others only while a
    socket has no owner. If all owners of an earlier search still hold their socket, only processes started since are
    searched besides.

    :param likely: sets of names (proc(5), "comm": 15 characters) of the processes to search first. To read the
        descriptors of 3,000 processes takes 0.3 to 0.9 s.
    """
    pids = processes.all_pids()
    earlier = [_last_searches[inode] for inode in inodes if inode in _last_searches]
    pids_by_inode: Dict[int, List[int]] = {}
    if earlier and len(earlier) == len(inodes):
        without = set.intersection(*(search.pids for search in earlier)).difference(*(s.owners for s in earlier))
        pids_by_inode = _search(inodes, [[pid for pid in pids if pid not in without]])
    if not pids_by_inode or any(set(_last_searches[inode].owners) - set(pids_by_inode.get(inode, ()))
                                for inode in inodes):
        pids_by_inode = _search(inodes, _by_likelihood(pids, likely))
    for inode, holders in pids_by_inode.items():
        # A child may have a lower pid than its parent: pids start anew at pid_max.
        pids_by_inode[inode] = [pid for pid in holders if processes.parent_of(pid) not in {*holders} - {processes.INIT}]
        _last_searches[inode] = _Search(pids_by_inode[inode], set(pids))
    return pids_by_inode


def _search(inodes: Set[int], tiers: Iterable[List[int]]) -> Dict[int, List[int]]:
    pids_by_inode: Dict[int, List[int]] = {}
    complete: Set[int] = set()
    for tier in tiers:
        for pid in tier:
            # A worker may hold 20,000 connections beside the sockets of its main process.
            if complete and processes.parent_of(pid) in complete:
                continue
            held = _held_by(pid, inodes)
            for inode in held:
                pids_by_inode.setdefault(inode, []).append(pid)
            if len(held) == len(inodes) and pid != processes.INIT:
                complete.add(pid)
        if len(pids_by_inode) == len(inodes):
            break
    return pids_by_inode


def _by_likelihood(pids: Sequence[int], likely: Sequence[Collection[str]]) -> Iterator[List[int]]:
    comm = {pid: processes.comm(pid) for pid in pids}
    for names in likely:
        yield [pid for pid in pids if comm[pid] in names]
    yield [pid for pid in pids if not any(comm[pid] in names for names in likely)]


def _held_by(pid: int, inodes: Set[int]) -> Set[int]:
    """Which of these sockets a process holds. It stops at the last one: a server may hold 20,000 connections more."""
    held: Set[int] = set()
    with contextlib.suppress(OSError):  # the process has ended, or is another user's and certbot does not run as root
        for inode in processes.sockets(pid):
            if inode in inodes:
                held.add(inode)
                if len(held) == len(inodes):
                    break
    return held


def _same_host(one: str, other: str) -> bool:
    return ipaddress.ip_address(one) == ipaddress.ip_address(other)


def unix_listeners(pid: str) -> List[Listener]:
    """The unix sockets that listen in the network namespace of a process.

    :raises OSError: the process has ended.
    """
    unix = []
    with open(f"/proc/{pid}/net/unix", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for line in file:
            # Num RefCount Protocol Flags Type St Inode Path. A path may have line feeds in it.
            match = _UNIX_LINE.match(line)
            if match and int(match["flags"], 16) & _ACCEPTS:
                unix.append(Listener(Endpoint("unix:" + match["path"], 0), False, int(match["inode"])))
    return unix
