"""What all commands share: exit status, text that is safe to print, progress on a terminal."""
import os
import time
from typing import TextIO

from certbot_autowebroot.system.terminal import printable as printable

#: Exit status where nothing could be looked at.
COULD_NOT_LOOK = 2

#: What the output is called in an error.
OUTPUT = "standard output"

#: Less than this many is no long work; seconds between two signs of life.
_MANY = 10
_PAUSE = 0.1


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads along, on something that moves a cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def say(text: str, stream: TextIO) -> None:
    """Print; whoever has read enough and gone is not waited for.

    :raises OSError: there is no room for it; with :data:`OUTPUT` as the name of the file.
    """
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:  # Python would complain once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, OUTPUT) from error


class Progress:
    """One line on a terminal that says how far long work has come."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0.0

    def show(self, stage: str, done: int, of: int) -> None:
        """Say it, not more often than a person reads."""
        now = time.monotonic()
        if of >= _MANY and now - self._shown > _PAUSE and is_terminal(self._stream):
            self._shown = now
            self._stream.write(f"\r\033[K{stage}: {done + 1} of {of}")
            self._stream.flush()

    def clear(self) -> None:
        """Make room for what was found."""
        if self._shown:
            self._stream.write("\r\033[K")
            self._stream.flush()
