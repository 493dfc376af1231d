"""Random configurations, against a real nginx. ``python -m tests.lab.random.nginx_random`` runs many more."""
import typing
from collections import Counter
from pathlib import Path

import pytest

from tests.lab.nginx import Nginx
from tests.lab.random import nginx_random
from tests.lab.random.nginx_oracle import BACKENDS


@pytest.mark.lab
def test_random_configurations(tmp_path: Path) -> None:
    """For 400 server blocks nginx does what the evaluator says; fewer than 2 of 100 answers are unknown."""
    counts: typing.Counter[str] = Counter()
    with Nginx(tmp_path / "backends", BACKENDS):
        mismatches = [text for seed in range(40) for text in nginx_random.run_batch(seed, tmp_path, counts)]
    assert mismatches == []
    assert counts["configurations"] >= 390
    assert counts["answers"] >= 900
    assert counts["Unknown"] * 100 < 2 * counts["answers"]


@pytest.mark.lab
def test_dead_ends_name_the_deciding_line(tmp_path: Path) -> None:
    """Without the line that a dead end names, nginx answers otherwise; of 100 lines at most one is wrong."""
    counts: typing.Counter[str] = Counter()
    wrong = [text for seed in range(12) for text in nginx_random.wrong_lines(seed, tmp_path, counts)]
    assert counts["named lines"] >= 180
    assert len(wrong) * 100 <= counts["named lines"], "\n".join(wrong)
