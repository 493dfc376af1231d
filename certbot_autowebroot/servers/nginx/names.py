"""Which server block gets a request: by address and port, then by name.

Sources: "How nginx processes a request", "Server names", ngx_http_core_module "listen" and "server_name";
``ngx_hash_add_key`` in src/core/ngx_hash.c for what happens to the second of two equal names.
"""
import functools
import ipaddress
import re
from typing import Dict
from typing import Generic
from typing import Iterable
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Set
from typing import Tuple
from typing import TypeVar

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.servers.nginx.contexts import Context
from certbot_autowebroot.servers.nginx.contexts import Matches
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.regexes import Regex

Value = TypeVar("Value")


class NameTable(Generic[Value]):
    """Exact names, then leading, then trailing wildcard names, the longest of each; for server names and maps."""

    def __init__(self) -> None:
        self._taken: Set[str] = set()
        self._exact: Dict[str, Value] = {}
        self._leading: Dict[str, Tuple[Value, bool]] = {}
        self._trailing: Dict[str, Value] = {}

    def add(self, name: str, value: Value, wildcards: bool = True) -> None:
        """Add a name. A second equal one is ignored, as nginx ignores it with a warning."""
        name = name.lower()
        if wildcards and len(name) > 1 and name.startswith("."):
            # ".x" takes "x" too. Where "x" is taken, nginx ignores all of ".x"; where "*.x" is, "x" is still taken.
            if name[1:] in self._taken:
                return
            self._taken.add(name[1:])
            self._leading.setdefault(name[1:], (value, True))
        elif wildcards and len(name) > 2 and name.startswith("*."):
            self._leading.setdefault(name[2:], (value, False))
        elif wildcards and len(name) > 2 and name.endswith(".*"):
            self._trailing.setdefault(name[:-2], value)
        elif name not in self._taken:
            self._taken.add(name)
            self._exact[name] = value

    def find(self, name: str) -> Optional[Value]:
        """The value of the most specific name that matches."""
        name = name.lower()
        if name in self._exact:
            return self._exact[name]
        rest, bare = name, True
        while rest:
            wildcard = self._leading.get(rest)
            if wildcard is not None and (wildcard[1] or not bare):
                return wildcard[0]
            _, _, rest = rest.partition(".")
            bare = False
        head = name.rpartition(".")[0]
        while head:
            if head in self._trailing:
                return self._trailing[head]
            head = head.rpartition(".")[0]
        return None


class Server(Context):
    """A ``server`` block."""

    def __init__(self, directive: Directive, parent: Context, hostname: str) -> None:
        super().__init__(directive, parent)
        names = [name for line in directive.inside("server_name") for name in line.args]
        self.names = tuple(hostname.lower() if name == "$hostname" and hostname else name for name in names) or ("",)

    @property
    def first_name(self) -> str:
        """The value of ``$server_name``."""
        name = self.names[0]
        if name.startswith("~"):
            return name
        return name[1:].lower() if name.startswith(".") else name.lower()


class Group:
    """The servers that listen on one address and port.

    :ivar default: the default server.
    :ivar tls: whether connections here begin with TLS.
    :ivar proxy_protocol: whether they begin with a PROXY line, as of a load balancer.
    """

    def __init__(self, first: Server) -> None:
        self.default = first
        self.tls = False
        self.proxy_protocol = False
        self.dual_stack = False
        self._servers: List[Server] = []
        self._names: Optional[NameTable[Server]] = None
        self._regexes: List[Tuple[Regex, Server]] = []

    def add(self, server: Server, options: List[str]) -> None:
        """Add a server with the parameters of its ``listen``."""
        self._servers.append(server)
        self.tls = self.tls or "ssl" in options or "quic" in options
        self.proxy_protocol = self.proxy_protocol or "proxy_protocol" in options
        self.dual_stack = self.dual_stack or "ipv6only=off" in options
        if "default_server" in options or "default" in options:
            self.default = server

    def find(self, host: str, matches: Matches) -> Tuple[Server, str]:
        """The server for a Host header, and the name that matched, empty for the default server."""
        if self._names is None:
            self._names = self._table()
        server = self._names.find(host)
        if server is not None:
            return server, host
        if len(self._servers) == 1 and not (self._regexes and self._regexes[-1][0].has_captures):
            # nginx does not match the names of a single server: the named captures stay empty.
            return self.default, ""
        for regex, server in self._regexes:
            if matches(regex, host, server.directive):
                return server, "~" + regex.text
        return self.default, ""

    def _table(self) -> NameTable[Server]:
        table: NameTable[Server] = NameTable()
        for server in self._servers:
            for name in server.names:
                if name.startswith("~"):
                    self._regexes.append((Regex(name[1:], ignore_case=bool(re.search("[A-Z]", name))), server))
                else:
                    table.add(name, server)
        return table


