"""The sections that apply to a path, in merge order: Directory, .htaccess, DirectoryMatch, Files, Location, If.

Source: "Configuration Sections", part "How the sections are merged".
"""
import fnmatch
import os
import re
from dataclasses import dataclass
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.servers.apache.configuration import Site
from certbot_autowebroot.servers.apache.configuration import is_on
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import is_request_section
from certbot_autowebroot.servers.apache.directives import outside_sections
from certbot_autowebroot.servers.common import regex

#: Reads the .htaccess of a directory, given its other directives; None where there is no file. Raises UnknowableError.
HtaccessReader = Callable[[str, Sequence[Directive]], Optional[Sequence[Directive]]]
#: Whether the condition of an ``<If>`` holds.
Condition = Callable[[Directive], bool]


@dataclass(frozen=True)
class Scope:
    """The directives of one section that applies.

    :ivar directory: the prefix that mod_rewrite strips there; empty for a server.
    :ivar inner: the sections directly inside it.
    """

    directives: Tuple[Directive, ...]
    directory: str
    section: Optional[Directive] = None
    inner: Tuple[Directive, ...] = ()

    def last(self, name: str) -> Optional[Directive]:
        """The last directive of this name."""
        return next((d for d in reversed(self.directives) if d.name == name), None)

    def has(self, *names: str) -> bool:
        """Whether it has a directive of one of these names."""
        return any(d.name in names for d in self.directives)


def last(scopes: Sequence[Scope], name: str) -> Optional[Directive]:
    """The effective directive: that of the last scope with one."""
    for scope in reversed(scopes):
        directive = scope.last(name)
        if directive:
            return directive
    return None


def flag(scopes: Sequence[Scope], name: str, default: bool = False) -> bool:
    """The value of an On/Off directive."""
    directive = last(scopes, name)
    return is_on(directive) if directive else default


def server_scopes(site: Site) -> List[Scope]:
    """The directives for every path: the main server's, then the virtual host's."""
    return [Scope(tuple(server.directives), "") for server in reversed(site.chain)]


def location_scopes(site: Site, uri: str) -> List[Scope]:
    """``<Location>`` and ``<LocationMatch>``, in order."""
    return [_scope(section, section.words[0] if section.words else "") for section in site.sections
            if section.name in ("location", "locationmatch") and _is_location(section, uri)]


def location_groups(site: Site, uri: str) -> Dict[str, str]:
    """The environment variables of the named groups of ``<LocationMatch>``, such as ``MATCH_SITENAME``."""
    groups: Dict[str, str] = {}
    for section in site.sections:
        if section.name in ("location", "locationmatch") and is_regex(section):
            match = regex.search(_argument(section), uri)
            named = match.groupdict() if match else {}
            groups.update({"MATCH_" + name.upper(): value for name, value in named.items() if value})
    return groups


def proxy_scopes(site: Site, url: str) -> List[Scope]:
    """``<Proxy>`` and ``<ProxyMatch>`` of a proxied request."""
    scopes = []
    for section in site.sections:
        argument = _argument(section)
        if section.name in ("proxy", "proxymatch") and is_regex(section):
            matches = regex.search(argument, url) is not None
        elif section.name == "proxy":
            matches = argument == "*" or url.startswith(argument.rstrip("*"))
        else:
            continue
        if matches:
            scopes.append(_scope(section, argument))
    return scopes


def directory_scopes(site: Site, filename: str, htaccess: HtaccessReader,
                     is_file: Callable[[str], bool]) -> List[Scope]:
    """``<Directory>`` from the shortest to the longest with the .htaccess of each, then ``<DirectoryMatch>``.

    :param filename: a directory has a slash at the end.
    """
    sections = [section for section in site.sections if section.name in ("directory", "directorymatch")]
    plain = [section for section in sections if section.words and not is_regex(section)]
    matching = [section for section in sections if is_regex(section)]
    scopes: List[Scope] = []
    parts = [part for part in os.path.dirname(filename).split("/") if part]
    for depth in range(len(parts) + 1):
        prefix = "/" + "".join(part + "/" for part in parts[:depth])
        for section in plain:
            path = _directory(section)
            if path.count("/") - 1 == depth and _same_path(path, prefix):
                scopes.append(_scope(section, path))
        directives = htaccess(prefix, tuple(d for scope in scopes for d in scope.directives))
        if directives is not None:
            scopes.append(Scope(outside_sections(directives), prefix, inner=inner_sections(directives)))
    for section in plain:
        # With only FollowSymLinks httpd skips lstat(2), and so matches a wildcard also with the name of a file.
        if _is_wildcard(_directory(section)) and _directory(section).count("/") == len(parts) + 2 \
                and _same_path(_directory(section), filename + "/") \
                and link_options(server_scopes(site) + scopes) == {"followsymlinks"} and is_file(filename):
            scopes.append(_scope(section, _directory(section)))
    for section in matching:
        if regex.search(_argument(section), filename) is not None:
            scopes.append(_scope(section, _argument(section)))
    return scopes


