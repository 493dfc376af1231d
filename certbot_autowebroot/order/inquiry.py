"""What is known of one identifier of an order, and the verdict that follows from it: plain data. *Pure*."""
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from typing import Dict
from typing import FrozenSet
from typing import Iterable
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Union

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.route import alternatives
from certbot_autowebroot.routing import ca_verdict
from certbot_autowebroot.routing.ca_verdict import Judgement
from certbot_autowebroot.routing.ca_verdict import Reply
from certbot_autowebroot.routing.ca_verdict import Shown
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.routing.front_endpoints import FrontEndpoints
from certbot_autowebroot.routing.probe import Answer

#: The number of places that are tried for one identifier, at most.
MAX_PLACES = 12
#: Stands for the token in a :class:`Place`: no path and no URL has a NUL.
_HOLE = "\0"
_EMPTY: Mapping[Any, Any] = MappingProxyType({})

PlaceKey = Tuple[object, ...]
#: Advice that the reader has seen already, with the identifier for which it was printed.
Printed = Dict[Tuple[str, ...], str]


class Place(NamedTuple):
    """Where a challenge can be published.

    :ivar end: the directory or the endpoint, with a hole for the token: :meth:`end_for` fills it.
    :ivar program: the program in whose view a directory's path is meant; None for our own view.
    :ivar is_default: neither the user nor a configuration names it (the shared directory): it counts only once proven.
    """

    end: Union[Directory, Vacant]
    program: Optional[Program] = None
    is_default: bool = False

    def end_for(self, token: str) -> Union[Directory, Vacant]:
        """The directory or the endpoint for a token (RFC 8555 section 8.3)."""
        return _with_token(self.end, _HOLE, token)

    @property
    def key(self) -> PlaceKey:
        """What two places have in common that are one, whichever line of a configuration leads there."""
        if isinstance(self.end, Directory):
            return (self.program.pid if self.program else 0, self.end.root, self.end.name)
        return (self.end.endpoint, self.end.path)


def place_of(end: object, program: Optional[Program], token: str) -> Optional[Place]:
    """The place at an end of a route; None where neither a file nor a listener can answer.

    :param token: the one that the route was followed with.
    """
    if isinstance(end, Directory):
        return Place(_with_token(_above_well_known(end), token, _HOLE), program)
    return Place(_with_token(end, token, _HOLE)) if isinstance(end, Vacant) else None


def _with_token(end: Union[Directory, Vacant], old: str, new: str) -> Union[Directory, Vacant]:
    """The same end for another token: in the file's own name, never in the name of a directory."""
    if isinstance(end, Vacant):
        return replace(end, path=end.path.replace(old, new))
    head, slash, name = end.name.rpartition("/")
    return replace(end, name=head + slash + name.replace(old, new))


def _above_well_known(directory: Directory) -> Directory:
    """The same place with the document root above ``.well-known``, for an alias that leads below it.

    The directories below a document root may be missing: the responder makes them and removes them again, as Certbot's
    webroot does.
    """
    above, well_known, name = str(directory).partition(CHALLENGE_PATH)
    if not above or not well_known or "/" in name or len(above) >= len(directory.root.rstrip("/")):
        return directory
    return replace(directory, root=PathInView(above), name=(well_known + name).lstrip("/"))


class Candidates(NamedTuple):
    """Where the file of one identifier may lie.

    :ivar identifier: a DNS name or an IP address.
    :ivar front: the endpoints at which the CA may arrive.
    :ivar token: the random file name of the test files.
    :ivar routes: where the requests may end, by front endpoint; empty while no request was followed.
    :ivar places: the likeliest first, each once, :data:`MAX_PLACES` at most.
    """

    identifier: str
    front: FrontEndpoints
    token: str
    routes: Mapping[Endpoint, Sequence[Route]] = _EMPTY
    places: Tuple[Place, ...] = ()

    def with_places(self, places: Iterable[Place]) -> "Candidates":
        """The same with further places."""
        by_key: Dict[PlaceKey, Place] = {}
        for place in (*self.places, *places):
            by_key.setdefault(place.key, place)
        return self._replace(places=tuple(by_key.values())[:MAX_PLACES])

    def request(self, endpoint: Endpoint, token: str = "") -> Request:
        """The CA's request at a front endpoint; for the test file where no token is given."""
        token = token or self.token
        return Request(self.identifier, CHALLENGE_PATH + token, token, endpoint)

    def place_of(self, route: Route) -> Optional[Place]:
        """The place at the end of one of the routes."""
        return place_of(route.end, route.program, self.token)


