"""What was found out, in sentences that a person can act on. Every sentence about a name is made here."""
from typing import Iterable
from typing import List
from typing import Optional

from certbot_autowebroot.probe import Answer
from certbot_autowebroot.proof import Inquiry
from certbot_autowebroot.proof import Place
from certbot_autowebroot.proof import Verdict
from certbot_autowebroot.proof import place_of
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Elsewhere
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Unknown


def failures(inquiries: Iterable[Inquiry]) -> str:
    """Why an order is stopped: every failing name with its reason."""
    reasons = [failure(inquiry) for inquiry in inquiries]
    return ("The CA was not asked, for it would have failed:\n\n" + "\n\n".join(reasons)
            + "\n\nNothing was left behind and no server was touched.")


def failure(inquiry: Inquiry) -> str:
    """Why one name would fail: where its request goes, what was tried, what came back, what to do."""
    if not inquiry.doors.endpoints:
        return f"{inquiry.name}: {inquiry.doors.note or 'this machine has no address that a CA could come to'}."
    doors = [door for door in inquiry.doors.endpoints if inquiry.verdict_of(door) is not Verdict.PROVEN]
    # Several addresses that fail in the same way are one thing to say.
    said = {_at_door(inquiry, door): door for door in reversed(doors)}
    lines = [f"{inquiry.name}: {text}" for text in reversed(list(said))]
    if not inquiry.doors.certain and inquiry.doors.note:
        lines.append(f"  Note: {inquiry.doors.note}.")
    return "\n".join(lines)


def unproven(inquiry: Inquiry) -> str:
    """Why the CA is asked although nothing is proved."""
    places = ", ".join(str_of(place) for place in inquiry.places_to_answer())
    came_back = "; ".join(map(_came_back, inquiry.answers.values()))
    return (f"{inquiry.name}: it could not be proved from here that the CA will be answered ({came_back}); going on "
            f"with the likeliest place, {places}.")


def answered(inquiry: Inquiry) -> str:
    """Where a name's challenge was published, and on what evidence."""
    places = " and ".join(str_of(place) for place in inquiry.places_to_answer())
    doors = ", ".join(str(door) for door in inquiry.doors.endpoints if inquiry.verdict_of(door) is Verdict.PROVEN)
    evidence = (f"a test file came back from there through {doors}" if inquiry.verdict is Verdict.PROVEN
                else "no test file could be fetched from there")
    return f"{inquiry.name} was answered from {places}; {evidence}."


def hint(inquiries: Iterable[Inquiry], port: int) -> str:
    """What to look at when the CA could not validate what we could."""
    lines = ["The Certificate Authority failed to fetch what was published for it:"]
    for inquiry in inquiries:
        lines.append("  " + answered(inquiry))
        if inquiry.doors.note:
            lines.append(f"  Note: {inquiry.doors.note}.")
    lines.append("Seen from this machine it was served. So look at what lies between it and the CA: the names' A and "
                 f"AAAA records, a firewall, a port forward to port {port}, a balancer or a CDN in front.")
    return "\n".join(lines)


def str_of(place: Place) -> str:
    """A place as a person would name it."""
    if isinstance(place.end, Directory):
        whose = f" of {place.program}" if place.program else ""
        return f"{str(place.end).rpartition('/')[0]}{whose}"
    return f"a listener of our own at {place.end.endpoint}"


def _at_door(inquiry: Inquiry, door: Endpoint) -> str:
    routes = inquiry.routes.get(door, [])
    parts = [_road(routes[0], door) if routes else f"{door} was asked"]
    parts += _what_was_tried(inquiry, routes)
    answer = inquiry.answers.get(door)
    if answer:
        parts.append(f"  Came back: {_came_back(answer)}.")
    parts.append(f"  What to do: {_advice(inquiry, routes)}")
    return "\n".join(parts)


def _came_back(answer: Answer) -> str:
    return str(answer) + (f", a redirect to {answer.elsewhere}" if answer.elsewhere else "")


def _road(route: Route, door: Endpoint) -> str:
    """Who holds the port, hop by hop, with the lines of configuration that decide."""
    if not route.hops:
        return f"nobody listens on {door}, so we did ourselves."
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
    return "; ".join(stops) + "."


def _what_was_tried(inquiry: Inquiry, routes: List[Route]) -> List[str]:
    here = {place.key for place in map(place_of, routes) if place}
    lines = []
    for place in inquiry.places:
        # A hint belongs to every door, a place at the end of a route to those doors that lead there.
        if place.program is not None and place.key not in here:
            continue
        refused = inquiry.refused.get(place.key)
        lines.append(f"  Tried: {str_of(place)}: {refused.rstrip('.')}." if refused else
                     f"  Tried: a test file in {str_of(place)}, which did not come back.")
    return lines


def _advice(inquiry: Inquiry, routes: List[Route]) -> str:
    end: Optional[object] = routes[0].end if routes else None
    program = routes[0].program if routes and routes[0].hops else None
    if any(place.key in inquiry.refused for place in inquiry.places):
        return (f"mend what was refused, or let {program or 'the web server'} answer {CHALLENGE_PATH} from another "
                "directory.")
    if isinstance(end, Elsewhere):
        return f"run Certbot on {end.target}, or let {CHALLENGE_PATH} be answered on this machine."
    if isinstance(end, Unknown):
        return ("run Certbot as root, or name the directory with --autowebroot-path; else use another authenticator "
                "for this name.")
    if isinstance(end, DeadEnd):
        return (f"let {program or 'the web server'} serve {CHALLENGE_PATH} of this name from a directory, or use "
                "another authenticator for this name.")
    if isinstance(end, Directory):
        return (f"see whether {program} runs with the configuration that is on disk (reload it), and whether something "
                f"in it (a rewrite, an access rule, a .htaccess file) refuses {CHALLENGE_PATH}.")
    return "see who answers there instead: a port forward (nft, iptables) takes connections before any listener does."
