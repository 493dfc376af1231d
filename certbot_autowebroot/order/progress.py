"""What is told of long work while it goes on, and how Certbot shows it."""
import time
from typing import Callable

#: What is being done, in words; how many are done; of how many.
Progress = Callable[[str, int, int], None]

RESOLVING = "resolving names"
FOLLOWING = "following requests"
ASKING = "asking front endpoints"
HANDSHAKES = "looking at certificates on port 443"

#: Seconds of silence before the first sign of life; each later one takes twice as long as the one before.
_SILENCE = 5.0


class Notices:
    """Signs of life in Certbot's own display: none of a short order, few of a long one, none with ``--quiet``."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._silence = _SILENCE

    def show(self, stage: str, done: int, of: int) -> None:
        """Say it, if it is time to."""
        if time.monotonic() - self._started >= self._silence:
            self._silence *= 2
            from certbot.display import util as display  # late for speed: check has a display of its own
            display.notify(f"autowebroot is {stage}: {done + 1} of {of}")
