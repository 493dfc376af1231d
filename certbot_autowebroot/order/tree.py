"""Where the requests for an identifier go and what came back, as a tree: the errors of an order, and ``check``."""
import itertools
import re
from typing import Dict
from typing import Iterable
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Tuple

from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.inquiry import Printed
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Elsewhere
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.routing.front_endpoints import Kind
from certbot_autowebroot.routing.probe import Answer
from certbot_autowebroot.system.terminal import printable

#: The end of a step about a condition that only the running server knows: lists of bad robots have dozens.
_ASSUMED = re.compile(r": (unknown here, assumed|taken as) (true|false)")
#: The number of routes of one endpoint that are printed: a balancer may have hundreds of members.
_MAX_ROUTES = 20


class Line(NamedTuple):
    """One line of text, and its depth in the tree."""

    text: str
    depth: int = 0

    def __str__(self) -> str:
        return "  " * self.depth + printable(self.text)


def apart_from(text: str, lines: Iterable[Line]) -> Tuple[Line, ...]:
    """Lines without a text, a name or an endpoint: two that differ in nothing else are printed once."""
    return tuple(line._replace(text=line.text.replace(text, "")) for line in lines)


def tree(outcome: Outcome, shows_failures: bool = True, printed: Optional[Printed] = None,
         headline: str = "") -> Iterator[Line]:
    """The routes of an identifier, hop by hop, each below the one before; what was tried, what came back, what to do.

    :param shows_failures: tell what was tried and came back at the endpoints that are not proven.
    :param printed: advice that need not be printed again; this identifier's is added. None where no advice is wanted.
    :param headline: what stands above the tree, and need not be repeated in it.
    """
    for line in _lines(outcome, shows_failures, printed, headline):
        yield line._replace(text=outcome.without_token(line.text))


def _lines(outcome: Outcome, shows_failures: bool, printed: Optional[Printed], headline: str) -> Iterator[Line]:
    alike: Dict[Tuple[Line, ...], List[Endpoint]] = {}
    for endpoint in outcome.front.endpoints:
        lines = _at_endpoint(outcome, endpoint, shows_failures)
        alike.setdefault(apart_from(str(endpoint), lines), []).append(endpoint)
    for endpoints in alike.values():
        for line in _at_endpoint(outcome, endpoints[0], shows_failures):
            several = " and ".join(map(str, endpoints))
            yield line._replace(text=line.text.replace(str(endpoints[0]), several, 1)) if line.depth == 1 else line
    for reason in outcome.rejected:
        if reason not in headline:
            # Another program's message of several lines, as nginx's own errors are: they stay lines, below ours.
            first, *rest = filter(str.strip, reason.splitlines())
            yield Line(f"tried {first}", 1)
            yield from (Line(text, 2) for text in rest)
    if printed is not None:
        from certbot_autowebroot.order import advice  # only a failure has to pay for it: 10 ms
        from certbot_autowebroot.order import other_machines
        yield from (Line(text, 1) for text in [*advice.what_to_do(outcome, outcome.failing, printed),
                                               *other_machines.advice(outcome, printed)])
    for node in outcome.front.of_kind(Kind.NODE):
        if outcome.verdict_at(node) is Verdict.PROVEN:  # of the others, a note says it
            yield Line(f"the node {node.host}: the test file came back", 1)
    if note(outcome, headline):
        yield Line(note(outcome, headline), 1)


def note(outcome: Outcome, headline: str) -> str:
    """The remarks on an identifier's addresses that the headline does not have; perhaps empty."""
    notes = [text for text in outcome.notes if text not in headline]
    return f"note: {'; '.join(notes)}" if notes else ""


def _at_endpoint(outcome: Outcome, endpoint: Endpoint, shows_failures: bool) -> Iterator[Line]:
    routes = _fitting_first(outcome.routes.get(endpoint, ()), outcome.answer_at(endpoint))
    before: List[Line] = []
    for route in routes[:_MAX_ROUTES]:
        lines = list(_hops(route))
        # What a route has in common with the one above is printed once.
        common = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(before, lines)))
        yield from lines[common:]
        yield Line(_end(route, outcome, endpoint), len(route.hops) + 1)
        before = lines
    if len(routes) > _MAX_ROUTES:
        yield Line(f"and {len(routes) - _MAX_ROUTES} more ends", 1)
    for text in _remarks(outcome, endpoint, shows_failures):
        yield Line(text, 2) if routes else Line(f"{endpoint}: {text}", 1)


def _hops(route: Route) -> Iterator[Line]:
    assumed: Set[Step] = set()
    for depth, hop in enumerate(route.hops):
        yield Line(_stop(hop, depth == 0), depth + 1)
        yield from (Line(text, depth + 2) for text in _steps(hop.trail, assumed))


