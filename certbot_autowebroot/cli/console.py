"""Output of all commands: exit status, printable text, progress on a terminal."""
import os
import sys
import time
from typing import TextIO

from certbot_autowebroot.system.terminal import printable as printable

#: Exit status where nothing could be checked.
COULD_NOT_CHECK = 2

#: The file name of the output in an error.
OUTPUT = "standard output"

#: The number of steps from which progress is shown, and the seconds between two updates.
_MANY = 10
_PAUSE = 0.1


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
    except BrokenPipeError:  # Python would complain once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, OUTPUT) from error


def complain(text: str) -> None:
    """Print an error of the command, or a note, of one line or more."""
    say(f"certbot-autowebroot: {printable_lines(text)}\n", sys.stderr)


def printable_lines(text: str) -> str:
    """Text whose line ends stay, and whose other control characters are escaped."""
    return "\n".join(map(printable, text.split("\n")))


def reason(error: OSError, path: str) -> str:
    """Why nothing could be checked.

    :param path: the one that counts where the error has none.
    """
    as_root = " (run it as root)" if isinstance(error, PermissionError) else ""
    return f"{error.filename or path}: {error.strerror or error}{as_root}"


class Progress:
    """One line on a terminal with the progress of long work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0.0

    def show(self, stage: str, done: int, of: int) -> None:
        """Print it, at most ten times a second."""
        now = time.monotonic()
        if of >= _MANY and now - self._shown > _PAUSE and is_terminal(self._stream):
            self._shown = now
            self._stream.write(f"\r\033[K{stage}: {done + 1} of {of}")
            self._stream.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            self._stream.write("\r\033[K")
            self._stream.flush()
