"""Check what a renewal would do now: prove names with the solver, see what port 443 shows, and judge.

The solver finds out about names, as in an order. Here are the questions that only a forecast asks.
"""
import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from datetime import timezone
from typing import TYPE_CHECKING
from typing import Dict
from typing import FrozenSet
from typing import Iterator
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot import errors
from certbot import util

from certbot_autowebroot import settings
from certbot_autowebroot.order import other_authenticators
from certbot_autowebroot.order.candidates import OrderOptions
from certbot_autowebroot.order.hints import Hint
from certbot_autowebroot.order.hints import confirmed_addresses
from certbot_autowebroot.order.hints import given
from certbot_autowebroot.order.hints import remembered
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.progress import Progress
from certbot_autowebroot.order.solver import Solver
from certbot_autowebroot.renewals import forecast
from certbot_autowebroot.renewals import messages
from certbot_autowebroot.renewals import served_certificates
from certbot_autowebroot.renewals.forecast import Answers
from certbot_autowebroot.renewals.forecast import Forecast
from certbot_autowebroot.renewals.forecast import NameForecast
from certbot_autowebroot.renewals.forecast import Outlook
from certbot_autowebroot.renewals.lineages import Lineage
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.route import CA_PORTS
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.system import listeners
from certbot_autowebroot.system import processes

if TYPE_CHECKING:
    from certbot_autowebroot.renewals.wire_trial import Trial

#: The directories that get a test file, by name.
Hints = Mapping[str, Sequence[Hint]]
Outcomes = Mapping[str, Outcome]

#: Authenticators whose renewals a check of this machine can judge.
_JUDGED = ("standalone", "webroot", "autowebroot")
_NAME = re.compile(r"[a-z0-9_.-]+", re.ASCII)


@dataclass(frozen=True)
class Options:
    """The user's options.

    :ivar port: the port that the CA's port 80 leads to; None for the lineage's, or 80.
    :ivar address: the only local address that counts; None for the lineage's, or all.
    :ivar path: directories to try, as in ``--autowebroot-path``; empty for the lineage's, or the shared directory.
    :ivar write: publish test files; else the configurations alone are followed.
    :ivar resolver: the only name server to ask; empty for the host's own.
    :ivar fallback: as ``--autowebroot-fallback``; empty for the lineage's.
    """

    port: Optional[int] = None
    address: Optional[str] = None
    path: str = ""
    write: bool = True
    resolver: str = ""
    fallback: str = ""


