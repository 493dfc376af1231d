"""Requests that mod_proxy and mod_jk pass on.

Each function returns None where the module declines.
"""
import fnmatch
import re
from typing import List
from typing import Optional
from typing import Sequence

from certbot_autowebroot.servers.apache import mapping
from certbot_autowebroot.servers.apache.configuration import Site
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.sections import Scope
from certbot_autowebroot.servers.apache.sections import is_regex
from certbot_autowebroot.servers.apache.virtualhosts import Server
from certbot_autowebroot.servers.common import regex


def proxy_pass(site: Site, scopes: Sequence[Scope], uri: str) -> Optional[mapping.Proxied]:
    """``ProxyPass`` and ``ProxyPassMatch``: those of a ``<Location>``, then those of the servers, in order.

    The target ``!`` exempts a path.
    """
    for scope in reversed(scopes):
        directive = next((d for d in reversed(scope.directives) if d.name in ("proxypass", "proxypassmatch")), None)
        if directive and scope.section:
            words = _without_options(directive.words)
            if words:
                result = _pass(scope.directory, words[-1], uri, is_regex(scope.section))
                if result is not None:
                    return mapping.Proxied(result, directive) if result else None
            break
    servers = site.chain if site.flag("proxypassinherit", True) else site.chain[:1]
    for server in servers:
        for directive in server.directives:
            words = _without_options(directive.words) if directive.name in ("proxypass", "proxypassmatch") else []
            if len(words) < 2:
                continue
            result = _pass(words[0], words[1], uri, directive.name == "proxypassmatch")
            if result is not None:
                return mapping.Proxied(result, directive) if result else None
    return None


def _without_options(words: List[str]) -> List[str]:
    """The path and the URL, without ``key=value`` and keywords."""
    return [word for number, word in enumerate(words[:2])
            if number == 0 or (word.lower() not in ("nocanon", "interpolate", "noquery")
                               and not re.match(r"\w+=", word))]


def _pass(path: str, target: str, uri: str, by_regex: bool) -> Optional[str]:
    """The URL; empty where ``!`` exempts the path, None where the directive does not match it."""
    if by_regex:
        match = regex.search(path, uri)
        if not match:
            return None
        if target == "!":
            return ""
        result = mapping.substitute(target, match)
        return result if result != target else target + uri
    length = mapping.match_prefix(uri, path)
    if not length:
        return None
    return "" if target == "!" else target + uri[length:]


def servlet_mount(site: Site, uri: str) -> Optional[Directive]:
    """``JkMount``: mod_jk answers in place of the modules that map a path to a file; ``JkUnMount`` exempts a path.

    A virtual host inherits both from the main server by ``JkMountCopy``.
    """
    def matching(server: Server, name: str) -> List[Directive]:
        return [d for d in server.directives if d.name == name and len(d.words) > 1 and any(
            fnmatch.fnmatchcase(uri, pattern.replace("[", "[[]"))
            for pattern in (d.words[0].replace("|", ""), d.words[0].partition("|")[0]))]
    copies = site.server.last("jkmountcopy"), site.main.last("jkmountcopy")
    copied = any(copy and copy.words[:1] == [word] for copy, word in zip(copies, ("On", "All")))
    for server in site.chain if copied else site.chain[:1]:
        unmounted = {word for d in matching(server, "jkunmount") for word in d.words[1:]}
        for mount in matching(server, "jkmount"):
            if not {mount.words[1], "*"} & unmounted:
                return mount
    return None


def balancer_members(site: Site, name: str) -> List[str]:
    """The URLs of the members of ``balancer://name`` that get requests."""
    urls = []
    wanted = f"balancer://{name}".lower()
    for server in site.chain:
        candidates = [d for d in server.directives if d.name == "balancermember"
                      and d.words and d.words[0].lower().rstrip("/") == wanted]
        members = [d.words[1:] for d in candidates]
        for section in server.sections:
            if section.name == "proxy" and section.words and section.words[0].lower().rstrip("/") == wanted:
                members += [d.words for d in section.children if d.name == "balancermember"]
        # +D is disabled and +S stopped. +H is a hot standby, which answers when the others are down.
        urls += [words[0] for words in members if words
                 and not re.search(r"(?i)status=\S*\+?[DS]", " ".join(words[1:]))]
    return urls
