"""The output of ``check``: a tree for people, JSON for programs, one line for monitoring."""
import json
from datetime import datetime
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot import __version__
from certbot_autowebroot.order import other_machines
from certbot_autowebroot.order import remedies
from certbot_autowebroot.order import tree
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.inquiry import Printed
from certbot_autowebroot.order.messages import named
from certbot_autowebroot.renewals import messages
from certbot_autowebroot.renewals.forecast import Forecast
from certbot_autowebroot.renewals.forecast import NameForecast
from certbot_autowebroot.renewals.forecast import Outlook
from certbot_autowebroot.renewals.forecast import Served
from certbot_autowebroot.renewals.lineages import Certificate
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Elsewhere
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Trail
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.routing.front_endpoints import Kind

#: The version of the JSON: raised when a member moves or goes. New members may come at any time.
SCHEMA = 1


class Line(NamedTuple):
    """One line of text, its depth in the tree, and for a headline the outlook of its name or lineage."""

    text: str
    depth: int = 0
    outlook: Optional[Outlook] = None


def name_tree(found: NameForecast, proved: bool, printed: Printed) -> Iterator[Line]:
    """The routes of a name, hop by hop, each below the one before."""
    yield Line(f"{found.name}: {messages.outlook(found, proved)}", 0, found.outlook)
    yield from _routes(found, printed)


def lineage_tree(found: Forecast, proved: bool, mending: str, printed: Printed) -> Iterator[Line]:
    """What would happen to a lineage, and the routes of the names that would fail."""
    bad = Outlook.FAILS if found.is_bad else found.outlook
    yield Line(messages.lineage(found, proved), 0, bad)
    for text in messages.why(found):
        yield Line(text, 1)
    if not found.in_the_way:
        yield from _names(found.names, proved, None if mending else printed)
    elif found.outlook is Outlook.FAILS and found.remedy and not mending:
        yield Line(messages.NEITHER, 1)
        yield from _names(found.remedy, proved, printed)
    alike: Dict[Tuple[object, ...], List[Served]] = {}
    for served in found.served:
        until = served.certificate and served.certificate.not_after
        alike.setdefault((served.endpoint, served.shown, until, served.error), []).append(served)
    for answers in alike.values():
        yield Line(messages.shown(answers), 1)
    if any(served.other_lineage for served in found.served):
        yield Line(messages.deleting(found.lineage), 1)
    if found.reload:
        yield Line(f"reload it with: {found.reload}", 1)
    if found.add_hook:
        yield Line(messages.NO_HOOK, 1)
        yield Line(f"add one with: {found.add_hook}", 1)
    if mending:
        yield Line(f"mend it with: {mending}", 1)


def _names(names: Sequence[NameForecast], proved: bool, printed: Optional[Printed]) -> Iterator[Line]:
    """The names of a lineage: those with the same outcome together, with the routes of the first."""
    alike: Dict[Tuple[object, ...], List[NameForecast]] = {}
    for name in names:
        lines = [tree.Line(line.text, line.depth) for line in _outcome(name, proved, None)]
        alike.setdefault(tree.apart_from(name.name, lines), []).append(name)
    for several in alike.values():
        (text, *_), *rest = _outcome(several[0], proved, printed)
        who = [name.name for name in several]
        # All names that fail are listed.
        yield Line(f"{named(who) if several[0].outlook is Outlook.GOOD else ', '.join(who)}: {text}", 1)
        yield from (line._replace(depth=line.depth + 1) for line in rest)


def _outcome(name: NameForecast, proved: bool, printed: Optional[Printed]) -> Iterator[Line]:
    yield Line(messages.why_name(name) or messages.outlook(name, proved))
    if name.outlook is not Outlook.GOOD:
        yield from _routes(name, printed)
    elif name.outcome and tree.note(name.outcome, name.reason):
        yield Line(tree.note(name.outcome, name.reason), 1)


def _routes(found: NameForecast, printed: Optional[Printed]) -> Iterator[Line]:
    if found.outcome is not None:
        advice = printed if found.outlook in (Outlook.FAILS, Outlook.UNPROVEN) else None
        shows_failures = found.outlook not in (Outlook.GOOD, Outlook.UNJUDGED)
        for text, depth in tree.tree(found.outcome, shows_failures, advice, found.reason):
            yield Line(text, depth)


