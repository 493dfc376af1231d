"""nginx configuration files as a tree of directives, includes taken in.

The grammar is the one of nginx's own reader (``ngx_conf_read_token`` in src/core/ngx_conf_file.c): words, quotes,
``;``, ``{``, ``}``. What the directives mean is not its business. Nothing is raised for bad input: what cannot be used
becomes a :class:`Problem`, and the rest is still there.
"""
import os
import re
from dataclasses import dataclass
from dataclasses import field
from typing import Callable
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Tuple

from certbot_autowebroot.route import Source

#: nginx reads a parameter into a buffer of this size (NGX_CONF_BUFFER).
MAX_PARAMETER = 4096
#: Ten thousand sites are 150,000 directives; a file of 50 MB can hold far more than is good for our memory.
MAX_DIRECTIVES = 1_000_000
MAX_FILES = 100_000
MAX_INCLUDE_DEPTH = 50
#: Each is looked up by its line.
MAX_PROBLEMS = 100
MAX_BLOCK_DEPTH = 100

Read = Callable[[str], bytes]
Glob = Callable[[str], Sequence[str]]

_TOKEN = re.compile(r"""
    [ \t\r\n]+ | \#[^\n]*
    | ( (?: [^ \t\r\n;{}"'\#\\$] | \\. | \$\{* ) [^ \t\r\n;{\\$]* (?: (?: \\. | \$\{* ) [^ \t\r\n;{\\$]* ){0,4096} )
    | ([;{}])
    | "( (?: [^"\\] | \\. ){0,4096} )" (?= [ \t\r\n;{)] )
    | '( (?: [^'\\] | \\. ){0,4096} )' (?= [ \t\r\n;{)] )
    | (.)
    """, re.VERBOSE | re.DOTALL)
_WORD, _MARK, _DOUBLE, _SINGLE, _BAD = range(1, 6)

_ESCAPE = re.compile(r"""\\(["'\\trn])""")
_CONTROLS = {"t": "\t", "r": "\r", "n": "\n"}

#: What can hide a brace in Lua: comments, strings, and their long-bracket forms (Lua 5.1 manual, section 2.1).
_LUA = re.compile(r"""(?:--)?\[(=*)\[|--[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|([{}])|["']""", re.DOTALL)


