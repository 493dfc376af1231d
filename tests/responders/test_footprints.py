"""Footprints from the lines of a journal."""
import json
from typing import Any

import pytest

from certbot_autowebroot.responders.footprints import parse
from tests.lab.hostile_site import ENTRY


@pytest.mark.parametrize("field, value", [
    ("number", "1"), ("number", None), ("path", "relative"), ("path", 1), ("path", "/a\0b"), ("parent", [1]),
    ("parent", "ab"), ("parent", [float("inf"), 1]), ("name", "../../etc"), ("name", ""), ("name", ["a"]),
    ("draft", "../etc"), ("draft", ""), ("draft", None), ("uid", "root"), ("sha256", None), ("sha256", "00"),
    ("more", 1)])
def test_wrong_fields(field: str, value: Any) -> None:
    """A line with a field of another type, a name with a slash, or neither file nor directory is ignored."""
    assert parse(json.dumps(ENTRY).encode()) != []
    assert parse(json.dumps({**ENTRY, field: value}).encode()) == []
