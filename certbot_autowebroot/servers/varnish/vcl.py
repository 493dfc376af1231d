"""The parts of the Varnish Configuration Language that decide which backend gets a request. vcl(7).

Expressions stay tokens until a request is evaluated.
"""
import functools
import posixpath
import re
from dataclasses import dataclass
from dataclasses import field
from typing import Callable
from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Tuple

from certbot_autowebroot.route import Source

#: The start of a comment or a long string is no other token, else the regular expression would look for its end again
#: and again.
_TOKENS = re.compile(r'''
    (?P<space> \s+ | \#[^\n]* | //[^\n]* | /\*.*?\*/ | C\{.*?\}C )
  | (?P<string> """.*?""" | \{".*?"\} | "(?!"")[^"\n]*" | ""(?!") )
  | (?P<name> [A-Za-z_][A-Za-z0-9_.-]* )
  | (?P<number> [0-9]+ (?: \.[0-9]+ )? [A-Za-z]* )
  | (?P<brace> \{ (?!") )
  | (?P<slash> / (?![/*]) )
  | (?P<operator> == | != | !~ | <= | >= | && | \|\| | \+= | -= | \*= | /= | [-~<>!+*%=()};,.\[\]&:^] )
''', re.VERBOSE | re.DOTALL)

_MAX_FILES = 500
#: Nested parentheses, and tokens, of one expression.
_MAX_DEPTH = 100
_MAX_WORDS = 10_000
_MAX_SIZE = 16 * 1024 * 1024


class VclError(Exception):
    """Varnish would not compile it, or the parser does not understand it."""


class Token(NamedTuple):
    """One token; a string is without its quotes."""

    kind: str
    text: str
    source: Source


Tokens = Tuple[Token, ...]


@dataclass(frozen=True)
class Backend:
    """A backend: an address and a port, or a unix socket; neither for ``backend x none``."""

    name: str
    host: str
    port: str
    proxy_header: bool
    source: Source


@dataclass(frozen=True)
class Statement:
    """One statement of a subroutine.

    :ivar kind: ``set``, ``return``, ``call``, ``new``, ``if``, or the first word of an expression.
    :ivar words: the words up to the semicolon; the condition of an ``if``.
    :ivar body: the statements where the condition holds.
    :ivar otherwise: those where it does not: the ``else``, or another ``if``.
    """

    kind: str
    words: Tokens
    source: Source
    body: Tuple["Statement", ...] = ()
    otherwise: Tuple["Statement", ...] = ()

    def __str__(self) -> str:
        return " ".join([self.kind, *(f'"{t.text}"' if t.kind == "string" else t.text for t in self.words)])


@dataclass
class Vcl:
    """A parsed VCL."""

    backends: Dict[str, Backend] = field(default_factory=dict)
    subroutines: Dict[str, List[Statement]] = field(default_factory=dict)

    @functools.cached_property
    def directors(self) -> Dict[str, List[str]]:
        """The backends that ``vcl_init`` adds to each director, by its name."""
        directors: Dict[str, List[str]] = {}
        for statement in self.subroutines.get("vcl_init", ()):
            name, dot, method = statement.kind.partition(".")
            if dot and method == "add_backend":
                directors.setdefault(name, []).extend(t.text for t in statement.words[1:2])
        return directors

    @functools.cached_property
    def assigned(self) -> Set[str]:
        """The names of all variables that some ``set`` sets."""
        pending = [statement for statements in self.subroutines.values() for statement in statements]
        names: Set[str] = set()
        while pending:
            statement = pending.pop()
            pending.extend((*statement.body, *statement.otherwise))
            names.update(token.text for token in statement.words[:1] if statement.kind == "set")
        return names

    def members(self, name: str) -> List[Backend]:
        """The backends of a name: its own, or those of a director and the directors below it."""
        backends: List[Backend] = []
        seen, pending, directors = set(), [name], self.directors
        while pending:
            one = pending.pop(0)
            if one not in seen:
                seen.add(one)
                pending.extend(directors.get(one, ()))
                backends.extend([self.backends[one]] if one in self.backends else [])
        return backends


def parse(path: str, read: Callable[[str], bytes], search_path: Sequence[str]) -> Vcl:
    """Read a VCL file and all that it includes.

    :param read: reads a file of Varnish's view.
    :param search_path: the directories of relative includes, the parameter ``vcl_path``.
    :raises VclError: Varnish would not compile it.
    :raises OSError: the file cannot be read.
    """
    reader = _Reader(read, search_path)
    reader.file(path, path)
    return reader.vcl


