"""Certbot's signal handlers raise an exception, at any moment."""
import os
import random
import signal
import threading
from typing import Any
from typing import Iterator

import pytest

from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import new_site

RUNS = 300


class Interrupted(Exception):
    """What the handler raises."""


@pytest.fixture
def armed() -> Iterator[threading.Event]:
    """An alarm that raises while it is armed, and a thread that takes it where the main thread has blocked it."""
    armed = threading.Event()

    def interrupt(*args: Any) -> None:
        if armed.is_set():
            raise Interrupted

    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    before = signal.signal(signal.SIGALRM, interrupt)
    thread.start()
    yield armed
    stop.set()
    thread.join()
    signal.signal(signal.SIGALRM, before)


def _identity() -> Any:
    return os.getresuid(), os.getresgid(), os.getgroups(), signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # raised while a descriptor is closed
def test_interrupted_anywhere(armed: threading.Event) -> None:
    """After an exception at a random moment we are who we were, and the next withdraw leaves nothing."""
    interrupted = 0
    chance = random.Random(8555)  # noqa: S311
    with new_site() as site:
        ourselves = _identity()
        for _ in range(RUNS):
            responder = site.responder()
            try:
                try:
                    armed.set()
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-5, 2e-3))
                    responder.publish(CONTENT)
                    responder.withdraw()
                finally:
                    armed.clear()
            except Interrupted:
                interrupted += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            armed.clear()
            assert _identity() == ourselves
            responder.withdraw()
            assert os.listdir(site.root) == []
    assert interrupted > RUNS // 10