def _steps(trail: Iterable[Step], assumed: Set[Step]) -> List[str]:
    """The steps of one hop; of lines that are assumed in the same way, the first, and how many more.

    :param assumed: those of the hops before, which need not be printed again; this hop's are added.
    """
    by_kind: Dict[Tuple[str, bool], List[Step]] = {}
    for step in dict.fromkeys(trail):
        kind = _ASSUMED.search(step.text)
        if not kind or step not in assumed:
            by_kind.setdefault((kind.group() if kind else str(step), step.admits_some), []).append(step)
        if kind:
            assumed.add(step)
    return [str(first) + (f" and {len(more)} more like it" if more else "") for first, *more in by_kind.values()]


def _fitting_first(routes: Sequence[Route], answer: Optional[Answer]) -> List[Route]:
    """The routes, a dead end with the status that came back before other dead ends: it is the reason."""
    if not answer or not answer.status or not all(isinstance(route.end, DeadEnd) for route in routes):
        return list(routes)
    return sorted(routes, key=lambda route: str(answer.status) not in re.findall(r"\b[1-5]\d\d\b", str(
        getattr(route.end, "reason", ""))))


def _stop(hop: Hop, is_first: bool) -> str:
    """The program that accepts a request, and at which endpoint; and the URL, where it is not the CA's."""
    what = "" if is_first else f" is asked for {hop.request.url.replace(hop.request.token, 'TOKEN')}"
    return f"{hop.request.endpoint}: {hop.program}{what}"


def _end(route: Route, outcome: Outcome, endpoint: Endpoint) -> str:
    """The end of a route, and what became of the test file there."""
    if isinstance(route.end, DeadEnd):
        return f"dead end: {route.end.reason}"
    if isinstance(route.end, Unknown):
        return f"cannot be known: {route.end.reason}"
    if isinstance(route.end, Elsewhere):
        return f"leads away from this machine, to {route.end.target}"
    place = outcome.candidates.place_of(route)
    assert place is not None  # noqa: S101 - for the type checker
    where = f"looks in the directory {str(route.end).rpartition('/')[0] or '/'}"
    if isinstance(route.end, Vacant):
        where = f"{route.end.endpoint}: no program listens, so autowebroot listens itself"
    return where + _became(place, outcome, endpoint)


def _became(place: Place, outcome: Outcome, endpoint: Endpoint) -> str:
    if str(place.end) in {str(served.end) for served in outcome.proof.served.get(endpoint, ())}:
        return f"; the test file came back{_how_often(outcome, endpoint)}"
    tried = [one for one in outcome.places
             if one.key == place.key or (not one.program and str(one.end) == str(place.end))]
    refused = [outcome.proof.publish_errors[one.key] for one in tried if one.key in outcome.proof.publish_errors]
    if refused:
        return _refused(refused[0])
    return "; the test file did not come back" if tried and endpoint in outcome.proof.answers else ""


def _how_often(outcome: Outcome, endpoint: Endpoint) -> str:
    return ", but not each time" if endpoint in outcome.proof.mismatches else ""


def _refused(reason: str) -> str:
    return f"; refused: {reason.rstrip('.')}"


def _remarks(outcome: Outcome, endpoint: Endpoint, shows_failures: bool) -> Iterator[str]:
    """What else concerns one endpoint: given directories, and the answer."""
    routes = outcome.routes.get(endpoint, [])
    here = _places(outcome, routes)
    anywhere = [place for at_endpoint in outcome.routes.values() for place in _places(outcome, at_endpoint)]
    for place in outcome.proof.served.get(endpoint, ()):
        if str(place.end) not in here:
            yield f"{test_file(place)} came back{_how_often(outcome, endpoint)}"
    answer = outcome.answer_at(endpoint)
    if not shows_failures or outcome.verdict_at(endpoint) is Verdict.PROVEN or answer is None:
        return
    for place in outcome.places:
        if str(place.end) not in anywhere and not outcome.was_served(place):
            error = outcome.proof.publish_errors.get(place.key)
            yield f"tried {str_of(place)}{_refused(error)}" if error else f"{test_file(place)} did not come back"
    if not any(isinstance(route.end, DeadEnd) and route.end.reason == answer.error for route in routes):
        yield f"came back: {str_of_answer(answer)}"


def _places(outcome: Outcome, routes: Sequence[Route]) -> List[str]:
    """The places at the ends of these routes, by path or endpoint."""
    return [str(place.end) for place in map(outcome.candidates.place_of, routes) if place]


def str_of(place: Place) -> str:
    """A place, for a person."""
    if isinstance(place.end, Directory):
        owner = f" of {place.program}" if place.program else ""
        return f"{printable(str(place.end).rpartition('/')[0])}{owner}"
    return f"a listener of our own at {place.end.endpoint}"


def test_file(place: Place) -> str:
    """A test file, by the place where it was published."""
    return f"a test file {'in' if isinstance(place.end, Directory) else 'from'} {str_of(place)}"


def str_of_answer(answer: Answer) -> str:
    """An answer, for a person."""
    return printable(str(answer) + (f", a redirect to {answer.elsewhere}" if answer.elsewhere else ""))
