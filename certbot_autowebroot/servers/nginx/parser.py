"""nginx configuration files as a tree of directives, includes taken in.

What the directives mean is not its business. Nothing is raised for bad input: what cannot be used becomes a
:class:`Problem`, and the rest is still there.

Of ten thousand server blocks one or two are ever asked for. So of each only what chooses it is kept, and its text; what
stands in it is read again when somebody asks.
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
from certbot_autowebroot.servers.nginx.tokens import Bad
from certbot_autowebroot.servers.nginx.tokens import after_lua
from certbot_autowebroot.servers.nginx.tokens import statement

#: Ten thousand sites are 150,000 directives; a file of 50 MB can hold far more than is good for our memory.
MAX_DIRECTIVES = 1_000_000
MAX_FILES = 100_000
MAX_INCLUDE_DEPTH = 50
#: Each is looked up by its line.
MAX_PROBLEMS = 100
MAX_BLOCK_DEPTH = 100

Read = Callable[[str], bytes]
Glob = Callable[[str], Sequence[str]]

#: What chooses a server block: kept when the block is passed over.
_CHOOSES = frozenset({"listen", "server_name"})


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
    """

    __slots__ = ("_block", "_file", "_offset", "args", "name")

    def __init__(self, name: str, args: Tuple[str, ...], block: "Union[List[Directive], _PassedOver, None]", file: File,
                 offset: int) -> None:
        self.name = name
        self.args = args
        self._block = block
        self._file = file
        self._offset = offset

    @property
    def block(self) -> "Optional[List[Directive]]":
        """What stands in its braces, includes taken in; None where there are none. Of a server read anew each time."""
        return self._block.read() if isinstance(self._block, _PassedOver) else self._block

    def inside(self, name: str) -> "List[Directive]":
        """What has this name in its braces."""
        known = self._block.known if isinstance(self._block, _PassedOver) and name in _CHOOSES else self.block
        return [directive for directive in known or () if directive.name == name]

    @property
    def source(self) -> Source:
        """File and line, counted only when somebody asks."""
        return self._file.source(self._offset)

    def __str__(self) -> str:
        return " ".join((self.name, *self.args))


class _PassedOver:
    """A server block of which only :data:`_CHOOSES` was kept.

    :ivar known: that.
    """

    __slots__ = ("_file", "_parents", "_parser", "_start", "known")

    def __init__(self, parser: "_Parser", file: File, start: int, parents: Tuple[str, ...]) -> None:
        self.known: List[Directive] = []
        self._parser = parser
        self._file = file
        self._start = start
        self._parents = parents

    def read(self) -> List[Directive]:
        """All of it. What is wrong in it was said when it was passed over."""
        return self._parser.again().block(self._file, self._start, self._parents, is_file=False)


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


def parse(path: str, read: Read, glob: Glob, prefix: str = "/", hostname: str = "") -> Configuration:
    """Read a main configuration file and all that it includes.

    :param path: absolute; its directory is what relative includes are relative to (nginx's "conf prefix").
    :param read: gives the bytes of a file or raises OSError.
    :param glob: gives the paths that match a pattern, in order.
    """
    parser = _Parser(os.path.dirname(path), read, glob)
    directives = parser.file(path, (), None)
    parser.leave()
    return Configuration(directives, parser.problems, prefix, hostname)


