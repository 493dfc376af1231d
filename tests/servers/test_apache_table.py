"""The table of Apache configurations: the evaluator alone, and with the real httpd."""
import pathlib
from collections import Counter
from typing import Iterator
from typing import List
from typing import Tuple

import pytest

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.servers.apache.configuration import Configuration
from tests.lab.apache import Apache
from tests.lab.apache_table import ROWS
from tests.lab.apache_table import TOP
from tests.lab.apache_table import Row
from tests.lab.apache_table import expected_words
from tests.lab.apache_table import make_server
from tests.lab.random.apache_oracle import ask_evaluator
from tests.lab.random.apache_oracle import ask_server
from tests.lab.random.apache_oracle import backends
from tests.lab.random.apache_oracle import described
from tests.lab.random.apache_oracle import dumped_configuration
from tests.lab.random.apache_oracle import fill
from tests.lab.random.apache_oracle import put_files
from tests.lab.random.apache_oracle import read_configuration
from tests.lab.random.apache_oracle import request_for


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Tuple[pathlib.Path, Configuration]:
    """The directory of the table, and the configuration as our parser reads it."""
    directory = tmp_path_factory.mktemp("apache-files")
    return directory, read_configuration(make_server(directory))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuple[pathlib.Path, Configuration, Configuration]]:
    """A real httpd with the table: its directory, its dump, and the configuration as our parser reads it."""
    directory = tmp_path_factory.mktemp("apache")
    with backends(directory), make_server(directory) as running:
        yield directory, dumped_configuration(running), read_configuration(running)


def check(destinations: List[Destination], row: Row, directory: pathlib.Path) -> None:
    """Compare the evaluator's answer with a row, and the last step of a dead end with its reason."""
    assert described(destinations)[0] == expected_words(row.expected, directory, row.name), destinations
    if row.reason:
        assert isinstance(destinations[0], DeadEnd)
        step = destinations[0].trail[-1]
        assert row.reason.lower() in f"{destinations[0].reason} {step}".lower()
        assert step.source is not None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_evaluator(row: Row, files: "Tuple[pathlib.Path, Configuration]") -> None:
    """Our parser and the evaluator give the expected answer; no httpd is needed."""
    directory, read = files
    check(ask_evaluator(read, row.request), row, directory)


@pytest.mark.lab
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_server(row: Row, server: "Tuple[pathlib.Path, Configuration, Configuration]") -> None:
    """The real httpd, its dump and the files that our parser reads give the expected answer."""
    directory, dumped, read = server
    destinations = ask_evaluator(dumped, row.request)
    put_files(destinations)
    answer = ask_server(row.request)
    expected = expected_words(row.expected, directory, row.name)
    assert (answer.startswith("none") and expected == "none") or answer == expected, answer
    check(destinations, row, directory)
    assert described(ask_evaluator(read, row.request)) == described(destinations)


def test_names_are_unique() -> None:
    """A row's name is its host name: the same name twice would test one row twice."""
    assert [name for name, count in Counter(row.name for row in ROWS).items() if count > 1] == []


@pytest.mark.lab
@pytest.mark.parametrize("lines, expected", [
    ("#none", "www/W/T"), ("RewriteEngine On", "none"),
    ("<Directory /nothing>\nRewriteEngine On\n</Directory>", "none"),
    ("RewriteOptions AllowNoSlash", "www/W/T"), ("RewriteEngine Off", "www/W/T")])
def test_virtual_host_with_any_rewrite_directive_inherits_rewrite_options(lines: str, expected: str,
                                                                         tmp_path: pathlib.Path) -> None:
    """The main server's Inherit holds in a virtual host with a directive of mod_rewrite, but no RewriteOptions."""
    # The httpd of the table has port 80.
    top = TOP.replace("80\n", "8090\n").replace(":80>", ":8090>")
    top += "RewriteEngine On\nRewriteOptions Inherit\nRewriteRule ^ - [F]\n"
    fill(tmp_path / "www")
    (tmp_path / "first").mkdir()
    request = request_for("inherits.test", port=8090)
    with Apache(tmp_path, f"{top}<VirtualHost *:8090>\nServerName inherits.test\n{lines}\n</VirtualHost>\n") as server:
        destinations = ask_evaluator(dumped_configuration(server), request)
        answer = ask_server(request)
        assert described(ask_evaluator(read_configuration(server), request)) == described(destinations)
    assert described(destinations) == [expected_words(expected, tmp_path)]
    assert answer == ("none 403" if expected == "none" else described(destinations)[0])
