"""One CA for a test process, one Certbot and one public directory for each test."""
import shutil
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.outside import Outside
from tests.lab.outside_orders import Orders


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CA]:
    with CA(tmp_path_factory.mktemp("ca")) as running:
        yield running


@pytest.fixture
def certbot(ca: CA, tmp_path: Path) -> Certbot:
    return Certbot(tmp_path, ca)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that a web server's worker may enter; pytest's own are below one that is root's alone."""
    path = Path(tempfile.mkdtemp(prefix="autowebroot-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """The world outside of the machine, for tests that say what machine it is."""
    with Outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture
def orders(outside: Outside, tmp_path: Path, place: Path) -> Orders:
    """A Certbot whose CA is outside."""
    return Orders(outside, tmp_path, place)
