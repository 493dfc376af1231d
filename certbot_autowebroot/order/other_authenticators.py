"""Certbot's other authenticators: the installed ones, those of a web server, and those to try for a name."""
from typing import Any
from typing import Container
from typing import Dict
from typing import Iterable
from typing import List
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.order import wire_obstacles
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.route import Program
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.servers import registry
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.entry_points import registered

#: Among the names of authenticators: the one that belongs to the program that holds the port.
AUTO = "auto"
#: Instead of names: the user has refused all.
NONE = "none"
#: Among the names of authenticators: our own answer on the wire. A plugin of this name would not be asked.
WIRE = "wire"
#: By executable name, the authenticator that edits the configuration of the program.
BELONGS_TO = {executable: server.authenticator for server in registry.BUILT_IN if server.authenticator
              for executable in server.executables}


def installed() -> Dict[str, Any]:
    """The entry points of Certbot's plugins, by name; of several with one name, the one that Python finds first."""
    return {entry_point.name: entry_point for entry_point in reversed(registered("certbot.plugins"))}


def is_installed(name: str) -> bool:
    """Whether a renewal finds the authenticator that its configuration names.

    Before Certbot 2.0 it may name the package too: ``package:name``.
    """
    return name.rpartition(":")[2] in installed()


def names(option: str) -> List[str]:
    """The names in ``--autowebroot-fallback``, in their order.

    A user may write them into a renewal configuration without quotes: Certbot reads a list, and passes on its ``str``.
    """
    words = [word.strip(" []'") for word in option.split(",")]
    return [word for word in dict.fromkeys(words) if word and word != NONE]


def fitting(outcome: Outcome) -> List[str]:
    """The installed authenticators that belong to the programs which hold the port where a name fails."""
    belonging = _belonging(outcome)
    known = installed() if belonging else {}
    return [name for name in belonging if name in known]


def offers(outcomes: Sequence[Outcome]) -> Dict[str, List[Outcome]]:
    """By fitting plugin, the names that it may answer for."""
    by_authenticator: Dict[str, List[Outcome]] = {}
    for outcome in outcomes:
        for name in fitting(outcome):
            by_authenticator.setdefault(name, []).append(outcome)
    return by_authenticator


def offers_of_wire(outcomes: Sequence[Outcome]) -> List[Outcome]:
    """The names that can be answered on the wire, as a dry run shows."""
    return [outcome for outcome in outcomes if outcome.failing
            and all(wire_obstacles.can_answer(outcome, endpoint) for endpoint in outcome.failing)]


def order(option: str, fits: Sequence[str]) -> List[str]:
    """The authenticators to try for a name, in their order.

    :param option: ``--autowebroot-fallback``.
    :param fits: the names that ``auto`` stands for.
    """
    return list(dict.fromkeys(name for word in names(option) for name in (fits if word == AUTO else [word])))


def candidates(option: str, outcome: Outcome, known: Container[str]) -> Tuple[List[str], List[str]]:
    """The authenticators to try for a name, in their order, and why the others of the option are of no use for it.

    :param known: the names of the installed ones.
    """
    if not outcome.front.endpoints:
        return [], []  # nothing could be proven
    belonging = _belonging(outcome)
    fits = [name for name in belonging if name in known]
    chosen = order(option, [WIRE, *fits])
    useless = []
    obstacle = wire_obstacles.obstacle(outcome) if WIRE in chosen else ""
    if obstacle:
        chosen.remove(WIRE)
        useless.append(f"the authenticator {WIRE}: {obstacle}")
    if AUTO in names(option) and not order(option, fits):
        useless.append(f"{AUTO}: no authenticator is installed that belongs to the program on the port")
    if all(holder.pid for holder in _holders(outcome)):  # else one of them may be the right one
        # nginx rejects its whole configuration where that makes it listen on a port of Apache's: for all names.
        misplaced = [name for name in chosen if name in BELONGS_TO.values() and name not in belonging]
        useless += [f"the authenticator {name}: the port is not held by its web server" for name in misplaced]
        chosen = [name for name in chosen if name not in misplaced]
    return chosen, useless


def would_be_asked(option: str, outcome: Outcome) -> List[str]:
    """The installed authenticators that an order would ask for a name; ``wire`` where this machine can do it."""
    if not names(option):
        return []
    known = installed()
    return [name for name in candidates(option, outcome, known)[0]
            if (wire_obstacles.is_possible_here() if name == WIRE else name in known)]


def is_wire_first(option: str, outcome: Outcome) -> bool:
    """Whether an order would try the wire before all others for a name."""
    return WIRE in order(option, [WIRE]) and candidates(option, outcome, installed())[0][:1] == [WIRE]


def next_of(waiting: Iterable[Sequence[str]]) -> str:
    """The next authenticator to ask, of those that come first for some name.

    Each is asked once for all its names, as Certbot does. So it waits while another name has others before it.

    :param waiting: by name, the authenticators that have not been asked yet, in their order.
    """
    lists = [names for names in waiting if names]
    firsts = [names[0] for names in lists]
    return next((name for name in firsts if not any(name in names[1:] for names in lists)), firsts[0])


def _holders(outcome: Outcome) -> List[Program]:
    """The programs that hold the port where a name fails."""
    failing = [endpoint for endpoint in outcome.front.endpoints if outcome.verdict_at(endpoint) is not Verdict.PROVEN]
    return [route.hops[0].program for endpoint in failing for route in outcome.routes.get(endpoint, ()) if route.hops]


def _belonging(outcome: Outcome) -> List[str]:
    """The authenticators that belong to the programs at the front, where an authenticator makes its server listen.

    None for a server in a container: the authenticator would edit the configuration of the host's own server.
    """
    return list(dict.fromkeys(BELONGS_TO[holder.name] for holder in _holders(outcome)
                              if holder.name in BELONGS_TO and _is_on_the_host(holder)))


def _is_on_the_host(program: Program) -> bool:
    """Whether a program runs in no container; no for one that has ended."""
    process = processes.process(program.pid) if program.pid else None
    return process is not None and processes.has_our_files(process)
