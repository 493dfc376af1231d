"""Certbot as an ordinary user: it does what the rights allow, and says what root could do."""
import os
from pathlib import Path
from typing import Any
from typing import Dict
from typing import List

import pytest

from certbot_autowebroot.order import messages
from certbot_autowebroot.order.candidates import OrderOptions
from certbot_autowebroot.order.hints import Hint
from certbot_autowebroot.order.solver import Challenge
from certbot_autowebroot.order.solver import Solver
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.route import Endpoint
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.orders import CONTENT
from tests.lab.orders import NAME
from tests.lab.orders import TOKEN
from tests.lab.orders import make
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved
from tests.lab.users import NOBODY
from tests.lab.users import as_nobody

pytestmark = pytest.mark.lab

__all__ = ["names", "place"]  # fixtures

def solve(place: Path, port: int, hints: "Dict[str, List[Hint]] | None" = None) -> Any:
    """The solver's result as nobody: the error, or the files in the web root and their owners."""
    # Late imports have to happen before: the user nobody cannot read the modules of root's Python.
    with solved(place, port=port, hints=hints or {}):
        pass
    (place / "own").mkdir()
    os.chown(place / "own", NOBODY.pw_uid, NOBODY.pw_gid)

    def act() -> Any:
        solver = Solver(OrderOptions(port=port, hints=hints or {}), Journal(str(place / "own")))
        challenge = Challenge(NAME, TOKEN, CONTENT)
        try:
            if solver.solve([challenge]):
                return messages.failure(solver.outcomes[NAME])
            return [(str(path.relative_to(place)), path.stat().st_uid) for path in place.rglob(TOKEN)]
        finally:
            solver.withdraw([challenge])
    return as_nobody(act)


def test_free_port_above_1024(place: Path) -> None:
    """Behind a port forward, with --http-01-port."""
    assert solve(place, 8080) == []


def test_own_web_root_is_used(place: Path) -> None:
    """--autowebroot-path: the listener is not visible, but the proof does not need it."""
    make(place, "mine")
    os.chown(place / "mine", NOBODY.pw_uid, NOBODY.pw_gid)
    with Nginx(place / "nginx", f"server {{ listen 8080; root {place}/mine; }}"):
        found = solve(place, 8080, {NAME: [Hint(f"{place}/mine", "--autowebroot-path")]})
    assert found == [(f"mine/.well-known/acme-challenge/{TOKEN}", NOBODY.pw_uid)]
    assert list((place / "mine").iterdir()) == []


def test_invisible_listener_is_reported_with_remedies(place: Path) -> None:
    """Root would see it, and --autowebroot-path would do without."""
    make(place, "mine")
    with Nginx(place / "nginx", f"server {{ listen 8080; root {place}/mine; }}"):
        said = solve(place, 8080)
    assert "not visible" in said and "root" in said and "--autowebroot-path" in said


def test_web_root_of_another_user_is_refused(place: Path) -> None:
    """In the words of open(2), and with the user who could."""
    make(place, "theirs")
    with Nginx(place / "nginx", f"server {{ listen 8080; root {place}/theirs; }}"):
        said = solve(place, 8080, {NAME: [Hint(f"{place}/theirs", "--autowebroot-path")]})
    assert f"{place}/theirs" in said and "You are nobody; root could" in said


def test_port_below_1024_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every first try without root finds."""
    said = solve(place, 80)
    assert f"{Endpoint(PUBLIC_V4, 80)}" in said and "need root" in said
