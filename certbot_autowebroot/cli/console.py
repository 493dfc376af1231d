"""Output of all commands: exit status, printable text, colours and progress on a terminal."""
import enum
import os
import sys
import threading
import time
from typing import Callable
from typing import Mapping
from typing import Optional
from typing import TextIO

from certbot_autowebroot.order.progress import SILENCE
from certbot_autowebroot.order.progress import in_words
from certbot_autowebroot.system.terminal import printable as printable

#: Exit status where nothing could be checked.
COULD_NOT_CHECK = 2

#: The file name of the output in an error.
OUTPUT = "standard output"

#: The number of steps from which progress is shown, and the seconds between two updates.
_MANY = 10
_PAUSE = 0.1
#: Characters of the bar.
_BAR = 20


class Colour(enum.Enum):
    """What a line means, by its colour. The values are those of SGR (ECMA-48)."""

    GOOD = "32"
    DOUBTFUL = "33"
    BAD = "31"
    UNJUDGED = "2"


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads along, on a terminal with a cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def say(text: str, stream: TextIO) -> None:
    """Print; a closed pipe is no error.

    :raises OSError: there is no space left; with :data:`OUTPUT` as the name of the file.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # Python would write the same once more at exit, complain, and end with status 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            raise OSError(error.errno, error.strerror, OUTPUT) from error


def coloured(text: str, colour: Optional[Colour], stream: TextIO) -> str:
    """Text of ours whose first line has a colour: on a terminal, and without NO_COLOR (no-color.org)."""
    if colour is None or os.environ.get("NO_COLOR") or not is_terminal(stream):
        return text
    first, newline, rest = text.partition("\n")
    return f"\033[{colour.value}m{first}\033[0m{newline}{rest}"


def complain(text: str, colour: Optional[Colour] = None) -> None:
    """Print an error of the command, or a note, of one line or more."""
    say(coloured(f"certbot-autowebroot: {printable_lines(text)}\n", colour, sys.stderr), sys.stderr)


def printable_lines(text: str) -> str:
    """Text whose line ends stay, and whose other control characters are escaped."""
    return "\n".join(map(printable, text.split("\n")))


def reason(error: OSError, path: str) -> str:
    """Why nothing could be checked.

    :param path: the one that counts where the error has none.
    """
    as_root = " (run it as root)" if isinstance(error, PermissionError) else ""
    return f"{error.filename or path}: {error.strerror or error}{as_root}"


def bar(done: int, of: int) -> str:
    """A bar as long as the part of the work that is done: ``[#####...............]``."""
    return f"[{'#' * (done * _BAR // of):.<{_BAR}}]"


class Progress:
    """One line on a terminal with the progress of long work; removed at the end of the ``with``.

    It appears for work of many steps, and when nothing has been printed for three seconds.

    :param limits: how long the waits of a stage take at most, in words, by stage; called at a terminal only.
    """

    def __init__(self, stream: TextIO, limits: Callable[[], Mapping[str, str]]) -> None:
        self._stream = stream
        self._is_terminal = is_terminal(stream)
        # Not later: the thread must not import while the process acts as another user.
        self._limits = limits() if self._is_terminal else {}
        self._line = ""
        self._started = time.monotonic()
        self._shown = 0.0
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> "Progress":
        if self._is_terminal:
            threading.Thread(target=self._end_silence, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with self._lock:
            if self._shown:
                self._stream.write("\r\033[K")
                self._stream.flush()

    def show(self, stage: str, done: int, of: int) -> None:
        """Note it; print it at most ten times a second."""
        of_many = f"{bar(done, of)} " if of > 1 else ""
        self._line = of_many + in_words(stage, done, of, self._limits)
        if self._is_terminal and of >= _MANY and time.monotonic() - self._shown > _PAUSE:
            self._print()

    def _end_silence(self) -> None:
        while not self._ended.wait(_PAUSE):
            if self._line and time.monotonic() - max(self._started, self._shown) > SILENCE:
                self._print()

    def _print(self) -> None:
        with self._lock:
            if not self._ended.is_set():
                self._shown = time.monotonic()
                self._stream.write(f"\r\033[K{self._line}")
                self._stream.flush()
