"""The servers whose rewrite rules and maps apply in a virtual host: RewriteOptions Inherit and variants."""
from typing import List
from typing import Sequence

from certbot_autowebroot.servers.apache.configuration import Site
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.virtualhosts import Server

#: The directives of mod_rewrite.
DIRECTIVES = ("rewriteengine", "rewriterule", "rewritecond", "rewriteoptions", "rewritebase", "rewritemap")


def options(directives: Sequence[Directive]) -> "set[str]":
    """The words of RewriteOptions, in lower case."""
    return {word.lower() for d in directives if d.name == "rewriteoptions" for word in d.words}


def configures_rewrite(site: Site) -> bool:
    """Whether a server has a directive of mod_rewrite; else not even the main server's rules apply to it."""
    server = site.server
    return server is site.main or any(map(_configures_rewrite, (*server.directives, *server.sections)))


def servers(site: Site) -> List[Server]:
    """The servers whose rules apply, in order; the first definition of a map applies."""
    server, main = site.server, site.main
    if server is main or not configures_rewrite(site):
        return [main]
    inherited = options(main.directives)
    own = server_options(site)
    if ("ignoreinherit" not in own and "inheritdown" in inherited) or "inherit" in own:
        return [server, main]
    if ("ignoreinherit" not in own and "inheritdownbefore" in inherited) or "inheritbefore" in own:
        return [main, server]
    return [server]


def server_options(site: Site) -> "set[str]":
    """RewriteOptions outside of sections; the main server's where the virtual host has none."""
    return options(site.server.directives) or options(site.main.directives)


def _configures_rewrite(directive: Directive) -> bool:
    return directive.name in DIRECTIVES or any(map(_configures_rewrite, directive.children))
