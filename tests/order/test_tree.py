"""What several routes, endpoints or names have in common stands in a tree once."""
from typing import Sequence

from certbot_autowebroot.order import messages
from certbot_autowebroot.order.inquiry import Candidates
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import ProofResult
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Step
from certbot_autowebroot.routing.probe import Answer
from tests.lab.table import front

V4 = Endpoint("203.0.113.10", 80)
V6 = Endpoint("2001:db8::10", 80)


def failing(name: str, *lines: str, endpoints: Sequence[Endpoint] = (V4,)) -> Outcome:
    """At each endpoint, nginx refuses by each of these lines."""
    known = Candidates(name, front(*endpoints), "token")
    routes = {endpoint: [Route((Hop(Program("nginx", 7), known.request(endpoint), (Step("location /"), Step(line))),),
                               DeadEnd(line)) for line in lines] for endpoint in endpoints}
    answers = {endpoint: Answer(known.request(endpoint), 403) for endpoint in endpoints}
    return Outcome(known._replace(routes=routes), ProofResult(answers=answers))


def first_lines(outcome: Outcome, number: int) -> Sequence[str]:
    return messages.failure(outcome).splitlines()[:number]


def test_routes_of_one_program() -> None:
    """The program and its first line once, then the two lines that refuse."""
    assert first_lines(failing("a.sample.com", "return 403", "deny all"), 7) == [
        "a.sample.com: would fail", "  203.0.113.10:80: nginx (pid 7)", "    location /",
        "    return 403", "    dead end: return 403", "    deny all", "    dead end: deny all"]


def test_endpoints_that_fail_alike() -> None:
    """Both in the first line."""
    assert first_lines(failing("a.sample.com", "return 403", endpoints=(V4, V6)), 3)[1:] == [
        "  203.0.113.10:80 and [2001:db8::10]:80: nginx (pid 7)", "    location /"]


def test_names_that_fail_alike() -> None:
    """In one tree; names that fail for another reason have their own."""
    several = [failing("a.sample.com", "return 403"), failing("b.sample.com", "return 403"),
               failing("c.sample.com", "deny all"), failing("d.sample.com", endpoints=()),
               failing("e.sample.com", endpoints=())]
    assert [text.partition(": ")[0] for text in messages.failures(several)] == [
        "a.sample.com, b.sample.com", "c.sample.com", "d.sample.com, e.sample.com"]