class Check:
    """Checks names and lineages. Nothing is left behind, and no CA is asked."""

    def __init__(self, options: Options, journal: Journal, progress: Progress = lambda stage, done, of: None) -> None:
        self._options = options
        self._journal = journal
        self._progress = progress

    def names(self, names: Sequence[str]) -> List[NameForecast]:
        """What would happen to each of these names with our own authenticator."""
        proper: Dict[str, str] = {}
        wrong: Dict[str, str] = {}
        for name in names:
            try:
                proper[name] = identifier(name)
            except ValueError as error:
                wrong[name] = str(error)
        port, address = self._options.port or CA_PORTS["http"], self._options.address or ""
        outcomes = self._find_out(port, address, {name: self._given() for name in proper.values()})
        forecasts = [NameForecast(name, Outlook.FAILS, reason=wrong[name]) if name in wrong
                     else self._by_autowebroot(proper[name], outcomes) for name in dict.fromkeys(names)]
        return _as_this_user(self._by_fallback(port, address, forecasts, self._options.fallback))

    def lineages(self, lineages: Sequence[Lineage], hooks: Sequence[str] = ()) -> List[Forecast]:
        """What would happen to each of these lineages with its own authenticator.

        :param hooks: the pre-hooks that run before the renewal of every lineage.
        """
        fronts: Dict[Tuple[int, str], List[Lineage]] = {}
        forecasts: Dict[str, Forecast] = {}
        for lineage in map(self._with_options, lineages):
            installed = other_authenticators.is_installed(lineage.authenticator)
            if lineage.autorenew and not lineage.problem and not installed:
                lineage = replace(lineage, problem=messages.not_installed(lineage.authenticator))
            if lineage.problem:
                outlook = Outlook.UNKNOWN if lineage.hidden else Outlook.FAILS
                forecasts[lineage.conf] = Forecast(lineage, outlook)
            elif lineage.authenticator not in _JUDGED or not lineage.autorenew:
                forecasts[lineage.conf] = Forecast(lineage, Outlook.UNJUDGED)
            else:
                forecasts[lineage.conf] = Forecast(lineage, Outlook.GOOD)  # in this order; judged below
                fronts.setdefault((lineage.port, lineage.address), []).append(lineage)
        for (port, address), group in fronts.items():
            for found in self._judge(port, address, group):
                forecasts[found.lineage.conf] = found
                if not found.in_the_way:
                    found.names = _as_this_user(found.names)
                    found.outlook = forecast.worst([name.outlook for name in found.names])
        served = served_certificates.served([found.lineage for found in forecasts.values()], self._progress)
        now = datetime.now(timezone.utc)
        for found in forecasts.values():
            lineage = found.lineage
            found.served = served.get(lineage.conf, [])
            found.days_left = lineage.certificate.days_left(now) if lineage.certificate else None
            found.hooks = ((lineage.pre_hook,) if lineage.pre_hook else ()) + (
                tuple(hooks) if lineage.directory_hooks else ())
            may_be_stopped = lineage.authenticator in ("standalone", "autowebroot") and not lineage.problem
            if found.outlook is Outlook.FAILS and found.hooks and may_be_stopped:
                found.outlook = Outlook.UNJUDGED  # a hook may stop the very server that is in the way
        return list(forecasts.values())

    def _given(self) -> List[Hint]:
        """The directories for a lineage that has no options of its own."""
        return given(self._options.path or settings.SHARED_DIRECTORY, "--path")

    def _with_options(self, lineage: Lineage) -> Lineage:
        """The command line overrides the renewal configuration, as with Certbot."""
        address = lineage.address if self._options.address is None else self._options.address
        return replace(lineage, port=self._options.port or lineage.port, address=address)

    def _judge(self, port: int, address: str, lineages: Sequence[Lineage]) -> Iterator[Forecast]:
        """Judge lineages that share a port and an address."""
        webroot, standalone, ours = ([lineage for lineage in lineages if lineage.authenticator == kind]
                                     for kind in ("webroot", "standalone", "autowebroot"))
        families = _families(port, address) if standalone else frozenset()
        tried = self._try_webroots(port, address, webroot)
        doubtful = []
        for lineage in webroot:
            names = [self._by_webroot(lineage, name, tried) for name in _names(lineage)]
            if tried and forecast.worst([name.outlook for name in names]) is Outlook.GOOD:
                yield Forecast(lineage, Outlook.GOOD, names)
            else:
                doubtful.append(lineage)
        # Where the requests end instead, and whether autowebroot would answer them.
        plain = self._find_out(port, address, {name: self._given()
                                               for lineage in (*standalone, *doubtful) for name in _names(lineage)
                                               if not util.is_wildcard_domain(name)})
        for lineage in doubtful:
            yield self._with_remedy(lineage, [self._by_webroot(lineage, name, tried, plain)
                                              for name in _names(lineage)], plain)
        for lineage in standalone:
            found = self._with_remedy(lineage, [self._by_standalone(name, families, plain)
                                                for name in _names(lineage)], plain)
            found.in_the_way = _in_the_way(port) if found.outlook is Outlook.FAILS else ()
            yield found
        yield from self._judge_ours(port, address, ours)

    def _judge_ours(self, port: int, address: str, lineages: Sequence[Lineage]) -> Iterator[Forecast]:
        by_path: Dict[str, List[Lineage]] = {}
        for lineage in lineages:
            path = self._options.path or lineage.options.get("path", settings.SHARED_DIRECTORY)
            by_path.setdefault(path, []).append(lineage)
        for path, group in by_path.items():
            hints: Dict[str, List[Hint]] = {}
            for lineage in group:
                try:
                    memory = remembered(lineage.options.get("roots", ""))
                except ValueError:
                    memory = {}  # a renewal warns, and ignores it
                for name in _names(lineage):
                    if not util.is_wildcard_domain(name):
                        hints.setdefault(name, given(path, "--path")).extend(memory.get(name, ()))
            outcomes = self._find_out(port, address, hints, from_memory=True)
            for lineage in group:
                refuse = lineage.options.get("unproven") == "refuse"
                fallback = self._options.fallback or lineage.options.get("fallback", "")
                confirmed = confirmed_addresses(lineage.options.get("addresses", ""))
                names = self._by_fallback(port, address, [
                    self._by_autowebroot(name, outcomes, refuse, confirmed.get(name, ())) for name in _names(lineage)],
                    fallback)
                yield Forecast(lineage, forecast.worst([name.outlook for name in names]), names)

    def _by_fallback(self, port: int, address: str, names: Sequence[NameForecast], fallback: str) \
            -> List[NameForecast]:
        """The forecasts, where a renewal would ask other authenticators. The wire is tried, for it edits nothing."""
        failing = {name.name: name.outcome for name in names if name.outlook is Outlook.FAILS and name.outcome}
        on_the_wire = [name for name, outcome in failing.items() if self._options.write
                       and other_authenticators.is_wire_first(fallback, outcome)]
        trials: Mapping[str, Trial] = {}
        if on_the_wire and os.geteuid() == 0:
            from certbot_autowebroot.renewals.wire_trial import try_wire  # only who has chosen it has to pay for it
            solver = self._solver(port, address, {})
            solver.outcomes.update({outcome.identifier: outcome for outcome in failing.values()})
            trials = try_wire(solver, on_the_wire, self._journal)
        forecasts = []
        for name in names:
            asked = other_authenticators.would_be_asked(fallback, failing[name.name]) if name.name in failing else []
            if name.name in trials:
                name = _by_wire(name, trials[name.name])
                asked = [other for other in asked if other != other_authenticators.WIRE]
            elif name.name in on_the_wire:
                name = replace(name, outlook=Outlook.UNKNOWN)  # an ordinary user may not try it
            if name.outlook is Outlook.FAILS and asked:
                name = replace(name, outlook=Outlook.UNPROVEN, reason=messages.asked_instead(asked))
            forecasts.append(name)
        return forecasts

    def _with_remedy(self, lineage: Lineage, names: List[NameForecast], plain: Outcomes) -> Forecast:
        found = Forecast(lineage, forecast.worst([name.outlook for name in names]), names)
        if found.outlook is Outlook.FAILS:
            found.remedy = [self._by_autowebroot(name.name, plain) for name in names]
        return found

    def _by_autowebroot(self, name: str, outcomes: Outcomes, refuse: bool = False,
                        confirmed: Sequence[str] = ()) -> NameForecast:
        if name not in outcomes:
            return _wildcard(name)
        outcome = outcomes[name]
        outlook = forecast.by_autowebroot(outcome, self._options.write, refuse, confirmed)
        return NameForecast(name, outlook, outcome, forecast.doubts(outcome, outlook))

    def _by_standalone(self, name: str, families: FrozenSet[int], outcomes: Outcomes) -> NameForecast:
        """``standalone`` answers on all addresses or on none; our own responder takes the free ones."""
        if name not in outcomes:
            return _wildcard(name)

        def answers(endpoint: Endpoint, place: Place) -> bool:
            return isinstance(place.end, Vacant) and place.end.endpoint == endpoint and (
                ipaddress.ip_address(endpoint.host).version in families)
        outcome = outcomes[name]
        return NameForecast(name, forecast.by_places(outcome, answers, self._options.write), outcome)

    def _by_webroot(self, lineage: Lineage, name: str, tried: Outcomes, plain: Optional[Outcomes] = None) \
            -> NameForecast:
        """``webroot`` answers from the directory of webroot_map, and makes it where it is missing."""
        if util.is_wildcard_domain(name):
            return _wildcard(name)
        root = _webroot(lineage, name)
        if not root:
            return NameForecast(name, Outlook.FAILS, reason=messages.NO_WEBROOT)
        answers = _from_directory(root)
        attempt = tried.get(name)
        outlook = forecast.by_places(attempt, answers, proved=True) if attempt else Outlook.FAILS
        reason = messages.webroot_tried(root, attempt) if attempt else ""
        if plain is None or outlook is Outlook.GOOD:
            return NameForecast(name, outlook, attempt, reason)
        outlook = forecast.by_places(plain[name], answers, self._options.write)
        if outlook is Outlook.FAILS and not attempt:
            reason = messages.webroot_elsewhere(root)
        if outlook is Outlook.FAILS and attempt and attempt.proof.publish_errors and \
                forecast.by_places(plain[name], answers, proved=False) is not Outlook.FAILS:
            outlook = Outlook.UNPROVEN  # we would not write there; Certbot's webroot might
        return NameForecast(name, outlook, plain[name], reason)

    def _try_webroots(self, port: int, address: str, lineages: Sequence[Lineage]) -> Outcomes:
        roots: Dict[str, Dict[str, None]] = {}
        for lineage in lineages:
            for name in _names(lineage):
                if _webroot(lineage, name) and not util.is_wildcard_domain(name):
                    roots.setdefault(name, {})[_webroot(lineage, name)] = None
        hints = {name: [Hint(root, "the lineage's webroot_map") for root in found] for name, found in roots.items()}
        if not self._options.write or not hints:
            return {}
        return self._solver(port, address, hints).try_hints(list(hints))

    def _find_out(self, port: int, address: str, hints: Hints, from_memory: bool = False) -> Outcomes:
        if not hints:
            return {}
        solver = self._solver(port, address, hints)
        return solver.find_out(list(hints), from_memory) if self._options.write else solver.follow(list(hints))

    def _solver(self, port: int, address: str, hints: Hints) -> Solver:
        options = OrderOptions(port, address, hints, resolver=self._options.resolver)
        return Solver(options, self._journal, self._progress)


