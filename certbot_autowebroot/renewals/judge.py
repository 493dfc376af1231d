"""Judge the names and lineages whose requests arrive at the same front endpoints.

The solver finds out about names, as in an order. Here are the questions that only a forecast asks.
"""
import functools
import ipaddress
import os
import socket
from typing import Dict
from typing import FrozenSet
from typing import Iterator
from typing import List
from typing import Mapping
from typing import Sequence
from typing import Tuple

from certbot_autowebroot import settings
from certbot_autowebroot.order.candidates import OrderOptions
from certbot_autowebroot.order.hints import Hint
from certbot_autowebroot.order.hints import confirmed_addresses
from certbot_autowebroot.order.hints import given
from certbot_autowebroot.order.hints import remembered
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.progress import Progress
from certbot_autowebroot.order.solver import Solver
from certbot_autowebroot.renewals import fallbacks
from certbot_autowebroot.renewals import forecast
from certbot_autowebroot.renewals import messages
from certbot_autowebroot.renewals.forecast import Answers
from certbot_autowebroot.renewals.forecast import Forecast
from certbot_autowebroot.renewals.forecast import NameForecast
from certbot_autowebroot.renewals.forecast import Outlook
from certbot_autowebroot.renewals.lineages import Lineage
from certbot_autowebroot.renewals.lineages import is_wildcard
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.system import listeners
from certbot_autowebroot.system import processes

Outcomes = Mapping[str, Outcome]
#: Authenticators whose renewals a check of this machine can judge.
JUDGED = ("standalone", "webroot", "autowebroot")
#: What needs no other authenticator: a test file came back.
_PROVEN = (Outlook.GOOD, Outlook.FROM_INSIDE)


