"""The order of events for one order: look, follow, publish test files, prove, publish the tokens; withdraw."""
import logging
from types import MappingProxyType
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.order import proof
from certbot_autowebroot.order.candidates import Search
from certbot_autowebroot.order.candidates import routes
from certbot_autowebroot.order.hints import Hint
from certbot_autowebroot.order.inquiry import Inquiry
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.inquiry import Verdict
from certbot_autowebroot.order.progress import FOLLOWING
from certbot_autowebroot.order.progress import Progress
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.factory import Responders
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.front_endpoints import front_endpoints
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.system import threads
from certbot_autowebroot.system.terminal import printable

logger = logging.getLogger(__name__)

#: A server may start, stop or be reloaded between any two of our steps: then look again, and decide again.
ATTEMPTS = 3


class Challenge(NamedTuple):
    """One http-01 challenge.

    :ivar name: the identifier: a DNS name or an IP address.
    :ivar token: the file name, RFC 8555 section 8.3.
    :ivar content: the key authorization, RFC 8555 section 8.1.
    """

    name: str
    token: str
    content: bytes


class Settings(NamedTuple):
    """What the user has said.

    :ivar port: the port that the CA's port 80 leads to (``--http-01-port``).
    :ivar address: the only address to look at and to listen on (``--http-01-address``); empty for all.
    :ivar hints: directories that are worth a look first, by name.
    :ivar refuse_unproven: an inconclusive proof is an error.
    """

    port: int
    address: str = ""
    hints: Mapping[str, Sequence[Hint]] = MappingProxyType({})
    refuse_unproven: bool = False


