"""Where the wire is proposed, and what shows that its answer does not arrive: decided from answers alone."""
from typing import Any
from typing import Dict

import pytest

from certbot_autowebroot.order import arrival
from certbot_autowebroot.order import wire_obstacles
from certbot_autowebroot.order.inquiry import Candidates
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import ProofResult
from certbot_autowebroot.responders.wire import responder
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.routing.front_endpoints import CAEndpoint
from certbot_autowebroot.routing.front_endpoints import FrontEndpoints
from certbot_autowebroot.routing.front_endpoints import Kind
from certbot_autowebroot.routing.probe import Answer

NAME = "www.sample.com"
INSIDE, REMOTE = Endpoint("203.0.113.10", 80), Endpoint("198.51.100.7", 80)
TLS_URL = f"https://{NAME}{CHALLENGE_PATH}token"


def answer(endpoint: Endpoint, status: int = 404, scheme: str = "http", **more: Any) -> Answer:
    """What an endpoint says to a request for the token."""
    return Answer(Request(NAME, CHALLENGE_PATH + "token", "token", endpoint, scheme), status, **more)


def outcome(**answers: Any) -> Outcome:
    """A dead end behind an address of another machine, or at our own where there is no answer of another."""
    remote = answers.get("remote")
    every = [CAEndpoint(REMOTE, Kind.REMOTE)] if remote else []
    every.append(CAEndpoint(INSIDE, Kind.GUESSED if remote else Kind.LOCAL))
    by_endpoint: Dict[Endpoint, Answer] = {INSIDE: answers["inside"], **({REMOTE: remote} if remote else {})}
    return Outcome(Candidates(NAME, FrontEndpoints(NAME, tuple(every)), "token"), ProofResult(answers=by_endpoint))


OURS = answer(INSIDE, server="nginx")
REFUSED = answer(INSIDE, 0, connected=False, error="connection refused")
SILENT = answer(REMOTE, 0, connected=False, error="no connection within the time limit")


@pytest.mark.parametrize(("answers", "expected"), [
    ({"inside": OURS}, True),
    ({"inside": REFUSED}, False),
    ({"inside": OURS, "remote": SILENT}, True),
    ({"inside": OURS, "remote": answer(REMOTE, server="nginx")}, True),
    ({"inside": OURS, "remote": answer(REMOTE, server="cloudflare")}, False),
    ({"inside": OURS, "remote": answer(REMOTE, 200, server="nginx")}, False),
    ({"inside": OURS, "remote": answer(REMOTE, scheme="https", server="nginx", redirects=(TLS_URL,))}, False),
], ids=["own address", "no listener", "no hairpin", "through a router", "CDN", "another machine",
        "edge redirects to TLS"])
def test_where_wire_is_proposed(monkeypatch: pytest.MonkeyPatch, answers: Dict[str, Answer], expected: bool) -> None:
    """Not where another machine answers or TLS is in front, although this machine could do it."""
    monkeypatch.setattr(responder, "why_not", lambda network: "")
    assert wire_obstacles.can_answer(outcome(**answers), INSIDE) is expected


def test_wire_is_not_proposed_without_a_dry_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor where the dry run fails, or nothing was asked (check --no-write)."""
    monkeypatch.setattr(responder, "why_not", lambda network: "only Linux has nftables")
    assert not wire_obstacles.can_answer(outcome(inside=OURS), INSIDE)
    unasked = outcome(inside=OURS)
    assert not wire_obstacles.can_answer(unasked._replace(proof=ProofResult()), INSIDE)


def test_wire_needs_a_listener() -> None:
    """The reason names the endpoint; without an answer nothing is claimed."""
    assert wire_obstacles.obstacle(outcome(inside=REFUSED)) == \
        "no program accepts connections at 203.0.113.10:80 (connection refused)"
    assert wire_obstacles.obstacle(outcome(inside=OURS)) == ""
    assert wire_obstacles.obstacle(outcome(inside=OURS)._replace(proof=ProofResult())) == ""


@pytest.mark.parametrize(("after", "verdict", "sentence"), [
    (None, Verdict.PROVEN, ""),
    (SILENT, Verdict.FROM_INSIDE, "does not answer from here"),
    (answer(REMOTE, scheme="https", server="cloudflare", redirects=(TLS_URL,)), Verdict.DEAD_END,
     "redirects it to TLS"),
    (answer(REMOTE, server="nginx"), Verdict.DEAD_END, "answers as before"),
    (answer(REMOTE, 521, server="cloudflare"), Verdict.DEAD_END, "a CDN that cannot use this machine"),
    (answer(REMOTE, 200, server="router"), Verdict.UNPROVEN, "where another server answers"),
    (answer(REMOTE, 403, server="edge"), Verdict.UNPROVEN, "may refuse this machine alone"),
], ids=["served", "no hairpin", "edge redirects to TLS", "TLS to another port", "CDN", "a router's own page",
        "refuses us alone"])
def test_arrival_where_the_ca_comes_in(after: Answer, verdict: Verdict, sentence: str) -> None:
    """The host serves the token; what its public address answers decides."""
    before = outcome(inside=OURS, remote=answer(REMOTE, server="nginx"))
    judgement = arrival.judge(before, {REMOTE: after} if after else {}, "token")
    assert judgement.verdict is verdict
    assert sentence in "".join(judgement.sentences) and bool(sentence) is bool(judgement.sentences)


@pytest.mark.parametrize(("host", "status", "verdict"), [
    ("203.0.113.10", 404, Verdict.DEAD_END),
    ("203.0.113.10", 403, Verdict.UNPROVEN),
    ("10.0.0.2", 404, Verdict.UNPROVEN),
    ("2001:db8::10", 404, Verdict.UNPROVEN),
], ids=["CDN by TLS", "refuses us alone", "a router's own page", "a router, for IPv4"])
def test_arrival_at_an_address_that_answers_as_before(host: str, status: int, verdict: Verdict) -> None:
    """With another Server header than ours. Where this machine's address is public, no router is in front."""
    inside, remote = Endpoint(host, 80), answer(REMOTE, status, server="cdn")
    front = FrontEndpoints(NAME, (CAEndpoint(REMOTE, Kind.REMOTE), CAEndpoint(inside, Kind.GUESSED)))
    answers = {inside: answer(inside, server="nginx"), REMOTE: remote}
    before = Outcome(Candidates(NAME, front, "token"), ProofResult(answers=answers))
    assert arrival.judge(before, {REMOTE: remote}, "token").verdict is verdict