def link_options(scopes: Sequence[Scope]) -> "set[str]":
    """FollowSymLinks and SymLinksIfOwnerMatch as Options sets them; the default is the former."""
    names = {"followsymlinks", "symlinksifownermatch"}
    options = {"followsymlinks"}
    for scope in scopes:
        for directive in scope.directives:
            if directive.name != "options":
                continue
            words = [word.lower() for word in directive.words]
            if not any(word[:1] in "+-" for word in words):
                options = {"followsymlinks"} if "all" in words else set()
            for word in words:
                if word.startswith("-"):
                    options.discard(word[1:])
                elif word.lstrip("+") in names:
                    options.add(word.lstrip("+"))
    return options


def file_scopes(sections: Iterable[Directive], filename: str) -> List[Scope]:
    """``<Files>`` and ``<FilesMatch>``."""
    name = os.path.basename(filename)
    scopes = []
    for section in sections:
        argument = _argument(section)
        if section.name in ("files", "filesmatch") and is_regex(section):
            matches = regex.search(argument, name) is not None
        elif section.name == "files":
            matches = _fnmatch(name, argument)
        else:
            continue
        if matches:
            scopes.append(_scope(section, argument))
    return scopes


def if_scopes(sections: Sequence[Directive], holds: Condition) -> List[Scope]:
    """``<If>``, ``<ElseIf>`` and ``<Else>``; an ``<If>`` inside one comes right after it."""
    scopes: List[Scope] = []
    done = False
    for section in sections:
        if section.name not in ("if", "elseif", "else"):
            continue
        if section.name == "if":
            done = False
        if not done and (section.name == "else" or holds(section)):
            done = True
            scopes.append(_scope(section, "*If"))
            scopes += if_scopes(inner_sections(section.children), holds)
    return scopes


def inner_sections(directives: Iterable[Directive]) -> Tuple[Directive, ...]:
    """The sections among the directives of a section or a .htaccess."""
    return tuple(child for child in directives if is_request_section(child))


def is_regex(section: Directive) -> bool:
    """Whether a section takes a regular expression: ``<LocationMatch regex>``, ``<Location ~ regex>``."""
    return section.name.endswith("match") or section.words[:1] == ["~"]


def _scope(section: Directive, directory: str) -> Scope:
    return Scope(outside_sections(section.children), directory, section, inner_sections(section.children))


def _argument(section: Directive) -> str:
    words = section.words
    if words[:1] == ["~"]:
        words = words[1:]
    return words[0] if words else ""


def _directory(section: Directive) -> str:
    path = os.path.normpath(section.words[0]).replace("//", "/")
    return path if path.endswith("/") else path + "/"


def _is_wildcard(pattern: str) -> bool:
    return any(char in pattern for char in "*?[")


def _same_path(pattern: str, path: str) -> bool:
    if not _is_wildcard(pattern):
        return pattern == path
    return all(_fnmatch(one, other) for one, other in zip(path.split("/"), pattern.split("/")))


def _is_location(section: Directive, uri: str) -> bool:
    argument = _argument(section)
    if is_regex(section):
        return regex.search(argument, uri) is not None
    if _is_wildcard(argument):
        parts, wanted = uri.split("/"), argument.split("/")
        return len(parts) == len(wanted) and all(_fnmatch(one, other) for one, other in zip(parts, wanted))
    return uri.startswith(argument) and (argument.endswith("/") or uri[len(argument):len(argument) + 1] in ("", "/"))


def _fnmatch(text: str, pattern: str) -> bool:
    """APR's fnmatch: ``[^…]`` is a negated set, a backslash protects."""
    translated = fnmatch.translate(re.sub(r"\[\^", "[!", pattern))
    return re.match(translated, text) is not None
