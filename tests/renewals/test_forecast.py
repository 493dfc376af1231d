"""The forecast for a renewal, on plain outcomes."""
from typing import List
from typing import Sequence

import pytest

from certbot_autowebroot.order import messages
from certbot_autowebroot.order.inquiry import Candidates
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.inquiry import ProofResult
from certbot_autowebroot.order.inquiry import place_of
from certbot_autowebroot.renewals import forecast
from certbot_autowebroot.renewals.forecast import NameForecast
from certbot_autowebroot.renewals.forecast import Outlook
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.routing.front_endpoints import Kind
from certbot_autowebroot.routing.probe import Answer
from tests.lab.table import front

V4 = Endpoint("203.0.113.10", 80)
V6 = Endpoint("2001:db8::10", 80)
ROOT = Directory(PathInView("/srv"), "x")
OTHER = Directory(PathInView("/other"), "x")
GUESSED = Directory(PathInView("/srv"), "x", guessed=True)
GUARDED = Directory(PathInView("/srv"), "x", depends_on_client=True)
REFUSED = DeadEnd("return 403")

OTHER_V4 = Endpoint("10.0.0.5", 80)


def outcome(ends: "Sequence[object]", won: Sequence[Endpoint] = (), kind: Kind = Kind.LOCAL,
            endpoints: Sequence[Endpoint] = (V4, V6), branches: bool = False) -> Outcome:
    """Every endpoint leads to these ends; the test file of the first came back from the served places."""
    routes = [Route((), end, (number,) if branches else ())  # type: ignore[arg-type]
              for number, end in enumerate(ends)]
    found = Candidates("www.sample.com", front(*endpoints, kind=kind), "token",
                       dict.fromkeys(endpoints, routes))
    found = found.with_places(filter(None, map(found.place_of, routes)))
    answers = {endpoint: Answer(found.request(endpoint), 200 if endpoint in won else 403) for endpoint in endpoints}
    return Outcome(found, ProofResult(answers=answers, served=dict.fromkeys(won, found.places[:1])))


def test_status_chooses_among_dead_ends() -> None:
    """Two lines refuse, each with its own status: the one that came back is the reason."""
    one = outcome([DeadEnd("return 444: status 444"), DeadEnd("return 403: status 403")])
    hop = Hop(Program("nginx", 7), one.candidates.request(V4), ())
    routes = {key: [route._replace(hops=(hop,)) for route in those] for key, those in one.routes.items()}
    one = one._replace(candidates=one.candidates._replace(routes=routes))
    said = messages.failure(one)
    assert said.index("return 403: status 403") < said.index("return 444")


@pytest.mark.parametrize(("root", "name", "expected"), [
    ("/srv/acme/.well-known/acme-challenge/", "t", ("/srv/acme", ".well-known/acme-challenge/t")),
    ("/srv/acme/.well-known", "acme-challenge/t", ("/srv/acme", ".well-known/acme-challenge/t")),
    ("/srv/www", ".well-known/acme-challenge/t", ("/srv/www", ".well-known/acme-challenge/t")),
    ("/srv", "www/.well-known/acme-challenge/t", ("/srv", "www/.well-known/acme-challenge/t")),
    ("/.well-known/acme-challenge", "t", ("/.well-known/acme-challenge", "t")),
    ("/srv/acme", "t", ("/srv/acme", "t")),
    ("/srv/.well-known/acme-challenge/x", "t", ("/srv/.well-known/acme-challenge/x", "t"))])
def test_alias_below_well_known_has_its_webroot_above(root: str, name: str, expected: Sequence[str]) -> None:
    """Certbot's webroot strips the part below it."""
    found = place_of(Directory(PathInView(root), name), None, "token")
    assert found is not None and isinstance(found.end, Directory)
    assert (found.end.root, found.end.name) == tuple(expected)


def test_file_before_applications_is_enough() -> None:
    """``try_files $uri @group``: the file is found before any of them is asked."""
    found = outcome([ROOT])
    for routes in found.routes.values():
        routes += [Route((), REFUSED, (0,)), Route((), REFUSED, (1,))]
    assert forecast.by_autowebroot(found, proved=False) is Outlook.GOOD