def as_json(names: Sequence[NameForecast], forecasts: Sequence[Forecast], proved: bool,
            mendings: Dict[str, str], status: int, now: datetime) -> str:
    """Everything, for programs: check.schema.json beside this module describes each member.

    :param status: the exit status of the command.
    :param now: when the check ended.
    """
    report = head(status, proved, now)
    if names:
        report["names"] = [_name(name) for name in names]
    else:
        report["lineages"] = [_lineage(forecast, mendings.get(forecast.lineage.conf, "")) for forecast in forecasts]
    return json.dumps(report, indent=2)


def head(status: int, proved: bool, now: datetime) -> Dict[str, Any]:
    """The members of every report."""
    return {"schema": SCHEMA, "version": __version__, "exit_status": status, "proved": proved,
            "time": now.isoformat(timespec="seconds")}


def nagios(names: Sequence[NameForecast], forecasts: Sequence[Forecast]) -> Tuple[int, str]:
    """The exit status and the line of a plugin (Monitoring Plugins Development Guidelines, "Plugin Output")."""
    outlooks = [name.outlook for name in names] + [found.outlook for found in forecasts]
    bad = Outlook.FAILS in outlooks or any(found.is_expired for found in forecasts)
    doubtful = Outlook.UNPROVEN in outlooks or any(found.is_stale for found in forecasts)
    status, word = (2, "CRITICAL") if bad else (1, "WARNING") if doubtful else \
        (3, "UNKNOWN") if Outlook.UNKNOWN in outlooks else (0, "OK")
    counts = [f"{outlook.value.replace(' ', '_')}={outlooks.count(outlook)}" for outlook in Outlook]
    days = [found.days_left for found in forecasts if found.days_left is not None]
    if not names:
        counts += [f"stale={sum(found.is_stale for found in forecasts)}", *([f"days_left={min(days)}"] if days else [])]
    said = messages.summary(names, forecasts, with_names=True)
    return status, f"AUTOWEBROOT {word} - {said} | {' '.join(counts)}"


def exit_status(names: Sequence[NameForecast], forecasts: Sequence[Forecast], strict: bool) -> int:
    """0 all good, 1 something would fail or has to be done, 2 something could not be checked.

    3 something is good from inside alone, 4 something is unproven: 1 if strict. The worst counts: 1, 2, 4, 3.
    """
    if any(name.outlook is Outlook.FAILS for name in names) or any(found.is_bad for found in forecasts):
        return 1
    outlooks = [name.outlook for name in names] + [found.outlook for found in forecasts]
    status = 2 if Outlook.UNKNOWN in outlooks else 4 if Outlook.UNPROVEN in outlooks else \
        3 if Outlook.FROM_INSIDE in outlooks else 0
    return 1 if strict and status > 2 else status


def _name(found: NameForecast) -> Dict[str, Any]:
    outcome = found.outcome
    plain: Dict[str, Any] = {"name": found.name, "outlook": found.outlook.value, "reason": found.reason}
    if outcome is not None:
        plain.update(note="; ".join(outcome.notes), certain=not outcome.front.of_kind(Kind.GUESSED),
                     endpoints=[_front_endpoint(outcome, endpoint, found.outlook)
                                for endpoint in outcome.front.endpoints],
                     nodes=[_node(outcome, node) for node in outcome.front.of_kind(Kind.NODE)])
        plain = json.loads(outcome.without_token(json.dumps(plain)))
    return plain


def _node(outcome: Outcome, endpoint: Endpoint) -> Dict[str, Any]:
    answer = outcome.answer_at(endpoint)
    return {**json_of_endpoint(endpoint), "proven": outcome.verdict_at(endpoint) is Verdict.PROVEN,
            "status": answer.status or None if answer else None,
            "error": answer.error if answer else "", "lines": other_machines.command_for(outcome, endpoint)}


