"""What to do about a name that fails, in sentences: the roads that are open to it, the most lasting first."""
import os
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Tuple
from urllib.parse import urlsplit

from certbot_autowebroot import settings
from certbot_autowebroot.order import remedies
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.proof import DOWN
from certbot_autowebroot.order.proof import PATIENCE
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Elsewhere
from certbot_autowebroot.route import End
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.servers import snippets

#: One piece of advice: a sentence, perhaps with lines of configuration below it.
Advice = List[str]
#: Where the lines go, by server.
_WHERE = {"nginx": "into the server block at {source}, as its first lines",
          "apache": "into the <VirtualHost> at {source}, as its first lines",
          "lighttpd": "at the end of {file}",
          "caddy": "into the block of {block} at {source}",
          "haproxy": "into {block} at {source}, the first before all other http-request lines and the second before "
                     "all other use_backend lines"}
_IN_MAIN_SERVER = "before {source}, outside of any section"
_THEN = {"nginx": "nginx -t, and reload nginx",
         "apache": "a2enmod rewrite (or whatever loads mod_rewrite there), and reload Apache",
         "lighttpd": "lighttpd -tt -f with its configuration (what it warns of may be left out), and restart lighttpd",
         "caddy": "caddy reload",
         "haproxy": "haproxy -c -f with its configuration, and reload HAProxy"}
#: What has to be done besides, where a line is taken first.
_BEATEN = {"caddy": 'and put what says "{step}" into a "handle {{ }}" of its own, for it is taken first',
           "haproxy": 'and let "{step}" except this path, for it is taken first: unless {{ path_beg {path} }}'}


def what_to_do(outcome: Outcome, doors: Sequence[Endpoint], printed: Set[Tuple[str, ...]],
               beginning: str = "What to do") -> List[str]:
    """What to do about the doors of a name that fail; once, where it is the same for several.

    :param printed: what the reader has seen already, lines and the places where they belong; this advice's are added.
    """
    open_to = {door: remedies.open_to(outcome, door) for door in doors}
    several: Dict[Tuple[str, ...], List[Endpoint]] = {}
    for door in doors:
        several.setdefault(tuple(_at_door(outcome, door, open_to[door], printed)), []).append(door)
    for road in (road for found in open_to.values() for road in found if isinstance(road, remedies.Lines)):
        printed.update((road.lines, (str(road.block.source),)))
    lines = []
    for (first, *rest), of_doors in several.items():
        where = f" at {' and '.join(map(str, of_doors))}" if len(several) > 1 else ""
        lines += [f"{beginning}{where}: {first}", *rest]
    return lines


def _at_door(outcome: Outcome, door: Endpoint, open_to: Sequence[remedies.Road], printed: Set[Tuple[str, ...]]) \
        -> List[str]:
    """What to do about one door: one thing, or a list."""
    several = [*_before(outcome, door), *(_along(road, outcome.identifier, printed) for road in open_to)]
    end = _end(outcome, door)
    if isinstance(end, Elsewhere):
        several.append([f"run Certbot on {urlsplit(end.target).hostname or end.target}."])
    if not several:
        several.append([_otherwise(outcome, door)])
    if len(several) == 1:
        return several[0]
    return ["one of these.", *(f"{'  ' if number else '- '}{line}" for advice in several
                               for number, line in enumerate(advice))]


def _end(outcome: Outcome, door: Endpoint) -> Optional[End]:
    return next((route.end for route in outcome.routes.get(door, ())), None)


