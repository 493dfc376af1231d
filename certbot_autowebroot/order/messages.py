"""The sentences of an order: why identifiers fail, how they were answered, what to check when the CA refuses."""
from typing import Container
from typing import Dict
from typing import Iterable
from typing import Iterator
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.order import tree
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import Printed
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.system.terminal import printable

#: The number of names in one sentence, and of trees in a question.
_NAMED = 5
_MAY_IT = "May it do so, now and at every renewal?"


def order_stopped(outcomes: Sequence[Outcome], installed: Sequence[str] = (), check: str = "") -> str:
    """Why an order is stopped: every failing identifier with its reason.

    :param installed: the authenticators to choose from, where a chosen one does not help.
    :param check: the command that shows more; empty where there is none.
    """
    reasons = failures(outcomes)
    if any(outcome.rejected for outcome in outcomes):
        reasons.append(f"Authenticators that are installed here: {', '.join(installed)}.")
        after = "Nothing was left behind."
    else:
        after = "Nothing was left behind and no server was touched."
    start = "The CA was not asked, for it could not be proved that it would be answered:" \
        if all(map(_is_refused, outcomes)) else "The CA was not asked, for it would have failed:"
    if check:
        after += f"\nTo see more, and to check again: {check}"
    return "\n\n".join([start, *reasons, after])


def failures(outcomes: Sequence[Outcome]) -> List[str]:
    """Why identifiers would fail: a tree for each; one for those that fail for the same reason."""
    printed: Printed = {}
    return [failure(several[0], printed, several) for several in alike(outcomes)]


def failure(outcome: Outcome, printed: Optional[Printed] = None, several: Sequence[Outcome] = ()) -> str:
    """Why one identifier would fail: where its request goes, what was tried, what came back, what to do.

    :param printed: advice that need not be printed again; this identifier's is added.
    :param several: the identifiers that fail for the same reason, this one among them.
    """
    return _str_of(several or [outcome], f": {_headline(outcome)}",
                   _reasons(outcome, {} if printed is None else printed))


def alike(outcomes: Sequence[Outcome]) -> List[List[Outcome]]:
    """The identifiers that fail, together where their names alone differ."""
    groups: Dict[Tuple[object, ...], List[Outcome]] = {}
    for outcome in outcomes:
        lines = [tree.Line(_headline(outcome)), *_reasons(outcome, None)]
        # Without an endpoint, all that is known of an identifier is in the headline, by its name.
        name = outcome.identifier if outcome.front.endpoints else ""
        groups.setdefault(tree.apart_from(name, lines), []).append(outcome)
    return list(groups.values())


def _headline(outcome: Outcome) -> str:
    if not outcome.front.endpoints:
        return f"would fail: {'; '.join(outcome.notes) or 'this machine has no address that a CA could come to'}"
    if not outcome.failing:  # what answers is another machine
        return "would fail: a test file came back within this machine, and the CA gets another answer"
    return "could not be proved from here" if _is_refused(outcome) else "would fail"


def _reasons(outcome: Outcome, printed: Optional[Printed]) -> Iterator[tree.Line]:
    yield from tree.tree(outcome, printed=printed, headline=_headline(outcome))
    if _is_refused(outcome):
        yield tree.Line("the CA may be answered all the same: --autowebroot-unproven try asks it, with a warning", 1)


def _is_refused(outcome: Outcome) -> bool:
    """Whether ``--autowebroot-unproven refuse`` is the only thing that speaks against asking the CA."""
    return outcome.verdict is Verdict.UNPROVEN and bool(outcome.places_to_answer())


def without_directory(outcomes: Iterable[Outcome]) -> str:
    """Where the requests for identifiers go that other authenticators may answer: before :func:`question`."""
    several = alike(list(outcomes))
    trees = [_str_of(those, "", tree.tree(those[0])) for those in several[:_NAMED]]
    if len(several) > _NAMED:
        trees.append(f"and {sum(map(len, several[_NAMED:]))} more names.")
    return "\n\n".join(["No directory was found for:", *trees])


def question(offers: Mapping[str, Sequence[Outcome]]) -> str:
    """Whether other authenticators may be used; asked once.

    :param offers: by authenticator, the identifiers that it may answer for.
    """
    what = [f"The authenticator {name} can answer for {_identifiers(outcomes)}: it edits the configuration of the web "
            "server and reloads it, and after the validation edits it back and reloads it again."
            for name, outcomes in offers.items()]
    return "\n\n".join([*what, _MAY_IT])


