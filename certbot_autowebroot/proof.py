"""The proof: a test file in every place that could be meant, each with another body, and the front door's answer.

The file has one random name, so that the real token is never asked for before it is written (caches remember a 404);
the body that comes back names the place that the live server serves from.
"""
import enum
import logging
import secrets
import time
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Union

from certbot_autowebroot import at_once
from certbot_autowebroot import probe
from certbot_autowebroot.doors import Doors
from certbot_autowebroot.follow import Machine
from certbot_autowebroot.probe import Answer
from certbot_autowebroot.progress import ASKING
from certbot_autowebroot.progress import Progress
from certbot_autowebroot.responders import AnotherRoad
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.route import alternatives

logger = logging.getLogger(__name__)

#: Places that are tried for one name at most.
MAX_PLACES = 12
#: How often a door is asked at most when several servers share it: of two, one is missed with odds of 1 in 32,768. Of
#: eight times it was 1 in 128, and a renewal in some hundred failed for it.
MAX_ASKED = 16
#: What says nothing of where a file is looked for: no answer, a limit of requests (8 at once may be over it), a member
#: of a group that is down and will be left out.
_TEMPORARY = (0, 429, 502, 503, 504)
#: What a proxy says of an upstream that it takes for dead, and the seconds until it is asked again: nginx's
#: ``fail_timeout`` is 10, HAProxy's ``check`` takes 4, Varnish's ``.probe`` 15.
DOWN = (502, 503, 504)
PATIENCE = 16.0
#: What a server says that limits the number of requests, and the seconds for which it is asked again.
_LIMITED = (429, 503)
_LIMIT_PATIENCE = 4.0
#: Seconds before it is asked again; longer each time.
_PAUSE = 0.3


class Verdict(enum.Enum):
    """What the proof says of a name."""

    PROVEN = "proven"
    #: The proof could not be had (an allow-list that shuts us out, a redirect to another machine): advice, no verdict.
    UNPROVEN = "unproven"
    DEAD_END = "dead end"


class Place(NamedTuple):
    """Where a challenge can be published.

    :ivar program: in whose view a directory's path is meant; None for our own view.
    """

    end: Union[Directory, Vacant]
    program: Optional[Program] = None

    def for_token(self, old: str, new: str) -> "Place":
        """The same place for another token."""
        if isinstance(self.end, Directory):
            return self._replace(end=self.end.named(old, new))
        return self._replace(end=self.end._replace(path=self.end.path.replace(old, new)))

    @property
    def key(self) -> Tuple[object, ...]:
        """What makes two places one, whichever line of a configuration led there."""
        if isinstance(self.end, Directory):
            return (self.program.pid if self.program else 0, self.end.root, self.end.name)
        return (self.end.endpoint, self.end.path)


