"""Fixtures of tests with a real CA: one CA for a test process, one Certbot for each test."""
from pathlib import Path
from typing import Iterator

import pytest

from tests.lab.ca import CA
from tests.lab.certbot import SHORT_SLEEPS
from tests.lab.certbot import Certbot


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CA]:
    with CA(tmp_path_factory.mktemp("ca")) as running:
        yield running


@pytest.fixture
def reusing_ca(ca: CA, tmp_path: Path) -> Iterator[CA]:
    """A CA that reuses valid authorizations, in place of the other one."""
    ca.stop()
    with CA(tmp_path / "reusing", reuses=True) as reusing:
        yield reusing
    ca.start()


@pytest.fixture
def certbot(ca: CA, tmp_path: Path) -> Certbot:
    return Certbot(tmp_path, ca, SHORT_SLEEPS)
