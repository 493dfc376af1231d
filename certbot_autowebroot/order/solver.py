"""Solve the http-01 challenges of one ACME order.

The states of one identifier, and what leads from one to another:

========================  ============================================================  ===============================
state                     what is done                                                  next state
========================  ============================================================  ===============================
looked for                :class:`.CandidateFinder` collects places; test files are     proven, unproven, dead end
                          published, and the front endpoints asked (:mod:`.proof`)
dead end, first time      the server's error log, then the kernel's port forwards,      proven, unproven, dead end
                          name further places
proven                    the token is published where the test files were served       published, dead end
unproven                  the token is published in the likeliest place, unless the     published, dead end
                          user refuses unproven identifiers
published                 the proven front endpoints are asked for the token            answered, dead end
dead end                  another attempt, while another snapshot of the host differs   looked for, failed
answered                  the CA validates; :meth:`Solver.withdraw` removes all         (end)
failed                    nothing is published; another authenticator may answer        (end)
========================  ============================================================  ===============================
"""
import logging
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.order import proof
from certbot_autowebroot.order.candidates import CandidateFinder
from certbot_autowebroot.order.candidates import OrderOptions
from certbot_autowebroot.order.candidates import routes
from certbot_autowebroot.order.inquiry import Candidates
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.progress import FOLLOWING
from certbot_autowebroot.order.progress import Progress
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.factory import Responders
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.ca_verdict import Judgement
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.routing.probe import Answer
from certbot_autowebroot.system import threads
from certbot_autowebroot.system.terminal import printable

logger = logging.getLogger(__name__)

#: A server may start, stop or be reloaded between any two of our steps: then another attempt decides again.
ATTEMPTS = 3


class Challenge(NamedTuple):
    """One http-01 challenge.

    :ivar identifier: a DNS name or an IP address.
    :ivar token: the file name (RFC 8555 section 8.3).
    :ivar key_authorization: the content of the file (RFC 8555 section 8.1).
    """

    identifier: str
    token: str
    key_authorization: bytes