def identifier(name: str) -> str:
    """A name as the CA requests it: lower case, without a final dot.

    :raises ValueError: http-01 cannot validate it; the text says why.
    """
    try:
        return str(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        pass
    if util.is_wildcard_domain(name):
        raise ValueError(messages.WILDCARD)
    try:
        proper = util.enforce_domain_sanity(name)
    except errors.ConfigurationError as error:
        raise ValueError(str(error)) from None
    if not _NAME.fullmatch(proper):
        raise ValueError(messages.NO_NAME)
    return proper


def _names(lineage: Lineage) -> Tuple[str, ...]:
    return lineage.certificate.names if lineage.certificate else ()


def _by_wire(found: NameForecast, trial: "Trial") -> NameForecast:
    """The forecast for a name that was tried on the wire."""
    outlook = forecast.BY_VERDICT[trial.verdict]
    if outlook is not Outlook.FAILS:
        return replace(found, outlook=outlook, reason=messages.on_the_wire(trial.seconds, trial.segments, trial.reason))
    reason = f"the authenticator {other_authenticators.WIRE}: {trial.reason}"
    return replace(found, reason=reason, outcome=found.outcome and found.outcome._replace(rejected=(reason,)))


def _as_this_user(names: List[NameForecast]) -> List[NameForecast]:
    return names if os.geteuid() == 0 else [forecast.without_root(name) for name in names]


def _wildcard(name: str) -> NameForecast:
    return NameForecast(name, Outlook.FAILS, reason=messages.WILDCARD)


def _webroot(lineage: Lineage, name: str) -> str:
    return lineage.webroots.get(name) or lineage.webroots.get("", "")


def _from_directory(root: str) -> Answers:
    """Whether a place is the challenge directory below a document root, by any path."""
    wanted = os.path.realpath(root + CHALLENGE_PATH)

    def answers(_: Endpoint, place: Place) -> bool:
        return isinstance(place.end, Directory) and _is_host_path(place) and (
            os.path.realpath(os.path.dirname(str(place.end))) == wanted)
    return answers


def _is_host_path(place: Place) -> bool:
    process = processes.process(place.program.pid) if place.program and place.program.pid else None
    try:
        return process is None or process.view.is_host
    except OSError:  # it has ended
        return False


def _families(port: int, address: str) -> FrozenSet[int]:
    """The IP versions on which ``acme.standalone`` could listen: all addresses at once, IPv6 first.

    Checked by bind(2) without listen(2): no client can connect.
    """
    versions = set()
    for family, version in ((socket.AF_INET6, 6), (socket.AF_INET, 4)):
        try:
            with socket.socket(family) as attempt:
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                attempt.bind((address, port))
                versions.add(version)
                both = version == 6 and address in ("", "::")
                if both and not attempt.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
                    versions.add(4)
        except PermissionError:  # an ordinary user may not bind; a renewal is root's
            versions.add(version)
        except OSError:
            continue
    return frozenset(versions)


def _in_the_way(port: int) -> Tuple[str, ...]:
    """The programs that hold the port on any address: bind(2) to all addresses fails for any of them."""
    host = Host()
    try:
        taken = [listener.endpoint for listener in listeners.listeners() if listener.endpoint.port == port]
    except OSError:  # this system does not list them
        return ()
    held = [(holder.program, endpoint) for endpoint in taken for holder in host.holders(endpoint)]
    return tuple(dict.fromkeys(messages.holder(program, endpoint) for program, endpoint in held))
