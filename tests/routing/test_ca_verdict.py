"""What comes back from a CA's endpoints, and what it means."""
from typing import Dict
from typing import Optional
from typing import Sequence

import pytest

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.ca_verdict import Reply
from certbot_autowebroot.routing.ca_verdict import Shown
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.routing.ca_verdict import judge
from certbot_autowebroot.routing.ca_verdict import meaning
from certbot_autowebroot.routing.ca_verdict import worst
from certbot_autowebroot.routing.front_endpoints import CAEndpoint
from certbot_autowebroot.routing.front_endpoints import FrontEndpoints
from certbot_autowebroot.routing.front_endpoints import Kind

NAME = "www.sample.com"
NAT = "198.51.100.77"
OURS = Reply(is_ours=True, status=200)
REFUSED = Reply(connected=False, error="connection refused")
NOT_FOUND = Reply(status=404, server="Other/1.0")
FORBIDDEN = Reply(status=403, server="cdn")
PROVEN, FROM_INSIDE, UNPROVEN, DEAD_END = Verdict
INSIDE = {state: Shown(state, Reply(status=404, server="nginx")) for state in Verdict}


@pytest.mark.parametrize(("reply", "inside", "proven", "state"), [
    (OURS, None, (), PROVEN),
    (OURS, DEAD_END, (), PROVEN),
    (REFUSED, PROVEN, (), FROM_INSIDE),
    (REFUSED, UNPROVEN, (), UNPROVEN),
    (REFUSED, DEAD_END, (), DEAD_END),
    (REFUSED, DEAD_END, (6,), FROM_INSIDE),
    (REFUSED, None, (4,), UNPROVEN),
    (FORBIDDEN, PROVEN, (), UNPROVEN),
    (FORBIDDEN, DEAD_END, (), UNPROVEN),
    (FORBIDDEN, PROVEN, (4,), UNPROVEN),
    (Reply(status=429), PROVEN, (), UNPROVEN),
    (Reply(status=503), PROVEN, (), UNPROVEN),
    (Reply(error="the connection was closed without an answer"), PROVEN, (), UNPROVEN),
    (NOT_FOUND, PROVEN, (), UNPROVEN),
    (NOT_FOUND, None, (), UNPROVEN),
    (NOT_FOUND, DEAD_END, (), DEAD_END),
    (NOT_FOUND, PROVEN, (4,), DEAD_END),
    (Reply(status=200, server="Other/1.0"), PROVEN, (6,), DEAD_END),
    (Reply(status=521), PROVEN, (), DEAD_END),
    (Reply(status=526), PROVEN, (4,), DEAD_END),
])
def test_meaning_of_a_remote_address(reply: Reply, inside: Optional[Verdict], proven: Sequence[int],
                                     state: Verdict) -> None:
    """By what came back, what this machine shows, and whether another address leads here."""
    found = meaning(NAME, NAT, reply, INSIDE[inside] if inside else None, proven)
    assert found.verdict is state
    assert (NAT in found.sentence and str(reply) in found.sentence) == (state is not PROVEN)


def test_server_that_refuses_us_inside_too_is_our_own() -> None:
    """Through a router that lets us come back in: what is a dead end within is one there."""
    assert meaning(NAME, NAT, FORBIDDEN, Shown(DEAD_END, FORBIDDEN), ()).verdict is DEAD_END
    assert meaning(NAME, NAT, FORBIDDEN, Shown(UNPROVEN, FORBIDDEN), ()).verdict is UNPROVEN


def test_sentences_say_what_answers() -> None:
    """The server's own name for itself; what a CDN means by its status."""
    assert meaning(NAME, NAT, NOT_FOUND, INSIDE[PROVEN], ()).sentence == (
        f"{NAME} resolves to {NAT}, where another server answers (status 404 of Other/1.0): "
        "port 80 there must lead here")
    assert "(status 521: it refuses the connection)" in meaning(NAME, NAT, Reply(status=521), None, ()).sentence
    assert meaning(NAME, NAT, REFUSED, INSIDE[PROVEN], ()).sentence == (
        f"{NAME} resolves to {NAT}, which does not answer from here (connection refused): port 80 there must lead here")


