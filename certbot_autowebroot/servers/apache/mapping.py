"""From a URL path to a file name, a redirect or a proxied URL: mod_alias, mod_vhost_alias, mod_proxy, core.

Each function is one rule of one module and gives None where the module declines.
"""
import fnmatch
import re
from dataclasses import dataclass
from typing import Iterable
from typing import List
from typing import Match
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Union

from certbot_autowebroot.servers.apache.configuration import Site
from certbot_autowebroot.servers.apache.configuration import is_on
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.sections import Scope
from certbot_autowebroot.servers.apache.virtualhosts import Server
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.numbers import number

#: What httpd leaves as it is when it writes a path into a Location header.
SAFE_IN_PATH = "/$-_.+!*'(),:@&=~;"

_STATUSES = {"permanent": 301, "temp": 302, "seeother": 303, "gone": 410}
_PRESET = {"redirectpermanent": 301, "redirecttemp": 302}


@dataclass(frozen=True)
class File:
    """A file name.

    :ivar root: the directory that the configuration names; empty where it names only part of one.
    :ivar context: prefix and directory of an Alias, which turn a file name back into a URL.
    :ivar document_root: that of a VirtualDocumentRoot, in place of the DocumentRoot.
    :ivar is_script: it would be executed (ScriptAlias).
    """

    name: str
    root: str
    directive: Optional[Directive] = None
    context: Tuple[str, str] = ("", "")
    document_root: str = ""
    is_script: bool = False


@dataclass(frozen=True)
class Proxied:
    """A URL that the request is passed to."""

    url: str
    directive: Directive


#: What a URL path becomes where it is not redirected.
Mapped = Union[File, Proxied]


@dataclass(frozen=True)
class Redirection:
    """A redirect; an empty target for a status without one (410)."""

    target: str
    status: int
    directive: Directive
    is_expression: bool = False


def escape_path(text: str, safe: str = SAFE_IN_PATH) -> str:
    """A path as httpd writes it into a Location header, byte by byte: a configuration need not be UTF-8."""
    return "".join(chr(byte) if chr(byte) in safe or (byte < 128 and chr(byte).isalnum()) else f"%{byte:02x}"
                   for byte in text.encode("utf-8", "surrogateescape"))


def match_prefix(uri: str, prefix: str) -> int:
    """How much of a path an alias covers, 0 for none.

    Whole components only, and any number of slashes stands for one (``alias_matches`` of mod_alias).
    """
    translated = "".join("/+" if part.startswith("/") else re.escape(part) for part in re.findall(r"/+|[^/]+", prefix))
    match = re.match(translated + ("" if prefix.endswith("/") else r"(?=/|\Z)"), uri) if prefix else None
    return match.end() if match else 0


def substitute(template: str, match: "Match[str]") -> str:
    """Put the groups of a match into ``$0`` to ``$9`` (``ap_pregsub``)."""
    def group(reference: "Match[str]") -> str:
        if reference.group(1) is None:
            return reference.group(2) or ""
        number = int(reference.group(1))
        return (match.group(number) or "") if number <= match.re.groups else ""
    return re.sub(r"\$(\d)|\\([\s\S])", group, template)


def redirects(directives: Iterable[Directive]) -> List[Directive]:
    """The redirects among some directives."""
    return [d for d in directives if d.name in ("redirect", "redirectmatch", *_PRESET)]


def redirect(directives: Iterable[Directive], uri: str) -> Optional[Redirection]:
    """``Redirect`` and its like with a path; the first that matches."""
    for directive in redirects(directives):
        status, words = _status(directive)
        has_target = 300 <= status < 400
        if len(words) < 1 + has_target:
            continue
        if directive.name == "redirectmatch":
            match = regex.search(words[0], uri)
            if match:
                target = substitute(words[1], match) if has_target else ""
                path = re.split("[?#]", target, maxsplit=1)[0]
                return Redirection(escape_path(path) + target[len(path):], status, directive)
        else:
            length = match_prefix(uri, words[0])
            if length:
                rest = escape_path(uri[length:])
                return Redirection(words[1] + rest if has_target else "", status, directive)
    return None


def location_redirect(scopes: Sequence[Scope]) -> Optional[Redirection]:
    """``Redirect`` with the target alone, inside a ``<Location>`` or ``<Directory>``."""
    for scope in reversed(scopes):
        for directive in reversed(redirects(scope.directives)):
            status, words = _status(directive)
            has_target = 300 <= status < 400
            if scope.directory and directive.name != "redirectmatch" and len(words) == int(has_target):
                return Redirection(words[0] if has_target else "", status, directive, is_expression=True)
    return None


