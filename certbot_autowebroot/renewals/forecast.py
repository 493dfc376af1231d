"""What would happen if a name were validated, or a lineage renewed, now. *Pure*: decided from outcomes."""
import enum
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Callable
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.renewals.lineages import Certificate
from certbot_autowebroot.renewals.lineages import Lineage
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import alternatives
from certbot_autowebroot.routing.ca_verdict import Verdict


class Outlook(enum.Enum):
    """What would happen, the worst last. The values are what programs read."""

    GOOD = "good"
    #: The lineage's authenticator is none that a check of this machine can judge.
    UNJUDGED = "unjudged"
    #: A test file came back within this machine; the CA's own address does not answer from here (NAT without hairpin).
    FROM_INSIDE = "good from inside"
    #: It cannot be proved from this machine, and need not fail: an allow-list, a name that does not resolve here.
    UNPROVEN = "unproven"
    #: It could not be checked: we may not read its files.
    UNKNOWN = "unknown"
    FAILS = "fails"


def worst(outlooks: Sequence[Outlook]) -> Outlook:
    """The worst of several; good for none."""
    order = list(Outlook)
    return max(outlooks, key=order.index, default=Outlook.GOOD)


@dataclass(frozen=True)
class NameForecast:
    """What would happen to one name.

    :ivar outcome: of the attempt to locate and prove it; None where there was none.
    :ivar reason: why there was none, or what a renewal would do that a check cannot; a phrase.
    """

    name: str
    outlook: Outlook
    outcome: Optional[Outcome] = None
    reason: str = ""


class Shown(enum.Enum):
    """Which certificate a server on 443 shows for a name of a lineage."""

    CURRENT = "current"
    #: An earlier one of the lineage: it was renewed, and the server was not reloaded since.
    STALE = "stale"
    #: One that is not of this lineage.
    OTHER = "other"
    NO_LISTENER = "no listener"
    #: A program listens, and sends no certificate.
    NO_CERTIFICATE = "no certificate"


@dataclass(frozen=True)
class Served:
    """What a server on 443 shows at one endpoint.

    :ivar certificate: the one that it shows, if any.
    :ivar error: why there is none; a phrase.
    :ivar refused: the server speaks TLS, and answers that it has none for this name.
    :ivar other_lineage: the lineage of the certificate, where it is another one for the same names; else empty.
    """

    name: str
    endpoint: Endpoint
    shown: Shown
    certificate: Optional[Certificate] = None
    error: str = ""
    refused: bool = False
    other_lineage: str = ""


@dataclass
class Forecast:
    """What would happen to a lineage.

    :ivar names: what would happen to each name with the lineage's own authenticator.
    :ivar remedy: what would happen to each name with ``autowebroot`` instead; empty where that was not checked.
    :ivar in_the_way: the programs that hold the port of ``standalone``; phrases.
    :ivar hooks: pre-hooks, which run before a renewal and not before a check.
    :ivar add_hook: the command that adds a deploy hook, where one :attr:`is missing <lacks_hook>`.
    :ivar reload: the command that reloads the server, where it shows an older certificate (:attr:`is_stale`).
    """

    lineage: Lineage
    outlook: Outlook
    names: List[NameForecast] = field(default_factory=list)
    remedy: List[NameForecast] = field(default_factory=list)
    in_the_way: Tuple[str, ...] = ()
    hooks: Tuple[str, ...] = ()
    served: List[Served] = field(default_factory=list)
    days_left: Optional[int] = None
    add_hook: str = ""
    reload: str = ""

    @property
    def can_be_mended(self) -> bool:
        """Whether ``autowebroot`` would renew what its own authenticator would not."""
        return self.outlook is Outlook.FAILS and bool(self.remedy) and worst(
            [name.outlook for name in self.remedy]) not in (Outlook.UNKNOWN, Outlook.FAILS)

    @property
    def is_stale(self) -> bool:
        """Whether visitors get an earlier certificate than the one that has been issued."""
        return any(served.shown is Shown.STALE for served in self.served)

    @property
    def lacks_hook(self) -> bool:
        """Whether no hook reloads the server after a renewal, so that visitors go on seeing the old certificate.

        Not reported for disabled or broken lineages.
        """
        return not self.lineage.afterwards and self.lineage.autorenew and not self.lineage.problem and any(
            served.shown in (Shown.CURRENT, Shown.STALE) for served in self.served)

    @property
    def is_expired(self) -> bool:
        """Whether the certificate has expired."""
        return self.days_left is not None and self.days_left < 0

    @property
    def is_bad(self) -> bool:
        """Whether an administrator should act today."""
        return self.outlook is Outlook.FAILS or self.is_stale or self.is_expired