class Solver:
    """Publishes the answers to the challenges of one order, and withdraws them.

    :ivar outcomes: what the last attempt has brought, by identifier.
    :param progress: called for each identifier that is followed and each front endpoint that is asked.
    :param host: the snapshot for the first attempt of :meth:`find_out`; :meth:`solve` always takes its own.
    """

    def __init__(self, options: OrderOptions, journal: Journal,
                 progress: Progress = lambda stage, done, of: None, host: Optional[Host] = None) -> None:
        self.outcomes: Dict[str, Outcome] = {}
        self._progress = progress
        self._options = options
        self._journal = journal
        self._responders = Responders(journal, options.port, options.address)
        self._host = host or Host(options.resolver)
        self._silent: proof.SilentAddresses = {}
        self._published: Dict[Challenge, List[Any]] = {}

    def solve(self, challenges: Sequence[Challenge]) -> List[Challenge]:
        """Find out where each identifier is served from, and publish its token there where that is proven.

        :returns: the challenges that no token is published for; :attr:`outcomes` says why.
        """
        self._sweep()
        pending = list(challenges)
        with self._journal.keeping_directories(self):
            for attempt in range(ATTEMPTS):
                self._host = Host(self._options.resolver)
                self._attempt([challenge.identifier for challenge in pending], from_hints=attempt == 0)
                pending = self._publish(pending)
                if not self._is_worth_another_attempt([challenge.identifier for challenge in pending], attempt):
                    break
        return pending

    def find_out(self, identifiers: Sequence[str], from_hints: bool = False) -> Dict[str, Outcome]:
        """Find out where each identifier would be served from, with test files alone. Nothing is left.

        :param from_hints: try the hints first, as an order does; the routes of what they prove stay unknown.
        """
        self._sweep()
        pending = list(dict.fromkeys(identifiers))
        try:
            for attempt in range(ATTEMPTS):
                if attempt:
                    self._host = Host(self._options.resolver)
                pending = self._attempt(pending, from_hints and attempt == 0)
                if not self._is_worth_another_attempt(pending, attempt):
                    break
        finally:
            self._responders.stop()
        return self.outcomes

    def try_hints(self, identifiers: Sequence[str]) -> Dict[str, Outcome]:
        """Find out whether the hints alone are served at each identifier's front endpoints. Nothing is left."""
        self._sweep()
        self._host.resolve(identifiers)
        finder = CandidateFinder(self._host, self._options)
        try:
            self._prove([finder.from_hints(identifier) for identifier in identifiers])
        finally:
            self._responders.stop()
        return self.outcomes

    def follow(self, identifiers: Sequence[str]) -> Dict[str, Outcome]:
        """Follow each identifier's requests and do no more: nothing is written, no server is asked for a file."""
        self._host.resolve(identifiers)
        finder = CandidateFinder(self._host, self._options)
        for candidates in self._with_progress(finder.with_routes, identifiers):
            self.outcomes[candidates.identifier] = Outcome(candidates)
        return self.outcomes

    def withdraw(self, challenges: Iterable[Challenge]) -> None:
        """Withdraw what was published for these. Never raises; may be called again."""
        for challenge in challenges:
            for responder in reversed(self._published.pop(challenge, [])):
                responder.withdraw()
        if not self._published:
            self._responders.stop()

    def publish_where_proven(self, challenges: Sequence[Challenge]) -> None:
        """Publish behind the proven front endpoints of identifiers whose others another authenticator answers."""
        for challenge in challenges:
            outcome = self.outcomes[challenge.identifier]
            self._publish_token(challenge, [place for endpoint in outcome.front.endpoints
                                            if outcome.verdict_at(endpoint) is Verdict.PROVEN
                                            for place in outcome.proof.served[endpoint]])

    def unserved(self, challenges: Sequence[Challenge]) -> Dict[Challenge, str]:
        """Of these, those that the CA would not get now, whether we or another authenticator answers; and why."""
        reasons = zip(challenges, threads.each(self._why_unserved, challenges))
        return {challenge: reason for challenge, reason in reasons if reason}

    def judge_arrival(self, challenge: Challenge) -> Judgement:
        """What the CA would get now for a token that another authenticator has published."""
        from certbot_autowebroot.order import arrival  # late for speed: few orders need another authenticator
        outcome = self.outcomes[challenge.identifier]
        mismatches = self._mismatches(challenge)
        if mismatches:
            return Judgement(Verdict.DEAD_END, tuple(map(str, mismatches.values())))
        # Only now: a CDN may remember what it gets for the token before it is served.
        before = {endpoint: outcome.proof.answers.get(endpoint) for endpoint in outcome.front.remote}
        silent = {endpoint: answer for endpoint, answer in before.items() if answer and not answer.connected}
        asked = self._not_served(challenge, [endpoint for endpoint in before if endpoint not in silent])
        return arrival.judge(outcome, {**silent, **asked}, challenge.token)

    def note_other_authenticators(self, identifier: str, answered_by: str, rejected: Sequence[str]) -> None:
        """Add what other authenticators did for an identifier to its outcome."""
        self.outcomes[identifier] = self.outcomes[identifier]._replace(answered_by=answered_by,
                                                                       rejected=tuple(rejected))

    def proven_directories(self) -> Dict[str, List[Tuple[str, str]]]:
        """The document roots that were proven, each with the directory below it, by identifier: hints for next time.

        Not for an identifier that several servers answer by turns: one probe would find one of them.
        """
        directories: Dict[str, List[Tuple[str, str]]] = {}
        for identifier, outcome in self.outcomes.items():
            ends = [place.end for places in outcome.proof.served.values() for place in places
                    if isinstance(place.end, Directory)
                    and self._host.view_of(place.program).has_host_file(place.end.root)]
            shared = any(route.branch for routes in outcome.routes.values() for route in routes)
            if outcome.is_served and not shared:
                directories[identifier] = list(dict.fromkeys((str(end.root), end.name.rpartition("/")[0])
                                                             for end in ends))
        return {identifier: roots for identifier, roots in directories.items() if roots}

    def _sweep(self) -> None:
        for sentence in self._journal.sweep():
            logger.info("%s", sentence)

    def _attempt(self, identifiers: Sequence[str], from_hints: bool) -> List[str]:
        """Find out about each identifier once; returns the dead ends."""
        self._host.resolve(identifiers)
        finder = CandidateFinder(self._host, self._options)
        unknown = list(identifiers)
        if from_hints:
            # The directory of last time is mostly still right: then no configuration has to be read at all.
            likely = [identifier for identifier in identifiers
                      if any(hint.is_likely for hint in self._options.hints.get(identifier, ()))]
            self._prove([finder.from_hints(identifier) for identifier in likely])
            unknown = [identifier for identifier in identifiers if identifier not in likely
                       or not self.outcomes[identifier].is_served]
        self._prove(self._with_progress(finder.from_routes, unknown))
        dead_ends = self._dead_ends(unknown)
        for further in (finder.from_error_log, finder.from_port_forward):
            again = [further(self.outcomes[identifier].candidates) for identifier in dead_ends]
            self._prove([candidates for candidates in again if candidates])
            dead_ends = self._dead_ends(dead_ends)
        return dead_ends

    def _with_progress(self, find: Callable[[str], Candidates], identifiers: Sequence[str]) -> List[Candidates]:
        candidates = []
        for number, identifier in enumerate(identifiers):
            self._progress(FOLLOWING, number, len(identifiers))
            candidates.append(find(identifier))
        return candidates

    def _prove(self, candidates: Sequence[Candidates]) -> None:
        results = proof.prove(candidates, self._host, self._silent, self._responder, self._progress)
        self.outcomes.update({one.identifier: Outcome(one, result) for one, result in zip(candidates, results)})

    def _dead_ends(self, identifiers: Iterable[str]) -> List[str]:
        return [identifier for identifier in identifiers if self.outcomes[identifier].verdict is Verdict.DEAD_END]

    def _publish(self, challenges: Sequence[Challenge]) -> List[Challenge]:
        """Publish the tokens of all identifiers that can be answered; returns the challenges that are not answered."""
        published = [challenge for challenge in challenges if self._is_answerable(self.outcomes[challenge.identifier])
                     and self._publish_token(challenge, self.outcomes[challenge.identifier].places_to_answer())]
        # What only the test files needed is removed first: the last check is of what the CA will find.
        self._journal.release(self)
        answered = [challenge for challenge in published if self._is_answered(challenge)]
        unanswered = [challenge for challenge in challenges if challenge not in answered]
        self.withdraw(unanswered)
        return unanswered

    def _is_answerable(self, outcome: Outcome) -> bool:
        return outcome.is_served or (outcome.verdict is Verdict.UNPROVEN and not self._options.refuse_unproven)

    def _publish_token(self, challenge: Challenge, places: Sequence[Place]) -> bool:
        """Publish the token in these places; whether any took it. What the last check finds decides."""
        outcome = self.outcomes[challenge.identifier]
        responders = self._published.setdefault(challenge, [])
        errors = {}
        for place in places:
            try:
                responder = self._responder(place, challenge.token)
                responders.append(responder)
                responder.publish(challenge.key_authorization)
            except PublishError as error:
                errors[place.key] = str(error)
                logger.debug("%s", printable(str(error)))
        self.outcomes[challenge.identifier] = outcome._replace(
            proof=outcome.proof._replace(publish_errors={**outcome.proof.publish_errors, **errors}))
        return len(errors) < len(places)

    def _is_answered(self, challenge: Challenge) -> bool:
        """Whether the front endpoints serve the key authorization; if not, the outcome has what they serve instead."""
        missing = self._mismatches(challenge)
        outcome = self.outcomes[challenge.identifier]
        self.outcomes[challenge.identifier] = outcome._replace(
            proof=outcome.proof._replace(mismatches={**outcome.proof.mismatches, **missing}))
        return not missing

    def _why_unserved(self, challenge: Challenge) -> str:
        if self.outcomes[challenge.identifier].verdict is not Verdict.DEAD_END:
            return "; ".join(map(str, self._mismatches(challenge).values()))
        judged = self.judge_arrival(challenge)
        is_refused = judged.verdict is Verdict.UNPROVEN and self._options.refuse_unproven
        return "; ".join(judged.sentences) if is_refused or judged.verdict is Verdict.DEAD_END else ""

    def _mismatches(self, challenge: Challenge) -> Dict[Endpoint, Answer]:
        """What the front endpoints serve instead of the key authorization; of another authenticator's too."""
        outcome = self.outcomes[challenge.identifier]
        if challenge in self._published and outcome.verdict is not Verdict.DEAD_END:
            served = [endpoint for endpoint in outcome.proof.served if endpoint not in outcome.proof.mismatches]
            return self._not_served(challenge, served)
        mismatches = self._not_served(challenge, outcome.front.endpoints)
        # Of the guessed endpoints of one IP version, one is the CA's.
        failing = [endpoint for group in outcome.front.groups if mismatches.keys() >= set(group) for endpoint in group]
        return {endpoint: mismatches[endpoint] for endpoint in failing}

    def _not_served(self, challenge: Challenge, endpoints: Iterable[Endpoint]) -> Dict[Endpoint, Answer]:
        return proof.mismatches(self.outcomes[challenge.identifier].candidates, endpoints, challenge.token,
                                challenge.key_authorization, self._host)

    def _is_worth_another_attempt(self, pending: Sequence[str], attempt: int) -> bool:
        """Whether identifiers are left, and another attempt can find something else than this one did."""
        if not pending or attempt + 1 == ATTEMPTS:
            return False
        logger.debug("attempt %d failed for %s", attempt + 1, ", ".join(pending))
        if any(not self.outcomes[identifier].routes for identifier in pending):
            return True  # a hint was proven, and no request has been followed yet
        host = Host(self._options.resolver)
        return any(_ends(self.outcomes[identifier].routes) != _ends(routes(self.outcomes[identifier].candidates, host))
                   for identifier in pending)

    def _responder(self, place: Place, token: str) -> Any:
        return self._responders.at(place.end_for(token), place.program, self._host.view_of)


def _ends(of_endpoints: Mapping[Endpoint, Sequence[Any]]) -> Dict[Endpoint, List[object]]:
    return {endpoint: [route.end for route in of_endpoint] for endpoint, of_endpoint in of_endpoints.items()}
