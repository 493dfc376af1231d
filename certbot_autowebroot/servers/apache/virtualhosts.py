"""The virtual host that answers a request: by address and port, then by name.

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
    """The main server or one virtual host, with only its own directives.

    :ivar aliases: of ServerAlias, with ``*`` and ``?``, in lower case.
    :param contents: its directives and sections.
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
        """The directives outside of sections, in order."""
        return outside_sections(self._contents)

    @functools.cached_property
    def sections(self) -> List[Directive]:
        """Its sections, in order."""
        return [one for child in self._contents for one in for_get(child) if is_request_section(one)]

    def last(self, name: str) -> Optional[Directive]:
        """The last directive of this name, which is the effective one."""
        return next((d for d in reversed(self.directives) if d.name == name), None)

    def read_names(self, resolved: str = "") -> None:
        """Take the names from ServerName and ServerAlias.

        :param resolved: the name of the address, in place of a missing ServerName.
        """
        directives = self._contents.names if isinstance(self._contents, UnparsedContents) else self.directives
        words = [one.words for one in directives if one.name == "servername"]
        match = _SERVER_NAME.match(words[-1][0]) if words and words[-1] else None
        if match:
            self.scheme = (match.group(1) or "").lower()
            self.name = match.group(2).lower()
            self.port = int(match.group(3) or 0)
        self.name = self.name or resolved.lower()
        self.aliases = tuple(word.lower() for one in directives if one.name == "serveralias" for word in one.words)

    def read_addresses(self, resolved: Sequence[str], main_name: str) -> None:
        """Take the addresses from the section tag.

        :param resolved: the addresses of a name among them.
        :param main_name: the name of the main server, for a nameless virtual host with a wildcard address.
        """
        assert self.section is not None  # noqa: S101 - only the main server has none
        self.addresses = tuple(_address(word) for word in self.section.words)
        if not self.name and any(not address.host for address in self.addresses):
            self.name = main_name
        if any(address.is_name for address in self.addresses):
            self.addresses += tuple(address for address in map(_address, resolved) if address not in self.addresses)


class NameBasedVirtualHosts:
    """The virtual hosts of one address: the first with the name answers, else the first of all.

    A look-up takes as long for ten thousand virtual hosts as for ten: a name without a wildcard is a key, for another
    the part after its last wildcard.
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
        """The default virtual host of the address."""
        return self._servers[0]

    def find(self, host: str) -> Tuple[Server, bool]:
        """The virtual host for a Host header, and whether it has that name."""
        host = host.rstrip(".").lower()
        positions = [self._names[host]] if host in self._names else []
        for start in range(len(host) + 1):
            positions += [position for position, pattern in self._patterns.get(host[start:], ())
                          if (not positions or position < positions[0]) and _compiled(pattern).match(host)][:1]
        if not positions and host in self._addresses:
            positions = [self._addresses[host]]
        return (self._servers[min(positions)], True) if positions else (self.default, False)


class VirtualHosts:
    """All virtual hosts, by address and port."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._table: Dict[Tuple[str, int], NameBasedVirtualHosts] = {}
        for server in servers:
            for address in server.addresses:
                self._table.setdefault((address.host, address.port), NameBasedVirtualHosts()).add(server, address)

    def at(self, endpoint: Endpoint) -> Optional[NameBasedVirtualHosts]:
        """The virtual hosts of the most specific address; None where the main server answers.

        A full address hides the wildcards, and a port hides "any port".
        """
        host = _canonical(endpoint.host)
        keys = ((host, endpoint.port), (host, 0), ("", endpoint.port), ("", 0))
        return next((self._table[key] for key in keys if key in self._table), None)


@functools.lru_cache(maxsize=65536)
def _compiled(alias: str) -> "Pattern[str]":
    return re.compile(fnmatch.translate(alias.replace("[", "[[]")))


@functools.lru_cache(maxsize=1024)  # most virtual hosts have the same
def _address(word: str) -> Address:
    """``*:80``, ``_default_``, ``1.2.3.4``, ``[::1]:443``, ``name:80``. A name stays unresolved."""
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