@pytest.mark.parametrize(("found", "outlook"), [
    (outcome([ROOT], [V4, V6]), Outlook.GOOD),
    (outcome([ROOT], [V4]), Outlook.FAILS),
    (outcome([ROOT], [V4], Kind.GUESSED), Outlook.FAILS),
    (outcome([ROOT], [V4, V6], Kind.GUESSED), Outlook.UNPROVEN),
    (outcome([ROOT], [V4], Kind.GUESSED, [V4, OTHER_V4]), Outlook.UNPROVEN),
    (outcome([ROOT], kind=Kind.GUESSED), Outlook.FAILS),
    (outcome([GUARDED]), Outlook.UNPROVEN),
    (outcome([], endpoints=[]), Outlook.FAILS)],
    ids=["all endpoints", "one endpoint lacks", "unresolved, one version lacks", "unresolved",
         "unresolved, one guess is enough", "unresolved and fails", "an allow-list shuts us out", "no endpoint"])
def test_forecast_for_autowebroot(found: Outcome, outlook: Outlook) -> None:
    """From the solver's verdict, and from whether a CA can reach this host."""
    assert forecast.by_autowebroot(found, proved=True) is outlook


def test_unproven_refuse_fails() -> None:
    """--autowebroot-unproven refuse."""
    assert forecast.by_autowebroot(outcome([GUARDED]), proved=True, refuse_unproven=True) is Outlook.FAILS


@pytest.mark.parametrize(("ends", "branches", "outlook"), [
    ([ROOT], False, Outlook.GOOD),
    ([Vacant(V4, "/x")], False, Outlook.GOOD),
    ([REFUSED], False, Outlook.FAILS),
    ([REFUSED, ROOT], False, Outlook.GOOD),
    ([REFUSED, ROOT], True, Outlook.FAILS),
    ([GUESSED], False, Outlook.UNPROVEN),
    ([GUARDED, ROOT], True, Outlook.UNPROVEN),
    ([], False, Outlook.FAILS)],
    ids=["directory", "nobody listens", "dead end", "an alternative", "a member of an upstream", "guess", "allow-list",
         "no route"])
def test_forecast_from_routes_alone(ends: List[object], branches: bool, outlook: Outlook) -> None:
    """--no-write: one of several alternatives is enough; all members of an upstream are needed."""
    found = Outcome(outcome(ends, branches=branches).candidates._replace(places=()))
    assert forecast.by_autowebroot(found, proved=False) is outlook


def test_given_directory_without_route_is_unproven() -> None:
    """Without root the listener is not visible; a renewal tries the given directory."""
    found = Outcome(outcome([REFUSED]).candidates.with_places([Place(ROOT)]))
    assert forecast.by_autowebroot(found, proved=False) is Outlook.UNPROVEN


@pytest.mark.parametrize(("found", "proved", "outlook"), [
    (outcome([ROOT], [V4, V6]), True, Outlook.GOOD),
    (outcome([OTHER], [V4, V6]), True, Outlook.FAILS),
    (outcome([ROOT], [V4]), True, Outlook.FAILS),
    (outcome([GUARDED]), True, Outlook.UNPROVEN),
    (outcome([GUARDED], kind=Kind.GUESSED), False, Outlook.UNPROVEN),
    (outcome([ROOT]), False, Outlook.GOOD),
    (outcome([ROOT, OTHER], branches=True), False, Outlook.FAILS),
    (outcome([ROOT], kind=Kind.GUESSED), False, Outlook.UNPROVEN)],
    ids=["proven", "another directory won", "one endpoint lacks", "shut out of its own directory",
         "behind a forward, an allow-list", "route", "one member of two", "does not resolve"])
def test_forecast_for_webroot_and_standalone(found: Outcome, proved: bool, outlook: Outlook) -> None:
    """Each answers in one place: another place that would work does not help."""
    def answers(_: Endpoint, place: Place) -> bool:
        return isinstance(place.end, Directory) and place.end.root == "/srv"
    assert forecast.by_places(found, answers, proved) is outlook


def test_forecast_without_root_is_unknown() -> None:
    """Root sees the listener and may write; only what both would meet is a failure."""
    def seen(found: Outcome) -> Outlook:
        return forecast.without_root(NameForecast("www.sample.com", Outlook.FAILS, found)).outlook
    hidden, shut, dead = outcome([Unknown("not visible")]), outcome([ROOT]), outcome([REFUSED])
    shut = shut._replace(proof=ProofResult({shut.places[0].key: "Permission denied"}))
    assert [seen(found) for found in (hidden, shut, dead)] == [Outlook.UNKNOWN, Outlook.UNKNOWN, Outlook.FAILS]


def test_worst_outlook_decides() -> None:
    """A lineage with one dead name is not renewed."""
    assert forecast.worst([Outlook.GOOD, Outlook.FAILS, Outlook.UNPROVEN]) is Outlook.FAILS
    assert forecast.worst([]) is Outlook.GOOD
