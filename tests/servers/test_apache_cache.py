"""The cached configuration of Apache answers the whole table."""
import pathlib
from typing import List

import pytest

from certbot_autowebroot.servers import apache
from certbot_autowebroot.servers.apache import ApacheServer
from certbot_autowebroot.servers.common import file_cache
from tests.lab.apache_table import ROWS
from tests.lab.apache_table import make_server
from tests.lab.random.apache_oracle import ask_evaluator
from tests.lab.random.apache_oracle import dumped_configuration
from tests.lab.random.apache_oracle import process_of

pytestmark = pytest.mark.lab


def test_cached_configuration_gives_same_answers(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One configuration, read once for the questions of many orders, answers like a new one for each."""
    monkeypatch.setattr(file_cache, "MIN_AGE", 0.0)
    dumps: List[int] = []
    dump = apache.dump
    monkeypatch.setattr(apache, "dump", lambda process, *more: dumps.append(1) or dump(process, *more))
    with make_server(tmp_path) as server:
        process, configuration = process_of(server), dumped_configuration(server)
        for row in ROWS:
            answer = ApacheServer().ask(process, row.request)
            assert list(answer) == ask_evaluator(configuration, row.request), row.name
    assert len(dumps) == 1
