"""The order of events of ``certbot-autowebroot reload``: look, test, tell, look again.

A server is told only where it still shows an older certificate of the lineage, and only after its own test was content
with what is on disk. That it was told is not believed: the handshake decides.
"""
import enum
import logging
import os
import time
from typing import Dict
from typing import Iterator
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.renewals import reload_messages
from certbot_autowebroot.renewals import served_certificates
from certbot_autowebroot.renewals.forecast import Served
from certbot_autowebroot.renewals.forecast import Shown
from certbot_autowebroot.renewals.lineages import Lineage
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.routing.follow import MAX_HOPS
from certbot_autowebroot.routing.follow import Holder
from certbot_autowebroot.routing.host import ThisMachine
from certbot_autowebroot.servers import control
from certbot_autowebroot.servers.apache import key_pairs
from certbot_autowebroot.servers.apache.directives import ConfigurationError
from certbot_autowebroot.servers.common.config_test import CannotRun
from certbot_autowebroot.servers.control import Unable
from certbot_autowebroot.servers.forwarder import Forwarder
from certbot_autowebroot.system import processes
from certbot_autowebroot.system import systemd
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.views import View

logger = logging.getLogger(__name__)

#: Seconds that servers get to show the new certificate. Apache takes one; the others take less.
PATIENCE = 10.0
#: So many handshakes in a row have to agree, and so many seconds lie between two looks.
_TIMES = 5
_PAUSE = 0.1


class Outcome(enum.Enum):
    """What became of it."""

    GOOD = enum.auto()
    FAILED = enum.auto()
    #: Somebody listens, and it could not be seen what he shows.
    UNSEEN = enum.auto()


class Finding(NamedTuple):
    """One thing that was found or done; the text is a sentence without its end, or several lines."""

    outcome: Outcome
    text: str


class Server(NamedTuple):
    """Whoever speaks TLS at a endpoint.

    :ivar process: None where it is not visible to us.
    """

    named: str
    process: Optional[Process] = None


class Told(NamedTuple):
    """What became of telling a server.

    :ivar named: who was told, or would have been.
    :ivar how: in which way it was told; empty where it was not.
    :ivar problem: why it was not; a phrase, and lines of its own test.
    """

    named: str
    how: str = ""
    problem: str = ""


def reload(lineage: Lineage, names: Sequence[str], patience: float = PATIENCE) -> List[Finding]:
    """Let every server on 443 that shows an older certificate of the lineage for one of the names read the current one.

    :param lineage: one with a certificate.
    :param patience: seconds that they get to show it.
    """
    machine = ThisMachine()
    seen = _by_door(served_certificates.seen(lineage, served_certificates.questions(names, machine), _TIMES))
    if not seen:
        return [Finding(Outcome.GOOD, reload_messages.nobody(names))]
    findings = [Finding(_of_one_left_alone(answers, seen), reload_messages.found(answers))
                for (_, shown), answers in seen.items() if shown is not Shown.STALE]
    stale = {endpoint: answers for (endpoint, shown), answers in seen.items() if shown is Shown.STALE}
    wrong = key_pairs.broken(lineage.certificate_file, _key_of(lineage), View.of_host()) if stale else ""
    if wrong:
        return [*findings, Finding(Outcome.FAILED, reload_messages.broken_lineage(wrong))]
    told: Dict[Server, Told] = {}
    told_at: Dict[Endpoint, List[Told]] = {}
    waiting: List[Served] = []
    for endpoint, answers in stale.items():
        for server in servers_at(answers[0].name, endpoint, machine):
            if server not in told:
                told[server] = _tell(server, endpoint)
            told_at.setdefault(endpoint, []).append(told[server])
        problems = [one for one in told_at[endpoint] if one.problem]
        findings += [Finding(Outcome.FAILED, reload_messages.not_told(one.named, one.problem, answers))
                     for one in problems]
        waiting += [] if problems else answers
    for (endpoint, shown), answers in _by_door(_awaited(lineage, waiting, patience)).items():
        who = [reload_messages.told(one.named, one.how) for one in told_at[endpoint]]
        findings.append(Finding(Outcome.GOOD, reload_messages.reloaded(who, answers)) if shown is Shown.CURRENT else
                        Finding(Outcome.FAILED, reload_messages.in_vain(who, answers, patience, lineage)))
    return findings


