"""Texts with variables, and ``map``.

Sources: ngx_http_core_module, "Embedded Variables"; ngx_http_map_module; ``ngx_http_script_compile`` in
src/http/ngx_http_script.c for where a variable's name ends.
"""
import functools
import re
from dataclasses import dataclass
from typing import Dict
from typing import Iterable
from typing import List
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Tuple

from certbot_autowebroot.servers.nginx.names import NameTable
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.regexes import Regex

_VARIABLE = re.compile(r"\$(?:([1-9])|\{(\w+)\}|(\w+))", re.ASCII)


@dataclass(frozen=True)
class Part:
    """A piece of a text: a literal, a variable (``$host``) or a numbered capture (``$1``)."""

    literal: str = ""
    variable: str = ""
    capture: int = 0


@functools.lru_cache(maxsize=4096)
def parts(text: str) -> Sequence[Part]:
    """The literals, variables and captures of a text."""
    pieces: List[Part] = []
    position = 0
    for match in _VARIABLE.finditer(text):
        if match.start() > position:
            pieces.append(Part(literal=text[position:match.start()]))
        pieces.append(Part(capture=int(match[1])) if match[1] else Part(variable=(match[2] or match[3]).lower()))
        position = match.end()
    if position < len(text):
        pieces.append(Part(literal=text[position:]))
    return pieces


class Map:
    """A ``map`` block.

    :ivar source: the text with the value to look up.
    :ivar volatile: not cached for the request.
    """

    def __init__(self, directive: Directive) -> None:
        self.source = directive.args[0]
        self.volatile = False
        self.default = ""
        self.regexes: List[Tuple[Regex, Directive]] = []
        self.hostnames = any(line.name == "hostnames" and not line.args for line in directive.block or ())
        self._names: NameTable[str] = NameTable()
        for line in directive.block or ():
            if not line.args:
                self.volatile = self.volatile or line.name == "volatile"
            elif line.name == "default":
                self.default = line.args[0]
            elif line.name.startswith("~"):
                ignore_case = line.name.startswith("~*")
                regex = Regex(line.name[2 if ignore_case else 1:], ignore_case)
                self.regexes.append((regex, line))
            else:
                # "\default", "\~x": the backslash makes it an ordinary word.
                key = line.name[1:] if line.name.startswith("\\") else line.name
                self._names.add(key, line.args[0], wildcards=self.hostnames)

    def find(self, value: str) -> Optional[str]:
        """The text for a value, without regular expressions and default."""
        return self._names.find(value)


def geo_defaults(blocks: Iterable[Directive]) -> Dict[str, str]:
    """By variable, the value that ``geo [$address] $variable`` has for an address that it does not name."""
    found: Dict[str, str] = {}
    for block in blocks:
        if block.args:
            lines = [line for line in block.block or () if line.name == "default" and line.args]
            found[block.args[-1].lstrip("$").lower()] = lines[-1].args[0] if lines else ""
    return found


def maps(directives: Iterable[Directive]) -> Dict[str, Map]:
    """The maps of the http context, by the name of their variable."""
    return {directive.args[1].lstrip("$").lower(): Map(directive) for directive in directives
            if len(directive.args) > 1 and directive.args[0]}


def assigned(directives: Iterable[Directive]) -> Set[str]:
    """The variables that some ``set`` or named capture sets; elsewhere they are empty."""
    names: Set[str] = set()
    pending = [iter(directives)]
    while pending:
        directive = next(pending[-1], None)
        if directive is None:
            pending.pop()
            continue
        if directive.name == "set" and directive.args:
            names.add(directive.args[0].lstrip("$").lower())
        for text in (directive.name, *directive.args):
            if "(?" in text:
                names.update(name.lower() for name in re.findall(r"\(\?P?[<'](\w+)[>']", text))
        if directive.block:
            pending.append(iter(directive.block))
    return names
