"""Reload the servers that still show an older certificate: handshake, configuration test, reload, handshakes.

A server is reloaded only where it shows an older certificate of the lineage, and only after its own test has accepted
the configuration on disk. A signal that was sent proves nothing: the handshakes decide.
"""
import enum
import logging
import os
import time
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.interfaces import IRestarts
from certbot_autowebroot.interfaces import ReloadError
from certbot_autowebroot.order.progress import HANDSHAKES
from certbot_autowebroot.order.progress import Progress
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
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.servers import registry
from certbot_autowebroot.system import processes
from certbot_autowebroot.system import systemd
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.views import View

logger = logging.getLogger(__name__)

#: Stages of the work besides the handshakes.
RELOADING = "testing configurations and reloading servers"
AWAITING = "waiting for the new certificate on port 443"
#: Seconds that servers get to show the new certificate. Apache takes one; the others take less.
PATIENCE = 10.0
#: So many handshakes in a row have to agree, with so many seconds between them.
_TIMES = 5
_PAUSE = 0.1


class Outcome(enum.Enum):
    """The result of a finding."""

    GOOD = enum.auto()
    FAILED = enum.auto()
    #: A program listens, and its certificate could not be seen.
    UNSEEN = enum.auto()


class Finding(NamedTuple):
    """One thing that was found or done; the text is a sentence without its end, or several lines."""

    outcome: Outcome
    text: str


class Server(NamedTuple):
    """A program that speaks TLS at an endpoint.

    :ivar process: None where it is not visible to us.
    """

    named: str
    process: Optional[Process] = None


class Attempt(NamedTuple):
    """An attempt to reload a server.

    :ivar named: the server.
    :ivar how: how it was reloaded; empty where it was not.
    :ivar problem: why it was not; a phrase, and lines of its own test.
    """

    named: str
    how: str = ""
    problem: str = ""


def reload(lineage: Lineage, names: Sequence[str], patience: float = PATIENCE,
           progress: Progress = lambda stage, done, of: None) -> List[Finding]:
    """Let every server on 443 that shows an older certificate of the lineage for one of the names read the current one.

    :param lineage: one with a certificate.
    :param patience: seconds that they get to show it.
    :param progress: called before each wait.
    """
    machine = Host()
    progress(HANDSHAKES, 0, 1)
    seen = _by_endpoint(served_certificates.seen(lineage, served_certificates.questions(names, machine), _TIMES))
    if not seen:
        return [Finding(Outcome.GOOD, reload_messages.no_address(names))]
    findings = [Finding(_outcome_without_reload(answers, seen), reload_messages.not_reloaded(answers, lineage))
                for (_, shown), answers in seen.items() if shown is not Shown.STALE]
    stale = {endpoint: answers for (endpoint, shown), answers in seen.items() if shown is Shown.STALE}
    if stale:
        from certbot_autowebroot.servers.apache import key_pairs  # late for speed: with all of Apache, 30 ms of a check
        wrong = key_pairs.broken(lineage.certificate_file, _key_of(lineage), View.of_host())
        if wrong:
            return [*findings, Finding(Outcome.FAILED, reload_messages.broken_lineage(wrong))]
    attempts: Dict[Server, Attempt] = {}
    attempts_at: Dict[Endpoint, List[Attempt]] = {}
    waiting: List[Served] = []
    for endpoint, answers in stale.items():
        for server in servers_at(answers[0].name, endpoint, machine):
            if server not in attempts:
                progress(RELOADING, 0, 1)
                attempts[server] = _attempt(server, endpoint)
            attempts_at.setdefault(endpoint, []).append(attempts[server])
        failed = [attempt for attempt in attempts_at[endpoint] if attempt.problem]
        findings += [Finding(Outcome.FAILED, reload_messages.failed(attempt.named, attempt.problem, answers))
                     for attempt in failed]
        waiting += [] if failed else answers
    progress(AWAITING, 0, 1)
    for (endpoint, shown), answers in _by_endpoint(_awaited(lineage, waiting, patience)).items():
        done = [reload_messages.done(attempt.named, attempt.how) for attempt in attempts_at[endpoint]]
        findings.append(Finding(Outcome.GOOD, reload_messages.reloaded(done, answers)) if shown is Shown.CURRENT else
                        Finding(Outcome.FAILED, reload_messages.without_effect(done, answers, patience, lineage)))
    return findings


