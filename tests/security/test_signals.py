"""Certbot's signal handlers raise an exception at any moment."""
import os
import random
import signal
import threading
from typing import Any
from typing import Iterator

import pytest

from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import new_site

pytestmark = pytest.mark.lab

RUNS = 300


class InterruptionError(Exception):
    """The exception of the handler."""


@pytest.fixture
def armed() -> Iterator[threading.Event]:
    """An alarm that raises while it is armed, and a thread that receives it while the main thread blocks it."""
    armed = threading.Event()

    def interrupt(*args: Any) -> None:
        if armed.is_set():
            raise InterruptionError

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
    """After an exception at a random moment the process has its own user again, and the next withdraw removes all."""
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
            except InterruptionError:
                interrupted += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            armed.clear()
            assert _identity() == ourselves
            responder.withdraw()
            assert os.listdir(site.root) == []
    assert interrupted > RUNS // 10
