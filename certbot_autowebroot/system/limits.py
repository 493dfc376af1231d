"""An end to what strangers' input makes us compute."""
import contextlib
import signal
import threading
from types import FrameType
from typing import Iterator
from typing import NoReturn
from typing import Optional

#: Seconds after which it is raised once more, where the first time was in a place that swallows it (``__del__``).
_AGAIN = 0.1


class TimeLimitError(Exception):
    """The time is up."""


@contextlib.contextmanager
def cpu_time(seconds: float) -> Iterator[None]:
    """Raise :class:`TimeLimitError` inside once that has taken so many seconds of our CPU time.

    For what has no simple bound of its own: a file of 16 MB may ask for 10^10 comparisons, each of them honest.
    Only the main thread gets signals: in another one there is no limit. Not to be nested.
    """
    if seconds <= 0:
        raise TimeLimitError
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGPROF, _stop)
    try:
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN)
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    finally:
        signal.signal(signal.SIGPROF, before)


def _stop(number: int, frame: Optional[FrameType]) -> NoReturn:
    raise TimeLimitError
