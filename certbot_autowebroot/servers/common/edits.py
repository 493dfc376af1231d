"""A configuration as it would be with lines put in: the remedy is checked before it is printed.

Nothing is written. The server's evaluator reads its files through a view in which some have another text.
"""
import os
import re
import stat
import time
from typing import Dict
from typing import Iterable
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence

from certbot_autowebroot.interfaces import Edit
from certbot_autowebroot.system.views import View

#: No file has so many lines.
_AFTER_ALL = 2 ** 31


class NoPlaceError(Exception):
    """A file has no such place for lines."""


class EditedView(View):
    """A view in which some files have another text.

    :ivar edited: their paths.

    :param texts: by path.
    """

    def __init__(self, view: View, texts: Mapping[str, str]) -> None:
        super().__init__(-1, confined=not view.is_host, uid=view.uid, gids=view.gids)
        self.edited = frozenset(texts)
        self._view = view
        self._texts = texts

    def open(self, path: str, flags: int) -> int:
        """As :class:`View`: the file as it is."""
        return self._view.open(path, flags)

    def read(self, path: str) -> bytes:
        """As :class:`View`, with the edits."""
        if path in self._texts:
            return self._texts[path].encode("utf-8", "surrogateescape")
        return self._view.read(path)

    def stat(self, path: str) -> Optional[os.stat_result]:
        """As :class:`View`; an edited file has changed just now, so that no cache takes it for the one on disk."""
        if path not in self._texts:
            return self._view.stat(path)
        now = int(time.time())
        return os.stat_result((stat.S_IFREG | 0o644, 0, 0, 1, 0, 0, len(self._texts[path]), now, now, now))

    def list_dir(self, path: str) -> List[str]:
        """As :class:`View`."""
        return self._view.list_dir(path)


def edited(edits: Iterable[Edit], view: View) -> Dict[str, str]:
    """The texts of the edited files, by path.

    :raises NoPlaceError: a file has no such place.
    :raises OSError: a file cannot be read.
    """
    texts: Dict[str, str] = {}
    # From the end, so that the numbers of the lines above stay as they are.
    for edit in sorted(edits, key=lambda edit: edit.line or _AFTER_ALL, reverse=True):
        if edit.file not in texts:
            texts[edit.file] = view.read(edit.file).decode("utf-8", "surrogateescape")
        texts[edit.file] = _with_lines(texts[edit.file], edit)
    return texts


def line_of(text: str, lines: Sequence[str]) -> int:
    """The number of the line at which a text has these lines, however they are indented; 0 where it has not."""
    wanted = [line.strip() for line in lines]
    present = [line.strip() for line in text.splitlines()]
    return next((number for number in range(1, len(present) - len(wanted) + 2)
                 if wanted and present[number - 1:number - 1 + len(wanted)] == wanted), 0)


def _with_lines(text: str, edit: Edit) -> str:
    block = "".join(line + "\n" for line in edit.lines)
    if not edit.line:
        return f"{text}\n{block}" if text and not text.endswith("\n") else text + block
    lines = text.splitlines(keepends=True)
    if edit.line > len(lines):
        raise NoPlaceError(edit)
    start = sum(map(len, lines[:edit.line - 1]))
    end = start + len(lines[edit.line - 1])
    if edit.instead_of_block:
        beginning = re.search(edit.instead_of_block, text[start:end])
        if beginning is None:
            raise NoPlaceError(edit)
        start += beginning.start()
        return text[:start] + block + text[_end_of_block(text, start):]
    if edit.instead:
        return text[:start] + block + text[end:]
    if not edit.inside:
        return text[:start] + block + text[start:]
    # A block may be on one line, and its brace may be on the next.
    openings = [match for match in re.finditer(edit.inside, text[start:]) if start + match.start() < end]
    for match in reversed(openings):
        text = text[:start + match.end()] + "\n" + block + text[start + match.end():]
    if not openings:
        raise NoPlaceError(edit)
    return text


def _end_of_block(text: str, start: int) -> int:
    """The end of the first block in braces."""
    depth = 0
    for match in re.finditer(r"[{}]", text[start:]):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return start + match.end()
    raise NoPlaceError(text[start:start + 80])
