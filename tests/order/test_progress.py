"""A long order shows its progress, a short one does not."""
import queue
import time
from pathlib import Path
from typing import List
from typing import Tuple

import pytest
from certbot.display import util as display

from certbot_autowebroot.order.candidates import OrderOptions
from certbot_autowebroot.order.progress import ASKING
from certbot_autowebroot.order.progress import FOLLOWING
from certbot_autowebroot.order.progress import Notices
from certbot_autowebroot.order.solver import Solver
from certbot_autowebroot.responders.journal import Journal
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4


def test_silence_of_a_long_order_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the stage, and how long each of its waits takes at most."""
    notices: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(display, "notify", notices.put)
    with Notices(silence=0.1) as progress:
        assert notices.get(timeout=60) == "autowebroot is resolving names (at most 5 s)"
        progress.show(ASKING, 41, 100)
        assert notices.get(timeout=60) == \
            "autowebroot is asking front endpoints: 42 of 100 (at most 10 s for each request)"


def test_short_order_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a notice come after its end."""
    notices: List[str] = []
    monkeypatch.setattr(display, "notify", notices.append)
    with Notices(silence=0.2):
        pass
    time.sleep(0.4)
    assert notices == []


@pytest.mark.lab
def test_progress_counts_names_and_endpoints(tmp_path: Path) -> None:
    """In the order in which the solver handles them."""
    events: List[Tuple[str, int, int]] = []
    solver = Solver(OrderOptions(80), Journal(str(tmp_path / "journal")), lambda *what: events.append(what))
    solver.find_out([PUBLIC_V4, OTHER_V4])
    assert events == [(stage, number, 2) for stage in (FOLLOWING, ASKING) for number in (0, 1)]
