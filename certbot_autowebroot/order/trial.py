"""Check a remedy before it is printed: follow the request in the configuration as it would be with the lines put in."""
import enum
import logging
from dataclasses import replace
from typing import NamedTuple
from typing import Optional
from typing import Sequence

from certbot_autowebroot import settings
from certbot_autowebroot.interfaces import Edit
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers import registry
from certbot_autowebroot.servers.common.configuration import readable
from certbot_autowebroot.servers.common.edits import EditedView
from certbot_autowebroot.servers.common.edits import NoPlaceError
from certbot_autowebroot.servers.common.edits import edited
from certbot_autowebroot.servers.common.snippet import LISTENER
from certbot_autowebroot.servers.common.snippet import first_step
from certbot_autowebroot.system import limits
from certbot_autowebroot.system.processes import Process

logger = logging.getLogger(__name__)

#: Seconds of CPU time for one trial. 10,000 sites take three.
_MAX_CPU_TIME = 10.0


class Effect(enum.Enum):
    """What lines would do."""

    HELPS = 1
    #: The configuration cannot be read so, or the end depends on the client.
    UNKNOWN = 2
    IN_VAIN = 3


class Trial(NamedTuple):
    """The effect of lines, and the step that decides where the request goes with them."""

    effect: Effect
    deciding: Optional[Step] = None


def tried(process: Process, request: Request, edits: Sequence[Edit]) -> Trial:
    """What lines would do for a request, as it reaches the program of a process."""
    if not edits:
        return Trial(Effect.UNKNOWN)
    try:
        with limits.cpu_time(_MAX_CPU_TIME):
            destination = destinations(process, request, edits)[0]
        return Trial(_judged(destination, process), first_step(destination.trail[::-1], ""))
    except (limits.TimeLimitError, NoPlaceError, OSError) as error:
        logger.debug("The lines for %s could not be checked: %r", process.program, error)
        return Trial(Effect.UNKNOWN)


def destinations(process: Process, request: Request, edits: Sequence[Edit]) -> Sequence[Destination]:
    """Where the request would go with the edits.

    :raises NoPlaceError: a file has no such place.
    :raises OSError: a file cannot be read.
    """
    control = registry.part_of(process, registry.CONTROL)
    main = control.provider.main_process(process) if control else process
    view = readable(main, edits[0].file)
    another = replace(main)
    another.__dict__["view"] = EditedView(view, edited(edits, view))
    return registry.WebServers().for_process(another).ask(another, request)  # type: ignore[no-any-return]


def _judged(destination: Destination, process: Process) -> Effect:
    if isinstance(destination, Unknown):
        return Effect.UNKNOWN
    if isinstance(destination, Directory):
        shared = str(destination).startswith(settings.SHARED_DIRECTORY + "/")
        if not shared and not process.view.is_dir(destination.root):
            return Effect.IN_VAIN
        return Effect.UNKNOWN if destination.depends_on_client else Effect.HELPS
    is_ours = isinstance(destination, Upstream) and set(map(str, destination.members)) == {LISTENER}
    return Effect.HELPS if is_ours else Effect.IN_VAIN