def _front_endpoint(outcome: Outcome, endpoint: Endpoint, outlook: Outlook) -> Dict[str, Any]:
    failing = outlook is Outlook.FAILS and outcome.verdict_at(endpoint) is not Verdict.PROVEN
    answer = outcome.proof.answers.get(endpoint)
    return {
        **json_of_endpoint(endpoint),
        "routes": [_route(route) for route in outcome.routes.get(endpoint, ())],
        "proven": [_place(place) for place in outcome.proof.served.get(endpoint, ())],
        "answer": None if answer is None else {
            "url": answer.request.url, **json_of_endpoint(answer.request.endpoint),
            "status": answer.status or None, "error": answer.error,
            "redirects": list(answer.redirects)},
        "remedies": [_remedy(remedy) for remedy in remedies.remedies_for(outcome, endpoint)] if failing else [],
    }


def _remedy(remedy: remedies.Remedy) -> Dict[str, Any]:
    if isinstance(remedy, remedies.AddLines):
        site = remedy.lines
        return {"kind": "lines", "server": remedy.server, "file": site.source.file, "line": site.source.line or None,
                "lines": list(site.lines), "at_the_end": list(site.at_the_end)}
    if isinstance(remedy, remedies.AnswerOnTheWire):
        return {"kind": "wire"}
    if isinstance(remedy, remedies.UseAuthenticator):
        return {"kind": "authenticator", "authenticator": remedy.authenticator, "option": remedy.server_root or None}
    return {"kind": "path"}


def _route(route: Route) -> Dict[str, Any]:
    hops = [{"program": hop.program.name, "pid": hop.program.pid or None, **json_of_endpoint(hop.request.endpoint),
             "url": hop.request.url, "steps": _steps(hop.trail)}
            for hop in route.hops]
    return {"branch": list(route.branch), "hops": hops, "end": _end(route)}


def _end(route: Route) -> Dict[str, Any]:
    end = route.end
    if isinstance(end, DeadEnd):
        return {"kind": "dead end", "reason": end.reason}
    if isinstance(end, Unknown):
        return {"kind": "unknown", "reason": end.reason}
    if isinstance(end, Elsewhere):
        return {"kind": "elsewhere", "target": end.target}
    return _place(Place(end))


def _place(place: Place) -> Dict[str, Any]:
    if isinstance(place.end, Directory):
        return {"kind": "directory", "root": place.end.root, "directory": str(place.end).rpartition("/")[0] or "/"}
    return {"kind": "listener", **json_of_endpoint(place.end.endpoint)}


def _steps(trail: Trail) -> List[Dict[str, Any]]:
    return [{"text": step.text, "file": step.source.file if step.source else None,
             "line": (step.source.line or None) if step.source else None} for step in trail]


def json_of_endpoint(endpoint: Endpoint) -> Dict[str, Any]:
    """An address and a port."""
    return {"address": endpoint.host, "port": endpoint.port or None}


def _lineage(found: Forecast, mending: str) -> Dict[str, Any]:
    lineage = found.lineage
    return {
        "lineage": lineage.name, "conf": lineage.conf, "authenticator": lineage.authenticator,
        "outlook": found.outlook.value, "problem": lineage.problem, "in_the_way": list(found.in_the_way),
        "pre_hooks": list(found.hooks), "names": [_name(name) for name in found.names],
        "certificate": None if lineage.certificate is None else {
            **json_of_certificate(lineage.certificate), "days_left": found.days_left},
        "served": [_served(served) for served in found.served], "stale": found.is_stale, "mend": mending or None,
        "add_hook": found.add_hook or None, "reload": found.reload or None,
    }


def _served(served: Served) -> Dict[str, Any]:
    return {"name": served.name, **json_of_endpoint(served.endpoint),
            "shown": served.shown.value, "error": served.error, "other_lineage": served.other_lineage or None,
            "certificate": None if served.certificate is None else json_of_certificate(served.certificate)}


def json_of_certificate(certificate: Certificate) -> Dict[str, Any]:
    """A certificate."""
    return {"names": list(certificate.names), "not_after": certificate.not_after.isoformat(),
            "sha256": certificate.fingerprint, "issuer": certificate.issuer, "serial": certificate.serial}
