"""The proof: a test file in every place that could be meant, each with another body, and the front door's answer.

The file has one random name, so that the real token is never asked for before it is written (caches remember a 404);
the body that comes back names the place that the live server serves from.
"""
import logging
import secrets
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Mapping
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.order.inquiry import Inquiry
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.inquiry import Verdict
from certbot_autowebroot.order.progress import ASKING
from certbot_autowebroot.order.progress import Progress
from certbot_autowebroot.responders import AlreadyPublishedError
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.routing import probe
from certbot_autowebroot.routing.follow import Machine
from certbot_autowebroot.routing.probe import Answer
from certbot_autowebroot.system import threads

logger = logging.getLogger(__name__)

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
                except AlreadyPublishedError:  # the place is a symlink to another one of them
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
    for answers in threads.each(ask, questions):
        progress(ASKING, len(found), len(questions))
        found.append(answers)
    return found


def _is_behind_a_proxy(inquiry: Inquiry, door: Endpoint) -> bool:
    """Whether we listen where a proxy knows that nobody does: by its health checks, or since it was asked in vain."""
    ours = [Place(route.end) for route in inquiry.routes.get(door, ()) if route.hops and isinstance(route.end, Vacant)]
    return any(place.key not in inquiry.refused for place in ours)
