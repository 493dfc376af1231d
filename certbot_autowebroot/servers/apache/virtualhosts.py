"""Which virtual host answers a request: by address and port, then by name.

Sources: "Name-based Virtual Host Support", "An In-Depth Discussion of Virtual Host Matching", ServerName, ServerAlias.
"""
import fnmatch
import functools
import ipaddress
import re
from dataclasses import dataclass
from typing import Dict
from typing import List
from typing import Optional
from typing import Pattern
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import for_get
from certbot_autowebroot.servers.apache.directives import is_request_section
from certbot_autowebroot.servers.apache.directives import outside_sections
from certbot_autowebroot.servers.apache.rows import UnparsedContents

_IPV4_IN_IPV6 = re.compile(r"::ffff:(\d+\.\d+\.\d+\.\d+)$", re.IGNORECASE)
_ADDRESS = re.compile(r"(\[[^\]]*\]|[^:]*|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*)(?::([0-9]{1,9}|\*))?$")
_SERVER_NAME = re.compile(r"(?:(\w+)://)?(\[[^\]]*\]|[^:/]*)(?::([0-9]{1,9}))?$")
_WILDCARD = re.compile(r"[*?]")


@dataclass(frozen=True)
class Address:
    """One address of a ``<VirtualHost>``; an empty host is a wildcard, port 0 any port."""

    host: str
    port: int
    text: str

    @property
    def is_name(self) -> bool:
        """Whether it has to be resolved."""
        return re.search(r"[g-z]", self.host) is not None


class Server:
    """The main server or one virtual host, with its own directives only.

    :ivar aliases: as ServerAlias has them, with ``*`` and ``?``, in lower case.
    :param contents: what stands in it.
    """

    def __init__(self, section: Optional[Directive], contents: Sequence[Directive]) -> None:
        self.section = section
        self.addresses: Tuple[Address, ...] = ()
        self.name = self.scheme = ""
        self.port = 0
        self.aliases: Tuple[str, ...] = ()
        self._contents = contents

    @functools.cached_property
    def directives(self) -> Sequence[Directive]:
        """Those outside of any section, in order."""
        return outside_sections(self._contents)

    @functools.cached_property
    def sections(self) -> List[Directive]:
        """Its sections, in order."""
        return [one for child in self._contents for one in for_get(child) if is_request_section(one)]

    def last(self, name: str) -> Optional[Directive]:
        """The last directive of this name: the one that holds where a directive can be said once."""
        return next((d for d in reversed(self.directives) if d.name == name), None)

    def read_names(self, resolved: str = "") -> None:
        """Take the names from ServerName and ServerAlias; without the former, the one that the address resolves to."""
        said = self._contents.names if isinstance(self._contents, UnparsedContents) else self.directives
        words = [one.words for one in said if one.name == "servername"]
        match = _SERVER_NAME.match(words[-1][0]) if words and words[-1] else None
        if match:
            self.scheme = (match.group(1) or "").lower()
            self.name = match.group(2).lower()
            self.port = int(match.group(3) or 0)
        self.name = self.name or resolved.lower()
        self.aliases = tuple(word.lower() for one in said if one.name == "serveralias" for word in one.words)

    def read_addresses(self, resolved: Sequence[str], main_name: str) -> None:
        """Take the addresses from the section tag.

        :param resolved: what a name among them has been resolved to.
        :param main_name: the name of the main server, which a nameless wildcard virtual host takes over.
        """
        assert self.section is not None  # noqa: S101 - only the main server has none
        self.addresses = tuple(_address(word) for word in self.section.words)
        if not self.name and any(not address.host for address in self.addresses):
            self.name = main_name
        if any(address.is_name for address in self.addresses):
            self.addresses += tuple(address for address in map(_address, resolved) if address not in self.addresses)


class NameBasedVirtualHosts:
    """The virtual hosts of one address. The first that has the name answers, else the first of all.

    Names are looked up, so that ten thousand virtual hosts cost no more than ten: those without a wildcard as they
    are, the others by what follows their last wildcard.
    """

    def __init__(self) -> None:
        self._servers: List[Server] = []
        self._names: Dict[str, int] = {}
        self._patterns: Dict[str, List[Tuple[int, str]]] = {}
        self._addresses: Dict[str, int] = {}

    def add(self, server: Server, address: Address) -> None:
        """Add the next virtual host."""
        position = len(self._servers)
        self._servers.append(server)
        self._addresses.setdefault(address.text, position)
        self._names.setdefault(server.name, position)
        for alias in server.aliases:
            if _WILDCARD.search(alias):
                self._patterns.setdefault(_WILDCARD.split(alias)[-1], []).append((position, alias))
            else:
                self._names.setdefault(alias, position)

    @property
    def default(self) -> Server:
        """The one that answers for the address."""
        return self._servers[0]

    def find(self, host: str) -> Tuple[Server, bool]:
        """The one that answers a Host header, and whether it answers to that name."""
        host = host.rstrip(".").lower()
        found = [self._names[host]] if host in self._names else []
        for start in range(len(host) + 1):
            found += [position for position, pattern in self._patterns.get(host[start:], ())
                      if (not found or position < found[0]) and _compiled(pattern).match(host)][:1]
        if not found and host in self._addresses:
            found = [self._addresses[host]]
        return (self._servers[min(found)], True) if found else (self.default, False)


class VirtualHosts:
    """All virtual hosts, by address and port."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._table: Dict[Tuple[str, int], NameBasedVirtualHosts] = {}
        for server in servers:
            for address in server.addresses:
                self._table.setdefault((address.host, address.port), NameBasedVirtualHosts()).add(server, address)

    def at(self, endpoint: Endpoint) -> Optional[NameBasedVirtualHosts]:
        """Those of the best matching address; None where the main server answers.

        A full address hides the wildcards, a port hides "any port": the most specific set answers alone.
        """
        host = _canonical(endpoint.host)
        wanted = ((host, endpoint.port), (host, 0), ("", endpoint.port), ("", 0))
        return next((self._table[key] for key in wanted if key in self._table), None)


@functools.lru_cache(maxsize=65536)
def _compiled(alias: str) -> "Pattern[str]":
    return re.compile(fnmatch.translate(alias.replace("[", "[[]")))


def _address(word: str) -> Address:
    """``*:80``, ``_default_``, ``1.2.3.4``, ``[::1]:443``, ``name:80``. A name is kept: it is not resolved."""
    match = _ADDRESS.match(word)
    host, port = match.groups() if match else (word, None)
    number = 0 if port in (None, "*") else int(port)
    if host.lower() in ("*", "_default_", "0.0.0.0", "[::]", ""):  # noqa: S104 - compared, not bound
        return Address("", number, host.lower())
    return Address(_canonical(host.strip("[]")), number, host.lower())


def _canonical(host: str) -> str:
    mapped = _IPV4_IN_IPV6.match(host)
    try:
        return str(ipaddress.ip_address(mapped.group(1) if mapped else host.partition("%")[0]))
    except ValueError:
        return host.lower()
