"""The sentences of an order: why identifiers fail, how they were answered, what to check when the CA refuses."""
import re
from typing import Container
from typing import Dict
from typing import Iterable
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Tuple

from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Elsewhere
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.routing.probe import Answer
from certbot_autowebroot.system.terminal import printable

#: The end of a step about a condition that only the running server knows: lists of bad robots have dozens.
_ASSUMED = re.compile(r": (unknown here, assumed|taken as) (true|false)")

#: The number of names in one sentence, of routes in a question, and of unknown things in the reason of one name.
_NAMED = 5


def failures(outcomes: Sequence[Outcome], installed: Sequence[str] = ()) -> str:
    """Why an order is stopped: every failing identifier with its reason.

    :param installed: the authenticators to choose from, where a chosen one does not help.
    """
    printed: Set[Tuple[str, ...]] = set()
    reasons = [failure(outcome, printed) for outcome in outcomes]
    if any(outcome.rejected for outcome in outcomes):
        reasons.append(f"Authenticators that are installed here: {', '.join(installed)}.")
        after = "Nothing was left behind."
    else:
        after = "Nothing was left behind and no server was touched."
    start = "The CA was not asked, for it could not be proved that it would be answered:" \
        if all(map(_is_refused, outcomes)) else "The CA was not asked, for it would have failed:"
    return "\n\n".join([start, *reasons, after])


def failure(outcome: Outcome, printed: Optional[Set[Tuple[str, ...]]] = None) -> str:
    """Why one identifier would fail: where its request goes, what was tried, what came back, what to do.

    :param printed: advice that need not be printed again; this identifier's is added.
    """
    identifier = outcome.identifier
    if not outcome.front.endpoints:
        return f"{identifier}: {'; '.join(outcome.notes) or 'this machine has no address that a CA could come to'}."
    # Several addresses that fail in the same way are reported once.
    endpoints = {_at_endpoint(outcome, endpoint): endpoint for endpoint in reversed(outcome.failing)}
    lines = [f"{identifier}: {text}" for text in reversed(list(endpoints))]
    if not lines:  # what answers is another machine
        lines = [f"{identifier}: a test file came back within this machine, and the CA gets another answer."]
    lines += [f"  Note: {note}." for note in outcome.notes]
    lines += [f"  Tried: {_indented(reason)}." for reason in outcome.rejected]
    from certbot_autowebroot.order import advice  # only a failure has to pay for it: 10 ms
    what_to_do = advice.what_to_do(outcome, outcome.failing, set() if printed is None else printed)
    lines += [f"  {printable(text)}" for text in what_to_do]
    if _is_refused(outcome):
        lines.append("  The CA may be answered all the same: --autowebroot-unproven try asks it, with a warning.")
    return outcome.without_token("\n".join(lines))


def _is_refused(outcome: Outcome) -> bool:
    """Whether ``--autowebroot-unproven refuse`` is the only thing that speaks against asking the CA."""
    return outcome.verdict is Verdict.UNPROVEN and bool(outcome.places_to_answer())


def question(offers: Mapping[str, Sequence[Outcome]]) -> str:
    """Whether other authenticators may be used; asked once.

    :param offers: by authenticator, the identifiers that it may answer for.
    """
    what = [f"The authenticator {name} can answer for {_identifiers(outcomes)}: it edits the configuration of the web "
            "server and reloads it, and after the validation edits it back and reloads it again."
            for name, outcomes in offers.items()]
    return _question([outcome for outcomes in offers.values() for outcome in outcomes], what)


def wire_question(outcomes: Sequence[Outcome]) -> str:
    """Whether these identifiers may be answered on the wire; asked once."""
    return _question(outcomes, [
        f"autowebroot can answer for {_identifiers(outcomes)} on the wire: for the seconds of the validation, nftables "
        "catches the CA's requests before they reach the server. No configuration is edited, nothing is reloaded, and "
        "no other connection is touched."])


def _question(outcomes: Sequence[Outcome], what: Sequence[str]) -> str:
    routes = {outcome.identifier: outcome.without_token(f"{outcome.identifier}: {_route(at_endpoint[0], endpoint)}")
              for outcome in outcomes
              for endpoint, at_endpoint in outcome.routes.items() if at_endpoint}
    shown = list(routes.values())[:_NAMED]
    if len(routes) > len(shown):
        shown.append(f"and {len(routes) - len(shown)} more names.")
    return "\n\n".join(["No directory was found for:", *shown, *what,
                        "May it do so, now and at every renewal?"])


def _identifiers(outcomes: Sequence[Outcome]) -> str:
    return named([outcome.identifier for outcome in outcomes], " and ")


def named(names: Sequence[str], between: str = ", ") -> str:
    """Several names; of many, the first."""
    more = len(names) - _NAMED
    return between.join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def unproven(outcome: Outcome) -> str:
    """Why the CA is asked although nothing is proved."""
    places = ", ".join(str_of(place) for place in outcome.places_to_answer())
    answers = "; ".join([*map(str_of_answer, outcome.proof.answers.values()), *outcome.notes])
    return outcome.without_token(f"{outcome.identifier}: it could not be proved from here that the CA will be answered "
                                 f"({answers}); going on with the likeliest place, {places}.")


