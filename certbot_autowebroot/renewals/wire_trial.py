"""Try to answer names on the wire, as a renewal would: a random token, the same proof. Nothing is left."""
import secrets
import time
from typing import Dict
from typing import NamedTuple
from typing import Sequence

from certbot_autowebroot.order.fallback import WIRE_PATIENCE
from certbot_autowebroot.order.solver import Challenge
from certbot_autowebroot.order.solver import Solver
from certbot_autowebroot.order.wire_fallback import WireAnswers
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.system import threads

_PAUSE = 0.1


class Trial(NamedTuple):
    """What became of a token on the wire.

    :ivar reason: why the CA would not be answered, or might not; a clause.
    :ivar seconds: for which the tables of the trial stood, the longest.
    :ivar segments: that were caught, for all names of the trial.
    """

    verdict: Verdict
    reason: str = ""
    seconds: float = 0.0
    segments: int = 0


def try_wire(solver: Solver, identifiers: Sequence[str], journal: Journal) -> Dict[str, Trial]:
    """Publish a token for each name on the wire, and ask for it.

    :param solver: has the outcomes of these names.
    """
    answers = WireAnswers(journal)
    trials: Dict[str, Trial] = {}
    published = []
    try:
        for identifier in identifiers:
            token = secrets.token_urlsafe(32)
            challenge = Challenge(identifier, token, f"{token}.{secrets.token_urlsafe(32)}".encode("ascii"))
            try:
                answers.publish(challenge, solver.outcomes[identifier].front.endpoints, token,
                                challenge.key_authorization)
                published.append(challenge)
            except PublishError as error:
                trials[identifier] = Trial(Verdict.DEAD_END, str(error))
        deadline = time.monotonic() + WIRE_PATIENCE
        left = list(published)
        while left:
            for challenge, judgement in zip(left, threads.each(solver.judge_arrival, left)):
                trials[challenge.identifier] = Trial(judgement.verdict, "; ".join(judgement.sentences))
            left = [challenge for challenge in left if trials[challenge.identifier].verdict is Verdict.DEAD_END]
            if time.monotonic() > deadline:
                break
            time.sleep(_PAUSE if left else 0)
    finally:
        for challenge in published:
            answers.withdraw(challenge)
        reports = answers.stop()
    seconds = max((report.seconds for report in reports), default=0.0)
    segments = sum(report.answered + report.acknowledged for report in reports)
    return {identifier: trial._replace(seconds=seconds, segments=segments) for identifier, trial in trials.items()}
