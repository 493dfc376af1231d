"""The rows of ``-D DUMP_CONFIG`` as a tree of directives.

Of ten thousand virtual hosts, an order needs one or two. So the parser reads only the names of each virtual host at
once, and the rest on demand.
"""
import collections
import re
import sys
from typing import Iterable
from typing import Iterator
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Union
from typing import overload

from certbot_autowebroot.route import Source
from certbot_autowebroot.servers.apache.directives import MAX_DEPTH
from certbot_autowebroot.servers.apache.directives import ConfigurationError
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import UnknowableError

#: A comment before the rows of a file, at any level; and one before each directive, with its indentation.
_FILE = "# In file: "
_NO_LINE = -1
_LINE = re.compile(r"\s*#\s*([0-9]{1,9}):$")
#: httpd ignores text after the last ">"; people write comments there.
_OPEN = re.compile(r"\s*<([A-Za-z]\w*)(.*)>[^>]*$", re.DOTALL)
_MACRO = re.compile(r"macro '.*?' \(defined on line ([0-9]{1,9}) of \"([^\"]*)\"")
#: The indentation of each level.
_INDENTATION = "  "
#: The rows of a virtual host that name a file, and its names.
_NAMES = re.compile(rf"^{_FILE}(.*)$|"
                    rf"^{_INDENTATION}#\s*([0-9]{{1,9}}):\n{_INDENTATION}(ServerName|ServerAlias)(?:[ \t]+(.*))?$",
                    re.IGNORECASE | re.MULTILINE)


class TreeBuilder:
    """Builds the tree from the rows, by their indentation: httpd prints an empty section without a closing tag.

    :param file: the file of the first row.
    """

    def __init__(self, file: str = "") -> None:
        self._file = file
        # For each open section: indentation, section without children, children.
        self._open: List[Tuple[int, Directive, List[Directive]]] = [(-1, Directive("", "", "", "", 0), [])]

    def others(self, rows: Iterable[str]) -> Iterator[str]:
        """Take in the rows of the configuration, which begin with the name of a file; yield the other rows.

        :raises ConfigurationError: the rows are malformed.
        """
        has_begun, line = bool(self._file), _NO_LINE
        remaining = iter(rows)
        row = next(remaining, None)
        while row is not None:
            following = None
            bare = row.lstrip()
            at_line = _LINE.match(row) if has_begun and bare.startswith("#") else None
            if bare.startswith(_FILE):
                self._file, has_begun, line = bare[len(_FILE):], True, _NO_LINE
            elif at_line:
                line = int(at_line.group(1))
            elif has_begun and (line != _NO_LINE or bare.startswith("</")):
                following = self._add(row, source_of(self._file, line), remaining)
                line = _NO_LINE
            elif row.startswith("ServerRoot: ") or not has_begun:
                has_begun = False
                yield row
            row = next(remaining, None) if following is None else following

    def finish(self) -> Tuple[Directive, ...]:
        """The top level."""
        self._close(0)
        return tuple(self._open[0][2])

    def _add(self, row: str, source: Source, remaining: Iterator[str]) -> Optional[str]:
        """Take in a row, and with the row of a virtual host its whole content.

        :returns: the row after that content.
        """
        indentation = len(row) - len(row.lstrip())
        row = row.strip()
        closing = row.startswith("</")
        self._close(indentation + closing)
        if closing:
            if len(self._open) < 2:
                raise ConfigurationError("a section ends that was not opened")
            self._close(indentation)
            return None
        match = _OPEN.match(row)
        if match:
            if len(self._open) > MAX_DEPTH:
                raise ConfigurationError("sections are nested too deep")
            spelling = sys.intern(match.group(1))
            section = Directive(sys.intern(spelling.lower()), spelling, match.group(2).strip(), *source,
                                is_section=True)
            if section.name == "virtualhost" and not indentation:
                return self._defer(section, remaining)
            self._open.append((indentation, section, []))
            return None
        spelling, _, text = row.partition(" ")
        # Few names for 200,000 directives.
        spelling = sys.intern(spelling)
        self._open[-1][2].append(Directive(sys.intern(spelling.lower()), spelling, text.strip(), *source))
        return None

    def _defer(self, section: Directive, remaining: Iterator[str]) -> Optional[str]:
        inside: List[str] = []
        file, following = self._file, None
        for row in remaining:
            if not row.startswith(_INDENTATION):
                if not row.startswith(_FILE):
                    following = None if row.startswith("</") else row
                    break
                self._file = row[len(_FILE):]
            inside.append(row)
        self._open[-1][2].append(section._replace(children=UnparsedContents("\n".join(inside), file)))
        return following

    def _close(self, indentation: int) -> None:
        """Close every section with this indentation or more."""
        while len(self._open) > 1 and self._open[-1][0] >= indentation:
            _, section, children = self._open.pop()
            self._open[-1][2].append(section._replace(children=tuple(children)))


class UnparsedContents(Sequence[Directive]):
    """The content of a virtual host, parsed on demand; access raises UnknowableError where it is malformed.

    :ivar names: its ServerName and ServerAlias directives.
    :param text: its rows.
    :param file: the file of the first row.
    """

    __slots__ = ("_file", "_read", "_text", "names")

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._read: Optional[Tuple[Directive, ...]] = None
        # At once: httpd still prints the next virtual hosts, on another core.
        self.names = list(self._names())

    def _names(self) -> Iterator[Directive]:
        file = self._file
        for match in _NAMES.finditer(self._text):
            other_file, line, spelling, text = match.groups("")
            if spelling:
                yield Directive(spelling.lower(), spelling, text.strip(), *source_of(file, int(line)))
            else:
                file = other_file

    @property
    def _all(self) -> Tuple[Directive, ...]:
        if self._read is None:
            tree = TreeBuilder(self._file)
            try:
                collections.deque(tree.others(self._text.split("\n")), maxlen=0)
                self._read = tree.finish()
            except ConfigurationError as error:
                raise UnknowableError(str(error)) from error
        return self._read

    @overload
    def __getitem__(self, index: int) -> Directive: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Directive]: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[Directive, Sequence[Directive]]:
        return self._all[index]

    def __len__(self) -> int:
        return len(self._all)


def source_of(file: str, line: int) -> Source:
    """File and line; httpd counts a line of a macro from the start of the macro."""
    macro = _MACRO.match(file) if file.startswith("macro ") else None
    return Source(macro.group(2), int(macro.group(1)) + line) if macro else Source(file, line)