class Solver:
    """Answers the challenges of one order, and takes the answers back.

    :ivar inquiries: what was found out about each name, the last attempt's.
    :param progress: told of each name that is followed and each door that is asked: many may take a while.
    """

    def __init__(self, settings: Settings, journal: Journal, progress: Progress = lambda stage, done, of: None) -> None:
        self.inquiries: Dict[str, Inquiry] = {}
        self._progress = progress
        self._settings = settings
        self._journal = journal
        self._responders = Responders(journal, settings.port, settings.address)
        self._machine = Host()
        self._published: Dict[Challenge, List[Any]] = {}

    def solve(self, challenges: Sequence[Challenge]) -> List[Challenge]:
        """Find out where each name's challenge is served from, and publish it there where that is proven.

        :returns: the challenges that nothing is published for; :attr:`inquiries` says why.
        """
        def publish(names: List[str]) -> List[str]:
            return [c.name for c in self._publish([c for c in challenges if c.name in names])]
        with self._journal.keeping_directories(self):
            failing = self._insist([challenge.name for challenge in challenges], True, publish)
        return [challenge for challenge in challenges if challenge.name in failing]

    def find_out(self, names: Sequence[str], from_memory: bool = False) -> Dict[str, Inquiry]:
        """Find out where each name's challenge would be served from, with test files alone. Nothing is left.

        :param from_memory: try the hints first, as an order does; the routes of what they prove stay unknown.
        """
        def dead_ends(pending: List[str]) -> List[str]:
            return [name for name in pending if self.inquiries[name].verdict is Verdict.DEAD_END]
        try:
            self._insist(names, from_memory, dead_ends)
        finally:
            self._responders.stop()
        return self.inquiries

    def try_hints(self, names: Sequence[str]) -> Dict[str, Inquiry]:
        """Find out whether the hints, and nothing else, are served at each name's front doors. Nothing is left."""
        self._sweep()
        self._machine.resolve(names)
        self.inquiries = {name: self._inquiry(name) for name in names}
        try:
            self._prove(names)
        finally:
            self._responders.stop()
        return self.inquiries

    def look(self, names: Sequence[str]) -> Dict[str, Inquiry]:
        """Follow each name's requests, and that is all: nothing is written, nobody is asked for a file."""
        self._machine.resolve(names)
        for number, name in enumerate(names):
            self._progress(FOLLOWING, number, len(names))
            self.inquiries[name] = inquiry = self._inquiry(name)
            inquiry.routes = routes(inquiry, self._machine)
        return self.inquiries

    def withdraw(self, challenges: Sequence[Challenge]) -> None:
        """Take back what was published for these. Never raises; may be called again."""
        for challenge in challenges:
            for responder in reversed(self._published.pop(challenge, [])):
                responder.withdraw()
        if not self._published:
            self._responders.stop()

    def publish_where_proven(self, challenges: Sequence[Challenge]) -> None:
        """Publish behind those front doors that were proven, of names that fail at others: there, another answers."""
        for challenge in challenges:
            inquiry = self.inquiries[challenge.name]
            self._publish_token(challenge, [
                place for door in inquiry.doors.endpoints if inquiry.verdict_of(door) is Verdict.PROVEN
                for place in inquiry.winners[door]])

    def unserved(self, challenges: Sequence[Challenge]) -> List[Challenge]:
        """Of these, those that the front doors do not answer now: whoever has published them, ourselves or another."""
        served = threads.each(self._is_answered, challenges)
        return [challenge for challenge, is_served in zip(challenges, served) if not is_served]

    def proven_directories(self) -> Dict[str, List[Tuple[str, str]]]:
        """By name, the document root and the directory below it that were proven, to be hints next time.

        Not for a name that several servers answer by turns: one probe would find one of them.
        """
        found: Dict[str, List[Tuple[str, str]]] = {}
        for name, inquiry in self.inquiries.items():
            ends = [place.end for winners in inquiry.winners.values() for place in winners
                    if place.program is None or self._machine.view_of(place.program).is_host]
            shared = any(route.branch for routes in inquiry.routes.values() for route in routes)
            if inquiry.verdict is Verdict.PROVEN and not shared:
                found[name] = list(dict.fromkeys((end.root, end.name.rpartition("/")[0])
                                                 for end in ends if isinstance(end, Directory)))
        return {name: directories for name, directories in found.items() if directories}

    def _sweep(self) -> None:
        for sentence in self._journal.sweep():
            logger.info("%s", sentence)

    def _insist(self, names: Sequence[str], from_memory: bool,
                failing_of: Callable[[List[str]], List[str]]) -> List[str]:
        """Find out about names, again for those that fail, for as long as another look can find something else.

        :param failing_of: does what is to be done with names that were looked at, and returns those that fail.
        :returns: the names that fail for good.
        """
        self._sweep()
        pending = list(dict.fromkeys(names))
        for attempt in range(ATTEMPTS):
            self._machine = Host()
            self._find_out(pending, from_memory=from_memory and attempt == 0)
            pending = failing_of(pending)
            if not pending:
                break
            logger.debug("attempt %d failed for %s", attempt + 1, ", ".join(pending))
            if attempt + 1 < ATTEMPTS and not self._has_changed(pending):
                break
        return pending

    def _find_out(self, names: Sequence[str], from_memory: bool) -> None:
        self._machine.resolve(names)
        for name in names:
            self.inquiries[name] = self._inquiry(name)
        if from_memory:
            # Where it was last time, it mostly is still: then no configuration has to be read at all.
            self._prove([name for name in names if any(hint.is_likely for hint in self._settings.hints.get(name, ()))])
        unknown = [name for name in names if self.inquiries[name].verdict is not Verdict.PROVEN]
        search = Search(self._machine, self._inquiry)
        for number, name in enumerate(unknown):
            self._progress(FOLLOWING, number, len(unknown))
            self.inquiries[name] = search.follow(name)
        self._prove(unknown)
        for look_again in (search.told_by_a_log, search.forwarded):
            failed = [name for name in unknown if self.inquiries[name].verdict is Verdict.DEAD_END]
            found = {name: look_again(self.inquiries[name]) for name in failed}
            self.inquiries.update({name: inquiry for name, inquiry in found.items() if inquiry})
            self._prove([name for name, inquiry in found.items() if inquiry])

    def _prove(self, names: Sequence[str]) -> None:
        proof.prove([self.inquiries[name] for name in names], self._machine, self._responder, self._progress)

    def _inquiry(self, name: str) -> Inquiry:
        inquiry = Inquiry(name, front_endpoints(name, self._machine, self._settings.port, self._settings.address))
        for hint in self._settings.hints.get(name, ()):
            inquiry.add_place(hint.place(inquiry.token))
        return inquiry

    def _publish(self, challenges: Sequence[Challenge]) -> List[Challenge]:
        """Publish the tokens of all names that can be answered; returns those that are not answered."""
        published = [challenge for challenge in challenges if self._is_answerable(self.inquiries[challenge.name])
                     and self._publish_token(challenge, self.inquiries[challenge.name].places_to_answer())]
        # What only test files have needed goes before the last look, for that is at what the CA will find.
        self._journal.release(self)
        answered = [challenge for challenge in published if self._is_answered(challenge)]
        for challenge in list(self._published):
            if challenge in challenges and challenge not in answered:
                self.withdraw([challenge])
        return [challenge for challenge in challenges if challenge not in answered]

    def _is_answerable(self, inquiry: Inquiry) -> bool:
        return inquiry.verdict is Verdict.PROVEN or (
            inquiry.verdict is Verdict.UNPROVEN and not self._settings.refuse_unproven)

    def _publish_token(self, challenge: Challenge, places: Sequence[Place]) -> bool:
        """Publish in these places; False when nothing could be, :func:`proof.still_serves` judges the rest."""
        inquiry = self.inquiries[challenge.name]
        responders = self._published.setdefault(challenge, [])
        published = False
        for place in places:
            try:
                responder = self._responder(place.for_token(inquiry.token, challenge.token))
                responders.append(responder)
                responder.publish(challenge.content)
                published = True
            except PublishError as error:
                inquiry.refused[place.key] = str(error)
                logger.debug("%s", printable(str(error)))
        return published

    def _is_answered(self, challenge: Challenge) -> bool:
        inquiry = self.inquiries[challenge.name]
        if challenge in self._published and inquiry.verdict is not Verdict.DEAD_END:
            return proof.still_serves(inquiry, challenge.token, challenge.content, self._machine)
        served = [proof.serves(inquiry.request(door, challenge.token), challenge.content, self._machine)
                  for door in inquiry.doors.endpoints]
        return all(served) if inquiry.doors.certain else any(served)

    def _has_changed(self, names: Sequence[str]) -> bool:
        """Whether another attempt can find something else than this one did."""
        if any(not self.inquiries[name].routes for name in names):
            return True  # it was proven from memory, and nothing has been looked at yet
        before = {name: _ends(self.inquiries[name], self._machine) for name in names}
        machine = Host()
        return any(before[name] != _ends(self.inquiries[name], machine) for name in names)

    def _responder(self, place: Place) -> Any:
        return self._responders.at(place.end, place.program, self._machine.view_of)


def _ends(inquiry: Inquiry, machine: Host) -> Dict[Endpoint, List[object]]:
    return {door: [route.end for route in found] for door, found in routes(inquiry, machine).items()}