class Judge:
    """Judges by test files, or where none may be written, by the configurations.

    :param arrival: the port, the address and the name server that count; its hints are ignored.
    :param path: directories to try, as in ``--autowebroot-path``; empty for the lineage's, or the shared directory.
    :param write: publish test files; else the configurations alone are followed.
    :param fallback: as ``--autowebroot-fallback``; empty for the lineage's.
    :param host: the snapshot for the first attempt with each name.
    """

    def __init__(self, arrival: OrderOptions, path: str, write: bool, fallback: str, journal: Journal,
                 progress: Progress, host: Host) -> None:
        self._arrival = arrival
        self._path = path
        self._write = write
        self._fallback = fallback
        self._journal = journal
        self._progress = progress
        self._host = host

    def names(self, names: Sequence[str]) -> List[NameForecast]:
        """What would happen to each of these names with our own authenticator."""
        outcomes = self._without_options(names)
        return self._by_fallback([self._by_autowebroot(name, outcomes) for name in names], self._fallback)

    def lineages(self, lineages: Sequence[Lineage]) -> Iterator[Forecast]:
        """What would happen to each of these lineages with its own authenticator: one of :data:`JUDGED`."""
        webroot, standalone, ours = ([lineage for lineage in lineages if lineage.authenticator == kind]
                                     for kind in ("webroot", "standalone", "autowebroot"))
        self._host.resolve({name for lineage in lineages for name in _names(lineage) if not is_wildcard(name)})
        tried = self._try_webroots(webroot)
        doubtful = []
        for lineage in webroot:
            names = [_by_webroot(lineage, name, tried) for name in _names(lineage)]
            if tried and forecast.worst([name.outlook for name in names]) in _PROVEN:
                yield _forecast(lineage, names)
            else:
                doubtful.append(lineage)
        # Where the requests end instead, and whether autowebroot would answer them.
        plain = self._without_options([name for lineage in (*standalone, *doubtful) for name in _names(lineage)])
        for lineage in doubtful:
            names = [self._without_proof(lineage, found, plain) if found.outlook not in _PROVEN else found
                     for found in [_by_webroot(lineage, name, tried) for name in _names(lineage)]]
            yield self._with_remedy(_forecast(lineage, names), plain)
        versions = _versions_free(self._arrival.port, self._arrival.address) if standalone else frozenset()
        for lineage in standalone:
            found = _forecast(lineage, [self._by_standalone(name, versions, plain) for name in _names(lineage)])
            found.in_the_way = self._in_the_way if found.outlook is Outlook.FAILS else ()
            yield self._with_remedy(found, plain)
        yield from self._ours(ours)

    def _ours(self, lineages: Sequence[Lineage]) -> Iterator[Forecast]:
        by_path: Dict[str, List[Lineage]] = {}
        for lineage in lineages:
            path = self._path or lineage.options.get("path", settings.SHARED_DIRECTORY)
            by_path.setdefault(path, []).append(lineage)
        for path, group in by_path.items():
            hints: Dict[str, List[Hint]] = {}
            for lineage in group:
                try:
                    memory = remembered(lineage.options.get("roots", ""))
                except ValueError:
                    memory = {}  # a renewal warns, and ignores it
                for name in _names(lineage):
                    if not is_wildcard(name):
                        hints.setdefault(name, given(path, "--path")).extend(memory.get(name, ()))
            outcomes = self._find_out(hints, from_memory=True)
            for lineage in group:
                refuse = lineage.options.get("unproven") == "refuse"
                fallback = self._fallback or lineage.options.get("fallback", "")
                confirmed = confirmed_addresses(lineage.options.get("addresses", ""))
                yield _forecast(lineage, self._by_fallback([
                    self._by_autowebroot(name, outcomes, refuse, confirmed.get(name, ())) for name in _names(lineage)],
                    fallback))

    def _by_fallback(self, names: Sequence[NameForecast], fallback: str) -> List[NameForecast]:
        return fallbacks.by_fallback(names, fallback, self._solver({}) if self._write else None, self._journal)

    def _by_autowebroot(self, name: str, outcomes: Outcomes, refuse: bool = False,
                        confirmed: Sequence[str] = ()) -> NameForecast:
        if name not in outcomes:
            return _wildcard(name)
        outlook = forecast.by_autowebroot(outcomes[name], self._write, refuse, confirmed)
        return _judged(name, outlook, outcomes[name])

    def _by_standalone(self, name: str, versions: FrozenSet[int], outcomes: Outcomes) -> NameForecast:
        """``standalone`` answers on all addresses or on none; our own responder takes the free ones."""
        if name not in outcomes:
            return _wildcard(name)

        def answers(endpoint: Endpoint, place: Place) -> bool:
            return isinstance(place.end, Vacant) and place.end.endpoint == endpoint and (
                ipaddress.ip_address(endpoint.host).version in versions)
        return _judged(name, forecast.by_places(outcomes[name], answers, self._write), outcomes[name])

    def _without_proof(self, lineage: Lineage, found: NameForecast, plain: Outcomes) -> NameForecast:
        """What the routes say of a name whose webroot did not prove good.

        :param found: what its test file showed, if there was one.
        """
        root = _webroot(lineage, found.name)
        if not root or found.name not in plain:
            return found
        answers = _from_directory(root)
        outlook = forecast.by_places(plain[found.name], answers, self._write)
        if outlook is Outlook.FAILS and found.outcome and found.outcome.proof.publish_errors and \
                forecast.by_places(plain[found.name], answers, proved=False) is not Outlook.FAILS:
            outlook = Outlook.UNPROVEN  # we would not write there; Certbot's webroot might
        reason = messages.webroot_elsewhere(root) if outlook is Outlook.FAILS and not found.outcome else found.reason
        return _judged(found.name, outlook, plain[found.name], reason)

    def _with_remedy(self, found: Forecast, plain: Outcomes) -> Forecast:
        if found.outlook is Outlook.FAILS:
            found.remedy = [self._by_autowebroot(name.name, plain) for name in found.names]
        return found

    @functools.cached_property
    def _in_the_way(self) -> Tuple[str, ...]:
        """The programs that hold the port on any address: bind(2) to all addresses fails for any of them."""
        port = self._arrival.port
        try:
            taken = [listener.endpoint for listener in listeners.listeners() if listener.endpoint.port == port]
        except OSError:  # this system does not list them
            return ()
        held = [(holder.program, endpoint) for endpoint in taken for holder in self._host.holders(endpoint)]
        return tuple(dict.fromkeys(messages.holder(program, endpoint) for program, endpoint in held))

    def _try_webroots(self, lineages: Sequence[Lineage]) -> Outcomes:
        roots: Dict[str, Dict[str, None]] = {}
        for lineage in lineages:
            for name in _names(lineage):
                if _webroot(lineage, name) and not is_wildcard(name):
                    roots.setdefault(name, {})[_webroot(lineage, name)] = None
        hints = {name: [Hint(root, "the lineage's webroot_map") for root in found] for name, found in roots.items()}
        return self._solver(hints).try_hints(list(hints)) if self._write and hints else {}

    def _without_options(self, names: Sequence[str]) -> Outcomes:
        """As for a lineage that has no options of its own."""
        return self._find_out({name: given(self._path or settings.SHARED_DIRECTORY, "--path")
                               for name in names if not is_wildcard(name)})

    def _find_out(self, hints: Mapping[str, Sequence[Hint]], from_memory: bool = False) -> Outcomes:
        if not hints:
            return {}
        solver = self._solver(hints)
        return solver.find_out(list(hints), from_memory) if self._write else solver.follow(list(hints))

    def _solver(self, hints: Mapping[str, Sequence[Hint]]) -> Solver:
        return Solver(self._arrival._replace(hints=hints), self._journal, self._progress, self._host)