class _Parser:
    def __init__(self, conf_prefix: str, read: Read, glob: Glob) -> None:
        self.problems: List[Problem] = []
        self._conf_prefix = conf_prefix
        self._read = read
        self._glob = glob
        self._count = 0
        self._files: Dict[str, List[Directive]] = {}
        self._found: Dict[str, Sequence[str]] = {}
        self._passes_over = True

    def leave(self) -> None:
        """Look at no file any more: a process's view is not to stay open for as long as its configuration is kept."""
        self._read, self._glob = _not_again, _found_nothing

    def again(self) -> "_Parser":
        """One that reads what was passed over, out of the same files as they were."""
        parser = _Parser(self._conf_prefix, _not_again, _found_nothing)
        parser._files, parser._found, parser._passes_over = self._files, self._found, False
        return parser

    def file(self, path: str, parents: Tuple[str, ...], included_at: Optional[Directive]) -> List[Directive]:
        """The directives of a file. A snippet that ten thousand sites include is read once and shared."""
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
        # The line is counted here, not for each of ten thousand includes in one file.
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(text, at.source if at else Source(path)))
        return []

    def block(self, file: File, position: int, parents: Tuple[str, ...], is_file: bool) -> List[Directive]:
        """The directives from a position to the end of the file, or to the brace that ends the block."""
        top: List[Directive] = []
        blocks = [top]
        passed_over = 0  # since which depth
        text = file.text
        try:
            while True:
                words, start, mark, position = statement(text, position, len(blocks) == passed_over)
                if mark == "}" and not words and len(blocks) > 1:
                    blocks.pop()
                    if len(blocks) < passed_over:
                        passed_over = 0
                    continue
                if not words and (not mark or (mark == "}" and not is_file)) and len(blocks) == 1:
                    return top
                if mark not in (";", "{") or not words:
                    raise Bad(f'unexpected "{mark}"' if mark else 'unexpected end of file, expecting ";" or "}"',
                               start)
                self._count += 1
                if self._count > MAX_DIRECTIVES:
                    raise Bad(f"more than {MAX_DIRECTIVES} directives", start)
                name, args = words[0], tuple(words[1:])  # of tuples of strings the garbage collector keeps out
                if mark == ";":
                    if name == "include" and args:
                        included = self._included(Directive(name, args, None, file, start), parents)
                        blocks[-1].extend(d for d in included if not passed_over or d.name in _CHOOSES)
                    elif not passed_over:
                        blocks[-1].append(Directive(name, args, None, file, start))
                    elif name in _CHOOSES and len(blocks) == passed_over:
                        args = tuple(map(sys.intern, args)) if name == "listen" else args
                        blocks[-1].append(Directive(sys.intern(name), args, None, file, start))
                    continue
                inside: List[Directive] = []
                if name == "server" and self._passes_over and not passed_over:
                    block = _PassedOver(self, file, position, parents)
                    blocks[-1].append(Directive("server", args, block, file, start))
                    inside = block.known
                    passed_over = len(blocks) + 1
                elif not passed_over or (name in _CHOOSES and len(blocks) == passed_over):
                    blocks[-1].append(Directive(name, args, inside, file, start))
                if name.endswith("_by_lua_block"):
                    position = after_lua(text, position, start)
                    continue
                if len(blocks) > MAX_BLOCK_DEPTH:
                    raise Bad(f"blocks are nested more than {MAX_BLOCK_DEPTH} deep", start)
                blocks.append(inside)
        except Bad as bad:
            self._problem(str(bad), Directive("", (), None, file, bad.offset))
        return top

    def _included(self, include: Directive, parents: Tuple[str, ...]) -> List[Directive]:
        path = os.path.join(self._conf_prefix, include.args[0])
        paths: Sequence[str] = [path]
        if any(c in path for c in "*?["):
            if path not in self._found:
                try:
                    self._found[path] = self._glob(path)
                except (OSError, ValueError) as error:
                    return self._problem(f"{path} cannot be read: {error}", include)
            paths = self._found[path]
        directives = []
        for found in paths:
            directives += self.file(found, parents, include)
            # Ten includes of a file of ten includes ... is a small file and a large configuration.
            if self._count + len(directives) > MAX_DIRECTIVES:
                raise Bad(f"more than {MAX_DIRECTIVES} directives", include._offset)
        self._count += len(directives)
        return directives


def _not_again(path: str) -> bytes:
    raise FileNotFoundError(errno.ENOENT, "it was not read before", path)


def _found_nothing(pattern: str) -> Sequence[str]:
    return ()
