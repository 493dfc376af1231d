"""The process that writes into a document root: signals, its user, threads and descriptors."""
import gc
import os
import signal
import threading
from typing import Any
from typing import Iterator

import pytest

from certbot_autowebroot.responders import safe_directories
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import OWNER
from tests.lab.hostile_site import STRANGER
from tests.lab.hostile_site import Site

pytestmark = pytest.mark.lab


def identity() -> Any:
    umask = os.umask(0)
    os.umask(umask)
    return os.getresuid(), os.getresgid(), os.getgroups(), umask, signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.fixture(params=[False, True], ids=["alone", "with a thread"])
def thread(request: Any) -> Iterator[None]:
    """A thread of a responder, which receives the signals that the main thread has blocked."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    if request.param:
        thread.start()
    yield
    stop.set()
    if request.param:
        thread.join()


@pytest.mark.usefixtures("thread")
@pytest.mark.parametrize("function", ["mkdir", "open", "write", "fstat"])
def test_interrupted(site: Site, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    """Certbot raises from its signal handlers: no file is left, and the process has its own user again."""
    ourselves = identity()
    real = getattr(os, function)
    before = site.tree()

    def interrupted(*args: Any, **kwargs: Any) -> None:
        result = real(*args, **kwargs)
        if os.geteuid() == OWNER:
            monkeypatch.undo()
            os.kill(os.getpid(), signal.SIGINT)
        elif function == "fstat" and os.path.exists(site.file):
            monkeypatch.undo()
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(os, function, interrupted)
    responder = site.responder()
    with pytest.raises(KeyboardInterrupt):
        responder.publish(CONTENT)
    assert identity() == ourselves
    assert site.tree() == before


def test_identity_is_restored(site: Site) -> None:
    """After an act as the owner, failed or not, user, groups, umask and signals are as before."""
    held = safe_directories.Walk(site.view).to(site.root)[-1]
    before = identity()
    during = safe_directories.as_owner(held, identity)
    assert during[:4] == ((0, OWNER, 0), (0, 65534, 0), [65534], 0o022)
    assert during[4] >= {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    with pytest.raises(ZeroDivisionError):
        safe_directories.as_owner(held, lambda: 1 // 0)
    assert identity() == before


def test_root_is_restored_at_the_next_act(site: Site) -> None:
    """If an exception has left the process as another user, the next act restores root."""
    responder = site.responder()
    responder.publish(CONTENT)
    os.seteuid(STRANGER)
    responder.withdraw()
    assert os.geteuid() == 0
    assert os.listdir(site.root) == []


@pytest.mark.usefixtures("thread")
def test_with_threads(site: Site) -> None:
    """A thread that serves meanwhile does not interfere."""
    responder = site.responder()
    responder.publish(CONTENT)
    assert os.stat(site.file).st_uid == OWNER
    responder.withdraw()
    assert os.listdir(site.root) == []


def test_descriptors_of_a_large_order(site: Site) -> None:
    """A hundred names in a hundred document roots stay far below the usual limit of 1024 descriptors."""
    gc.collect()  # tracebacks of other tests
    before = len(os.listdir("/proc/self/fd"))
    responders = []
    for number in range(100):
        for token in ("one", "two"):
            root = site.path(f"www{number}") if token == "two" else site.make(f"www{number}")
            responders.append(site.responder(token, root=root))
            responders[-1].publish(CONTENT)
    assert len(os.listdir("/proc/self/fd")) - before < 400
    for responder in responders:
        responder.withdraw()
    del responder, responders
    assert len(os.listdir("/proc/self/fd")) == before
    assert all(os.listdir(site.path(f"www{number}")) == [] for number in range(100))