class File:
    """A configuration file that was read."""

    __slots__ = ("name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def source(self, offset: int) -> Source:
        """The line that a character stands in."""
        return Source(self.name, self.text.count("\n", 0, offset) + 1)


class Directive:
    """One directive.

    :ivar args: the parameters, quotes and escapes removed; of a Lua block, only those before the brace.
    :ivar block: what stands in its braces, includes taken in; None where there are none.
    """

    __slots__ = ("_file", "_offset", "args", "block", "name")

    def __init__(self, name: str, args: List[str], block: "Optional[List[Directive]]", file: File,
                 offset: int) -> None:
        self.name = name
        self.args = args
        self.block = block
        self._file = file
        self._offset = offset

    @property
    def source(self) -> Source:
        """File and line, counted only when somebody asks."""
        return self._file.source(self._offset)

    def __str__(self) -> str:
        return " ".join((self.name, *self.args))


@dataclass(frozen=True)
class Problem:
    """A part of the configuration that could not be used."""

    text: str
    source: Source


@dataclass
class Configuration:
    """All that was read.

    :ivar prefix: what relative paths of ``root`` and ``alias`` are relative to.
    :ivar hostname: what ``$hostname`` stands for; empty where it cannot be known.
    """

    directives: List[Directive]
    problems: List[Problem] = field(default_factory=list)
    prefix: str = "/"
    hostname: str = ""


class _Bad(Exception):
    """The file cannot be read on from here."""


def parse(path: str, read: Read, glob: Glob, prefix: str = "/", hostname: str = "") -> Configuration:
    """Read a main configuration file and all that it includes.

    :param path: absolute; its directory is what relative includes are relative to (nginx's "conf prefix").
    :param read: gives the bytes of a file or raises OSError.
    :param glob: gives the paths that match a pattern, in order.
    """
    parser = _Parser(os.path.dirname(path), read, glob)
    directives = parser.file(path, (), None)
    return Configuration(directives, parser.problems, prefix, hostname)


class _Parser:
    def __init__(self, conf_prefix: str, read: Read, glob: Glob) -> None:
        self.problems: List[Problem] = []
        self._conf_prefix = conf_prefix
        self._read = read
        self._glob = glob
        self._count = 0
        self._files: Dict[str, List[Directive]] = {}
        self._unusable: Set[str] = set()

    def file(self, path: str, parents: Tuple[str, ...], included_at: Optional[Source]) -> List[Directive]:
        """The directives of a file. A snippet that ten thousand sites include is read once and shared."""
        here = included_at or Source(path)
        if path in parents:
            return self._problem(f"{path} includes itself", here)
        if len(parents) > MAX_INCLUDE_DEPTH:
            return self._problem(f"includes are nested more than {MAX_INCLUDE_DEPTH} deep", here)
        if path not in self._files:
            if len(self._files) >= MAX_FILES:
                return self._problem(f"more than {MAX_FILES} files are included", here)
            self._files[path] = []
            try:
                text = self._read(path).decode("utf-8", "surrogateescape")
            except (OSError, ValueError) as error:
                return self._problem(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}", here)
            self._files[path] = self._directives(File(path, text), (*parents, path))
        return self._files[path]

    def _problem(self, text: str, source: Source) -> List[Directive]:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(text, source))
        return []

    def _directives(self, file: File, parents: Tuple[str, ...]) -> List[Directive]:
        top: List[Directive] = []
        open_blocks = [top]
        words: List[str] = []
        text = file.text
        position = 1 if text.startswith("\ufeff") else 0
        start = 0
        try:
            while position < len(text):
                for token in _TOKEN.finditer(text, position):
                    kind = token.lastindex
                    if kind is None:
                        continue
                    word = token[kind]
                    if kind != _MARK:
                        if kind == _BAD or len(word) > MAX_PARAMETER:
                            start = token.start()
                            raise _Bad("unexpected characters, or a quote that does not end")
                        if not words:
                            start = token.start()
                        words.append(_ESCAPE.sub(_unescape, word) if "\\" in word else word)
                        continue
                    if word == "}":
                        if words or len(open_blocks) == 1:
                            start = token.start()
                            raise _Bad('unexpected "}"')
                        open_blocks.pop()
                        continue
                    if not words:
                        start = token.start()
                        raise _Bad(f'unexpected "{word}"')
                    self._count += 1
                    if self._count > MAX_DIRECTIVES:
                        raise _Bad(f"more than {MAX_DIRECTIVES} directives")
                    name, *args = words
                    words = []
                    if word == ";":
                        if name == "include" and args:
                            self._include(args[0], file.source(start), parents, open_blocks[-1])
                        else:
                            open_blocks[-1].append(Directive(name, args, None, file, start))
                        continue
                    directive = Directive(name, args, [], file, start)
                    open_blocks[-1].append(directive)
                    if name.endswith("_by_lua_block"):
                        position = _after_lua(text, token.end())
                        break
                    if len(open_blocks) > MAX_BLOCK_DEPTH:
                        raise _Bad(f"blocks are nested more than {MAX_BLOCK_DEPTH} deep")
                    open_blocks.append(directive.block)  # type: ignore[arg-type]
                else:
                    position = len(text)
            if words or len(open_blocks) > 1:
                start = len(text)
                raise _Bad('unexpected end of file, expecting ";" or "}"')
        except _Bad as bad:
            self._problem(str(bad), file.source(start))
        return top

    def _include(self, pattern: str, source: Source, parents: Tuple[str, ...], block: List[Directive]) -> None:
        path = os.path.join(self._conf_prefix, pattern)
        paths: Sequence[str] = [path]
        if any(c in path for c in "*?["):
            try:
                paths = self._glob(path)
            except (OSError, ValueError) as error:
                self._problem(f"{path} cannot be read: {error}", source)
                return
        for found in paths:
            directives = self.file(found, parents, source)
            # Ten includes of a file of ten includes ... is a small file and a large configuration.
            self._count += len(directives)
            if self._count > MAX_DIRECTIVES:
                raise _Bad(f"more than {MAX_DIRECTIVES} directives")
            block.extend(directives)


def _unescape(match: "re.Match[str]") -> str:
    return _CONTROLS.get(match[1], match[1])


def _after_lua(text: str, position: int) -> int:
    """Where the Lua block ends whose brace was opened just before."""
    depth = 1
    while depth:
        token = _LUA.search(text, position)
        if token is None:
            raise _Bad("a Lua block does not end")
        position = token.end()
        if token[1] is not None:
            end = text.find(f"]{token[1]}]", position)
            if end < 0:
                raise _Bad("a Lua block does not end")
            position = end
        elif token[2]:
            depth += 1 if token[2] == "{" else -1
        elif len(token[0]) == 1:
            raise _Bad("a string in a Lua block does not end")
    return position
