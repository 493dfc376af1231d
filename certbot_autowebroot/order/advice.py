"""What to do about a name that fails, in sentences: the remedies for it, the most lasting first."""
import errno
import os
import re
import shlex
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple
from urllib.parse import urlsplit

from certbot_autowebroot import settings
from certbot_autowebroot.interfaces import SiteLines
from certbot_autowebroot.order import remedies
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.inquiry import Printed
from certbot_autowebroot.order.inquiry import place_of
from certbot_autowebroot.order.proof import DOWN
from certbot_autowebroot.order.proof import PATIENCE
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Elsewhere
from certbot_autowebroot.route import End
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.servers.common.snippet import LISTENER
from certbot_autowebroot.servers.common.snippet import mkdir_command
from certbot_autowebroot.system import access

#: One piece of advice: a sentence, perhaps with lines of configuration below it.
Advice = List[str]

#: In the errors of responders.safe_directories. The reader types these commands as root: no path with other characters
#: than these is made one of them, for the owner of a link chooses its path and its target.
_SYSTEM_DIRECTORY = re.compile(r" is a system directory\.")
_COMMAND = re.compile(r"\((chown -h [\w.-]+ [\w./+@-]+)\)", re.ASCII)
_LINK_TO_NOTHING = re.compile(r"^([\w./+@-]+) is a symbolic link of .* to ([\w./+@-]+), which does not exist\.",
                              re.ASCII)


def what_to_do(outcome: Outcome, endpoints: Sequence[Endpoint], printed: Printed) -> List[str]:
    """What to do about the front endpoints where a name fails; once, where it is the same for several.

    :param printed: what the reader has seen already; this advice's lines are added.
    """
    remedies_at = {endpoint: remedies.remedies_for(outcome, endpoint) for endpoint in endpoints}
    several: Dict[Tuple[str, ...], List[Endpoint]] = {}
    for endpoint in endpoints:
        several.setdefault(tuple(_at(outcome, endpoint, remedies_at[endpoint], printed)), []).append(endpoint)
    for remedy in (remedy for found in remedies_at.values() for remedy in found):
        if isinstance(remedy, remedies.AddLines):
            for seen in (remedy.lines.lines, (str(remedy.lines.source),)):
                printed.setdefault(seen, outcome.identifier)
    lines = []
    for (first, *rest), same in several.items():
        where = f" at {' and '.join(map(str, same))}" if len(several) > 1 else ""
        lines += [f"what to do{where}: {first}", *(f"  {line}" for line in rest)]
    return lines


def _at(outcome: Outcome, endpoint: Endpoint, found: Sequence[remedies.Remedy], printed: Printed) -> List[str]:
    """What to do about one endpoint: one thing, or a list."""
    before, general = _before(outcome, endpoint)
    several = [*before, *(_of(remedy, outcome.identifier, printed) for remedy in found)]
    end = _end(outcome, endpoint)
    has_lines = any(isinstance(remedy, remedies.AddLines) for remedy in found)
    # What the reason is known for comes before what has to be found out.
    several[len(several) if has_lines and outcome.routes[endpoint][0].depends_on_client else len(before):0] = general
    if isinstance(end, DeadEnd) and not has_lines:
        front = remedies.line_in_front(outcome.routes[endpoint][0])
        if front:
            several.insert(0, [f"lines that serve {CHALLENGE_PATH} from a directory do not help while {front} counts "
                               "before them: let it leave this path out, and run Certbot again."])
    if isinstance(end, Elsewhere):
        # A mistake in a line is mended there. On the other machine Certbot would run besides.
        several.insert(len(several) if end.resolves and ".well-known" not in _host(end) else 0, [_elsewhere(end)])
    if not several:
        several.append([_otherwise(outcome, endpoint)])
    if len(several) == 1:
        return several[0]
    return ["one of these.", *(f"{'  ' if number else '- '}{line}" for advice in several
                               for number, line in enumerate(advice))]


def _host(end: Elsewhere) -> str:
    return urlsplit(end.target).hostname or end.target


def _elsewhere(end: Elsewhere) -> str:
    host = _host(end)
    line = f" ({end.trail[-1]})" if end.trail else ""
    name, well_known, _ = host.partition(".well-known")
    if well_known:
        return f"put a slash behind {name} in the redirect{line}: without it, the path becomes a part of the host name."
    return f"run Certbot on {host}." if end.resolves else f"correct the redirect{line}: {host} does not resolve."


def _repair(place: Place, error: str) -> str:
    """What to do about a place that takes no file: mostly, the error says it. Empty where nothing should be done."""
    if _SYSTEM_DIRECTORY.search(error):
        return ""
    command = _COMMAND.search(error)
    if command:
        return f"repair what was refused: {command[1]}."
    link = _LINK_TO_NOTHING.search(error)
    if link:
        return f"repair what was refused: {mkdir_command(os.path.join(os.path.dirname(link[1]), link[2]))}."
    if not isinstance(place.end, Directory) or not error.endswith(f"{os.strerror(errno.ENOENT)}."):
        return "repair what was refused."
    root = place.end.root
    line = f", or correct {place.end.trail[-1]}" if place.end.trail and root != settings.SHARED_DIRECTORY else ""
    return f"repair what was refused: {mkdir_command(root)}{line}"


