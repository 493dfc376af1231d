"""The domains of mod_md: it answers their challenges itself, with 404 for challenges of another client.

Source: mod_md's manual page. It declines where it renews nothing, or not by http-01.
"""
from typing import List
from typing import Optional
from typing import Sequence

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Request
from certbot_autowebroot.servers.apache.configuration import Configuration
from certbot_autowebroot.servers.apache.configuration import is_on
from certbot_autowebroot.servers.apache.directives import Directive


def managed_domain(configuration: Configuration, request: Request) -> Optional[Directive]:
    """The directive by which mod_md answers a request; None where mod_md declines."""
    if request.path != CHALLENGE_PATH + request.token or not configuration.has_module("md"):
        return None
    for domain in configuration.managed_domains:
        if _renews_by_http(configuration, domain) and _covers(_names(configuration, domain), request.host):
            return domain
    return None


def _setting(configuration: Configuration, domain: Directive, *names: str) -> List[str]:
    """The setting of a domain: that of its section, else that of the main server."""
    for directives in (domain.children, configuration.main.directives):
        words = [directive.words for directive in directives if directive.name in names]
        if words:
            return [word.lower() for word in words[-1]]
    return []


def _renews_by_http(configuration: Configuration, domain: Directive) -> bool:
    mode = _setting(configuration, domain, "mdrenewmode", "mddrivemode") or ["auto"]
    if mode == ["manual"] or (mode == ["auto"] and _setting(configuration, domain, "mdcertificatefile")):
        return False
    return "http-01" in (_setting(configuration, domain, "mdcachallenges") or ["http-01"])


def _names(configuration: Configuration, domain: Directive) -> List[str]:
    """The names of a domain; with ``auto`` also those of a virtual host with TLS that shares one of them."""
    members = [word for child in domain.children if child.name in ("mdmember", "mdmembers") for word in child.words]
    words = [word.lower() for word in (*domain.words, *members)]
    names = [word for word in words if word not in ("auto", "manual")]
    mode = next((word for word in words if word in ("auto", "manual")), None) or (
        _setting(configuration, domain, "mdmembers") or ["auto"])[0]
    for server in configuration.servers if mode != "manual" else ():
        tls = configuration.site(server).last("sslengine")
        own = [server.name, *server.aliases]
        if tls and is_on(tls) and any(_covers(names, name) for name in own):
            names += own
    return names


def _covers(names: Sequence[str], host: str) -> bool:
    """Whether a host is among these names, which may have wildcards for one label."""
    return host in names or "*." + host.partition(".")[2] in names
