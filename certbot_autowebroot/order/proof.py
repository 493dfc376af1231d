"""The proof: a test file in every place where the challenge may be served from, and the answers of the front endpoints.

The test file of an identifier has one random name, so that the token is never requested before it is published (caches
remember a 404). Its content differs from place to place: the body that comes back names the place that is served.
"""
import contextlib
import http.client
import secrets
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Sequence
from typing import Set

from certbot_autowebroot.order.inquiry import Candidates
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.inquiry import PlaceKey
from certbot_autowebroot.order.inquiry import ProofResult
from certbot_autowebroot.order.progress import ASKING
from certbot_autowebroot.order.progress import Progress
from certbot_autowebroot.responders import AlreadyPublishedError
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.routing import probe
from certbot_autowebroot.routing.front_endpoints import Kind
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.routing.probe import Answer
from certbot_autowebroot.system import threads

#: Requests to a front endpoint that several servers share, at most: of two servers, one is missed with odds of 1 in
#: 32,768. With 8 requests the odds were 1 in 128, and one renewal in some hundred failed.
MAX_REQUESTS = 16
#: Statuses that say nothing of where the file is looked for: no answer, a request limit (8 at once may exceed it), a
#: member of a group that is down and will be left out.
_TEMPORARY = (0, 429, 502, 503, 504)
#: A proxy's statuses for an upstream that it takes for dead, and the seconds until it tries that again: nginx's
#: ``fail_timeout`` is 10, HAProxy's ``check`` takes 4, Varnish's ``.probe`` 15.
DOWN = (502, 503, 504)
PATIENCE = 16.0
#: A server's statuses for too many requests, and the seconds for which the request is repeated.
_LIMITED = (429, 503)
_LIMIT_PATIENCE = 4.0
#: Seconds before the first repetition; each further one waits longer by as much.
_PAUSE = 0.3

#: The name resolves to this host itself: no balancer is in front of it.
_NEEDS_PROXY_LINE = ("the server answers only after a PROXY line, which a balancer sends and the CA does not: take the "
                     "PROXY protocol off this listener, or let the name resolve to the balancer")
#: Requests to a remote address: a balancer over two machines shows only so.
_REMOTE_REQUESTS = 3

#: Characters of a server's log in a message.
_MAX_LOGGED = 400

#: Remote addresses that do not accept a connection in time, with the answer of the first attempt.
SilentAddresses = Dict[Endpoint, Answer]
#: Makes the responder for a place and a token; raises PublishError.
MakeResponder = Callable[[Place, str], Any]


def prove(candidates: Sequence[Candidates], host: Host, silent: SilentAddresses, make_responder: MakeResponder,
          progress: Progress) -> List[ProofResult]:
    """Publish the test files of all identifiers, ask their front endpoints, and remove the files.

    The remote ones are asked over the network, as the CA does: a file that comes back from there is proof through any
    NAT, balancer or CDN.

    :param silent: addresses that do not answer; those that are found are added.
    :returns: what the test files showed, in the order of the candidates.
    """
    with contextlib.ExitStack() as withdrawing:
        published = [_publish(one, make_responder, withdrawing) for one in candidates]
        questions = [_Question(one, endpoint, its.errors) for one, its in zip(candidates, published)
                     for endpoint in (*one.front.endpoints, *one.front.remote)]
        answers: Dict[str, Dict[Endpoint, List[Answer]]] = {one.token: {} for one in candidates}
        for batch in _batches(questions):
            for question, answered in zip(batch, _ask_all(batch, host, silent, progress)):
                answers[question.candidates.token][question.endpoint] = answered
        return [_result(its, answers[one.token]) for one, its in zip(candidates, published)]


def _batches(questions: "Sequence[_Question]") -> "List[List[_Question]]":
    """Each remote address once in the first batch: of a hundred names at a silent one, one waits for it."""
    first: Dict[Endpoint, _Question] = {}
    for question in questions:
        if question.is_remote:
            first.setdefault(question.endpoint, question)
    later = [question for question in questions
             if question.is_remote and first[question.endpoint] is not question]
    return [[question for question in questions if question not in later], later]


class _Published(NamedTuple):
    """The test files of one identifier: their places by content, and the places without one."""

    by_content: Dict[bytes, Place]
    errors: Dict[PlaceKey, str]
    duplicates: Set[PlaceKey]


def _publish(candidates: Candidates, make_responder: MakeResponder, withdrawing: contextlib.ExitStack) -> _Published:
    published = _Published({}, {}, set())
    for place in candidates.places:
        # In the form of a key authorization (RFC 8555 section 8.1): the token, a dot, 43 characters.
        content = f"{candidates.token}.{secrets.token_urlsafe(32)}".encode("ascii")
        try:
            responder = make_responder(place, candidates.token)
            withdrawing.callback(responder.withdraw)
            responder.publish(content)
        except AlreadyPublishedError:  # a symlink that was proven last time, and the directory that it leads to
            published.duplicates.add(place.key)
        except PublishError as error:
            published.errors[place.key] = str(error)
        else:
            published.by_content[content] = place
    return published


