"""Conditions that only the running server can decide: who the client is, what a map returns.

The evaluator assumes each answer, the usual one first. The results are alternatives for the probe.
"""
import re
from dataclasses import replace
from typing import Callable
from typing import Dict
from typing import List
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Upstream

#: What the servers call the client's address: HAProxy's src, lighttpd's remoteip, Caddy's remote_ip, client.ip in VCL.
_BY_ADDRESS = re.compile(r"\bsrc\b|remote_?ip|client_?ip|client\.ip", re.IGNORECASE)

#: One of the CA's networks, which hardly any configuration names: it stands for a client that no line names.
ANY_ADDRESS = "23.178.112.100"

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
    pending: List[Tuple[Dict[str, bool], Tuple[str, ...]]] = [({}, ())]
    destinations: List[Destination] = []
    for _ in range(_MAX_RUNS):
        if not pending:
            break
        given, unusual = pending.pop(0)
        assumptions = Assumptions(given)
        by_address = [condition for condition in unusual if _BY_ADDRESS.search(condition)]
        destinations.extend(_admitting(d, by_address, destinations) for d in evaluate(assumptions)
                            if d not in destinations)
        so_far = dict(given)
        for condition, usual in assumptions.made.items():
            if len(pending) < _MAX_RUNS:
                pending.append(({**so_far, condition: not usual}, (*unusual, condition)))
            so_far[condition] = usual
    if len(destinations) == 1 or not so_far:
        return destinations
    return [replace(d, depends_on_client=True) if isinstance(d, (Directory, Upstream)) else d for d in destinations]


def _admitting(destination: Destination, conditions: Sequence[str], usual: Sequence[Destination]) -> Destination:
    """A destination, marked where only certain client addresses get it: by the line that decides about the others."""
    if not conditions:
        return destination
    others = usual[0].trail
    refusing = others[-1:] if isinstance(usual[0], (DeadEnd, Redirect)) else ()
    # Where the others are served too, the first line that only these clients come to, or the last of the others.
    apart = [step for step in destination.trail if step.source and step not in others]
    apart += [step for step in reversed(others) if step.source and step not in destination.trail]
    line = [*refusing, *apart, Step(conditions[0])][0]._replace(admits_some=True)
    return replace(destination, trail=(*destination.trail, line))
