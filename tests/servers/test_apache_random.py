"""Random configurations, against a real httpd. ``python -m tests.lab.random.apache_random`` runs many more."""
import pathlib
import typing
from collections import Counter

import pytest

from tests.lab.random import apache_random

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("seeds", [range(3), range(3, 6)], ids=str)
def test_no_disagreement_and_hardly_an_unknown(seeds: range, tmp_path: pathlib.Path) -> None:
    """Of 150 virtual hosts, httpd does what we say with every request; of 100 answers fewer than 2 are unknown."""
    counts: typing.Counter[str] = Counter()
    mismatches = [text for seed in seeds for text in apache_random.run_batch(seed, tmp_path, counts)]
    assert mismatches == []
    assert counts["configurations"] >= 147
    assert counts["answers"] >= 440
    assert counts["Directory"] >= 130
    assert counts["Unknown"] * 100 < 2 * counts["answers"]


def test_dead_ends_name_the_deciding_line(tmp_path: pathlib.Path) -> None:
    """Without the line that a dead end names, httpd answers otherwise; of 100 lines at most one is wrong."""
    counts: typing.Counter[str] = Counter()
    wrong = [text for seed in range(20, 23) for text in apache_random.wrong_lines(seed, tmp_path, counts)]
    assert counts["named lines"] >= 65
    assert len(wrong) * 100 <= counts["named lines"], "\n".join(wrong)