def answered(outcome: Outcome) -> str:
    """Where the token of an identifier was published, and what was proved of it."""
    if outcome.answered_by:
        return (f"{outcome.identifier} was answered by the authenticator {outcome.answered_by}; what it has published "
                f"came back through {', '.join(map(str, outcome.failing))}.")
    places = " and ".join(str_of(place) for place in outcome.places_to_answer())
    proven = list(outcome.proof.served)
    proof = (f"a test file came back from there through {', '.join(map(str, proven))}"
             if outcome.is_served else "no test file could be fetched from there")
    return f"{outcome.identifier} was answered from {places}; {proof}."


def hint(outcomes: Iterable[Outcome], port: int, unanswered: Container[str] = ()) -> str:
    """What to check when the CA could not validate identifiers.

    :param port: the port that the CA's port 80 leads to.
    :param unanswered: the identifiers that no token was published for: the CA was asked for the sake of others.
    """
    published = []
    lines = []
    for outcome in outcomes:
        if outcome.identifier in unanswered:
            lines.append(f"Nothing was published for {outcome.identifier}: the reason is above.")
        else:
            published.append(outcome)
    if published:
        lines.append("The Certificate Authority failed to fetch what was published for it:")
    for outcome in published:
        lines.append("  " + answered(outcome))
        lines += [f"  Note: {note}." for note in outcome.notes]
    if published:
        proven = all(outcome.answered_by or outcome.is_served for outcome in published)
        lines.append(("From this machine it was served. So check" if proven else "Check") + " what lies between this "
                     "machine and the CA: the names' A and AAAA records, a firewall, a port forward to port "
                     f"{port}, a balancer or a CDN in front.")
    return "\n".join(lines)


def str_of(place: Place) -> str:
    """A place, for a person."""
    if isinstance(place.end, Directory):
        owner = f" of {place.program}" if place.program else ""
        return f"{printable(str(place.end).rpartition('/')[0])}{owner}"
    return f"a listener of our own at {place.end.endpoint}"


def test_file(place: Place) -> str:
    """A test file, by the place where it was published."""
    return f"a test file {'in' if isinstance(place.end, Directory) else 'from'} {str_of(place)}"


def _at_endpoint(outcome: Outcome, endpoint: Endpoint) -> str:
    answer = outcome.answer_at(endpoint)
    routes = _fitting_first(outcome.routes.get(endpoint, []), answer)
    lines = [_route(routes[0], endpoint) if routes else f"{endpoint} was asked"]
    lines += _what_was_tried(outcome, routes)
    # The first route is told above. What could not be read may be the reason why another one is the true one.
    unknown = dict.fromkeys(route.end.reason for route in routes[1:]
                            if isinstance(route.end, Unknown) and route.end != routes[0].end)
    lines += [f"  Not known: {printable(reason.rstrip('.'))}." for reason in list(unknown)[:_NAMED]]
    if answer and says_more(answer, routes):
        lines.append(f"  Came back: {str_of_answer(answer)}.")
    return "\n".join(lines)


def _fitting_first(routes: Sequence[Route], answer: Optional[Answer]) -> List[Route]:
    """The routes, a dead end with the status that came back before other dead ends: it is the reason."""
    if not answer or not answer.status or not all(isinstance(route.end, DeadEnd) for route in routes):
        return list(routes)
    return sorted(routes, key=lambda route: str(answer.status) not in re.findall(r"\b[1-5]\d\d\b", str(
        getattr(route.end, "reason", ""))))


def _indented(text: str) -> str:
    """Another program's message of several lines, as nginx's own errors are: they stay lines, below ours."""
    return "\n    ".join(printable(line) for line in text.splitlines() if line.strip())


def says_more(answer: Answer, routes: Sequence[Route]) -> bool:
    """Whether an answer says something that the end of a route does not say already."""
    return not any(isinstance(route.end, DeadEnd) and route.end.reason == answer.error for route in routes)


def str_of_answer(answer: Answer) -> str:
    """An answer, for a person."""
    return printable(str(answer) + (f", a redirect to {answer.elsewhere}" if answer.elsewhere else ""))


def _route(route: Route, endpoint: Endpoint) -> str:
    """The program that holds the port and those behind it, with the lines of configuration that decide."""
    if not route.hops:
        return f"no program listens on {endpoint}, so autowebroot tried to listen there itself."
    hops = []
    assumed: Set[Step] = set()
    for number, hop in enumerate(route.hops):
        at = hop.request.endpoint.host if hop.request.endpoint.is_unix else \
            f"port {hop.request.endpoint.port} at {hop.request.endpoint.host}"
        start = f"{at} is held by {hop.program}" if number == 0 else f"then {at}, held by {hop.program}"
        steps = ", ".join(_steps(hop.trail, assumed))
        hops.append(start + (f", which takes {steps}" if steps else ""))
    if isinstance(route.end, (DeadEnd, Unknown)):
        hops.append(route.end.reason)
    elif isinstance(route.end, Elsewhere):
        hops.append(f"and that leads away from this machine, to {route.end.target}")
    return printable("; ".join(hops) + ".")


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


def _what_was_tried(outcome: Outcome, routes: Sequence[Route]) -> List[str]:
    here = {place.key for place in map(outcome.candidates.place_of, routes) if place}
    lines = []
    for place in outcome.places:
        # A hint belongs to every endpoint, a place at the end of a route to the endpoints of that route.
        if place.program is not None and place.key not in here:
            continue
        error = outcome.proof.publish_errors.get(place.key)
        lines.append(f"  Tried: {str_of(place)}: {printable(error.rstrip('.'))}." if error else
                     f"  Tried: {test_file(place)}, which came back, but not each time." if outcome.was_served(place)
                     else f"  Tried: {test_file(place)}, which did not come back.")
    return lines