def wire_question(outcomes: Sequence[Outcome]) -> str:
    """Whether these identifiers may be answered on the wire; asked once."""
    return (f"autowebroot can answer for {_identifiers(outcomes)} on the wire: for the seconds of the validation, "
            "nftables catches the CA's requests before they reach the server. No configuration is edited, nothing is "
            f"reloaded, and no other connection is touched.\n\n{_MAY_IT}")


def _identifiers(outcomes: Sequence[Outcome]) -> str:
    return named([outcome.identifier for outcome in outcomes], " and ")


def named(names: Sequence[str], between: str = ", ") -> str:
    """Several names; of many, the first."""
    more = len(names) - _NAMED
    return between.join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def unproven(outcome: Outcome) -> str:
    """Why the CA is asked although nothing is proved."""
    places = ", ".join(tree.str_of(place) for place in outcome.places_to_answer())
    answers = "; ".join([*map(tree.str_of_answer, outcome.proof.answers.values()), *outcome.notes])
    return outcome.without_token(f"{outcome.identifier}: it could not be proved from here that the CA will be answered "
                                 f"({answers}); going on with the likeliest place, {places}.")


def answered(outcome: Outcome) -> str:
    """How an identifier was answered, in one line."""
    if outcome.answered_by:
        from certbot_autowebroot.order.other_authenticators import WIRE  # only a name that it answers has to pay for it
        return (f"{outcome.identifier}: answered on the wire" if outcome.answered_by == WIRE else
                f"{outcome.identifier}: answered by the authenticator {outcome.answered_by}")
    places = outcome.places_to_answer()
    directories = [_source(place.end, place.program) for place in places if isinstance(place.end, Directory)]
    listeners = [str(place.end.endpoint) for place in places if isinstance(place.end, Vacant)]
    by = [f"from {' and '.join(directories)}"] if directories else []
    by += [f"by autowebroot itself at {' and '.join(listeners)}"] if listeners else []
    doubt = "" if outcome.is_served else ", which is not proven"
    return f"{outcome.identifier}: answered {', and '.join(by)}{doubt}"


def _source(directory: Directory, program: Optional[Program]) -> str:
    """A directory, with the line of configuration or the hint that leads to it."""
    root = str(directory).rpartition("/")[0].removesuffix(CHALLENGE_PATH.rstrip("/")) or "/"
    steps = [str(step.source or step.text) for step in directory.trail[-1:]]
    return printable(f"{root} ({', '.join([*([program.name] if program else []), *steps])})")


def hint(outcomes: Iterable[Outcome], port: int, unanswered: Container[str] = ()) -> str:
    """What to check when the CA could not validate identifiers.

    :param port: the port that the CA's port 80 leads to.
    :param unanswered: the identifiers that no token was published for: the CA was asked for the sake of others.
    """
    published = []
    lines = []
    for outcome in outcomes:
        if outcome.identifier in unanswered:
            lines.append(f"Nothing was published for {outcome.identifier}: the reason is above.")
        else:
            published.append(outcome)
    if published:
        lines.append("The Certificate Authority failed to fetch what was published for it:")
    for outcome in published:
        endpoints = outcome.failing if outcome.answered_by else outcome.proof.served
        through = f"; a test file came back through {', '.join(map(str, endpoints))}" if endpoints else ""
        lines.append(f"  {answered(outcome)}{through}")
        lines += [f"  Note: {note}." for note in outcome.notes]
    if published:
        proven = all(outcome.answered_by or outcome.is_served for outcome in published)
        lines.append(("From this machine it was served. So check" if proven else "Check") + " what lies between this "
                     "machine and the CA: the names' A and AAAA records, a firewall, a port forward to port "
                     f"{port}, a balancer or a CDN in front.")
    return "\n".join(lines)


def _str_of(several: Sequence[Outcome], headline: str, lines: Iterable[tree.Line]) -> str:
    """A tree for Certbot, which prints the lines of a text as they are."""
    names = ", ".join(outcome.identifier for outcome in several)
    return "\n".join(map(str, [tree.Line(names + headline), *lines]))
