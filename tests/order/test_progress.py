"""A long order shows its progress, a short one does not."""
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


def test_few_notices_of_a_long_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred names, one second each; a short order has none."""
    now = 0.0
    said: List[Tuple[float, str]] = []
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(display, "notify", lambda text: said.append((now, text)))
    notices = Notices()
    for number in range(100):
        notices.show(ASKING, number, 100)
        now += 1
    assert said == [(float(second), f"autowebroot is asking front endpoints: {second + 1} of 100")
                    for second in (5, 10, 20, 40, 80)]


@pytest.mark.lab
def test_progress_counts_names_and_endpoints(tmp_path: Path) -> None:
    """In the order in which the solver handles them."""
    events: List[Tuple[str, int, int]] = []
    solver = Solver(OrderOptions(80), Journal(str(tmp_path / "journal")), lambda *what: events.append(what))
    solver.find_out([PUBLIC_V4, OTHER_V4])
    assert events == [(stage, number, 2) for stage in (FOLLOWING, ASKING) for number in (0, 1)]
