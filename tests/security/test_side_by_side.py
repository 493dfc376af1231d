"""Several Certbots at once on one document root."""
import functools
import os
from typing import List

import pytest

from certbot_autowebroot.responders.journal import Journal
from tests.lab import children
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import Site
from tests.lab.hostile_site import new_site

pytestmark = pytest.mark.lab

RUNS = 150


def _renew(site: Site, number: int, journal: str) -> None:
    """The job of one process: sweep, publish, read, withdraw, again and again."""
    for run in range(RUNS):
        site.journal = Journal(site.path(journal))
        site.journal.sweep()
        token = f"token-{number}-{run}"
        responder = site.responder(token)
        responder.publish(CONTENT)
        with open(f"{site.root}/.well-known/acme-challenge/{token}", "rb") as file:
            assert file.read() == CONTENT
        responder.withdraw()


@pytest.mark.parametrize("journals", [["one", "two", "three"], ["one", "one", "one"]],
                         ids=["a journal each", "one directory of journals"])
def test_side_by_side(journals: List[str]) -> None:
    """They make and remove the same directories at the same moments: each is served, and no file is left."""
    with new_site() as site:
        pids = [children.start(functools.partial(_renew, site, number, journal))
                for number, journal in enumerate(journals)]
        assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * len(pids)
        for journal in journals * 2:  # twice: one's directory may be in another's
            Journal(site.path(journal)).sweep()
        assert os.listdir(site.root) == []
