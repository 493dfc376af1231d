"""Conditions that nobody but the running server can decide: who the client is, what a map says.

Such a condition is assumed either way, the usual one first, and what comes out are alternatives for the probe.
"""
from typing import Callable
from typing import Dict
from typing import List
from typing import Sequence

from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Upstream

#: Three conditions in all their combinations.
_MAX_RUNS = 8


class Assumptions:
    """What one run of an evaluator takes for granted."""

    def __init__(self, given: Dict[str, bool]) -> None:
        self._given = given
        self.made: Dict[str, bool] = {}

    def holds(self, condition: str, usually: bool) -> bool:
        """Whether a condition that we cannot know is taken to hold.

        :param condition: in the words of the configuration; the same words are the same condition.
        """
        if condition in self._given:
            return self._given[condition]
        return self.made.setdefault(condition, usually)


def alternatives(evaluate: Callable[[Assumptions], Sequence[Destination]]) -> List[Destination]:
    """Evaluate under every assumption that turns out to be needed; the usual ones first, each result once.

    A directory or an upstream that is only one of several results is marked: our probe may meet another than the CA.
    """
    pending: List[Dict[str, bool]] = [{}]
    found: List[Destination] = []
    for _ in range(_MAX_RUNS):
        if not pending:
            break
        given = pending.pop(0)
        assumptions = Assumptions(given)
        found.extend(d for d in evaluate(assumptions) if d not in found)
        so_far = dict(given)
        for condition, usual in assumptions.made.items():
            if len(pending) < _MAX_RUNS:
                pending.append({**so_far, condition: not usual})
            so_far[condition] = usual
    if len(found) == 1 or not so_far:
        return found
    return [d._replace(depends_on_client=True) if isinstance(d, (Directory, Upstream)) else d for d in found]
