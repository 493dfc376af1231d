"""What was found out, in sentences that a person can act on. Every sentence about a name is made here."""
from typing import Container
from typing import Iterable
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Tuple

from certbot_autowebroot.order.inquiry import Inquiry
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.inquiry import Verdict
from certbot_autowebroot.order.inquiry import place_of
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Elsewhere
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.routing.probe import Answer
from certbot_autowebroot.system.terminal import printable

#: So many names stand in one sentence, for so many a question tells where they lead, and so many things that are not
#: known are told of one.
_NAMED = 5



def failures(inquiries: Sequence[Inquiry], installed: Sequence[str] = ()) -> str:
    """Why an order is stopped: every failing name with its reason.

    :param installed: the authenticators to choose from, where one that was chosen does not help.
    """
    printed: Set[Tuple[str, ...]] = set()
    reasons = [failure(inquiry, printed) for inquiry in inquiries]
    if any(inquiry.set_aside for inquiry in inquiries):
        reasons.append(f"Authenticators that are installed here: {', '.join(installed)}.")
        after = "Nothing was left behind."
    else:
        after = "Nothing was left behind and no server was touched."
    start = "The CA was not asked, for it could not be proved that it would be answered:" \
        if all(map(_is_refused, inquiries)) else "The CA was not asked, for it would have failed:"
    return "\n\n".join([start, *reasons, after])


def failure(inquiry: Inquiry, printed: Optional[Set[Tuple[str, ...]]] = None) -> str:
    """Why one name would fail: where its request goes, what was tried, what came back, what to do.

    :param printed: advice that need not be printed again; this name's is added.
    """
    if not inquiry.doors.endpoints:
        return f"{inquiry.name}: {inquiry.doors.note or 'this machine has no address that a CA could come to'}."
    doors = [door for door in inquiry.doors.endpoints if inquiry.verdict_of(door) is not Verdict.PROVEN]
    # Several addresses that fail in the same way are one thing to say.
    said = {_at_door(inquiry, door): door for door in reversed(doors)}
    lines = [f"{inquiry.name}: {text}" for text in reversed(list(said))]
    lines += [f"  Tried: {_lines_of(reason)}." for reason in inquiry.set_aside]
    from certbot_autowebroot.order import advice  # only a failure has to pay for it: 10 ms
    what_to_do = advice.what_to_do(inquiry, doors, set() if printed is None else printed)
    lines += [f"  {printable(text)}" for text in what_to_do]
    if _is_refused(inquiry):
        lines.append("  The CA may be answered all the same: --autowebroot-unproven try asks it, with a warning.")
    if not inquiry.doors.certain and inquiry.doors.note:
        lines.append(f"  Note: {inquiry.doors.note}.")
    return "\n".join(lines)


def _is_refused(inquiry: Inquiry) -> bool:
    """Nothing speaks against it but ``--autowebroot-unproven refuse``."""
    return inquiry.verdict is Verdict.UNPROVEN and bool(inquiry.places_to_answer())


def question(offers: Mapping[str, Sequence[Inquiry]]) -> str:
    """Whether other authenticators are to be used; asked once.

    :param offers: by authenticator, the names that it may answer for.
    """
    roads = {inquiry.name: f"{inquiry.name}: {_road(routes[0], door)}" for inquiries in offers.values()
             for inquiry in inquiries for door, routes in inquiry.routes.items() if routes}
    shown = list(roads.values())[:_NAMED]
    if len(roads) > len(shown):
        shown.append(f"and {len(roads) - len(shown)} more names.")
    names = {name: named([inquiry.name for inquiry in inquiries], " and ") for name, inquiries in offers.items()}
    what = [f"The authenticator {name} can answer for {those}: it edits the configuration of the web server and "
            "reloads it, and after the validation edits it back and reloads it again." for name, those in names.items()]
    return "\n\n".join(["No directory was found for:", *shown, *what,
                        "May it do so, now and at every renewal?"])


def named(names: Sequence[str], between: str = ", ") -> str:
    """The names of several; of many, the first."""
    more = len(names) - _NAMED
    return between.join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def unproven(inquiry: Inquiry) -> str:
    """Why the CA is asked although nothing is proved."""
    places = ", ".join(str_of(place) for place in inquiry.places_to_answer())
    came_back = "; ".join(map(what_came_back, inquiry.answers.values()))
    return (f"{inquiry.name}: it could not be proved from here that the CA will be answered ({came_back}); going on "
            f"with the likeliest place, {places}.")


def answered(inquiry: Inquiry) -> str:
    """Where a name's challenge was published, and on what evidence."""
    if inquiry.answered_by:
        theirs = [str(door) for door in inquiry.doors.endpoints if inquiry.verdict_of(door) is not Verdict.PROVEN]
        return (f"{inquiry.name} was answered by the authenticator {inquiry.answered_by}; what it has published came "
                f"back through {', '.join(theirs)}.")
    places = " and ".join(str_of(place) for place in inquiry.places_to_answer())
    doors = ", ".join(str(door) for door in inquiry.doors.endpoints if inquiry.verdict_of(door) is Verdict.PROVEN)
    evidence = (f"a test file came back from there through {doors}" if inquiry.verdict is Verdict.PROVEN
                else "no test file could be fetched from there")
    return f"{inquiry.name} was answered from {places}; {evidence}."