def without_root(found: NameForecast) -> NameForecast:
    """What an ordinary user's check says of root's renewal: nothing, where root could see or do more."""
    outcome = found.outcome
    if found.outlook is not Outlook.FAILS or outcome is None:
        return found
    blind = any(isinstance(route.end, Unknown) for routes in outcome.routes.values() for route in routes)
    return replace(found, outlook=Outlook.UNKNOWN) if blind or outcome.proof.publish_errors else found


#: Whether an authenticator answers in a place, for requests that arrive at a front endpoint.
Answers = Callable[[Endpoint, Place], bool]


#: By what is known of a name.
BY_VERDICT = {Verdict.PROVEN: Outlook.GOOD, Verdict.FROM_INSIDE: Outlook.FROM_INSIDE,
              Verdict.UNPROVEN: Outlook.UNPROVEN, Verdict.DEAD_END: Outlook.FAILS}


def doubts(outcome: Outcome, outlook: Outlook) -> str:
    """Why a name is not simply good, as far as its addresses are the reason; a sentence, or empty."""
    return "; ".join(outcome.notes) if outlook in (Outlook.FROM_INSIDE, Outlook.UNPROVEN) else ""


def by_autowebroot(outcome: Outcome, proved: bool, refuse_unproven: bool = False,
                   confirmed: Sequence[str] = ()) -> Outlook:
    """What would happen to a name with our own authenticator.

    :param proved: test files were published; else the routes alone decide.
    :param confirmed: the addresses of the name when the CA last validated it.
    """
    if proved:
        outlook = BY_VERDICT[outcome.verdict]
        if outlook is Outlook.FROM_INSIDE and confirmed and set(confirmed) == set(outcome.front.addresses):
            outlook = Outlook.GOOD
    else:
        outlook = by_places(outcome, lambda _endpoint, _place: True, proved)
        if outlook is Outlook.FAILS and outcome.places:
            outlook = Outlook.UNPROVEN  # a given or remembered directory may be the right one
    if outlook is Outlook.UNPROVEN and refuse_unproven:
        return Outlook.FAILS
    return _if_it_resolves(outcome, outlook)


def by_places(outcome: Outcome, answers: Answers, proved: bool) -> Outlook:
    """What would happen to a name with an authenticator that answers in certain places only.

    :param proved: test files were published; else the routes alone decide.
    """
    def at_endpoint(endpoint: Endpoint) -> Outlook:
        served = outcome.proof.served.get(endpoint, [])
        if served:
            all_ours = endpoint not in outcome.proof.mismatches and all(answers(endpoint, place) for place in served)
            return Outlook.GOOD if all_ours else Outlook.FAILS
        expected = _by_routes(outcome, endpoint, lambda place: answers(endpoint, place))
        if proved and outcome.verdict_at(endpoint) is not Verdict.UNPROVEN:
            return Outlook.FAILS
        return Outlook.UNPROVEN if proved and expected is Outlook.GOOD else expected
    outlooks = [_best([at_endpoint(endpoint) for endpoint in group]) for group in outcome.front.groups]
    outlook = worst(outlooks) if outlooks else Outlook.FAILS
    if proved and outlook is Outlook.GOOD:  # the addresses that this machine does not have
        outlook = BY_VERDICT[outcome.verdict]
    return _if_it_resolves(outcome, outlook)


def _if_it_resolves(outcome: Outcome, outlook: Outlook) -> Outlook:
    """Without an address a name cannot be validated; but the CA may see an address where we see none."""
    if outcome.front.is_missing:
        return Outlook.FAILS
    return outlook if outlook is Outlook.FAILS or outcome.front.addresses else Outlook.UNPROVEN


def _best(outlooks: Sequence[Outlook]) -> Outlook:
    return min(outlooks, key=list(Outlook).index)


def _by_routes(outcome: Outcome, endpoint: Endpoint, answers: Callable[[Place], bool]) -> Outlook:
    """Each branch needs an answer; one of its alternatives is enough."""
    def of_route(route: Route) -> Outlook:
        place = outcome.candidates.place_of(route)
        if not place or not answers(place):
            return Outlook.FAILS
        doubtful = route.depends_on_client or (isinstance(route.end, Directory) and route.end.guessed)
        return Outlook.UNPROVEN if doubtful else Outlook.GOOD
    branches = alternatives(outcome.routes.get(endpoint, []))
    return worst([_best([of_route(route) for route in branch]) for branch in branches] or [Outlook.FAILS])
