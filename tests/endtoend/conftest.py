"""One CA for a test process, one Certbot and one public directory for each test."""
import shutil
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from tests.lab.ca import CA
from tests.lab.certbot import Certbot


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
