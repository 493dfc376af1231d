"""What was found out about one name of an order: data, and the verdict that follows from it. *Pure*."""
import enum
import secrets
from dataclasses import dataclass
from dataclasses import field
from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Tuple
from typing import Union

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.route import alternatives
from certbot_autowebroot.routing.front_endpoints import FrontEndpoints
from certbot_autowebroot.routing.probe import Answer

#: Places that are tried for one name at most.
MAX_PLACES = 12


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
    doors: FrontEndpoints
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
