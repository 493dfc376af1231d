"""Attackers swap links while root publishes; the same attackers catch a webroot that works by path."""
from typing import Callable

import pytest

from tests.lab.hostile_site import Site
from tests.security import race

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("attack", race.ATTACKS, ids=lambda attack: attack.__name__)
def test_no_escape(attack: Callable[[Site], race.Attack]) -> None:
    """Whatever is swapped during publish and withdraw, nothing changes in a tree of root."""
    raced = race.race(attack, 100, race.with_us)
    assert raced.escapes == 0
    assert raced.runs == 100
    assert raced.rounds > 0


@pytest.mark.parametrize("attack", race.ATTACKS, ids=lambda attack: attack.__name__)
def test_no_escape_of_a_sweep(attack: Callable[[Site], race.Attack]) -> None:
    """Nor while the next run removes the leftovers of a killed one."""
    assert race.race(attack, 20, race.with_a_sweep).escapes == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Certbot's own, for the oldest Python that it runs on
def test_attackers_catch_certbots_webroot() -> None:
    """The same attackers change a tree of root when Certbot's own webroot publishes."""
    assert sum(race.race(attack, 30, race.with_certbots_webroot).escapes for attack in race.ATTACKS[:3]) > 0
