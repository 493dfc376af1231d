"""What the resolver's files say: which name servers the machine has, and what /etc/hosts says of a name."""
import ipaddress
from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import Source

RESOLV_CONF = "/etc/resolv.conf"
HOSTS = "/etc/hosts"
#: The stub of systemd-resolved(8), which answers from /etc/hosts too, and the list of the servers behind it.
_SYSTEMD_STUB = "127.0.0.53"
SYSTEMD_RESOLV_CONF = "/run/systemd/resolve/resolv.conf"
#: resolv.conf(5), MAXNS.
_MAX_SERVERS = 3
#: A list of blocked advertisers is some megabytes.
_MAX_FILE = 16 * 1024 * 1024


class HostsLine(NamedTuple):
    """A line of /etc/hosts that gives a name an address."""

    address: str
    source: Source


def name_servers() -> List[str]:
    """The machine's name servers, resolv.conf(5); those behind systemd-resolved's stub rather than the stub."""
    servers = name_servers_in(_read(RESOLV_CONF)) or ["127.0.0.1"]
    if servers == [_SYSTEMD_STUB]:
        servers = name_servers_in(_read(SYSTEMD_RESOLV_CONF)) or servers
    return servers[:_MAX_SERVERS]


def name_servers_in(text: str) -> List[str]:
    """The name servers that a resolv.conf(5) names. *Pure*."""
    lines = [line.split() for line in text.splitlines()]
    named = [line[1] for line in lines if len(line) > 1 and line[0] == "nameserver"]
    return [server for server in dict.fromkeys(named) if is_address(server)]


def hosts_lines(names: Sequence[str]) -> Dict[str, Tuple[HostsLine, ...]]:
    """What /etc/hosts says of these names."""
    return hosts_lines_in(_read(HOSTS), names, HOSTS)


def hosts_lines_in(text: str, names: Sequence[str], file: str) -> Dict[str, Tuple[HostsLine, ...]]:
    """What the text of a hosts(5) says of these names, by name. *Pure*."""
    wanted = {name.lower(): name for name in names}
    found: Dict[str, Tuple[HostsLine, ...]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        address, *known = line.partition("#")[0].lower().split() or [""]
        for word in wanted.keys() & set(known):
            if is_address(address):
                lines = (*found.get(wanted[word], ()), HostsLine(address.partition("%")[0], Source(file, number)))
                found[wanted[word]] = lines
    return found


def is_address(text: str) -> bool:
    """Whether this is an IP address, with a scope or without."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(_MAX_FILE)
    except OSError:
        return ""