def _before(outcome: Outcome, door: Endpoint) -> List[Advice]:
    """What should be tried before any road is taken."""
    end = _end(outcome, door)
    if door in outcome.proof.mismatches:
        return [[f"let all that answer there by turns serve {CHALLENGE_PATH} of this name from a directory; where that "
                 "is one server alone, it has changed meanwhile: run Certbot again."]]
    refused = [place for place in outcome.places if place.key in outcome.proof.publish_errors]
    mending: List[Advice] = [["mend what was refused."]] if refused else []
    if any(isinstance(place.end, Directory) and place.end.root == settings.SHARED_DIRECTORY for place in refused):
        mending = [[f"mend what was refused: {snippets.making(settings.SHARED_DIRECTORY)}"]]
    if isinstance(end, Directory) and not end.guessed and str(end) not in {str(place.end) for place in refused}:
        return [*mending, [f"see whether {outcome.routes[door][0].program} runs with the configuration that is on disk "
                           "(reload it), and whether something in it (a rewrite, an access rule, a .htaccess file) "
                           f"refuses {CHALLENGE_PATH}."]]
    if refused:
        return mending
    answer = outcome.proof.answers.get(door)
    if isinstance(end, Vacant) and answer and answer.status in DOWN and outcome.routes[door][0].hops:
        return [[f"see why {outcome.routes[door][0].program} does not ask {end.endpoint}, where we listened: it may "
                 f"take longer than {PATIENCE:.0f} seconds to notice that somebody does (a health check, a failure "
                 "that it remembers)."]]
    if end is None or isinstance(end, Vacant):
        return [["see who answers there instead: a port forward (nft, iptables) takes connections before any listener "
                 "does."]]
    return [["run Certbot as root, which sees more."]] if isinstance(end, Unknown) and os.geteuid() != 0 else []


def _along(road: remedies.Road, name: str, printed: Set[Tuple[str, ...]]) -> Advice:
    if isinstance(road, remedies.Fallback):
        options = " ".join(filter(None, [road.authenticator, road.server_root and f"{road.server_root} DIR"]))
        return [f"give Certbot the option --autowebroot-fallback {options}: the authenticator {road.authenticator} "
                "answers for this name, now and at every renewal. It edits the server's configuration, reloads it, and "
                "edits it back."]
    if isinstance(road, remedies.GivenPath):
        return [f"give Certbot the option --autowebroot-path DIR, where {road.program} serves {name} from a directory "
                "DIR."]
    return _lines(road, printed)


def _lines(road: remedies.Lines, printed: Set[Tuple[str, ...]]) -> Advice:
    """Where lines go, the lines, and what comes after."""
    source = road.block.source
    assert source is not None  # noqa: S101 - for the type checker
    is_main = road.server == "apache" and not road.block.text.startswith("<VirtualHost")
    where = (_IN_MAIN_SERVER if is_main else _WHERE[road.server]).format(source=source, file=source.file,
                                                                         block=road.block.text)
    if road.replaces:
        where += f", in place of its location at {road.replaces.source}"
    if (str(source),) in printed:
        return [f"the lines above, {where}, are for this name too."]
    beaten = [f"  {_BEATEN[road.server].format(step=road.beaten_by, path=CHALLENGE_PATH)}."] if road.beaten_by else []
    if road.lines in printed:
        return [f"put the same lines {where}.", *beaten]
    backend = ["  and these, once, at the end of the file:", *("    " + line for line in road.at_the_end)] \
        if road.at_the_end else []
    making = "" if road.server == "haproxy" else f"{snippets.making(settings.SHARED_DIRECTORY)}, "
    return [f"for good, put these lines {where}:", *("    " + line for line in road.lines), *backend, *beaten,
            f"  then: {making}{_THEN[road.server]}."]


def _otherwise(outcome: Outcome, door: Endpoint) -> str:
    """Where no road is open here."""
    route = outcome.routes[door][0]
    # Nobody of us can listen in a container's own network.
    outside = not any(hop.request.endpoint.namespace for hop in route.hops)
    listener = f", or pass it on to a port where nobody listens ({snippets.LISTENER}): there we do" if outside else ""
    return (f"let {route.program or 'the web server'} serve {CHALLENGE_PATH} of this name from a directory{listener}; "
            "or use another authenticator for it.")