class ProofResult(NamedTuple):
    """What the test files of one identifier showed.

    :ivar publish_errors: why no file could be published in a place, by the place's key; sentences.
    :ivar duplicates: places that are another place by a second path: nothing was published there, and nothing is wrong.
    :ivar answers: the last answer of each front endpoint.
    :ivar served: the places whose test file came back, by front endpoint.
    :ivar mismatches: an answer of a front endpoint that is none of our files, although others were: several servers
        answer by turns, and one of them has no file of ours; or something has changed since.
    """

    publish_errors: Mapping[PlaceKey, str] = _EMPTY
    duplicates: FrozenSet[PlaceKey] = frozenset()
    answers: Mapping[Endpoint, Answer] = _EMPTY
    served: Mapping[Endpoint, Sequence[Place]] = _EMPTY
    mismatches: Mapping[Endpoint, Answer] = _EMPTY


class Outcome(NamedTuple):
    """All that one attempt has brought for one identifier. Only the solver makes and changes it.

    :ivar answered_by: the other authenticator that answers for it; empty for ourselves.
    :ivar rejected: why other authenticators that the user has chosen do not; phrases that begin with their names.
    """

    candidates: Candidates
    proof: ProofResult = ProofResult()
    answered_by: str = ""
    rejected: Tuple[str, ...] = ()

    @property
    def identifier(self) -> str:
        """The DNS name or the IP address."""
        return self.candidates.identifier

    @property
    def front(self) -> FrontEndpoints:
        """The endpoints at which the CA may arrive."""
        return self.candidates.front

    def without_token(self, text: str) -> str:
        """A text for a person: the test file's random name means nothing to a reader."""
        return text.replace(self.candidates.token, "TOKEN")

    @property
    def routes(self) -> Mapping[Endpoint, Sequence[Route]]:
        """Where the requests may end, by front endpoint."""
        return self.candidates.routes

    @property
    def places(self) -> List[Place]:
        """The places that were tried, or would be."""
        return [place for place in self.candidates.places if place.key not in self.proof.duplicates]

    def verdict_at(self, endpoint: Endpoint) -> Verdict:
        """What the answer of one front endpoint of this host means."""
        if self.proof.served.get(endpoint):
            if endpoint in self.proof.mismatches:
                return Verdict.DEAD_END
            return Verdict.UNPROVEN if self.allow_list_at(endpoint) else Verdict.PROVEN
        answer = self.proof.answers.get(endpoint)
        if answer and self._is_usable_at(endpoint) and (
                answer.elsewhere or self._may_refuse_us_alone(endpoint, answer)):
            return Verdict.UNPROVEN
        return Verdict.DEAD_END

    def allow_list_at(self, endpoint: Endpoint) -> Optional[Step]:
        """The line that admitted us to the file that came back, and may not admit the CA."""
        served = {place.key for place in self.proof.served.get(endpoint, ())}
        routes = [route for route in self.routes.get(endpoint, ())
                  for place in [self.candidates.place_of(route)] if place and place.key in served]
        lines = [route.allow_list for route in routes]
        return lines[0] if lines and all(lines) else None

    def _may_refuse_us_alone(self, endpoint: Endpoint, answer: Answer) -> bool:
        """An allow-list treats us differently from the CA; nginx answers 400 where a client certificate is missing."""
        return (answer.status in (400, 403) or (not answer.status and not answer.refused)) and any(
            route.depends_on_client for route in self.routes.get(endpoint, ()))

    def judge(self) -> Judgement:
        """What all front endpoints together mean for the identifier, and the remarks on its addresses."""
        shown = {endpoint: Shown(self.verdict_at(endpoint), self._reply(endpoint)) for endpoint in self.front.endpoints}
        replies = {endpoint: self._reply(endpoint) for endpoint in self.front.remote}
        judged = ca_verdict.judge(self.front, shown, replies)
        lines = dict.fromkeys(str(line) for line in map(self.allow_list_at, self.front.endpoints) if line)
        return judged._replace(sentences=(*judged.sentences, *(
            f"{line} admits certain addresses only, and a CA comes from addresses that it does not publish"
            for line in lines)))

    @property
    def verdict(self) -> Verdict:
        """The verdict of :meth:`judge`."""
        return self.judge().verdict

    @property
    def is_served(self) -> bool:
        """Whether the CA will be answered, as far as this host can know."""
        return self.verdict in (Verdict.PROVEN, Verdict.FROM_INSIDE)

    @property
    def notes(self) -> Tuple[str, ...]:
        """Remarks on the identifier's addresses; sentences without a full stop."""
        return self.judge().sentences if self.proof.answers else self.front.notes

    def answer_at(self, endpoint: Endpoint) -> Optional[Answer]:
        """What came back from a front endpoint: rather an answer that is none of our files, for it is the reason."""
        return self.proof.mismatches.get(endpoint) or self.proof.answers.get(endpoint)

    def _reply(self, endpoint: Endpoint) -> Reply:
        answer = self.answer_at(endpoint)
        if answer is None:
            return Reply(connected=False, error="it was not asked")
        is_served, is_mixed = bool(self.proof.served.get(endpoint)), endpoint in self.proof.mismatches
        return Reply(is_served and not is_mixed, answer.connected, answer.status, answer.server, answer.error,
                     is_served and is_mixed)

    @property
    def failing(self) -> List[Endpoint]:
        """The front endpoints of this host that are not proven."""
        return [endpoint for endpoint in self.front.endpoints if self.verdict_at(endpoint) is not Verdict.PROVEN]

    def was_served(self, place: Place) -> bool:
        """Whether the test file of a place came back through any front endpoint."""
        return any(place in places for places in self.proof.served.values())

    def places_to_answer(self) -> List[Place]:
        """Where the token has to be: the places that served, and one for each branch that no probe happened to see.

        A balancer gives each member its share of requests: a member that the probe did not see may answer the CA.
        """
        chosen = {place.key: place for places in self.proof.served.values() for place in places}
        usable = self._usable()
        for endpoint, routes in self.routes.items():
            branches = alternatives(routes)
            # A branch that is alone was seen, wherever its file was: in a known directory, in a server's log.
            if len(branches) < 2 and self.proof.served.get(endpoint):
                continue
            for branch in branches:
                keys = [place.key for place in map(self.candidates.place_of, branch) if place and place.key in usable]
                if keys and not any(key in chosen for key in keys):
                    chosen[keys[0]] = usable[keys[0]]
        return list(chosen.values()) or list(usable.values())[:1]

    def _is_usable_at(self, endpoint: Endpoint) -> bool:
        """Whether what is published may answer there: a listener of ours answers at its own endpoint alone."""
        here = {place.key for place in map(self.candidates.place_of, self.routes.get(endpoint, ())) if place}
        return any(key in here or isinstance(place.end, Directory) for key, place in self._usable().items())

    def _usable(self) -> Dict[PlaceKey, Place]:
        """The places that take a file, by key. A default place counts only where a route leads to it."""
        on_routes = {place.key for routes in self.routes.values() for place in map(self.candidates.place_of, routes)
                     if place}
        return {place.key: place for place in self.places if place.key not in self.proof.publish_errors
                and (not place.is_default or place.key in on_routes)}