def _by_webroot(lineage: Lineage, name: str, tried: Outcomes) -> NameForecast:
    """``webroot`` answers from the directory of webroot_map, and makes it where it is missing."""
    if is_wildcard(name):
        return _wildcard(name)
    root = _webroot(lineage, name)
    if not root:
        return NameForecast(name, Outlook.FAILS, reason=messages.NO_WEBROOT)
    if name not in tried:
        return NameForecast(name, Outlook.FAILS)
    outlook = forecast.by_places(tried[name], _from_directory(root), proved=True)
    if outlook in _PROVEN:
        return _judged(name, outlook, tried[name])
    return NameForecast(name, outlook, tried[name], messages.webroot_tried(root, tried[name]))


def _judged(name: str, outlook: Outlook, outcome: Outcome, reason: str = "") -> NameForecast:
    """The forecast for a name, with what its addresses leave open."""
    return NameForecast(name, outlook, outcome, "; ".join(filter(None, (forecast.doubts(outcome, outlook), reason))))


def _forecast(lineage: Lineage, names: List[NameForecast]) -> Forecast:
    return Forecast(lineage, forecast.worst([name.outlook for name in names]), names)


def _names(lineage: Lineage) -> Tuple[str, ...]:
    return lineage.certificate.names if lineage.certificate else ()


def _wildcard(name: str) -> NameForecast:
    return NameForecast(name, Outlook.FAILS, reason=messages.WILDCARD)


def _webroot(lineage: Lineage, name: str) -> str:
    return lineage.webroots.get(name) or lineage.webroots.get("", "")


def _from_directory(root: str) -> Answers:
    """Whether a place is the challenge directory below a document root, by any path."""
    wanted = os.path.realpath(root + CHALLENGE_PATH)

    def answers(_: Endpoint, place: Place) -> bool:
        return isinstance(place.end, Directory) and os.path.realpath(os.path.dirname(str(place.end))) == wanted and (
            _is_host_path(place, place.end.root))
    return answers


def _is_host_path(place: Place, path: str) -> bool:
    process = processes.process(place.program.pid) if place.program and place.program.pid else None
    try:
        return process is None or process.view.has_host_file(path)
    except OSError:  # it has ended
        return False


def _versions_free(port: int, address: str) -> FrozenSet[int]:
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