def _result(published: _Published, answers: Mapping[Endpoint, Sequence[Answer]]) -> ProofResult:
    served: Dict[Endpoint, List[Place]] = {}
    mismatches: Dict[Endpoint, Answer] = {}
    for endpoint, of_endpoint in answers.items():
        bodies = dict.fromkeys(answer.body.rstrip() for answer in of_endpoint)
        places = [published.by_content[body] for body in bodies if body in published.by_content]
        others = [answer for answer in of_endpoint
                  if answer.status not in _TEMPORARY and answer.body.rstrip() not in published.by_content]
        if places:
            served[endpoint] = places
        if places and others:
            mismatches[endpoint] = others[0]
    return ProofResult(published.errors, frozenset(published.duplicates),
                       {endpoint: of_endpoint[-1] for endpoint, of_endpoint in answers.items()}, served, mismatches)


def mismatches(candidates: Candidates, endpoints: Iterable[Endpoint], token: str, key_authorization: bytes,
               host: Host) -> Dict[Endpoint, Answer]:
    """The answers of these front endpoints that are not the key authorization.

    Trailing white space does not count (RFC 8555 section 8.3).
    """
    answers = {endpoint: _ask(_Question(candidates, endpoint), host, _while_limited(), token) for endpoint in endpoints}
    return {endpoint: answer for endpoint, answer in answers.items() if answer.body.rstrip() != key_authorization}


class _Question(NamedTuple):
    """A front endpoint of one identifier; and why no test file could be published in a place, by the place's key."""

    candidates: Candidates
    endpoint: Endpoint
    publish_errors: Mapping[PlaceKey, str] = {}

    @property
    def is_remote(self) -> bool:
        """Whether this host does not have the address."""
        return self.endpoint in self.candidates.front.remote

    def ask(self, host: Host, token: str) -> Answer:
        """Make the request once: over the network as the CA does, or at an endpoint of this host."""
        front, request = self.candidates.front, self.candidates.request(self.endpoint, token)
        if self.is_remote:
            return probe.ask_as_the_ca(request, host.reachable_addresses)
        answer = probe.ask(request, host)
        if answer.with_proxy_line and self.endpoint in front.of_kind(Kind.LOCAL):
            return answer._replace(status=0, body=b"", refused=True, error=_NEEDS_PROXY_LINE)
        if answer.status >= http.client.BAD_REQUEST and answer.status not in (http.client.NOT_FOUND, *_TEMPORARY):
            return answer._replace(logged=self._logged(host, request.token))
        return answer

    def _logged(self, host: Host, token: str) -> str:
        """Why a server refused the request, by its error log."""
        hops = dict.fromkeys(hop for route in self.candidates.routes.get(self.endpoint, ()) for hop in route.hops)
        for hop in reversed(hops):
            path = hop.request.path.replace(hop.request.token, token)
            line = host.logged_error(hop._replace(request=hop.request._replace(path=path, token=token)))
            if line:
                return f"; the error log of {hop.program} says: {line[:_MAX_LOGGED]}"
        return ""

    @property
    def requests(self) -> int:
        """The number of requests: more than one where several servers may answer by turns."""
        if self.is_remote:
            return _REMOTE_REQUESTS
        return MAX_REQUESTS if len({route.branch for route in self.candidates.routes.get(self.endpoint, ())}) > 1 else 1

    @property
    def is_behind_a_proxy(self) -> bool:
        """Whether we listen where a proxy knows that no program does: by health checks, or since it tried in vain."""
        ours = [self.candidates.place_of(route) for route in self.candidates.routes.get(self.endpoint, ())
                if route.hops and isinstance(route.end, Vacant)]
        return any(place and place.key not in self.publish_errors for place in ours)


def _ask_all(questions: Sequence[_Question], host: Host, silent: SilentAddresses,
             progress: Progress) -> List[List[Answer]]:
    """Ask many front endpoints at once: one that never answers delays no other."""
    deadline = time.monotonic() + PATIENCE

    def ask(question: _Question) -> List[Answer]:
        if question.endpoint in silent:
            return [silent[question.endpoint]]
        ends = _while_limited() if question.candidates.places else {}
        if question.is_behind_a_proxy:
            ends.update(dict.fromkeys(DOWN, deadline))
        answers = [_ask(question, host, ends)]
        while len(answers) < question.requests and answers[-1].status:
            answers.append(_ask(question, host, ends))
        if question.is_remote and not answers[0].connected:
            silent[question.endpoint] = answers[0]
        return answers
    by_question: List[List[Answer]] = []
    answering = threads.each(ask, questions)
    for number in range(len(questions)):
        progress(ASKING, number, len(questions))
        by_question.append(next(answering))
    return by_question


def _ask(question: _Question, host: Host, ends: Mapping[int, float], token: str = "") -> Answer:
    """Ask, and again while the status is one that may change in a moment.

    :param ends: by status, until when (of the monotonic clock).
    :param token: for the test file where it is empty.
    """
    answer = question.ask(host, token)
    pause = _PAUSE
    while time.monotonic() < ends.get(answer.status, 0.0):
        time.sleep(pause)
        pause += _PAUSE
        answer = question.ask(host, token)
    return answer


def _while_limited() -> Dict[int, float]:
    """Until when a request limit is waited for: the requests for all identifiers come from one address in a moment."""
    return dict.fromkeys(_LIMITED, time.monotonic() + _LIMIT_PATIENCE)
