"""httpd's configuration as a tree of directives, from a dump or from the files."""
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

#: Levels of sections; real configurations have a few. It guards the stack against a hostile file.
MAX_DEPTH = 50
#: What makes words more than the parts between white space.
_QUOTED = re.compile(r"[\"'\\]")
#: Sections that httpd evaluates for each request ("Configuration Section Containers").
_SECTIONS = frozenset({"directory", "directorymatch", "location", "locationmatch", "files", "filesmatch", "if",
                       "elseif", "else", "proxy", "proxymatch"})


class ConfigurationError(Exception):
    """The configuration is not readable, not understood or too large. The text is for a person."""


class UnknowableError(Exception):
    """A value that only the running server has: the client's address, a time, a program's answer."""


class Directive(NamedTuple):
    """One directive, or one section with its content.

    :ivar name: in lower case; of a section without the angle brackets (``virtualhost``).
    :ivar spelling: the name as in the file.
    :ivar text: the arguments as in the file, with variables replaced.
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
        """File and line."""
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
    """A whole configuration.

    :ivar directives: the top level, in order.
    :ivar server_root: the start of relative paths.
    :ivar document_root: the compiled default; empty where it is not known.
    :ivar modules: the loaded modules, such as ``rewrite_module``; None where they are not known.
    :ivar names: httpd's name for a virtual host without ServerName, by the source of the section.
    :ivar addresses: the resolved addresses and ports of a virtual host, by the source of the section.
    :ivar problems: parts that could not be read, as sentences.
    """

    directives: Tuple[Directive, ...]
    server_root: str = "/"
    document_root: str = ""
    modules: Optional[FrozenSet[str]] = None
    names: Dict[Source, str] = field(default_factory=dict)
    addresses: Dict[Source, List[str]] = field(default_factory=dict)
    problems: Tuple[str, ...] = ()


def for_get(directive: Directive) -> Sequence[Directive]:
    """The directive itself; for a ``<Limit>`` of GET its content. A limit of other methods stays."""
    if directive.is_section and directive.name in ("limit", "limitexcept"):
        named = "GET" in [word.upper() for word in directive.words]
        if named != (directive.name == "limit"):
            return (directive,)
        return [one for child in directive.children for one in for_get(child)]
    return (directive,)


def is_request_section(directive: Directive) -> bool:
    """Whether it is a section that httpd evaluates for each request."""
    return directive.is_section and directive.name in _SECTIONS


def outside_sections(directives: Iterable[Directive]) -> Tuple[Directive, ...]:
    """The directives that apply to every GET request in their context."""
    return tuple(one for directive in directives for one in for_get(directive) if not is_request_section(one))


def split_words(text: str) -> List[str]:
    """Split arguments as httpd does (``ap_getword_conf``).

    White space separates; single and double quotes keep it; a backslash protects the quote and itself.
    """
    if not _QUOTED.search(text):
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