def _end(outcome: Outcome, endpoint: Endpoint) -> Optional[End]:
    return next((route.end for route in outcome.routes.get(endpoint, ())), None)


def _before(outcome: Outcome, endpoint: Endpoint) -> Tuple[List[Advice], List[Advice]]:
    """What to do before any remedy, for a reason that is known; and what to find out where none is."""
    end = _end(outcome, endpoint)
    if endpoint in outcome.proof.mismatches:
        return [[f"let every server that answers there in turn serve {CHALLENGE_PATH} of this name from a directory; "
                 "if it is one server alone, it has changed meanwhile: run Certbot again."]], []
    refused = [place for place in outcome.places if place.key in outcome.proof.publish_errors]
    repair: List[Advice] = [[text] for text in dict.fromkeys(
        _repair(place, outcome.proof.publish_errors[place.key]) for place in refused) if text]
    place = place_of(end, None, outcome.candidates.token)
    if place and isinstance(end, Directory) and not end.guessed and str(place.end) not in {
            str(place.end) for place in refused}:
        program = outcome.routes[endpoint][0].program
        closed = _closed(program, end)
        return ([*repair, [closed]], []) if closed else (repair, [[
            f"see whether {program} runs with the configuration that is on disk (reload it), and whether something in "
            f"it (a rewrite, an access rule, a .htaccess file) refuses {CHALLENGE_PATH}."]])
    if refused:
        return repair, []
    answer = outcome.proof.answers.get(endpoint)
    if isinstance(end, Vacant) and answer and answer.status in DOWN and outcome.routes[endpoint][0].hops:
        return [[f"see why {outcome.routes[endpoint][0].program} does not connect to {end.endpoint}, where autowebroot "
                 f"listened: it may take longer than {PATIENCE:.0f} seconds to notice a listener (a health check, a "
                 "failure that it remembers)."]], []
    if end is None or isinstance(end, Vacant):
        return [["see which program answers there instead: a port forward (nft, iptables) takes connections before any "
                 "listener does."]], []
    return [["run Certbot as root, which sees more."]] if isinstance(end, Unknown) and os.geteuid() != 0 else [], []


def _closed(program: Optional[Program], end: Directory) -> str:
    """What to do where the server's user may not enter a directory above the file; empty where it may."""
    closed = access.closed_directory(program.pid, str(end)) if program and program.pid else None
    if closed is None:
        return ""
    path = shlex.quote(closed.path)
    return (f"let the user {closed.user}, as whom {program} serves files, enter {closed.path} (its mode is "
            f"{closed.mode:04o}): setfacl -m u:{closed.user}:x {path}, or chmod o+x {path}.")


def _of(remedy: remedies.Remedy, name: str, printed: Printed) -> Advice:
    if isinstance(remedy, remedies.AnswerOnTheWire):
        return ["give Certbot the option --autowebroot-fallback wire: for the seconds of a validation nftables catches "
                "the CA's requests before they reach the server, and Certbot answers them, now and at every renewal. "
                "No configuration is edited, and nothing is reloaded."]
    if isinstance(remedy, remedies.UseAuthenticator):
        options = " ".join(filter(None, [remedy.authenticator, remedy.server_root and f"{remedy.server_root} DIR"]))
        return [f"give Certbot the option --autowebroot-fallback {options}: the authenticator {remedy.authenticator} "
                "answers for this name, now and at every renewal. It edits the server's configuration, reloads it, and "
                "edits it back."]
    if isinstance(remedy, remedies.GivePath):
        return [f"give Certbot the option --autowebroot-path DIR, where {remedy.program} serves {name} from a "
                "directory DIR."]
    return _lines(remedy.lines, printed)


def _lines(site: SiteLines, printed: Printed) -> Advice:
    """Where lines go, the lines, and what to do then."""
    if (str(site.source),) in printed:
        return [f"the lines above, {site.where}, are for this name too."]
    besides = [f"  {site.besides}."] if site.besides else []
    if site.lines in printed:
        return [f"put the lines for {printed[site.lines]} {site.where}.", *besides]
    at_the_end = ["  and these, once, at the end of the file:", *("    " + line for line in site.at_the_end)] \
        if site.at_the_end else []
    mkdir = f"{mkdir_command(settings.SHARED_DIRECTORY)}, " \
        if any(settings.SHARED_DIRECTORY in line for line in site.lines) else ""
    return [f"for good, put these lines {site.where}:", *("    " + line for line in site.lines), *at_the_end, *besides,
            f"  then: {mkdir}{site.then}."]


def _otherwise(outcome: Outcome, endpoint: Endpoint) -> str:
    """Where there is no remedy here."""
    route = outcome.routes[endpoint][0]
    # autowebroot cannot listen in a container's own network.
    outside = not any(hop.request.endpoint.namespace for hop in route.hops)
    listener = f", or pass it on to the free port {LISTENER}, where autowebroot listens" if outside else ""
    return (f"let {route.program or 'the web server'} serve {CHALLENGE_PATH} of this name from a directory{listener}; "
            "or use another authenticator for it.")
