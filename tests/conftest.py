"""Temporary directories of this run alone, and the machine of the lab for each test that is marked ``lab``."""
import shutil
import signal
import tempfile

import pytest

from tests.lab.machine import lab_machine

__all__ = ["lab_machine"]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Temporary directories of this run alone, or else the next run that starts shuts the servers of this one out.

    pytest keeps the directories of all runs in one, and sets that back to mode 0700 each time it starts.
    """
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="certbot-tests-")
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))


def pytest_sessionstart() -> None:
    """Let tests interrupt their programs where a script runs this one with "&": its child ignores SIGINT and SIGQUIT.

    And a child of that one ignores them as well: sh(1), "Background Commands".
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_itemcollected(item: pytest.Item) -> None:
    """The marker's fixture comes first: before the servers that fixtures of the same scope start."""
    if isinstance(item, pytest.Function) and item.get_closest_marker("lab"):
        item.fixturenames.insert(0, "lab_machine")
