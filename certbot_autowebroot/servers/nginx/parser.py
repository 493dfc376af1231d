"""nginx configuration files as a tree of directives, with all includes.

The parser does not know what a directive means. Bad input raises nothing: an unusable part becomes a :class:`Problem`,
and the rest is still in the tree.

Of ten thousand server blocks a request needs one or two. So the parser keeps of each its text and the directives that
select it; it reads the others when they are needed.
"""
import errno
import os
import sys
from dataclasses import dataclass
from dataclasses import field
from typing import Callable
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Union

from certbot_autowebroot.route import Source
from certbot_autowebroot.servers.nginx.tokens import TokenError
from certbot_autowebroot.servers.nginx.tokens import end_of_lua
from certbot_autowebroot.servers.nginx.tokens import statement

#: Ten thousand sites are 150,000 directives; a file of 50 MB can have more than memory can.
MAX_DIRECTIVES = 1_000_000
MAX_FILES = 100_000
MAX_INCLUDE_DEPTH = 50
#: Each costs a count of lines.
MAX_PROBLEMS = 100
MAX_BLOCK_DEPTH = 100

Read = Callable[[str], bytes]
Glob = Callable[[str], Sequence[str]]

#: The directives that select a server block: kept when the parser skips the block.
_SELECTING = frozenset({"listen", "server_name"})


