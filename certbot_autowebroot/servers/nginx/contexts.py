"""The contexts of a configuration (http, server, location, if) and the choice of a location.

Sources: ngx_http_core_module, "location"; ``ngx_http_core_find_location`` in src/http/ngx_http_core_module.c.
"""
import functools
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import List
from typing import Optional
from typing import Tuple

from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.regexes import Regex

#: Whether a regular expression, of the given directive, matches a text.
Matches = Callable[[Regex, str, Directive], bool]


class Context:
    """A context: a block whose settings inner contexts inherit.

    :ivar directive: the block.
    :ivar parent: the context around it.
    """

    def __init__(self, directive: Directive, parent: "Optional[Context]") -> None:
        self.directive = directive
        self.parent = parent

    @functools.cached_property
    def block(self) -> List[Directive]:
        """The directives of this block itself."""
        return self.directive.block or []

    @functools.cached_property
    def own(self) -> Dict[str, List[Directive]]:
        """The directives of this block itself, by name."""
        by_name: Dict[str, List[Directive]] = {}
        for directive in self.block:
            by_name.setdefault(directive.name, []).append(directive)
        return by_name

    def nearest(self, *names: str) -> List[Directive]:
        """The directives with these names in the innermost context that has any; they replace those further out."""
        context: Optional[Context] = self
        while context is not None:
            if any(name in context.own for name in names):
                return [directive for directive in context.block if directive.name in names]
            context = context.parent
        return []

    def setting(self, name: str, default: str = "") -> str:
        """The first parameter of an inherited directive."""
        directives = self.nearest(name)
        return directives[-1].args[0] if directives and directives[-1].args else default

    @functools.cached_property
    def locations(self) -> "Locations":
        """The locations of this block itself."""
        return Locations(Location(directive, self) for directive in self.own.get("location", ()))


class Location(Context):
    """A ``location`` block.

    :ivar modifier: ``=``, ``^~``, ``~``, ``~*``, ``@`` or nothing.
    :ivar name: the prefix, or the text of the regular expression, or the name after ``@``.
    """

    def __init__(self, directive: Directive, parent: Context) -> None:
        super().__init__(directive, parent)
        self.modifier, self.name = _modifier_and_name(directive.args)
        self.regex = Regex(self.name, ignore_case=self.modifier == "~*") if self.modifier in ("~", "~*") else None


def _modifier_and_name(args: Tuple[str, ...]) -> Tuple[str, str]:
    if len(args) > 1:
        return args[0], args[1]
    text = args[0] if args else ""
    # Without a space: "location ~*\.php$", "location =/".
    for modifier in ("=", "^~", "~*", "~", "@"):
        if text.startswith(modifier):
            return modifier, text[len(modifier):]
    return "", text


class Locations:
    """The locations of one context, as nginx sorts them."""

    def __init__(self, locations: Iterable[Location]) -> None:
        self.exact: Dict[str, Location] = {}
        self.named: Dict[str, Location] = {}
        self.regexes: List[Location] = []
        prefixes: List[Location] = []
        for location in locations:
            if location.regex:
                self.regexes.append(location)
            elif location.modifier == "=":
                self.exact.setdefault(location.name, location)
            elif location.modifier == "@":
                self.named.setdefault(location.name, location)
            else:
                prefixes.append(location)
        self._prefixes = sorted(prefixes, key=lambda location: -len(location.name))

    def longest_prefix(self, uri: str) -> Optional[Location]:
        """The longest prefix location."""
        return next((location for location in self._prefixes if uri.startswith(location.name)), None)


def find_location(context: Context, uri: str, matches: Matches) -> Tuple[Optional[Location], bool]:
    """The location for a URI inside a context.

    :returns: the location, or None; and whether nginx skips the regular expressions of the contexts further out.
    """
    locations = context.locations
    if uri in locations.exact:
        return locations.exact[uri], True
    best = prefix = locations.longest_prefix(uri)
    if prefix is not None:
        # Nested locations first. Only "^~" in this context skips the regular expressions of this context.
        nested, final = find_location(prefix, uri, matches)
        best = nested or prefix
        if final or prefix.modifier == "^~":
            return best, final
    for location in locations.regexes:
        if location.regex and matches(location.regex, uri, location.directive):
            nested, _ = find_location(location, uri, matches)
            return nested or location, True
    return best, False