@pytest.mark.parametrize(("shown", "state"), [
    ({"local 203.0.113.10": PROVEN}, PROVEN),
    ({"local 2001:db8::10": PROVEN, "local 203.0.113.10": DEAD_END}, DEAD_END),
    ({"local 203.0.113.10": UNPROVEN}, UNPROVEN),
    ({f"remote {NAT}": OURS, "guessed 10.0.0.5": DEAD_END}, PROVEN),
    ({f"remote {NAT}": REFUSED, "guessed 10.0.0.5": PROVEN}, FROM_INSIDE),
    ({f"remote {NAT}": REFUSED, "guessed 10.0.0.5": DEAD_END, "guessed 172.17.0.1": PROVEN}, FROM_INSIDE),
    ({f"remote {NAT}": REFUSED, "guessed 10.0.0.5": DEAD_END}, DEAD_END),
    ({"local 2001:db8::10": PROVEN, f"remote {NAT}": REFUSED, "guessed 10.0.0.5": PROVEN}, FROM_INSIDE),
    ({"local 2001:db8::10": DEAD_END, f"remote {NAT}": OURS, "guessed 10.0.0.5": PROVEN}, DEAD_END),
    ({"local 203.0.113.10": PROVEN, f"remote {NAT}": NOT_FOUND}, DEAD_END),
    ({"local 203.0.113.10": PROVEN, f"remote {NAT}": REFUSED}, UNPROVEN),
    ({"remote 2001:db8:f::80": REFUSED, "remote 198.51.100.80": OURS, "guessed 203.0.113.10": DEAD_END}, FROM_INSIDE),
    ({"remote 2001:db8:f::80": REFUSED, "guessed 203.0.113.10": PROVEN}, FROM_INSIDE),
    ({"remote 2001:db8:f::80": REFUSED, "guessed 203.0.113.10": DEAD_END}, DEAD_END),
    ({"remote 198.51.100.90": OURS, "remote 198.51.100.91": NOT_FOUND, "guessed 10.0.0.5": PROVEN}, DEAD_END),
    ({"remote 198.51.100.90": NOT_FOUND, "remote 198.51.100.91": NOT_FOUND, "guessed 10.0.0.5": PROVEN}, UNPROVEN),
    ({"guessed 2001:db8::10": PROVEN, "guessed 10.0.0.5": PROVEN}, FROM_INSIDE),
    ({"guessed 2001:db8::10": PROVEN, "guessed 10.0.0.5": DEAD_END}, DEAD_END),
    ({"guessed 2001:db8::10": DEAD_END, "guessed 10.0.0.5": PROVEN}, DEAD_END),
    ({"local 203.0.113.10": PROVEN, "node 10.0.0.7": OURS, "node fd00::7": OURS}, PROVEN),
    ({"local 203.0.113.10": PROVEN, "node 10.0.0.7": OURS, "node 10.0.0.8": NOT_FOUND}, DEAD_END),
    ({f"remote {NAT}": OURS, "guessed 10.0.0.5": PROVEN, "node 10.0.0.7": REFUSED}, UNPROVEN),
    ({f"remote {NAT}": REFUSED, "guessed 10.0.0.5": PROVEN, "node 10.0.0.7": OURS}, FROM_INSIDE),
    ({"local 10.0.0.5": PROVEN}, FROM_INSIDE),
    ({"local fd00::5": PROVEN, "remote 198.51.100.80": OURS}, FROM_INSIDE),
    ({"local 10.0.0.5": DEAD_END}, DEAD_END),
    ({}, DEAD_END),
], ids=["own", "own, one fails", "own, refuses us", "hairpin", "no hairpin", "no hairpin, a bridge",
        "no hairpin, dead end", "dual stack behind NAT", "dual stack, IPv6 fails", "round robin",
        "round robin, one is down", "CDN, no IPv6 here", "CDN over IPv6 alone", "CDN over IPv6 alone, dead end",
        "round robin behind NAT", "other machines", "unresolved", "unresolved, IPv4 fails", "unresolved, IPv6 fails",
        "nodes", "a node answers wrongly", "a node is silent", "nodes, and NAT",
        "split DNS", "split DNS, IPv6", "split DNS, dead end", "nothing"])
def test_judgement(shown: "Dict[str, Verdict | Reply]", state: Verdict) -> None:
    """All endpoints of a name together."""
    seen = {CAEndpoint(Endpoint(key.split()[1], 80), Kind(key.split()[0])): what for key, what in shown.items()}
    view = FrontEndpoints(NAME, tuple(seen), ("a note",))
    found = judge(view, {one.endpoint: Shown(what) for one, what in seen.items() if isinstance(what, Verdict)},
                    {one.endpoint: what for one, what in seen.items() if isinstance(what, Reply)})
    assert found.verdict is state
    assert found.sentences[0] == "a note"


@pytest.mark.parametrize(("replies", "others"), [
    ({"node 10.0.0.7": OURS, "node 10.0.0.8": NOT_FOUND, "node 10.0.0.9": REFUSED}, ["10.0.0.8"]),
    ({"remote 198.51.100.90": OURS, "remote 198.51.100.91": NOT_FOUND}, ["198.51.100.91"]),
    ({"remote 198.51.100.90": NOT_FOUND}, []),
    ({"remote 198.51.100.90": NOT_FOUND._replace(is_mixed=True)}, ["198.51.100.90"]),
    ({"remote 198.51.100.90": NOT_FOUND._replace(is_mixed=True), "node 10.0.0.8": NOT_FOUND}, ["10.0.0.8"]),
], ids=["nodes", "round robin", "nothing leads here", "balancer", "balancer and its node"])
def test_other_servers(replies: Dict[str, Reply], others: Sequence[str]) -> None:
    """Machines of the name that need lines; a balancer is none where its node is known."""
    by_endpoint = {CAEndpoint(Endpoint(key.split()[1], 80), Kind(key.split()[0])): one for key, one in replies.items()}
    judged = judge(FrontEndpoints(NAME, tuple(by_endpoint)), {}, {at.endpoint: one for at, one in by_endpoint.items()})
    assert [endpoint.host for endpoint in judged.other_servers] == others


def test_worst() -> None:
    """Of nothing, nothing is known to answer."""
    assert worst([PROVEN, UNPROVEN, FROM_INSIDE]) is UNPROVEN
    assert worst([]) is DEAD_END