class File:
    """The text of a configuration file."""

    __slots__ = ("name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def source(self, offset: int) -> Source:
        """The line of a character."""
        return Source(self.name, self.text.count("\n", 0, offset) + 1)


class Directive:
    """One directive.

    :ivar args: the parameters, quotes and escapes removed; of a Lua block, only those before the brace, and "off" of
        one without code: it replaces an inherited one and runs nothing.
    """

    __slots__ = ("_block", "_file", "_offset", "args", "name")

    def __init__(self, name: str, args: Tuple[str, ...], block: "Union[List[Directive], _LazyServerBlock, None]",
                 file: File, offset: int) -> None:
        self.name = name
        self.args = args
        self._block = block
        self._file = file
        self._offset = offset

    @property
    def block(self) -> "Optional[List[Directive]]":
        """The directives in its braces, with includes; None without braces. A server block is read anew each time."""
        return self._block.read() if isinstance(self._block, _LazyServerBlock) else self._block

    def inside(self, name: str) -> "List[Directive]":
        """The directives of this name in its braces."""
        block = self._block
        directives = block.selecting if isinstance(block, _LazyServerBlock) and name in _SELECTING else self.block
        return [directive for directive in directives or () if directive.name == name]

    @property
    def file(self) -> str:
        """The path of its file."""
        return self._file.name

    @property
    def source(self) -> Source:
        """File and line, counted on demand."""
        return self._file.source(self._offset)

    def __str__(self) -> str:
        return " ".join((self.name, *self.args))


class _LazyServerBlock:
    """A server block of which only the directives of :data:`_SELECTING` are in memory.

    :ivar selecting: these directives.
    """

    __slots__ = ("_file", "_parents", "_parser", "_start", "selecting")

    def __init__(self, parser: "_Parser", file: File, start: int, parents: Tuple[str, ...]) -> None:
        self.selecting: List[Directive] = []
        self._parser = parser
        self._file = file
        self._start = start
        self._parents = parents

    def read(self) -> List[Directive]:
        """All directives of the block. Its problems were reported when the parser skipped it."""
        return self._parser.for_blocks().block(self._file, self._start, self._parents, is_file=False)


@dataclass(frozen=True)
class Problem:
    """An unusable part of the configuration."""

    text: str
    source: Source


@dataclass
class Configuration:
    """A parsed configuration.

    :ivar prefix: the base of relative paths of ``root`` and ``alias``.
    :ivar hostname: the value of ``$hostname``; empty where it is unknown.
    """

    directives: List[Directive]
    problems: List[Problem] = field(default_factory=list)
    prefix: str = "/"
    hostname: str = ""


def parse(path: str, read: Read, glob: Glob, prefix: str = "/", hostname: str = "") -> Configuration:
    """Read a main configuration file and all that it includes.

    :param path: absolute; its directory is the base of relative includes (nginx's "conf prefix").
    :param read: returns the content of a file or raises OSError.
    :param glob: returns the paths that match a pattern, in order.
    """
    parser = _Parser(os.path.dirname(path), read, glob)
    directives = parser.file(path, (), None)
    parser.detach()
    return Configuration(directives, parser.problems, prefix, hostname)


class _Parser:
    def __init__(self, conf_prefix: str, read: Read, glob: Glob) -> None:
        self.problems: List[Problem] = []
        self._conf_prefix = conf_prefix
        self._read = read
        self._glob = glob
        self._count = 0
        self._files: Dict[str, List[Directive]] = {}
        self._glob_results: Dict[str, Sequence[str]] = {}
        self._skips_server_blocks = True

    def detach(self) -> None:
        """Read no more files: the cached configuration must not keep the view of its process open."""
        self._read, self._glob = _cannot_read, _no_paths

    def for_blocks(self) -> "_Parser":
        """A parser for skipped blocks, from the same texts."""
        parser = _Parser(self._conf_prefix, _cannot_read, _no_paths)
        parser._files, parser._glob_results, parser._skips_server_blocks = self._files, self._glob_results, False
        return parser

    def file(self, path: str, parents: Tuple[str, ...], included_at: Optional[Directive]) -> List[Directive]:
        """The directives of a file. Ten thousand sites that include the same snippet share one copy."""
        if path in parents:
            return self._problem(f"{path} includes itself", included_at, path)
        if len(parents) > MAX_INCLUDE_DEPTH:
            return self._problem(f"includes are nested more than {MAX_INCLUDE_DEPTH} deep", included_at, path)
        if path not in self._files:
            if len(self._files) >= MAX_FILES:
                return self._problem(f"more than {MAX_FILES} files are included", included_at, path)
            self._files[path] = []
            try:
                text = self._read(path).decode("utf-8", "surrogateescape")
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                return self._problem(f"{path} cannot be read: {reason}", included_at, path)
            start = 1 if text.startswith("\ufeff") else 0
            self._files[path] = self.block(File(path, text), start, (*parents, path), is_file=True)
        return self._files[path]

    def _problem(self, text: str, at: Optional[Directive], path: str = "") -> List[Directive]:
        # The line is counted here only, not for each of ten thousand includes of one file.
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(text, at.source if at else Source(path)))
        return []

    def block(self, file: File, position: int, parents: Tuple[str, ...], is_file: bool) -> List[Directive]:
        """The directives from a position to the end of the file, or to the brace that ends the block."""
        top: List[Directive] = []
        blocks = [top]
        skipped_depth = 0  # of the server block that is skipped
        text = file.text
        try:
            while True:
                words, start, mark, position = statement(text, position, len(blocks) == skipped_depth)
                if mark == "}" and not words and len(blocks) > 1:
                    blocks.pop()
                    if len(blocks) < skipped_depth:
                        skipped_depth = 0
                    continue
                if not words and (not mark or (mark == "}" and not is_file)) and len(blocks) == 1:
                    return top
                if mark not in (";", "{") or not words:
                    raise TokenError(f'unexpected "{mark}"' if mark else 'unexpected end of file, expecting ";" or "}"',
                               start)
                self._count += 1
                if self._count > MAX_DIRECTIVES:
                    raise TokenError(f"more than {MAX_DIRECTIVES} directives", start)
                name, args = words[0], tuple(words[1:])  # the garbage collector ignores tuples of strings
                if mark == ";":
                    if name == "include" and args:
                        included = self._included(Directive(name, args, None, file, start), parents)
                        blocks[-1].extend(d for d in included if not skipped_depth or d.name in _SELECTING)
                    elif not skipped_depth:
                        blocks[-1].append(Directive(name, args, None, file, start))
                    elif name in _SELECTING and len(blocks) == skipped_depth:
                        args = tuple(map(sys.intern, args)) if name == "listen" else args
                        blocks[-1].append(Directive(sys.intern(name), args, None, file, start))
                    continue
                inside: List[Directive] = []
                if name == "server" and self._skips_server_blocks and not skipped_depth:
                    block = _LazyServerBlock(self, file, position, parents)
                    blocks[-1].append(Directive("server", args, block, file, start))
                    inside = block.selecting
                    skipped_depth = len(blocks) + 1
                elif not skipped_depth or (name in _SELECTING and len(blocks) == skipped_depth):
                    blocks[-1].append(Directive(name, args, inside, file, start))
                if name.endswith("_by_lua_block"):
                    code, position = position, end_of_lua(text, position, start)
                    if not args and not text[code:position - 1].strip():
                        blocks[-1][-1:] = [Directive(name, ("off",), inside, file, start)]
                    continue
                if len(blocks) > MAX_BLOCK_DEPTH:
                    raise TokenError(f"blocks are nested more than {MAX_BLOCK_DEPTH} deep", start)
                blocks.append(inside)
        except TokenError as error:
            self._problem(str(error), Directive("", (), None, file, error.offset))
        return top

    def _included(self, include: Directive, parents: Tuple[str, ...]) -> List[Directive]:
        path = os.path.join(self._conf_prefix, include.args[0])
        paths: Sequence[str] = [path]
        if any(c in path for c in "*?["):
            if path not in self._glob_results:
                try:
                    self._glob_results[path] = self._glob(path)
                except (OSError, ValueError) as error:
                    return self._problem(f"{path} cannot be read: {error}", include)
            paths = self._glob_results[path]
        directives = []
        for included in paths:
            directives += self.file(included, parents, include)
            # Ten includes of a file with ten includes and so on: few small files, a large configuration.
            if self._count + len(directives) > MAX_DIRECTIVES:
                raise TokenError(f"more than {MAX_DIRECTIVES} directives", include._offset)
        self._count += len(directives)
        return directives


def _cannot_read(path: str) -> bytes:
    raise FileNotFoundError(errno.ENOENT, "it was not read before", path)


def _no_paths(pattern: str) -> Sequence[str]:
    return ()
