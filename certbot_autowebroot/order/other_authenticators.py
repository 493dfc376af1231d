"""Other authenticators of Certbot's: which are installed, which belong to a web server, which are meant for a name."""
from typing import Any
from typing import Container
from typing import Dict
from typing import Iterable
from typing import List
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import Verdict
from certbot_autowebroot.route import Program
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.entry_points import registered

#: Among the names of authenticators: whichever belongs to the program that holds the port.
AUTO = "auto"
#: Instead of names: the user was asked, and wants none.
NONE = "none"
#: Which authenticator edits the configuration of which program, by the name of its executable.
BELONGS_TO = {**dict.fromkeys(("nginx", "nginx-debug", "openresty", "angie", "tengine"), "nginx"),
              **dict.fromkeys(("apache2", "httpd", "httpd.worker", "httpd.event", "httpd-prefork"), "apache")}


def installed() -> Dict[str, Any]:
    """The entry points of Certbot's plugins, by name; of several with one name, the one that Python finds first."""
    return {entry_point.name: entry_point for entry_point in reversed(registered("certbot.plugins"))}


def is_installed(name: str) -> bool:
    """Whether a renewal finds the authenticator that its configuration names.

    Before Certbot 2.0 it may name the package too: ``package:name``.
    """
    return name.rpartition(":")[2] in installed()


def names(said: str) -> List[str]:
    """The names in ``--autowebroot-fallback``, in their order.

    Written by hand into a renewal configuration, without quotes, they are a list to Certbot, which gives us its text.
    """
    found = [name.strip(" []'") for name in said.split(",")]
    return [name for name in dict.fromkeys(found) if name and name != NONE]


def fitting(outcome: Outcome) -> List[str]:
    """The installed authenticators that belong to the programs which hold the port where a name fails."""
    found = _belonging(outcome)
    known = installed() if found else {}
    return [name for name in found if name in known]


def offers(outcomes: Sequence[Outcome]) -> Dict[str, List[Outcome]]:
    """By authenticator that fits, the names that it may answer for."""
    found: Dict[str, List[Outcome]] = {}
    for outcome in outcomes:
        for name in fitting(outcome):
            found.setdefault(name, []).append(outcome)
    return found


def order(said: str, fits: Sequence[str]) -> List[str]:
    """The authenticators to try for a name, in their order.

    :param said: ``--autowebroot-fallback``.
    :param fits: what ``auto`` stands for.
    """
    return list(dict.fromkeys(name for word in names(said) for name in (fits if word == AUTO else [word])))


def candidates(said: str, outcome: Outcome, known: Container[str]) -> Tuple[List[str], List[str]]:
    """The authenticators to try for a name, in their order, and why others that were said are of no use for it.

    :param known: the names of those that are installed.
    """
    if not outcome.front.endpoints:
        return [], []  # nothing could be proven
    belonging = _belonging(outcome)
    found = order(said, [name for name in belonging if name in known])
    useless = []
    if not found and AUTO in names(said):
        useless.append(f"{AUTO}: no authenticator is installed that belongs to who holds the port")
    if all(holder.pid for holder in _holders(outcome)):  # else one of them may be the one that is meant
        # nginx that is told to listen on a port of Apache's takes no new configuration at all, for no name.
        misplaced = [name for name in found if name in BELONGS_TO.values() and name not in belonging]
        useless += [f"the authenticator {name}: the port is not held by its web server" for name in misplaced]
        found = [name for name in found if name not in misplaced]
    return found, useless


def would_be_asked(said: str, outcome: Outcome) -> List[str]:
    """The installed authenticators that an order would ask for a name."""
    if not names(said):
        return []
    known = installed()
    return [name for name in candidates(said, outcome, known)[0] if name in known]


def next_of(waiting: Iterable[Sequence[str]]) -> str:
    """Which authenticator is to be asked next, of those that come first for some name.

    Each is asked once for all names that it is meant for, as Certbot does: so one that another name has yet to come to
    waits for it.
    """
    lists = [names for names in waiting if names]
    firsts = [names[0] for names in lists]
    return next((name for name in firsts if not any(name in names[1:] for names in lists)), firsts[0])


def _holders(outcome: Outcome) -> List[Program]:
    """Who holds the port where a name fails."""
    return [route.hops[0].program for door in outcome.front.endpoints
            if outcome.verdict_at(door) is not Verdict.PROVEN for route in outcome.routes.get(door, ()) if route.hops]


def _belonging(outcome: Outcome) -> List[str]:
    """The authenticators that belong to these: only to those at the front, where an authenticator makes them listen.

    None for a server in a container: it would edit the configuration of another, which is the machine's own.
    """
    return list(dict.fromkeys(BELONGS_TO[holder.name] for holder in _holders(outcome)
                              if holder.name in BELONGS_TO and _is_on_the_host(holder)))


def _is_on_the_host(program: Program) -> bool:
    """Whether a program is no container's; no for one that has ended."""
    process = processes.process(program.pid) if program.pid else None
    return process is not None and processes.has_our_files(process)
