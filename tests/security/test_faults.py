"""A failing system call gives an error with a reason, and leaves nothing behind."""
import pytest

from tests.security import faults

pytestmark = pytest.mark.lab


def test_each_change_fails() -> None:
    """Each call that changes something fails once with each error: an error with the reason, or a later removal."""
    table = faults.inject()
    assert table.failures == []
    assert len(table.rows) > 50


def test_real_file_systems() -> None:
    """Full and read-only file systems, of the document root and of the journal."""
    table = faults.real()
    assert table.failures == []
    assert len(table.rows) == len(faults.REAL)
