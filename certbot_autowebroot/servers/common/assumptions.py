"""Conditions that only the running server can decide: who the client is, what a map returns.

The evaluator assumes each answer, the usual one first. The results are alternatives for the probe.
"""
from dataclasses import replace
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
    """The assumptions of one run of an evaluator."""

    def __init__(self, given: Dict[str, bool]) -> None:
        self._given = given
        self.made: Dict[str, bool] = {}

    def holds(self, condition: str, usually: bool) -> bool:
        """The assumed answer to a condition.

        :param condition: the text of the configuration; the same text is the same condition.
        """
        if condition in self._given:
            return self._given[condition]
        return self.made.setdefault(condition, usually)


def alternatives(evaluate: Callable[[Assumptions], Sequence[Destination]]) -> List[Destination]:
    """Evaluate under all assumptions that are needed, the usual ones first; each result once.

    A directory or an upstream that is one of several results depends on the client: the CA may get another one than our
    probe.
    """
    pending: List[Dict[str, bool]] = [{}]
    destinations: List[Destination] = []
    for _ in range(_MAX_RUNS):
        if not pending:
            break
        given = pending.pop(0)
        assumptions = Assumptions(given)
        destinations.extend(d for d in evaluate(assumptions) if d not in destinations)
        so_far = dict(given)
        for condition, usual in assumptions.made.items():
            if len(pending) < _MAX_RUNS:
                pending.append({**so_far, condition: not usual})
            so_far[condition] = usual
    if len(destinations) == 1 or not so_far:
        return destinations
    return [replace(d, depends_on_client=True) if isinstance(d, (Directory, Upstream)) else d for d in destinations]
