"""The levels of a configuration (http, server, location, if) and the choice of a location.

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

#: Whether a regular expression matches a text; asked with the directive that it stands in.
Matches = Callable[[Regex, str, Directive], bool]


class Level:
    """A block whose settings inner blocks inherit.

    :ivar directive: the block.
    :ivar parent: the level around it.
    """

    def __init__(self, directive: Directive, parent: "Optional[Level]") -> None:
        self.directive = directive
        self.parent = parent

    @functools.cached_property
    def block(self) -> List[Directive]:
        """The directives that stand in this very block."""
        return self.directive.block or []

    @functools.cached_property
    def own(self) -> Dict[str, List[Directive]]:
        """The same by name."""
        found: Dict[str, List[Directive]] = {}
        for directive in self.block:
            found.setdefault(directive.name, []).append(directive)
        return found

    def nearest(self, *names: str) -> List[Directive]:
        """The directives with these names at the innermost level that has any: they replace those further out."""
        level: Optional[Level] = self
        while level is not None:
            if any(name in level.own for name in names):
                return [directive for directive in level.block if directive.name in names]
            level = level.parent
        return []

    def setting(self, name: str, default: str = "") -> str:
        """The first parameter of an inherited directive."""
        found = self.nearest(name)
        return found[-1].args[0] if found and found[-1].args else default

    @functools.cached_property
    def locations(self) -> "Locations":
        """The locations that stand in this very block."""
        return Locations(Location(directive, self) for directive in self.own.get("location", ()))


class Location(Level):
    """A ``location`` block.

    :ivar modifier: ``=``, ``^~``, ``~``, ``~*``, ``@`` or nothing.
    :ivar name: the prefix, or the text of the regular expression, or the name after ``@``.
    """

    def __init__(self, directive: Directive, parent: Level) -> None:
        super().__init__(directive, parent)
        self.modifier, self.name = _modifier_and_name(directive.args)
        self.regex = Regex(self.name, ignore_case=self.modifier == "~*") if self.modifier in ("~", "~*") else None


def _modifier_and_name(args: Tuple[str, ...]) -> Tuple[str, str]:
    if len(args) > 1:
        return args[0], args[1]
    text = args[0] if args else ""
    # Glued: "location ~*\.php$", "location =/".
    for modifier in ("=", "^~", "~*", "~", "@"):
        if text.startswith(modifier):
            return modifier, text[len(modifier):]
    return "", text


class Locations:
    """The locations of one level, as nginx sorts them."""

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


def find_location(level: Level, uri: str, matches: Matches) -> Tuple[Optional[Location], bool]:
    """The location for a URI below a level.

    :returns: the location, None where there is none; and whether regular expressions further out have no say.
    """
    locations = level.locations
    if uri in locations.exact:
        return locations.exact[uri], True
    found = locations.longest_prefix(uri)
    if found is not None:
        # Nested locations first. Only this level's "^~" shuts out this level's regular expressions.
        nested, final = find_location(found, uri, matches)
        if final:
            return nested, True
        if found.modifier == "^~":
            return nested or found, False
        found_so_far: Optional[Location] = nested or found
    else:
        found_so_far = None
    for location in locations.regexes:
        if location.regex and matches(location.regex, uri, location.directive):
            nested, _ = find_location(location, uri, matches)
            return nested or location, True
    return found_so_far, False
