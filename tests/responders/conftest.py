"""A document root of another user for each test."""
from typing import Iterator

import pytest

from tests.lab.hostile_site import Site
from tests.lab.hostile_site import new_site


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as site:
        yield site
