"""From a URL path to a file name or a redirect: mod_alias, mod_vhost_alias, core.

Each function is one rule of one module and returns None where the module declines.
"""
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
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.sections import Scope
from certbot_autowebroot.servers.apache.sections import flag
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.numbers import number

#: Characters of a path that httpd does not escape in a Location header (``ap_os_escape_path``).
SAFE_IN_PATH = "/$-_.+!*'(),:@&=~;"

_STATUSES = {"permanent": 301, "temp": 302, "seeother": 303, "gone": 410}
_PRESET = {"redirectpermanent": 301, "redirecttemp": 302}
#: The directives of mod_alias that redirect.
REDIRECTS = ("redirect", "redirectmatch", *_PRESET)


@dataclass(frozen=True)
class File:
    """A file name.

    :ivar root: the directory that the configuration names; empty where it names only part of one.
    :ivar context: prefix and directory of an Alias (CONTEXT_PREFIX, CONTEXT_DOCUMENT_ROOT).
    :ivar document_root: the root of VirtualDocumentRoot, which replaces DocumentRoot.
    :ivar is_script: ScriptAlias would execute the file.
    """

    name: str
    root: str
    directive: Optional[Directive] = None
    context: Tuple[str, str] = ("", "")
    document_root: str = ""
    is_script: bool = False


@dataclass(frozen=True)
class Proxied:
    """A URL that mod_proxy passes the request to."""

    url: str
    directive: Directive


#: The result of the translation phase without a redirect.
Mapped = Union[File, Proxied]


@dataclass(frozen=True)
class Redirection:
    """A redirect of mod_alias; the target is empty for a status without one (410)."""

    target: str
    status: int
    directive: Directive
    is_expression: bool = False


def escape_path(text: str, safe: str = SAFE_IN_PATH) -> str:
    """A path as in a Location header of httpd, escaped byte by byte: a configuration need not be UTF-8."""
    return "".join(chr(byte) if chr(byte) in safe or (byte < 128 and chr(byte).isalnum()) else f"%{byte:02x}"
                   for byte in text.encode("utf-8", "surrogateescape"))


def match_prefix(uri: str, prefix: str) -> int:
    """The length of the part of a path that an alias covers, 0 for none.

    It covers whole components, and any number of slashes equals one (``alias_matches`` of mod_alias).
    """
    translated = "".join("/+" if part.startswith("/") else re.escape(part) for part in re.findall(r"/+|[^/]+", prefix))
    match = re.match(translated + ("" if prefix.endswith("/") else r"(?=/|\Z)"), uri) if prefix else None
    return match.end() if match else 0


def substitute(template: str, match: "Match[str]") -> str:
    """Replace ``$0`` to ``$9`` by the groups of a match (``ap_pregsub``)."""
    def group(reference: "Match[str]") -> str:
        if reference.group(1) is None:
            return reference.group(2) or ""
        number = int(reference.group(1))
        return (match.group(number) or "") if number <= match.re.groups else ""
    return re.sub(r"\$(\d)|\\([\s\S])", group, template)


def redirect(directives: Iterable[Directive], uri: str) -> Optional[Redirection]:
    """``Redirect``, ``RedirectMatch`` and variants with a path: the first that matches."""
    for directive in directives:
        if directive.name not in REDIRECTS:
            continue
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
    """``Redirect`` with only a target, inside a ``<Location>`` or ``<Directory>``."""
    for scope in reversed(scopes):
        for directive in reversed(scope.directives if scope.directory else ()):
            if directive.name not in REDIRECTS or directive.name == "redirectmatch":
                continue
            status, words = _status(directive)
            has_target = 300 <= status < 400
            if len(words) == int(has_target):
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
    """``Alias`` with only a target, inside a ``<Location>``."""
    preserve = flag(scopes, "aliaspreservepath")
    for scope in reversed(scopes):
        for directive in reversed(scope.directives):
            if directive.name in ("alias", "scriptalias") and len(directive.words) == 1 and scope.directory:
                target = directive.words[0]
                name = target + uri[len(scope.directory):] if preserve and uri.startswith(scope.directory) else target
                root = literal_directory(target, "%") if "%" in target else target.rstrip("/") or "/"
                return File(name, root, directive, is_script=directive.name != "alias")
    return None


def literal_directory(template: str, variables: str) -> str:
    """The literal directory before the first variable; empty for none."""
    literal = re.split("[" + re.escape(variables) + "]", template, maxsplit=1)[0]
    return literal.rpartition("/")[0] if literal.startswith("/") else ""


def virtual_document_root(site: Site, host: str, port: int, address: str, uri: str) -> Optional[File]:
    """``VirtualDocumentRoot`` and ``VirtualDocumentRootIP`` ("Dynamically Configured Mass Virtual Hosting")."""
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
    """``VirtualScriptAlias``: httpd would execute each file below /cgi-bin/."""
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
    """core: the document root and the path without the ServerPath."""
    root, _ = site.document_root
    path = site.server.last("serverpath")
    if path and path.words:
        prefix = path.words[0]
        if uri.startswith(prefix) and (prefix.endswith("/") or uri[len(prefix):len(prefix) + 1] in ("", "/")):
            uri = uri[len(prefix):]
    return File((root.rstrip("/") or "") + "/" + uri.lstrip("/"), root, site.last("documentroot"))
