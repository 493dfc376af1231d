"""Limits to the time that others may take: CPU time for their input, and time of waiting for their programs."""
import contextlib
import signal
import threading
import time
from types import FrameType
from typing import Iterator
from typing import NoReturn
from typing import Optional

#: Seconds after which the exception is raised again, if the first was in a place that swallows it (``__del__``).
_REPEAT = 0.1


class TimeLimitError(Exception):
    """The CPU time is used up."""


@contextlib.contextmanager
def cpu_time(seconds: float) -> Iterator[None]:
    """Raise :class:`TimeLimitError` in the block after so many seconds of CPU time of this process.

    For work without a simple bound: a file of 16 MB may ask for 10^10 comparisons. Only the main thread gets signals:
    in another thread there is no limit. Do not nest it.
    """
    if seconds <= 0:
        raise TimeLimitError
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGPROF, _stop)
    try:
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds, _REPEAT)
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    finally:
        signal.signal(signal.SIGPROF, before)


class Waiting:
    """Time for many short waits together, each of which a user may make longer: use it as ``with``.

    :ivar left: seconds.
    """

    def __init__(self, seconds: float) -> None:
        self.left = seconds
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.left -= time.monotonic() - self._started


def _stop(number: int, frame: Optional[FrameType]) -> NoReturn:
    raise TimeLimitError
