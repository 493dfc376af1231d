"""The remedies for a name that has no directory: what to do once, so that its renewals succeed.

The routes decide. The machine is asked which program a process runs, and whether it runs in a container.
"""
import logging
from dataclasses import dataclass
from typing import Callable
from typing import Iterable
from typing import Iterator
from typing import List
from typing import Optional
from typing import Sequence
from typing import Union

from certbot_autowebroot import settings
from certbot_autowebroot.interfaces import Edit
from certbot_autowebroot.interfaces import SiteLines
from certbot_autowebroot.order import other_authenticators
from certbot_autowebroot.order import trial
from certbot_autowebroot.order import wire_obstacles
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.trial import Effect
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Trail
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.servers import registry
from certbot_autowebroot.servers.common import edits
from certbot_autowebroot.servers.common import generated
from certbot_autowebroot.servers.common.configuration import readable
from certbot_autowebroot.servers.common.snippet import LISTENER
from certbot_autowebroot.servers.common.snippet import first_step
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AddLines:
    """Add lines to the configuration of a server on the route, which then serves the shared directory.

    :ivar server: the server's name in the registry.
    """

    server: str
    program: Program
    lines: SiteLines


@dataclass(frozen=True)
class AnswerOnTheWire:
    """Give ``--autowebroot-fallback wire``: a dry run has shown that this machine can do it."""


@dataclass(frozen=True)
class UseAuthenticator:
    """Give ``--autowebroot-fallback``, with an installed authenticator that belongs to the program on the port.

    :ivar server_root: the option without which it edits another configuration than the one that runs; or empty.
    """

    authenticator: str
    server_root: str = ""


@dataclass(frozen=True)
class GivePath:
    """Give ``--autowebroot-path``: the program may serve a directory, and its configuration does not say which."""

    program: Program


Remedy = Union[AddLines, AnswerOnTheWire, UseAuthenticator, GivePath]


def remedies_for(outcome: Outcome, endpoint: Endpoint) -> List[Remedy]:
    """The remedies for a name at a front endpoint where it fails, the most lasting first."""
    routes = outcome.routes.get(endpoint, [])
    lines = None if any(map(_has_lines, routes)) else next(filter(None, map(_lines, routes)), None)
    tried = {reason.partition(":")[0] for reason in outcome.rejected}
    authenticators = [UseAuthenticator(name, server_root(name, routes))
                      for name in other_authenticators.fitting(outcome) if f"the authenticator {name}" not in tried]
    is_new = f"the authenticator {other_authenticators.WIRE}" not in tried
    wire = [AnswerOnTheWire()] if is_new and wire_obstacles.can_answer(outcome, endpoint) else []
    paths = list(paths_to_give(routes, _is_contained))
    added = [lines] if lines else []
    # A service that answers challenges has its directory already: to name it changes least.
    return [*paths, *added, *wire, *authenticators] if any(map(_is_service, routes)) else \
        [*added, *wire, *authenticators, *paths]


def _has_lines(route: Route) -> bool:
    """Whether the lines are in already: then something else is wrong."""
    return (isinstance(route.end, Directory) and str(route.end).startswith(settings.SHARED_DIRECTORY + "/")) or (
        isinstance(route.end, Vacant) and str(route.end.endpoint) == LISTENER)


def server_root(authenticator: str, routes: Sequence[Route]) -> str:
    """The option that an authenticator needs where no file of the front server lies where it looks; else empty."""
    files = [step.source.file for route in routes for hop in route.hops[:1] for step in hop.trail if step.source]
    usual = next((server.authenticator_root for server in registry.BUILT_IN if server.authenticator == authenticator),
                 "/")
    return "" if not files or any(file.startswith(usual) for file in files) else f"--{authenticator}-server-root"


def _lines(route: Route) -> Optional[AddLines]:
    """For the last server on the route that runs in no container and still gets the request for the CA's file."""
    for hop in reversed(route.hops):
        process = processes.process(hop.program.pid) if hop.program.pid else None
        if process is not None and processes.has_our_files(process):
            lines = lines_at(hop, process)
            if lines:
                return lines
    return None


def lines_at(hop: Hop, process: Process) -> Optional[AddLines]:
    """The lines that make the server at a hop answer.

    :returns: None where lines cannot help: another server, another path than the CA's, a stream that is only passed on.
    """
    if hop.request.path != CHALLENGE_PATH + hop.request.token or hop.request.endpoint.namespace:
        return None
    try:
        snippet = registry.part_of(process, registry.SNIPPET)
        if snippet is None:
            return None
        chosen = _best(_of_snippet(snippet, hop, process), process, hop.request)
        chosen = chosen and _moved(chosen, process, hop.trail)
        chosen = chosen and _outside_generated_file(chosen, process, hop.request)
        return chosen and AddLines(snippet.server, hop.program, chosen._replace(lines=tuple(chosen.lines)))
    except Exception as error:  # of another package; the other remedies are worth something without it
        logger.warning("The lines for %s could not be made: %r", hop.program, error)
        logger.debug("Traceback:", exc_info=True)
        return None


