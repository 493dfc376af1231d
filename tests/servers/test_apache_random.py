"""Random configurations, held against a real httpd. ``python -m tests.lab.random.apache`` holds many more."""
import typing
from collections import Counter
from pathlib import Path

from tests.lab.random import apache


def test_no_disagreement_and_hardly_an_unknown(tmp_path: Path) -> None:
    """Of 300 virtual hosts, httpd does what we say with every request; of 100 answers fewer than 2 are unknown."""
    counts: typing.Counter[str] = Counter()
    found = [text for seed in range(6) for text in apache.hold(seed, tmp_path, counts)]
    assert found == []
    assert counts["configurations"] >= 295
    assert counts["answers"] >= 880
    assert counts["Directory"] >= 300
    assert counts["Unknown"] * 100 < 2 * counts["answers"]