def _status(directive: Directive) -> Tuple[int, List[str]]:
    words = directive.words
    if directive.name in _PRESET:
        return _PRESET[directive.name], words
    if words and words[0].lower() in _STATUSES:
        return _STATUSES[words[0].lower()], words[1:]
    if words and number(words[0]) >= 0:
        return number(words[0]), words[1:]
    return 302, words


def alias(site: Site, uri: str) -> Optional[File]:
    """``Alias``, ``AliasMatch``, ``ScriptAlias``, ``ScriptAliasMatch``: the first that matches."""
    for directive in site.all("alias", "aliasmatch", "scriptalias", "scriptaliasmatch"):
        words = directive.words
        if len(words) < 2:
            continue
        is_script = directive.name.startswith("script")
        if directive.name.endswith("match"):
            match = regex.search(words[0], uri)
            if match:
                return File(substitute(words[1], match), literal_directory(words[1], "$\\"), directive,
                            is_script=is_script)
        else:
            length = match_prefix(uri, words[0])
            if length:
                root = site.configuration.path(words[1])
                target = root + "/" if words[1].endswith("/") and root != "/" else root
                return File(target + uri[length:], root, directive, (words[0], target), is_script=is_script)
    return None


def location_alias(scopes: Sequence[Scope], uri: str) -> Optional[File]:
    """``Alias`` with the target alone, inside a ``<Location>``."""
    preserve = False
    for scope in scopes:
        directive = scope.last("aliaspreservepath")
        preserve = is_on(directive) if directive else preserve
    for scope in reversed(scopes):
        for directive in reversed(scope.directives):
            if directive.name in ("alias", "scriptalias") and len(directive.words) == 1 and scope.directory:
                target = directive.words[0]
                name = target + uri[len(scope.directory):] if preserve and uri.startswith(scope.directory) else target
                root = literal_directory(target, "%") if "%" in target else target.rstrip("/") or "/"
                return File(name, root, directive, is_script=directive.name != "alias")
    return None


def literal_directory(template: str, variables: str) -> str:
    """The directory that stands literally before the first variable; empty for none."""
    literal = re.split("[" + re.escape(variables) + "]", template, maxsplit=1)[0]
    return literal.rpartition("/")[0] if literal.startswith("/") else ""


def virtual_document_root(site: Site, host: str, port: int, address: str, uri: str) -> Optional[File]:
    """``VirtualDocumentRoot`` and its like, Dynamically Configured Mass Virtual Hosting."""
    for server in site.chain:
        directive = next((d for d in reversed(server.directives)
                          if d.name in ("virtualdocumentroot", "virtualdocumentrootip") and d.words), None)
        if directive is None:
            continue
        if directive.words[0].lower() == "none":
            return None
        name = address if directive.name.endswith("ip") else host
        root = _interpolate(directive.words[0], name, port)
        return File(root.rstrip("/") + "/" + uri.lstrip("/"), root.rstrip("/") or "/", directive, document_root=root)
    return None


def virtual_script(site: Site, uri: str) -> Optional[Directive]:
    """``VirtualScriptAlias``: whatever lies below /cgi-bin/ would be executed."""
    directive = site.last("virtualscriptalias") or site.last("virtualscriptaliasip")
    return directive if directive and uri.startswith("/cgi-bin/") and directive.words[:1] != ["none"] else None


def _interpolate(template: str, name: str, port: int) -> str:
    """Replace ``%%``, ``%p`` and ``%N.M`` (mod_vhost_alias, "Directory Name Interpolation")."""
    def value(match: "Match[str]") -> str:
        if match.group() == "%%":
            return "%"
        if match.group() == "%p":
            return str(port)
        part = _part(name.split("."), match.group(1), ".")
        if match.group(2):
            part = _part(list(part), match.group(2), "")
        return part.lower()
    return re.sub(r"%%|%p|%(-?\d\+?)(?:\.(-?\d\+?))?", value, template)


def _part(parts: List[str], which: str, separator: str) -> str:
    number = int(which.rstrip("+"))
    more = which.endswith("+")
    count = len(parts)
    if number == 0:
        chosen = parts
    elif abs(number) > count:
        chosen = []
    elif number > 0:
        chosen = parts[number - 1:] if more else parts[number - 1:number]
    else:
        position = count + number
        chosen = parts[:position + 1] if more else parts[position:position + 1]
    return separator.join(chosen) or "_"