def _of_one_left_alone(answers: Sequence[Served], seen: Mapping[Tuple[Endpoint, Shown], Sequence[Served]]) -> Outcome:
    """Where nothing could be seen for a name, that is no matter if the same server shows ours for another name."""
    first = answers[0]
    if first.shown is not Shown.NONE:
        return Outcome.GOOD
    ours = (first.endpoint, Shown.CURRENT) in seen or (first.endpoint, Shown.STALE) in seen
    return Outcome.GOOD if ours and all(answer.refused for answer in answers) else Outcome.UNSEEN


def servers_at(name: str, endpoint: Endpoint, machine: ThisMachine) -> List[Server]:
    """Who speaks TLS at a endpoint: who holds it, or whom its holder passes connections on to as they are."""
    found: Dict[Server, None] = {}
    ends = [endpoint]
    for _ in range(MAX_HOPS):
        request = Request(name, CHALLENGE_PATH, "", endpoint, "https")
        ends = [onward for end in ends for holder in machine.holders(end)
                for onward in _onward(holder, request._replace(endpoint=end), machine, found)]
    return list(found) or [Server(reload_messages.SOMEBODY)]


def _onward(holder: Holder, request: Request, machine: ThisMachine, found: Dict[Server, None]) -> Iterator[Endpoint]:
    """Where a forwarder (the kernel, Docker's proxy) sends connections; whoever is none has been found."""
    process = processes.process(holder.program.pid) if holder.program.pid else None
    if process is None or Forwarder().recognises(process):
        members = [member for destination in holder.ask(request) if isinstance(destination, Upstream)
                   for member in destination.members]
        if members:
            yield from (end for member in members for end in machine.reach(member, request.endpoint))
            return
    found[Server(str(holder.program), process)] = None


def _tell(server: Server, endpoint: Endpoint) -> Told:
    """Test what is on disk, and tell the server to read it."""
    if server.process is None:
        return Told(server.named, problem=reload_messages.NOT_VISIBLE)
    program = control.program_of(server.process)
    if program is None:
        return Told(server.named, problem=reload_messages.not_known(systemd.owner_of(server.process)))
    leader = program.leader(server.process)
    named = str(leader.program)
    try:
        unit = systemd.owner_of(leader)
        if processes.has_our_files(leader):
            complaint = program.complaint(leader)
            if complaint and program.gives_up_root and leader.uid != 0:
                return _start_anew(named, unit, complaint)
            if complaint:
                return Told(named, problem=reload_messages.broken(complaint))
        elif not program.survives:
            return Told(named, problem=reload_messages.IN_A_CONTAINER)
        how = systemd.tell(unit, "reload") if unit else program.reload(leader, endpoint)
        return Told(named, ", ".join(filter(None, (how, program.urge(leader, endpoint)))))
    except (CannotRun, Unable, systemd.Failed, ConfigurationError) as error:
        return Told(named, problem=str(error))
    except OSError as error:
        return Told(named, problem=reload_messages.refused(error))
    except Exception as error:  # the other servers are to be reloaded all the same
        logger.debug("Traceback:", exc_info=True)
        return Told(named, problem=reload_messages.a_bug(error))


def _start_anew(named: str, unit: str, complaint: str) -> Told:
    """One that cannot read its key any more; systemd starts it as root, after a test as root."""
    command = systemd.command_as_root(unit) if unit else []
    if not command:
        return Told(named, problem=reload_messages.given_up_root(complaint))
    complaint = control.complaint_of_lighttpd(command)
    if complaint:
        return Told(named, problem=reload_messages.broken(complaint))
    return Told(named, systemd.tell(unit, "restart"))


def _awaited(lineage: Lineage, waiting: Sequence[Served], patience: float) -> List[Served]:
    """Look until several looks in a row have shown the current certificate everywhere, or the time is up."""
    asked = [(served.name, served.endpoint) for served in waiting]
    deadline = time.monotonic() + patience
    agreed = 0
    while asked:
        answers = served_certificates.seen(lineage, asked, 1)
        agreed = agreed + 1 if all(answer.shown is Shown.CURRENT for answer in answers) else 0
        if agreed == _TIMES or (not agreed and time.monotonic() > deadline):
            return answers
        time.sleep(_PAUSE)
    return []


def _by_door(answers: Sequence[Served]) -> Dict[Tuple[Endpoint, Shown], List[Served]]:
    found: Dict[Tuple[Endpoint, Shown], List[Served]] = {}
    for answer in answers:
        found.setdefault((answer.endpoint, answer.shown), []).append(answer)
    return found


def _key_of(lineage: Lineage) -> str:
    return os.path.join(os.path.dirname(lineage.certificate_file), "privkey.pem")
