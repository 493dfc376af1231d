"""httpd's configuration as a tree of directives, whichever way it was learned (a dump or the files)."""
import re
from dataclasses import dataclass
from dataclasses import field
from typing import Dict
from typing import FrozenSet
from typing import Iterable
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step

#: Deeper nesting than a person writes; guards the stack against a hostile file.
MAX_DEPTH = 50
#: Sections that hold for a part of the requests only.
_SECTIONS = frozenset({"directory", "directorymatch", "location", "locationmatch", "files", "filesmatch", "if",
                       "elseif", "else", "proxy", "proxymatch"})


class ConfigurationError(Exception):
    """The configuration cannot be known: not readable, not understood, too large. The text is for a person."""


class UnknowableError(Exception):
    """Something that only the running server has: the client's address, a time, a program's answer."""


class Directive(NamedTuple):
    """One directive, or one section with what it holds.

    :ivar name: in lower case; of a section without the angle brackets (``virtualhost``).
    :ivar spelling: the name as it is written.
    :ivar text: the arguments as they are written, variables replaced.
    """

    name: str
    spelling: str
    text: str
    file: str
    line: int
    children: "Sequence[Directive]" = ()
    is_section: bool = False

    @property
    def source(self) -> Source:
        """Where it stands."""
        return Source(self.file, self.line)

    @property
    def words(self) -> List[str]:
        """The arguments, unquoted."""
        return split_words(self.text)

    @property
    def step(self) -> Step:
        """The directive as a step of a trail."""
        text = f"{self.spelling} {self.text}".strip()
        return Step(f"<{text}>" if self.is_section else text, self.source)


@dataclass
class ConfigurationTree:
    """What is known of a configuration.

    :ivar directives: the top level, in order.
    :ivar server_root: where relative paths start.
    :ivar document_root: the one that holds where no directive says another; empty when not known.
    :ivar modules: what is loaded, such as ``rewrite_module``; None when not known.
    :ivar names: the name that a virtual host without ServerName got, by the place of its opening.
    :ivar addresses: the addresses and ports that a virtual host listens to once its name is resolved, likewise.
    :ivar problems: what could not be read.
    """

    directives: Tuple[Directive, ...]
    server_root: str = "/"
    document_root: str = ""
    modules: Optional[FrozenSet[str]] = None
    names: Dict[Source, str] = field(default_factory=dict)
    addresses: Dict[Source, List[str]] = field(default_factory=dict)
    problems: Tuple[str, ...] = ()


def for_get(directive: Directive) -> Sequence[Directive]:
    """The directive, or of a ``<Limit>`` what it says for GET; a limit of other methods stays as it is."""
    if directive.is_section and directive.name in ("limit", "limitexcept"):
        named = "GET" in [word.upper() for word in directive.words]
        if named != (directive.name == "limit"):
            return (directive,)
        return [one for child in directive.children for one in for_get(child)]
    return (directive,)


def is_request_section(directive: Directive) -> bool:
    """Whether it is a section that holds for a part of the requests only."""
    return directive.is_section and directive.name in _SECTIONS


def outside_sections(directives: Iterable[Directive]) -> Tuple[Directive, ...]:
    """Those that hold for every GET request which comes to where they stand."""
    return tuple(one for directive in directives for one in for_get(directive) if not is_request_section(one))


def split_words(text: str) -> List[str]:
    """Split arguments as httpd does (``ap_getword_conf``).

    White space separates; single and double quotes keep it; a backslash protects the quote and itself.
    """
    if not re.search(r"[\"'\\]", text):
        return text.split()
    words: List[str] = []
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position >= len(text):
            return words
        quote = text[position] if text[position] in "\"'" else ""
        position += len(quote)
        word = []
        while position < len(text):
            char = text[position]
            if char == "\\" and text[position + 1:position + 2] in ("\\", quote or "\\"):
                word.append(text[position + 1])
                position += 2
                continue
            if char == quote or (not quote and char.isspace()):
                break
            word.append(char)
            position += 1
        position += len(quote)
        words.append("".join(word))