@dataclass(eq=False, repr=False)
class Inquiry:
    """All that was found out about one name in one attempt.

    :ivar token: the random file name of the test files.
    :ivar routes: for each door, where its requests may end.
    :ivar places: the candidates, the likeliest first.
    :ivar refused: why nothing could be published in a place, by the place's key; sentences.
    :ivar winners: for each door, the places whose test file came back.
    :ivar misses: for each door, an answer that was none of ours although others were: of several servers that answer
        by turns, one has nothing from us, or something has changed since the proof.
    :ivar answered_by: the other authenticator that answers for it; empty for ourselves.
    :ivar set_aside: why other authenticators that were chosen do not; phrases that begin with their names.
    """

    name: str
    doors: Doors
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    routes: Dict[Endpoint, List[Route]] = field(default_factory=dict)
    places: List[Place] = field(default_factory=list)
    refused: Dict[Tuple[object, ...], str] = field(default_factory=dict)
    answers: Dict[Endpoint, Answer] = field(default_factory=dict)
    winners: Dict[Endpoint, List[Place]] = field(default_factory=dict)
    misses: Dict[Endpoint, Answer] = field(default_factory=dict)
    answered_by: str = ""
    set_aside: List[str] = field(default_factory=list)

    def add_place(self, place: Place) -> None:
        """Remember a candidate, once."""
        if place.key not in {known.key for known in self.places} and len(self.places) < MAX_PLACES:
            self.places.append(place)

    def request(self, door: Endpoint, token: str) -> Request:
        """The CA's request at a door."""
        return Request(self.name, CHALLENGE_PATH + token, token, door)

    def verdict_of(self, door: Endpoint) -> Verdict:
        """What the answer of one door means."""
        if self.winners.get(door):
            return Verdict.DEAD_END if door in self.misses else Verdict.PROVEN
        answer = self.answers.get(door)
        if answer and self.places and (answer.elsewhere or self._may_be_shut_out(door, answer)):
            return Verdict.UNPROVEN
        return Verdict.DEAD_END

    def _may_be_shut_out(self, door: Endpoint, answer: Answer) -> bool:
        """An allow-list treats us differently from the CA; 400 is nginx's answer to who has no certificate."""
        return (answer.status in (400, 403) or (not answer.status and not answer.refused)) and any(
            route.depends_on_client for route in self.routes.get(door, ()))

    @property
    def verdict(self) -> Verdict:
        """What all doors together mean for the name."""
        verdicts = [self.verdict_of(door) for door in self.doors.endpoints]
        if not verdicts:
            return Verdict.DEAD_END
        order = [Verdict.PROVEN, Verdict.UNPROVEN, Verdict.DEAD_END]
        return (max if self.doors.certain else min)(verdicts, key=order.index)

    def places_to_answer(self) -> List[Place]:
        """Where the real token has to be: the places that won, and one for each branch that no probe happened to see.

        A balancer gives each member its share of requests; one that was not seen by the probe is seen by the CA.
        """
        chosen = {place.key: place for winners in self.winners.values() for place in winners}
        by_key = {place.key: place for place in self.places if place.key not in self.refused}
        for door, routes in self.routes.items():
            branches = alternatives(routes)
            # A branch that is alone was seen, wherever its file was found: by a hint, by the server's log.
            if len(branches) < 2 and self.winners.get(door):
                continue
            for branch in branches:
                places = [place for place in map(place_of, branch) if place and place.key in by_key]
                if places and not any(place.key in chosen for place in places):
                    chosen[places[0].key] = places[0]
        return list(chosen.values()) or list(by_key.values())[:1]


def place_of(route: Route) -> Optional[Place]:
    """The place at the end of a route, where a file or a responder can answer."""
    if isinstance(route.end, Directory):
        return Place(_above_well_known(route.end), route.program)
    if isinstance(route.end, Vacant):
        return Place(route.end)
    return None


def _above_well_known(directory: Directory) -> Directory:
    """The same place with the document root above ``.well-known``, for an alias that leads below it.

    What is below may be missing, as below any document root: whoever answers there makes it, and takes it away again,
    as Certbot's webroot does.
    """
    above, well_known, name = str(directory).partition(CHALLENGE_PATH)
    if not above or not well_known or "/" in name or len(above) >= len(directory.root.rstrip("/")):
        return directory
    return directory._replace(root=PathInView(above), name=(well_known + name).lstrip("/"))


#: Makes the responder for a place; raises PublishError.
MakeResponder = Callable[[Place], Any]


