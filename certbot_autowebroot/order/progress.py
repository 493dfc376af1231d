"""Messages about work that takes long: its stages, how long each waits at most, and how Certbot shows them."""
import threading
from typing import Callable
from typing import Dict
from typing import Mapping

#: What is being done, in words; how many are done; of how many.
Progress = Callable[[str, int, int], None]

RESOLVING = "resolving names"
FOLLOWING = "following requests"
ASKING = "asking front endpoints"
HANDSHAKES = "looking at certificates on port 443"
OTHERS = "waiting for another authenticator"

#: Seconds without output after which a person wonders.
SILENCE = 3.0


def in_words(stage: str, done: int, of: int, limits: Mapping[str, str]) -> str:
    """A stage, how far it is, and the limit of its waits."""
    count = f": {done + 1} of {of}" if of > 1 else ""
    limit = f" ({limits[stage]})" if stage in limits else ""
    return f"{stage}{count}{limit}"


def limits() -> Dict[str, str]:
    """How long the waits of an order's stages take at most, in words, by stage. Only long work pays for the imports."""
    from certbot_autowebroot.order import candidates
    from certbot_autowebroot.order import fallback
    from certbot_autowebroot.routing import probe
    from certbot_autowebroot.servers.apache.dump import TIMEOUT
    from certbot_autowebroot.system import dns
    return {RESOLVING: f"at most {dns.TIMEOUT:.0f} s",
            FOLLOWING: f"at most {TIMEOUT:.0f} s for each program, "
                       f"{candidates.MAX_GUESSING:.0f} s for guessed directories",
            ASKING: f"at most {probe.TIMEOUT:.0f} s for each request",
            OTHERS: f"at most {fallback.PATIENCE:.0f} s for its answer"}


class Notices:
    """Tells in Certbot's own display what is waited for: nothing of a short order, nothing with ``--quiet``.

    Within the ``with``, a notice comes after three seconds, and each later one after twice as long as the one before.

    :param silence: the seconds before the first.
    """

    def __init__(self, silence: float = SILENCE) -> None:
        self._silence = silence
        self._stage = (RESOLVING, 0, 1)
        self._ended = threading.Event()

    def __enter__(self) -> "Notices":
        self._ended = threading.Event()
        threading.Thread(target=self._end_silence, args=(self._ended,), daemon=True, name="autowebroot-notices").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def show(self, stage: str, done: int, of: int) -> None:
        """Note what is being done."""
        self._stage = (stage, done, of)

    def _end_silence(self, ended: threading.Event) -> None:
        from certbot.display import util as display  # late for speed: check has a display of its own
        silence = self._silence
        while not ended.wait(silence):
            silence *= 2
            display.notify(f"autowebroot is {in_words(*self._stage, limits())}")
