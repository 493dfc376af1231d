"""The whole table of Apache, from a configuration that is kept."""
import pathlib
from typing import List
from typing import Tuple

import pytest

from certbot_autowebroot.servers import apache
from certbot_autowebroot.servers.apache import ApacheServer
from certbot_autowebroot.servers.common import file_cache
from tests.lab.random.apache_oracle import TOKEN
from tests.lab.random.apache_oracle import Asked
from tests.lab.random.apache_oracle import Evaluators
from tests.servers import test_apache_table as table

lab = table.lab


def test_every_row_is_the_same_from_what_is_kept(lab: "Tuple[pathlib.Path, Evaluators]",
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """One configuration, read once for all questions of many orders, answers as one that is read for each."""
    monkeypatch.setattr(file_cache, "MIN_AGE", 0.0)
    asked_of_the_binary: List[int] = []
    real = apache.dump
    monkeypatch.setattr(apache, "dump", lambda process, *more: asked_of_the_binary.append(1) or real(process, *more))
    _, evaluators = lab
    for row in table.ROWS:
        asked = Asked(row.host or f"{row.name}.test", table._PATHS.get(row.name, f"{table.W}/{TOKEN}"))
        answer = ApacheServer().ask(evaluators.process, asked.request)
        assert list(answer) == evaluators.destinations(asked, evaluators.dumped), row.name
    assert len(asked_of_the_binary) == 1