class _Reader:
    def __init__(self, read: Callable[[str], bytes], search_path: Sequence[str]) -> None:
        self.vcl = Vcl()
        self.read = read
        self.search_path = search_path
        self.files = 0
        self.size = 0
        self.includers: List[str] = []

    def file(self, name: str, includer: str) -> None:
        path, content = self.content(name, includer)
        if path in self.includers:
            raise VclError(f"{path} includes itself")
        self.includers.append(path)
        self.files += 1
        self.size += len(content)
        if self.size > _MAX_SIZE:
            raise VclError(f"there is more than 16 MB of it ({name})")
        if self.files > _MAX_FILES:
            raise VclError(f"the includes have no end ({name})")
        try:
            _Parser(self, _tokenize(content.decode("utf-8", "surrogateescape"), path)).top()
        except RecursionError:
            raise VclError(f"the nesting has no end ({name})") from None
        self.includers.pop()

    def content(self, name: str, includer: str) -> Tuple[str, bytes]:
        """The path of a file, and its content."""
        if name.startswith(("./", "/")):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(includer), name))
            return path, self.read(path)
        for directory in self.search_path:
            path = posixpath.normpath(posixpath.join(directory, name))
            try:
                return path, self.read(path)
            except FileNotFoundError:
                continue
        raise VclError(f"{name} is not to be found in {':'.join(self.search_path)}")


def _tokenize(text: str, path: str) -> List[Token]:
    tokens, offset, line = [], 0, 1
    while offset < len(text):
        match = _TOKENS.match(text, offset)
        if match is None:
            raise VclError(f"unexpected {text[offset:offset + 10]!r} ({Source(path, line)})")
        kind, word = str(match.lastgroup), match[0]
        if kind == "string":
            word = re.sub(r'^(?:"""|\{"|")|(?:"""|"\}|")$', "", word)
        if kind != "space":
            tokens.append(Token("operator" if kind in ("brace", "slash") else kind, word, Source(path, line)))
        line += match[0].count("\n")
        offset = match.end()
    return [*tokens, Token("end", "", Source(path, line))]


class _Parser:
    """One file."""

    def __init__(self, reader: _Reader, tokens: List[Token]) -> None:
        self.reader = reader
        self.tokens = tokens
        self.position = 0

    def peek(self) -> Token:
        return self.tokens[self.position]

    def next(self, *expected: str) -> Token:
        token = self.tokens[self.position]
        if token.kind == "end" or (expected and (token.kind == "string" or token.text not in expected)):
            wanted = " or ".join(expected) or "more"
            raise VclError(f"{wanted} expected, not {token.text or 'the end'} ({token.source})")
        self.position += 1
        return token

    def at(self, text: str) -> bool:
        return self.peek().kind != "string" and self.peek().text == text

    def top(self) -> None:
        vcl = self.reader.vcl
        while self.peek().kind != "end":
            token = self.next()
            if token.text == "include":
                self.reader.file(self.next().text, token.source.file)
                self.next(";")
            elif token.text == "backend":
                backend = self.backend(token)
                vcl.backends.setdefault(backend.name, backend)
            elif token.text == "sub":
                name = self.next().text
                vcl.subroutines.setdefault(name, []).extend(self.block())
            else:
                self.skip()

    def skip(self) -> None:
        """``vcl 4.1;``, ``import std;``, ``acl x { … }``, ``probe x { … }``."""
        while not self.at(";") and not self.at("{"):
            self.next()
        depth = 0
        while True:
            depth += {"{": 1, "}": -1}.get(self.peek().text, 0) if self.peek().kind == "operator" else 0
            self.next()
            if depth <= 0:
                break

    def backend(self, token: Token) -> Backend:
        name = self.next().text
        values: Dict[str, str] = {}
        if self.at("{"):
            self.next("{")
            while not self.at("}"):
                self.next(".")
                key = self.next().text
                self.next("=")
                if self.at("{"):
                    self.skip()
                    continue
                values[key] = "".join(part.text for part in self.until(";"))
            self.next("}")
        else:
            self.until(";")
        return Backend(name, values.get("path") or values.get("host", ""), values.get("port", "80"),
                       values.get("proxy_header", "0") not in ("", "0"), token.source)

    def until(self, end: str) -> Tokens:
        """The tokens up to the end token, which is consumed; it does not count inside parentheses."""
        tokens: List[Token] = []
        depth = 0
        while depth > 0 or not self.at(end):
            token = self.next()
            if token.kind == "operator":
                depth += {"(": 1, ")": -1}.get(token.text, 0)
            tokens.append(token)
            if depth > _MAX_DEPTH or len(tokens) > _MAX_WORDS:
                raise VclError(f"an expression has no end ({token.source})")
        self.next(end)
        return tuple(tokens)

    def block(self) -> Tuple[Statement, ...]:
        self.next("{")
        statements: List[Statement] = []
        while not self.at("}"):
            if self.at(";"):
                self.next()
            elif self.at("{"):
                statements.extend(self.block())
            else:
                statements.append(self.statement())
        self.next("}")
        return tuple(statements)

    def statement(self) -> Statement:
        token = self.next()
        if token.text != "if" or token.kind != "name":
            return Statement(token.text, self.until(";"), token.source)
        self.next("(")
        condition = self.until(")")
        body = self.block()
        following: Optional[str] = self.peek().text if self.peek().kind == "name" else None
        otherwise: Tuple[Statement, ...] = ()
        if following in ("elseif", "elsif", "elif"):
            # Another spelling of "else if".
            self.tokens[self.position] = Token("name", "if", self.peek().source)
            otherwise = (self.statement(),)
        elif following == "else":
            self.next()
            otherwise = (self.statement(),) if self.peek().text == "if" else self.block()
        return Statement("if", condition, token.source, body, otherwise)