def _outcome_without_reload(answers: Sequence[Served], seen: Mapping[Tuple[Endpoint, Shown], Sequence[Served]]) \
        -> Outcome:
    """A name without a certificate is no problem where the same server shows ours for another name."""
    first = answers[0]
    if first.shown is not Shown.NO_CERTIFICATE:
        return Outcome.GOOD
    ours = (first.endpoint, Shown.CURRENT) in seen or (first.endpoint, Shown.STALE) in seen
    return Outcome.GOOD if ours and all(answer.refused for answer in answers) else Outcome.UNSEEN


def servers_at(name: str, endpoint: Endpoint, machine: Host) -> List[Server]:
    """The programs that speak TLS at an endpoint: its holders, or those to which forwarders pass connections on."""
    found: Dict[Server, None] = {}
    ends = [endpoint]
    for _ in range(MAX_HOPS):
        request = Request(name, CHALLENGE_PATH, "", endpoint, "https")
        ends = [onward for end in ends for holder in machine.holders(end)
                for onward in _onward(holder, request._replace(endpoint=end), machine, found)]
    return list(found) or [Server(reload_messages.UNNAMED)]


def _onward(holder: Holder, request: Request, machine: Host, found: Dict[Server, None]) -> Iterator[Endpoint]:
    """Where a forwarder (the kernel, Docker's proxy) passes connections on; another holder is added to those found."""
    process = processes.process(holder.program.pid) if holder.program.pid else None
    if process is None or process.name in registry.executables("forwarder"):
        members = [member for destination in holder.ask(request) if isinstance(destination, Upstream)
                   for member in destination.members]
        if members:
            yield from (end for member in members for end in machine.reach(member, request.endpoint))
            return
    found[Server(str(holder.program), process)] = None


def _attempt(server: Server, endpoint: Endpoint) -> Attempt:
    """Test the configuration on disk, and reload the server."""
    if server.process is None:
        return Attempt(server.named, problem=reload_messages.NOT_VISIBLE)
    named = server.named
    try:
        part = registry.part_of(server.process, registry.CONTROL)
        if part is None:
            return Attempt(named, problem=reload_messages.not_known(systemd.owner_of(server.process)))
        control = part.provider
        main = control.main_process(server.process)
        named = str(main.program)
        unit = systemd.owner_of(main)
        if processes.has_our_files(main):
            config_error = control.config_error(main)
            if config_error and IRestarts.providedBy(control) and main.uid != 0:
                return _start_anew(named, unit, config_error, control)
            if config_error:
                return Attempt(named, problem=reload_messages.config_error(config_error))
        elif not control.tolerates_bad_config:
            return Attempt(named, problem=reload_messages.IN_A_CONTAINER)
        how = systemd.systemctl(unit, "reload") if unit else control.reload(main, endpoint)
        more = control.finish_reload(main, endpoint) if IRestarts.providedBy(control) else ""
        return Attempt(named, ", ".join(filter(None, (how, more))))
    except (ReloadError, systemd.SystemctlError) as error:
        return Attempt(named, problem=str(error))
    except OSError as error:
        return Attempt(named, problem=reload_messages.signal_refused(error))
    except Exception as error:  # the other servers are to be reloaded all the same
        logger.debug("Traceback:", exc_info=True)
        return Attempt(named, problem=reload_messages.bug(error))


def _start_anew(named: str, unit: str, config_error: str, control: Any) -> Attempt:
    """For a server that cannot read its key any more: systemd starts it as root, after a test as root."""
    command = systemd.command_as_root(unit) if unit else []
    if not command:
        return Attempt(named, problem=reload_messages.needs_root(config_error))
    config_error = control.config_error_of_command(command)
    if config_error:
        return Attempt(named, problem=reload_messages.config_error(config_error))
    return Attempt(named, systemd.systemctl(unit, "restart"))


def _awaited(lineage: Lineage, waiting: Sequence[Served], patience: float) -> List[Served]:
    """Handshakes until several in a row have shown the current certificate everywhere, or the time is up."""
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


def _by_endpoint(answers: Sequence[Served]) -> Dict[Tuple[Endpoint, Shown], List[Served]]:
    found: Dict[Tuple[Endpoint, Shown], List[Served]] = {}
    for answer in answers:
        found.setdefault((answer.endpoint, answer.shown), []).append(answer)
    return found


def _key_of(lineage: Lineage) -> str:
    return os.path.join(os.path.dirname(lineage.certificate_file), "privkey.pem")
