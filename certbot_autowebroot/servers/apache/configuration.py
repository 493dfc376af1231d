"""The whole configuration, and one server merged with the main server.

Sources: core's directives, "Configuration Sections".
"""
import functools
import os
from typing import Dict
from typing import List
from typing import Optional
from typing import Tuple

from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.servers.apache.directives import ConfigurationTree
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.virtualhosts import Server
from certbot_autowebroot.servers.apache.virtualhosts import VirtualHosts


class Site:
    """A server with the directives that it inherits from the main server."""

    def __init__(self, server: Server, main: Server, configuration: "Configuration") -> None:
        self.server = server
        self.main = main
        self.configuration = configuration
        #: The virtual host first: mod_alias and mod_proxy merge their lists in this order.
        self.chain = [server, main] if server is not main else [main]
        #: The main server's first: core merges its sections in this order.
        self.sections = (main.sections if server is not main else []) + server.sections

    def last(self, name: str) -> Optional[Directive]:
        """The effective directive, perhaps inherited."""
        for server in self.chain:
            directive = server.last(name)
            if directive:
                return directive
        return None

    def all(self, *names: str) -> List[Directive]:
        """Every directive of these names, the virtual host's before the main server's."""
        return [d for server in self.chain for d in server.directives if d.name in names]

    def flag(self, name: str, default: bool = False) -> bool:
        """An On/Off directive."""
        directive = self.last(name)
        return is_on(directive) if directive else default

    @property
    def step(self) -> Step:
        """The server as the first step of a trail."""
        section = self.server.section
        if section is None:
            return Step(f"main server {self.server.name}".rstrip())
        return Step(f"{section.step.text} {self.server.name}".rstrip(), section.source)

    def speaks_tls(self, port: int) -> Optional[bool]:
        """Whether connections to a port are TLS; None where both work (``SSLEngine optional``).

        Without SSLEngine the protocol of the Listen directive decides; its default for port 443 is https.
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
        """The document root as an absolute path, and its directive; an empty path where it is not known."""
        directive = self.last("documentroot")
        if directive is None or not directive.words:
            root = self.configuration.tree.document_root
            return root, Step(f"DocumentRoot {root} (the default)")
        return self.configuration.path(directive.words[0]), directive.step

    @property
    def document_root_as_written(self) -> str:
        """The value of ``%{DOCUMENT_ROOT}``: with the slash at the end, where the directive has one."""
        directive = self.last("documentroot")
        slash = "/" if directive and directive.words and directive.words[0].endswith("/") else ""
        return self.document_root[0].rstrip("/") + slash


class Configuration:
    """The whole configuration: chooses the server for a request."""

    def __init__(self, tree: ConfigurationTree) -> None:
        self.tree = tree
        hosts = [directive for directive in tree.directives if _is_virtual_host(directive)]
        self.main = Server(None, [directive for directive in tree.directives if not _is_virtual_host(directive)])
        self.servers = [Server(host, host.children) for host in hosts]
        self.main.read_names()
        for server in self.servers:
            assert server.section is not None  # noqa: S101 - only the main server has none
            server.read_names(tree.names.get(server.section.source, ""))
            server.read_addresses(tree.addresses.get(server.section.source, []), self.main.name)
        self._virtual_hosts = VirtualHosts(self.servers)
        self._sites: Dict[int, Site] = {}

    @functools.cached_property
    def managed_domains(self) -> List[Directive]:
        """The domains of mod_md, in any server."""
        return [directive for server in (self.main, *self.servers) for directive in server.directives
                if directive.name in ("mdomain", "mdomainset")]

    def has_module(self, name: str) -> bool:
        """Whether a module is loaded, such as ``cgi``; True where that is not known."""
        modules = self.tree.modules
        return modules is None or f"{name}_module" in modules

    def path(self, path: str) -> str:
        """A path of the configuration, relative to the ServerRoot."""
        return os.path.normpath(os.path.join(self.tree.server_root, path)).replace("//", "/")

    def site(self, server: Server) -> Site:
        """The server, merged with the main server."""
        if id(server) not in self._sites:
            self._sites[id(server)] = Site(server, self.main, self)
        return self._sites[id(server)]

    def choose(self, request: Request) -> Tuple[Site, bool]:
        """The site that answers a request, and whether it has the name (not just the address)."""
        hosts = self._virtual_hosts.at(request.endpoint)
        if hosts is None:
            return self.site(self.main), True
        server, by_name = hosts.find(request.host)
        return self.site(server), by_name

    def default_at(self, request: Request) -> Site:
        """The site of the connection before the name is known: it decides on TLS."""
        hosts = self._virtual_hosts.at(request.endpoint)
        return self.site(hosts.default if hosts else self.main)


def _is_virtual_host(directive: Directive) -> bool:
    return directive.name == "virtualhost" and directive.is_section


def is_on(directive: Directive) -> bool:
    """Whether a flag is on."""
    return directive.words[:1] != [] and directive.words[0].lower() == "on"
