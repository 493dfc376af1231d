"""A document root of another user, and a FIFO that records whether it is opened."""
import os
import threading
from typing import Any
from typing import Iterator

import pytest

from tests.lab.hostile_site import Site
from tests.lab.hostile_site import new_site


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as site:
        yield site


@pytest.fixture
def bell(site: Site) -> Iterator[Any]:
    """A FIFO in place of a device with side effects: whether any process has opened it for reading."""
    path = site.path("bell")
    os.mkfifo(path)
    os.chmod(path, 0o666)
    rung = threading.Event()
    thread = threading.Thread(target=lambda: (os.close(os.open(path, os.O_WRONLY)), rung.set()))
    thread.start()
    yield lambda: rung.wait(0.1)
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    thread.join()