def document_root(site: Site, uri: str) -> File:
    """core: the document root and the path, of which a ServerPath is cut off."""
    root, _ = site.document_root
    path = site.server.last("serverpath")
    if path and path.words:
        prefix = path.words[0]
        if uri.startswith(prefix) and (prefix.endswith("/") or uri[len(prefix):len(prefix) + 1] in ("", "/")):
            uri = uri[len(prefix):]
    return File((root.rstrip("/") or "") + "/" + uri.lstrip("/"), root, site.last("documentroot"))


def proxy_pass(site: Site, scopes: Sequence[Scope], uri: str) -> Optional[Proxied]:
    """``ProxyPass`` and ``ProxyPassMatch``.

    The one of a ``<Location>`` comes first, then those of the servers in order; ``!`` exempts.
    """
    for scope in reversed(scopes):
        directive = next((d for d in reversed(scope.directives) if d.name in ("proxypass", "proxypassmatch")), None)
        if directive and scope.section:
            words = _without_options(directive.words)
            is_regex = scope.section.name == "locationmatch" or scope.section.words[:1] == ["~"]
            if words:
                result = _pass(scope.directory, words[-1], uri, is_regex)
                if result is not None:
                    return Proxied(result, directive) if result else None
            break
    servers = site.chain if site.flag("proxypassinherit", True) else site.chain[:1]
    for server in servers:
        for directive in server.directives:
            words = _without_options(directive.words) if directive.name in ("proxypass", "proxypassmatch") else []
            if len(words) < 2:
                continue
            result = _pass(words[0], words[1], uri, directive.name == "proxypassmatch")
            if result is not None:
                return Proxied(result, directive) if result else None
    return None


def _without_options(words: List[str]) -> List[str]:
    """The path and the URL, without ``key=value`` and ``nocanon``."""
    return [word for number, word in enumerate(words[:2])
            if number == 0 or (word.lower() not in ("nocanon", "interpolate", "noquery")
                               and not re.match(r"\w+=", word))]


def _pass(path: str, target: str, uri: str, is_regex: bool) -> Optional[str]:
    """The URL, an empty one where ``!`` exempts the path, None where the directive is not for it."""
    if is_regex:
        match = regex.search(path, uri)
        if not match:
            return None
        if target == "!":
            return ""
        result = substitute(target, match)
        return result if result != target else target + uri
    length = match_prefix(uri, path)
    if not length:
        return None
    return "" if target == "!" else target + uri[length:]


def servlet_mount(site: Site, uri: str) -> Optional[Directive]:
    """``JkMount``: mod_jk takes a path from every module that makes a file name of it; ``JkUnMount`` gives it back.

    Those of the main server hold where ``JkMountCopy`` says so.
    """
    def matching(server: Server, name: str) -> List[Directive]:
        return [d for d in server.directives if d.name == name and len(d.words) > 1 and any(
            fnmatch.fnmatchcase(uri, pattern.replace("[", "[[]"))
            for pattern in (d.words[0].replace("|", ""), d.words[0].partition("|")[0]))]
    copies = site.server.last("jkmountcopy"), site.main.last("jkmountcopy")
    copied = any(said and said.words[:1] == [word] for said, word in zip(copies, ("On", "All")))
    for server in site.chain if copied else site.chain[:1]:
        freed = {word for d in matching(server, "jkunmount") for word in d.words[1:]}
        for mount in matching(server, "jkmount"):
            if not {mount.words[1], "*"} & freed:
                return mount
    return None


def balancer_members(site: Site, name: str) -> List[str]:
    """The URLs of the members of ``balancer://name`` that get requests."""
    found = []
    wanted = f"balancer://{name}".lower()
    for server in site.chain:
        candidates = [d for d in server.directives if d.name == "balancermember"
                      and d.words and d.words[0].lower().rstrip("/") == wanted]
        members = [d.words[1:] for d in candidates]
        for section in server.sections:
            if section.name == "proxy" and section.words and section.words[0].lower().rstrip("/") == wanted:
                members += [d.words for d in section.children if d.name == "balancermember"]
        # +D and +S: disabled, stopped. +H stands by and answers when the others are down.
        found += [words[0] for words in members if words
                  and not re.search(r"(?i)status=\S*\+?[DS]", " ".join(words[1:]))]
    return found
