"""Which virtual host answers, and what holds in it: httpd's vhost.c as plain rules.

Sources: "Name-based Virtual Host Support", "An In-Depth Discussion of Virtual Host Matching", core's directives.
"""
import fnmatch
import functools
import ipaddress
import os
import re
from dataclasses import dataclass
from dataclasses import field
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import Evaluated

#: Sections that hold for a part of the requests only.
SECTIONS = frozenset({"directory", "directorymatch", "location", "locationmatch", "files", "filesmatch", "if", "elseif",
                      "else", "proxy", "proxymatch"})
_IPV4_IN_IPV6 = re.compile(r"::ffff:(\d+\.\d+\.\d+\.\d+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """One address of a ``<VirtualHost>``; an empty host is a wildcard, port 0 any port."""

    host: str
    port: int
    shown: str

    @property
    def is_name(self) -> bool:
        """Whether it has to be resolved."""
        return re.search(r"[g-z]", self.host) is not None


@dataclass
class Server:
    """The main server or one virtual host, with its own directives only.

    :ivar directives: outside of any section, in order.
    :ivar sections: in order.
    """

    opening: Optional[Directive]
    directives: List[Directive] = field(default_factory=list)
    sections: List[Directive] = field(default_factory=list)
    addresses: Tuple[Address, ...] = ()
    name: str = ""
    scheme: str = ""
    port: int = 0
    aliases: List[str] = field(default_factory=list)

    def last(self, name: str) -> Optional[Directive]:
        """The last directive of this name: the one that holds where a directive can be said once."""
        return next((d for d in reversed(self.directives) if d.name == name), None)

    def answers_to(self, host: str) -> bool:
        """Whether ServerName or ServerAlias (with ``*`` and ``?``) name this host."""
        if host == self.name:
            return True
        return any(host == alias or (_is_pattern(alias) and fnmatch.fnmatchcase(host, alias.replace("[", "[[]")))
                   for alias in self.aliases)


class Site:
    """A server with what it inherits from the main server."""

    def __init__(self, server: Server, main: Server, configuration: "Configuration") -> None:
        self.server = server
        self.main = main
        self.configuration = configuration
        #: The own server first: how the lists of mod_alias and mod_proxy are joined.
        self.chain = [server, main] if server is not main else [main]
        #: The main server's first: how core joins its sections.
        self.sections = (main.sections if server is not main else []) + server.sections

    def last(self, name: str) -> Optional[Directive]:
        """The directive that holds, inherited if need be."""
        for server in self.chain:
            directive = server.last(name)
            if directive:
                return directive
        return None

    def all(self, *names: str) -> List[Directive]:
        """Every directive of these names, the own server's before the main server's."""
        return [d for server in self.chain for d in server.directives if d.name in names]

    def flag(self, name: str, default: bool = False) -> bool:
        """An On/Off directive."""
        directive = self.last(name)
        return is_on(directive) if directive else default

    @property
    def step(self) -> Step:
        """The server as the first step of a trail."""
        opening = self.server.opening
        if opening is None:
            return Step(f"main server {self.server.name}".rstrip())
        return Step(f"{opening.step.text} {self.server.name}".rstrip(), opening.source)

    def speaks_tls(self, port: int) -> Optional[bool]:
        """Whether connections to a port are TLS; None where either will do (``SSLEngine optional``).

        Where SSLEngine is not said, the protocol of the Listen directive decides, which is https for port 443.
        """
        if not self.configuration.has_module("ssl"):
            return False
        directive = self.last("sslengine")
        if directive is not None and directive.words:
            return {"on": True, "off": False}.get(directive.words[0].lower())
        for listen in self.main.directives:
            if listen.name == "listen" and listen.words and listen.words[0].rpartition(":")[2] == str(port):
                return (listen.words[1:] or ["https" if port == 443 else "http"])[0].lower() == "https"
        return False

    @functools.cached_property
    def document_root(self) -> Tuple[str, Step]:
        """The document root as an absolute path, and where it is said; an empty path where that is not known."""
        directive = self.last("documentroot")
        if directive is None or not directive.words:
            root = self.configuration.evaluated.document_root
            return root, Step(f"DocumentRoot {root} (the default)")
        return self.configuration.path(directive.words[0]), directive.step

    @property
    def document_root_as_said(self) -> str:
        """The document root as ``%{DOCUMENT_ROOT}`` has it: with the slash at the end that the directive may have."""
        directive = self.last("documentroot")
        slash = "/" if directive and directive.words and directive.words[0].endswith("/") else ""
        return self.document_root[0].rstrip("/") + slash


class Configuration:
    """The whole configuration, ready to be asked."""

    def __init__(self, evaluated: Evaluated) -> None:
        self.evaluated = evaluated
        self.main = Server(None)
        self.servers: List[Server] = []
        for directive in evaluated.directives:
            if directive.name == "virtualhost" and directive.is_section:
                server = Server(directive)
                for child in directive.children:
                    _put(server, child)
                self.servers.append(server)
            else:
                _put(self.main, directive)
        _name(self.main)
        for server in self.servers:
            _name(server)
            assert server.opening is not None  # noqa: S101 - only the main server has none
            if not server.name:
                server.name = evaluated.names.get(server.opening.source, "").lower()
            server.addresses = tuple(_address(word) for word in server.opening.words)
            if not server.name and any(not address.host for address in server.addresses):
                server.name = self.main.name
            if any(address.is_name for address in server.addresses):
                resolved = evaluated.addresses.get(server.opening.source, [])
                server.addresses += tuple(address for address in map(_address, resolved)
                                          if address not in server.addresses)
        self._sites: Dict[int, Site] = {}

    def has_module(self, name: str) -> bool:
        """Whether a module is loaded, such as ``cgi``; taken as yes where that is not known."""
        modules = self.evaluated.modules
        return modules is None or f"{name}_module" in modules

    def path(self, path: str) -> str:
        """A path of the configuration, relative to the ServerRoot."""
        return os.path.normpath(os.path.join(self.evaluated.server_root, path)).replace("//", "/")

    def site(self, server: Server) -> Site:
        """The server with what it inherits."""
        if id(server) not in self._sites:
            self._sites[id(server)] = Site(server, self.main, self)
        return self._sites[id(server)]

    def choose(self, request: Request) -> Tuple[Site, bool]:
        """The site that answers a request, and whether it answers to that name (not just to the address)."""
        candidates = self._at(request.endpoint.host, request.endpoint.port)
        if not candidates:
            return self.site(self.main), True
        host = request.host.rstrip(".").lower()
        for server, _ in candidates:
            if server.answers_to(host):
                return self.site(server), True
        for server, address in candidates:
            if address.shown == host:
                return self.site(server), True
        return self.site(candidates[0][0]), False

    def default_at(self, request: Request) -> Site:
        """The site that holds the connection before a name is known: it decides on TLS."""
        candidates = self._at(request.endpoint.host, request.endpoint.port)
        return self.site(candidates[0][0] if candidates else self.main)

    def _at(self, host: str, port: int) -> Sequence[Tuple[Server, Address]]:
        """The virtual hosts of the best matching address, in order.

        A full address hides the wildcards, a port hides "any port": the most specific set answers alone.
        """
        local = _canonical(host)
        for wanted in ((local, port), (local, 0), ("", port), ("", 0)):
            found = [(server, address) for server, address in self._addresses.get(wanted, ())]
            if found:
                return found
        return ()

    @functools.cached_property
    def _addresses(self) -> Dict[Tuple[str, int], List[Tuple[Server, Address]]]:
        table: Dict[Tuple[str, int], List[Tuple[Server, Address]]] = {}
        for server in self.servers:
            for address in server.addresses:
                table.setdefault((address.host, address.port), []).append((server, address))
        return table


def _put(server: Server, directive: Directive) -> None:
    """Sort a directive in; ``<Limit>`` and ``<LimitExcept>`` hold for GET or not at all."""
    for one in for_get(directive):
        if one.is_section and one.name in SECTIONS:
            server.sections.append(one)
        else:
            server.directives.append(one)


def for_get(directive: Directive) -> Sequence[Directive]:
    """The directive, or of a ``<Limit>`` what it says for GET."""
    if directive.is_section and directive.name in ("limit", "limitexcept"):
        named = "GET" in [word.upper() for word in directive.words]
        if named != (directive.name == "limit"):
            return ()
        return [one for child in directive.children for one in for_get(child)]
    return (directive,)


def is_on(directive: Directive) -> bool:
    """Whether a flag is on."""
    return directive.words[:1] != [] and directive.words[0].lower() == "on"


def _name(server: Server) -> None:
    directive = server.last("servername")
    if directive and directive.words:
        match = re.match(r"(?:(\w+)://)?(\[[^\]]*\]|[^:/]*)(?::([0-9]{1,9}))?$", directive.words[0])
        if match:
            server.scheme = (match.group(1) or "").lower()
            server.name = match.group(2).lower()
            server.port = int(match.group(3) or 0)
    for one in server.directives:
        if one.name == "serveralias":
            server.aliases += [word.lower() for word in one.words]


def _is_pattern(alias: str) -> bool:
    return "*" in alias or "?" in alias


def _address(word: str) -> Address:
    """``*:80``, ``_default_``, ``1.2.3.4``, ``[::1]:443``, ``name:80``. A name is kept: it is not resolved."""
    match = re.match(r"(\[[^\]]*\]|[^:]*|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*)(?::([0-9]{1,9}|\*))?$", word)
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