def hint(inquiries: Iterable[Inquiry], port: int, unanswered: Container[str] = ()) -> str:
    """What to look at when the CA could not validate what we could.

    :param unanswered: the names that nothing was published for: the CA was asked for the sake of others.
    """
    published = []
    lines = []
    for inquiry in inquiries:
        if inquiry.name in unanswered:
            lines.append(f"Nothing was published for {inquiry.name}, for what was said above.")
        else:
            published.append(inquiry)
    if published:
        lines.append("The Certificate Authority failed to fetch what was published for it:")
    for inquiry in published:
        lines.append("  " + answered(inquiry))
        if inquiry.doors.note:
            lines.append(f"  Note: {inquiry.doors.note}.")
    if published:
        seen = all(inquiry.answered_by or inquiry.verdict is Verdict.PROVEN for inquiry in published)
        lines.append(("Seen from this machine it was served. So look" if seen else "Look") + " at what lies between "
                     "this machine and the CA: the names' A and AAAA records, a firewall, a port forward to port "
                     f"{port}, a balancer or a CDN in front.")
    return "\n".join(lines)


def str_of(place: Place) -> str:
    """A place as a person would name it."""
    if isinstance(place.end, Directory):
        whose = f" of {place.program}" if place.program else ""
        return f"{printable(str(place.end).rpartition('/')[0])}{whose}"
    return f"a listener of our own at {place.end.endpoint}"


def test_file(place: Place) -> str:
    """A test file, by the place where it was published."""
    return f"a test file {'in' if isinstance(place.end, Directory) else 'from'} {str_of(place)}"


def _at_door(inquiry: Inquiry, door: Endpoint) -> str:
    routes = inquiry.routes.get(door, [])
    parts = [_road(routes[0], door) if routes else f"{door} was asked"]
    parts += _what_was_tried(inquiry, routes)
    # The first road is told above. What could not be read may be why it is not the true one.
    unknown = dict.fromkeys(route.end.reason for route in routes[1:]
                            if isinstance(route.end, Unknown) and route.end != routes[0].end)
    parts += [f"  Not known: {printable(reason.rstrip('.'))}." for reason in list(unknown)[:_NAMED]]
    answer = inquiry.misses.get(door) or inquiry.answers.get(door)
    if answer and says_more(answer, routes):
        parts.append(f"  Came back: {what_came_back(answer)}.")
    return "\n".join(parts)


def _lines_of(text: str) -> str:
    """What another has said in several lines, as nginx's own errors are: they stay lines, further in than ours."""
    return "\n    ".join(printable(line) for line in text.splitlines() if line.strip())


def says_more(answer: Answer, routes: Sequence[Route]) -> bool:
    """Whether an answer is another thing than what the road has said already."""
    return not any(isinstance(route.end, DeadEnd) and route.end.reason == answer.error for route in routes)


def what_came_back(answer: Answer) -> str:
    """An answer in words."""
    return printable(str(answer) + (f", a redirect to {answer.elsewhere}" if answer.elsewhere else ""))


def _road(route: Route, door: Endpoint) -> str:
    """Who holds the port, hop by hop, with the lines of configuration that decide."""
    if not route.hops:
        return f"nobody listens on {door}, so we tried to listen there ourselves."
    stops = []
    for number, hop in enumerate(route.hops):
        at = f"port {hop.request.endpoint.port} at {hop.request.endpoint.host}" if not hop.request.endpoint.is_unix \
            else hop.request.endpoint.host
        steps = ", ".join(map(str, hop.trail))
        start = f"{at} is held by {hop.program}" if number == 0 else f"then {at}, held by {hop.program}"
        stops.append(start + (f", which takes {steps}" if steps else ""))
    if isinstance(route.end, (DeadEnd, Unknown)):
        stops.append(route.end.reason)
    elif isinstance(route.end, Elsewhere):
        stops.append(f"and that leads away from this machine, to {route.end.target}")
    return printable("; ".join(stops) + ".")


def _what_was_tried(inquiry: Inquiry, routes: List[Route]) -> List[str]:
    here = {place.key for place in map(place_of, routes) if place}
    lines = []
    for place in inquiry.places:
        # A hint belongs to every door, a place at the end of a route to those doors that lead there.
        if place.program is not None and place.key not in here:
            continue
        refused = inquiry.refused.get(place.key)
        lines.append(f"  Tried: {str_of(place)}: {printable(refused.rstrip('.'))}." if refused else
                     f"  Tried: {test_file(place)}, which came back, but not each time."
                     if was_served(inquiry, place) else
                     f"  Tried: {test_file(place)}, which did not come back.")
    return lines


def was_served(inquiry: Inquiry, place: Place) -> bool:
    """Whether the test file of a place came back through any front endpoint."""
    return any(place in winners for winners in inquiry.winners.values())