class _Address(NamedTuple):
    """The address of a ``listen``; ``host`` is empty for all addresses of a family, and for a name."""

    family: str
    host: str


class _Listen(NamedTuple):
    """A ``listen`` of a server, with its first and last port: ``listen 1-65535`` is one short line."""

    first: int
    last: int
    server: Server
    options: List[str]


class Listeners:
    """The servers of each local address and port, from all ``listen`` directives.

    :param default: the ``listen`` of a server that has none.
    """

    def __init__(self, servers: Iterable[Server], default: Optional[str]) -> None:
        self._listens: Dict[_Address, List[_Listen]] = {}
        self._groups: Dict[Tuple[_Address, int], Optional[Group]] = {}
        for server in servers:
            listens = [listen.args for listen in server.directive.inside("listen") if listen.args]
            for text, *options in listens or ([(default,)] if default else []):
                address, first, last = _range(text)
                self._listens.setdefault(address, []).append(_Listen(first, last, server, options))

    def at(self, endpoint: Endpoint) -> Optional[Group]:
        """The servers of a connection to this local address and port; None without any.

        An exact address hides the wildcard. ``[::]`` accepts IPv4 only with ``ipv6only=off``.
        """
        if endpoint.is_unix:
            return self._group("unix", endpoint.host, 0)
        address = ipaddress.ip_address(endpoint.host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        family, port = str(address.version), endpoint.port
        group = self._group(family, str(address), port) or self._group(family, "", port)
        if not group and family == "4":
            both = self._group("6", "", port)
            group = (self._group("6", str(ipaddress.IPv6Address(f"::ffff:{address}")), port)
                     or (both if both and both.dual_stack else None))
        return group or self._group("name", "", port)

    def _group(self, family: str, host: str, port: int) -> Optional[Group]:
        key = _Address(family, host), port
        if key not in self._groups:
            group = None
            for listen in self._listens.get(key[0], ()):
                if listen.first <= port <= listen.last:
                    group = group or Group(listen.server)
                    group.add(listen.server, listen.options)
            self._groups[key] = group
        return self._groups[key]


@functools.lru_cache(maxsize=64)  # ten thousand servers have the same few
def _range(text: str) -> Tuple[_Address, int, int]:
    """Address, first and last port. A host name counts as any address: only the running server resolved it."""
    if text.startswith("unix:"):
        return _Address("unix", text), 0, 0
    match = re.fullmatch(r"(?:(?P<host>\[[^\]]*\]|[^:\[\]]*?):)?(?P<first>[0-9]{1,9})(?:-(?P<last>[0-9]{1,9}))?", text)
    if match is None:
        host, first, last = text, 80, 80
    else:
        host, first, last = match["host"] or "*", int(match["first"]), int(match["last"] or match["first"])
    if host == "*":
        return _Address("4", ""), first, last
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return _Address("4", "127.0.0.1") if host == "localhost" else _Address("name", ""), first, last
    return _Address(str(address.version), "" if address.is_unspecified else str(address)), first, last
