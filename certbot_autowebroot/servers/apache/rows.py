"""The rows of ``-D DUMP_CONFIG`` as a tree of directives.

Of ten thousand virtual hosts one or two are ever asked for. So of each only its names are read at once; the rest is
kept as text, and read when somebody asks.
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

#: A remark before what follows, wherever that is nested; and one before each directive, nested as that is.
_FILE = "# In file: "
_NO_LINE = -1
_LINE = re.compile(r"\s*#\s*([0-9]{1,9}):$")
#: What follows the last ">" counts for nothing: people write a comment there.
_OPEN = re.compile(r"\s*<([A-Za-z]\w*)(.*)>[^>]*$", re.DOTALL)
_MACRO = re.compile(r"macro '.*?' \(defined on line ([0-9]{1,9}) of \"([^\"]*)\"")
#: What stands in a section is indented by so much.
_INDENTATION = "  "
#: Of a virtual host's rows: those that name a file, and its names.
_NAMES = re.compile(rf"^{_FILE}(.*)$|"
                    rf"^{_INDENTATION}#\s*([0-9]{{1,9}}):\n{_INDENTATION}(ServerName|ServerAlias)(?:[ \t]+(.*))?$",
                    re.IGNORECASE | re.MULTILINE)


class TreeBuilder:
    """Builds the directives from the rows; the indentation counts, for an empty section has no closing tag.

    :param file: where the first row stands.
    """

    def __init__(self, file: str = "") -> None:
        self._file = file
        # For each open section: its indentation, itself without children, its children.
        self._open: List[Tuple[int, Directive, List[Directive]]] = [(-1, Directive("", "", "", "", 0), [])]

    def others(self, rows: Iterable[str]) -> Iterator[str]:
        """Take in the rows of the configuration, which begins with the name of its file; the other rows.

        :raises ConfigurationError: it makes no sense.
        """
        is_begun, line = bool(self._file), _NO_LINE
        unread = iter(rows)
        row = next(unread, None)
        while row is not None:
            following = None
            bare = row.lstrip()
            at_line = _LINE.match(row) if is_begun and bare.startswith("#") else None
            if bare.startswith(_FILE):
                self._file, is_begun, line = bare[len(_FILE):], True, _NO_LINE
            elif at_line:
                line = int(at_line.group(1))
            elif is_begun and (line != _NO_LINE or bare.startswith("</")):
                following = self._add(row, source_of(self._file, line), unread)
                line = _NO_LINE
            elif row.startswith("ServerRoot: ") or not is_begun:
                is_begun = False
                yield row
            row = next(unread, None) if following is None else following

    def finish(self) -> Tuple[Directive, ...]:
        """The top level."""
        self._close(0)
        return tuple(self._open[0][2])

    def _add(self, row: str, source: Source, unread: Iterator[str]) -> Optional[str]:
        """Take in a row, and of a virtual host all that stands in it.

        :returns: a row that was read beyond that.
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
                return self._pass_over(section, unread)
            self._open.append((indentation, section, []))
            return None
        spelling, _, text = row.partition(" ")
        # Few names for 200,000 directives.
        spelling = sys.intern(spelling)
        self._open[-1][2].append(Directive(sys.intern(spelling.lower()), spelling, text.strip(), *source))
        return None

    def _pass_over(self, section: Directive, unread: Iterator[str]) -> Optional[str]:
        inside: List[str] = []
        file, following = self._file, None
        for row in unread:
            if not row.startswith(_INDENTATION):
                if not row.startswith(_FILE):
                    following = None if row.startswith("</") else row
                    break
                self._file = row[len(_FILE):]
            inside.append(row)
        self._open[-1][2].append(section._replace(children=UnparsedContents("\n".join(inside), file)))
        return following

    def _close(self, indentation: int) -> None:
        """Close every section that is indented so far or farther."""
        while len(self._open) > 1 and self._open[-1][0] >= indentation:
            _, section, children = self._open.pop()
            self._open[-1][2].append(section._replace(children=tuple(children)))


class UnparsedContents(Sequence[Directive]):
    """What stands in a virtual host. To ask for it raises UnknowableError where it makes no sense.

    :param text: its rows.
    :param file: where the first of them stands.
    """

    __slots__ = ("_file", "_read", "_text")

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._read: Optional[Tuple[Directive, ...]] = None

    @property
    def names(self) -> List[Directive]:
        """Its ServerName and ServerAlias, without a reading of the rest."""
        found = []
        file = self._file
        for match in _NAMES.finditer(self._text):
            other_file, line, spelling, text = match.groups("")
            if spelling:
                found.append(Directive(spelling.lower(), spelling, text.strip(), *source_of(file, int(line))))
            else:
                file = other_file
        return found

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
    """A line of a macro's text is counted from the macro's own opening."""
    macro = _MACRO.match(file) if file.startswith("macro ") else None
    return Source(macro.group(2), int(macro.group(1)) + line) if macro else Source(file, line)