def _of_snippet(snippet: registry.Part, hop: Hop, process: Process) -> Iterable[SiteLines]:
    """The lines that may help at a hop, the smallest change first."""
    lines = snippet.provider.for_site(process, hop.request, hop.trail, settings.SHARED_DIRECTORY)
    return (_without_end_twice(one, process) for one in ([lines] if isinstance(lines, SiteLines) else lines or ()))


def _without_end_twice(lines: SiteLines, process: Process) -> SiteLines:
    """The same lines without the section for the end of the file where it is there: no server takes it twice."""
    if not lines.at_the_end or not edits.line_of(_text(process, lines.source.file), lines.at_the_end):
        return lines
    return lines._replace(at_the_end=(), edits=tuple(edit for edit in lines.edits if edit.lines != lines.at_the_end))


def _moved(lines: SiteLines, process: Process, trail: Trail) -> SiteLines:
    """The same lines, and what to do with those that are there in vain, behind the line that decides."""
    line = edits.line_of(_text(process, lines.source.file), lines.lines)
    deciding = first_step(trail[::-1], "")
    if not line or deciding is None:
        return lines
    vain = f"and take out the same at {Source(lines.source.file, line)}: {deciding} counts before it"
    return lines._replace(besides="; ".join(filter(None, [lines.besides, vain])))


def _text(process: Process, file: str) -> str:
    """The text of a file; empty where it cannot be read."""
    try:
        return readable(process, file).read(file).decode("utf-8", "replace")
    except OSError:
        return ""


def _outside_generated_file(lines: SiteLines, process: Process, request: Request) -> SiteLines:
    """The same lines for a file that the site includes, where a program writes the site's own file.

    Else with the place where that program, a hosting panel, takes them.
    """
    file = lines.source.file
    text = _text(process, file)
    notice, panel = generated.notice(text), generated.panel(file, text)
    if not notice and not panel:
        return lines
    include = generated.include_of_site(text, lines.source.line)
    if include and len(lines.edits) == 1:
        included = (Edit(file, include.line, lines.edits[0].lines),)
        if trial.tried(process, request, included).effect is Effect.HELPS:
            return lines._replace(
                source=Source(file, include.line), edits=included, where=f"into a new file that {file}:{include.line} "
                f"includes ({include.pattern}), for the program that writes {file} overwrites edits")
    lost = f"but a hosting panel writes {file} and will overwrite them: give them to {panel}" if panel else \
        f'but {file} says "{notice}": the program that writes it will overwrite them, so give them to that program'
    return lines._replace(besides="; ".join(filter(None, [lines.besides, lost])))


def line_in_front(route: Route) -> Optional[Step]:
    """The line that would win against all lines at the last server on the route; None where it is not known."""
    for hop in reversed(route.hops):
        process = processes.process(hop.program.pid) if hop.program.pid else None
        snippet = registry.part_of(process, registry.SNIPPET) if process else None
        if process is None or snippet is None or not processes.has_our_files(process):
            continue
        trials = [trial.tried(process, hop.request, lines.edits) for lines in _of_snippet(snippet, hop, process)]
        if trials and all(one.effect is Effect.IN_VAIN for one in trials) and trials[-1].deciding:
            # The numbers of the lines have changed with those that were put in.
            text = trials[-1].deciding.text
            return next((step for step in hop.trail if step.text == text), Step(text))
    return None


def _best(several: Iterable[SiteLines], process: Process, request: Request) -> Optional[SiteLines]:
    """The first lines that help; else the first of which that is not known; None where all are in vain."""
    unknown: Optional[SiteLines] = None
    for lines in several:
        effect = trial.tried(process, request, lines.edits).effect
        if effect is Effect.HELPS:
            return lines
        if effect is Effect.UNKNOWN and unknown is None:
            unknown = lines
    return unknown


def _is_contained(program: Program) -> bool:
    process = processes.process(program.pid) if program.pid else None
    return process is not None and not processes.has_our_files(process)


def paths_to_give(routes: Sequence[Route], is_contained: Callable[[Program], bool]) -> Iterator[GivePath]:
    """The programs that may serve a directory which their configuration does not name."""
    doubtful = [route for route in routes if isinstance(route.end, Unknown) or _is_service(route)
                or (isinstance(route.end, Directory) and route.end.guessed)]
    programs = {route.program: None for route in doubtful
                if route.program and not route.hops[-1].request.endpoint.namespace}
    services = {route.program for route in routes if _is_service(route)}
    return (GivePath(program) for program in programs
            if (program in services or _serves_files(program)) and not is_contained(program))


def _is_service(route: Route) -> bool:
    """Whether code within HAProxy answers: such services serve challenges from a directory, acme-http01-webroot.lua."""
    return isinstance(route.end, DeadEnd) and any(
        "use-service" in step.text and " lua." in step.text for step in route.end.trail)


def _serves_files(program: Program) -> bool:
    server = registry.by_executable(program.name)
    return server is None or server.serves_files
