"""What a renewal would do about the names that autowebroot itself cannot answer (``--autowebroot-fallback``)."""
import os
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence

from certbot_autowebroot.order import other_authenticators
from certbot_autowebroot.order.solver import Solver
from certbot_autowebroot.renewals import forecast
from certbot_autowebroot.renewals import messages
from certbot_autowebroot.renewals.forecast import NameForecast
from certbot_autowebroot.renewals.forecast import Outlook
from certbot_autowebroot.responders.journal import Journal

if TYPE_CHECKING:
    from certbot_autowebroot.renewals.wire_trial import Trial


def by_fallback(names: Sequence[NameForecast], fallback: str, solver: Optional[Solver],
                journal: Journal) -> List[NameForecast]:
    """The forecasts, where a renewal would ask other authenticators. The wire is tried, for it edits nothing.

    :param fallback: as ``--autowebroot-fallback``.
    :param solver: a new one, for the trial on the wire; None where nothing may be published.
    """
    failing = {name.name: name.outcome for name in names if name.outlook is Outlook.FAILS and name.outcome}
    on_the_wire = [name for name, outcome in failing.items()
                   if solver is not None and other_authenticators.is_wire_first(fallback, outcome)]
    trials: Mapping[str, Trial] = {}
    if solver is not None and on_the_wire and os.geteuid() == 0:
        from certbot_autowebroot.renewals.wire_trial import try_wire  # only who has chosen it has to pay for it
        solver.outcomes.update({outcome.identifier: outcome for outcome in failing.values()})
        trials = try_wire(solver, on_the_wire, journal)
    forecasts = []
    for name in names:
        asked = other_authenticators.would_be_asked(fallback, failing[name.name]) if name.name in failing else []
        if name.name in trials:
            name = _by_wire(name, trials[name.name])
            asked = [other for other in asked if other != other_authenticators.WIRE]
        elif name.name in on_the_wire:
            name = replace(name, outlook=Outlook.UNKNOWN)  # an ordinary user may not try it
        if name.outlook is Outlook.FAILS and asked:
            name = replace(name, outlook=Outlook.UNPROVEN, reason=messages.asked_instead(asked))
        forecasts.append(name)
    return forecasts


def _by_wire(found: NameForecast, trial: "Trial") -> NameForecast:
    """The forecast for a name that was tried on the wire."""
    outlook = forecast.BY_VERDICT[trial.verdict]
    if outlook is not Outlook.FAILS:
        return replace(found, outlook=outlook, reason=messages.on_the_wire(trial.seconds, trial.segments, trial.reason))
    reason = f"the authenticator {other_authenticators.WIRE}: {trial.reason}"
    return replace(found, reason=reason, outcome=found.outcome and found.outcome._replace(rejected=(reason,)))
