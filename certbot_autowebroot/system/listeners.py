"""Which sockets take a connection to an endpoint, and which processes hold them."""
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
        return _bound_here([listener for listener in among if listener.endpoint.host == endpoint.host])
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


def _bound_here(sharing: List[Listener]) -> List[Listener]:
    """Of several unix sockets by one name, those that our file of that name is; all where that cannot be told.

    The kernel tells the name that each was bound by, and anybody may mount an empty /run in a namespace of his own.
    """
    if len(sharing) < 2:
        return sharing
    try:
        status = os.stat(sharing[0].endpoint.host[len("unix:"):])
        files = netlink.unix_files()
    except (OSError, ValueError):
        return sharing
    ours = status.st_dev, status.st_ino & 0xFFFFFFFF
    return [listener for listener in sharing if files.get(listener.inode) == ours] or sharing


class _Look(NamedTuple):
    """What a search has found for one socket, and which processes there were."""

    owners: List[int]
    pids: Set[int]


#: By inode, which the kernel does not use twice. One certbot renew may ask for the same sockets 200 times.
_last_looks: Dict[int, _Look] = {}


def owners(inodes: Set[int], likely: Sequence[Collection[str]] = ()) -> Dict[int, List[int]]:
    """The processes that hold these sockets: inode to pids. A socket without a visible owner is absent.

    Of a process and its forks, only the process: they have the sockets from it. Where all owners of an earlier search
    are still there, only processes that have started since are searched besides.

    :param likely: sets of names (proc(5), "comm": 15 characters) of the processes that are searched first; the others
        are searched only while a socket is without an owner. To search all of 3,000 processes takes 0.3 to 0.9 s.
    """
    pids = processes.all_pids()
    looks = [_last_looks[inode] for inode in inodes if inode in _last_looks]
    found: Dict[int, List[int]] = {}
    if looks and len(looks) == len(inodes):
        settled = set.intersection(*(look.pids for look in looks)).difference(*(look.owners for look in looks))
        found = _search(inodes, [[pid for pid in pids if pid not in settled]])
    if not found or any(set(_last_looks[inode].owners) - set(found.get(inode, ())) for inode in inodes):
        found = _search(inodes, _by_likelihood(pids, likely))
    for inode, holders in found.items():
        # A child has the lower number where the numbers of processes have begun anew (pid_max) after its parent's.
        found[inode] = [pid for pid in holders if processes.parent_of(pid) not in {*holders} - {processes.INIT}]
        _last_looks[inode] = _Look(found[inode], set(pids))
    return found


def _search(inodes: Set[int], tiers: Iterable[List[int]]) -> Dict[int, List[int]]:
    found: Dict[int, List[int]] = {}
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    complete: Set[int] = set()
    for tier in tiers:
        for pid in tier:
            # A worker may hold 20,000 connections beside what it has from its master.
            if complete and processes.parent_of(pid) in complete:
                continue
            held = _held_by(pid, wanted)
            for inode in held:
                found.setdefault(inode, []).append(pid)
            if len(held) == len(wanted) and pid != processes.INIT:
                complete.add(pid)
        if len(found) == len(inodes):
            break
    return found


def _by_likelihood(pids: Sequence[int], likely: Sequence[Collection[str]]) -> Iterator[List[int]]:
    comm = {pid: processes.comm(pid) for pid in pids}
    for names in likely:
        yield [pid for pid in pids if comm[pid] in names]
    yield [pid for pid in pids if not any(comm[pid] in names for names in likely)]


def _held_by(pid: int, wanted: Dict[str, int]) -> Set[int]:
    """Which of the sockets a process holds; as soon as it is all, the rest of its descriptors is not looked at."""
    found: Set[int] = set()
    try:
        with os.scandir(f"/proc/{pid}/fd") as descriptors:
            for descriptor in descriptors:
                try:
                    inode = wanted.get(os.readlink(descriptor.path))
                except OSError:  # it has just been closed
                    continue
                if inode is not None:
                    found.add(inode)
                    if len(found) == len(wanted):
                        break
    except OSError:  # the process has ended, or is another user's and we are not root
        pass
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