def prove(inquiries: Sequence[Inquiry], machine: Machine, make_responder: MakeResponder, progress: Progress) -> None:
    """Publish the test files of all names, ask the front doors, take the files back, and write down what came back."""
    published = []
    bodies: Dict[bytes, Place] = {}
    try:
        for inquiry in inquiries:
            for place in list(inquiry.places):
                # As a key authorization looks, RFC 8555 section 8.1: token, dot, 43 characters.
                body = f"{inquiry.token}.{secrets.token_urlsafe(32)}".encode("ascii")
                try:
                    responder = make_responder(place)
                    published.append(responder)
                    responder.publish(body)
                except AnotherRoad:  # a symlink that was proven last time, and what it leads to: nothing is refused
                    inquiry.places.remove(place)
                    continue
                except PublishError as error:
                    inquiry.refused[place.key] = str(error)
                    continue
                bodies[body] = place
        questions = [(inquiry, door) for inquiry in inquiries for door in inquiry.doors.endpoints]
        for (inquiry, door), answers in zip(questions, _ask_all(questions, machine, progress)):
            for answer in answers:
                inquiry.answers[door] = answer
                winner = bodies.get(answer.body.rstrip())
                if winner and winner not in inquiry.winners.setdefault(door, []):
                    inquiry.winners[door].append(winner)
            others = [a for a in answers if a.status not in _TEMPORARY and a.body.rstrip() not in bodies]
            if inquiry.winners.get(door) and others:
                inquiry.misses[door] = others[0]
    finally:
        for responder in reversed(published):
            responder.withdraw()


def serves(request: Request, content: bytes, machine: Machine) -> bool:
    """Whether a front door answers with this content, trailing white space aside (RFC 8555 section 8.3)."""
    return probe.ask(request, machine).body.rstrip() == content


def still_serves(inquiry: Inquiry, token: str, content: bytes, machine: Machine) -> bool:
    """Whether every door that was proven answers with this content; the last look before the CA comes.

    Where one does not, :attr:`Inquiry.misses` has what came back instead.
    """
    for door in inquiry.doors.endpoints:
        if inquiry.verdict_of(door) is Verdict.PROVEN:
            answer = _ask(inquiry.request(door, token), machine, _while_limited())
            if answer.body.rstrip() != content:
                inquiry.misses[door] = answer
                return False
    return True


def _ask(request: Request, machine: Machine, ends: Mapping[int, float]) -> Answer:
    """Ask, and again for as long as it may be another answer in a moment.

    :param ends: by status, until when (of the monotonic clock).
    """
    answer = probe.ask(request, machine)
    pause = _PAUSE
    while time.monotonic() < ends.get(answer.status, 0.0):
        time.sleep(pause)
        pause += _PAUSE
        answer = probe.ask(request, machine)
    return answer


def _while_limited() -> Dict[int, float]:
    """Until when a limit of requests is waited for: all names are asked for from one address, within a moment."""
    return dict.fromkeys(_LIMITED, time.monotonic() + _LIMIT_PATIENCE)


def _ask_all(questions: Sequence[Tuple[Inquiry, Endpoint]], machine: Machine, progress: Progress) \
        -> List[List[Answer]]:
    """Ask many doors at once: one that never answers holds up only itself."""
    deadline = time.monotonic() + PATIENCE

    def ask(question: Tuple[Inquiry, Endpoint]) -> List[Answer]:
        inquiry, door = question
        request = inquiry.request(door, inquiry.token)
        branches = {route.branch for route in inquiry.routes.get(door, ())}
        times = 1 if len(branches) < 2 else MAX_ASKED
        ends = _while_limited() if inquiry.places else {}
        if _is_behind_a_proxy(inquiry, door):
            ends.update(dict.fromkeys(DOWN, deadline))
        answers = [_ask(request, machine, ends)]
        while len(answers) < times and answers[-1].status:
            answers.append(_ask(request, machine, ends))
        return answers
    found: List[List[Answer]] = []
    for answers in at_once.each(ask, questions):
        progress(ASKING, len(found), len(questions))
        found.append(answers)
    return found


def _is_behind_a_proxy(inquiry: Inquiry, door: Endpoint) -> bool:
    """Whether we listen where a proxy knows that nobody does: by its health checks, or since it was asked in vain."""
    ours = [Place(route.end) for route in inquiry.routes.get(door, ()) if route.hops and isinstance(route.end, Vacant)]
    return any(place.key not in inquiry.refused for place in ours)
