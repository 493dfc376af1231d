"""Every reader of untrusted bytes: built and mutated inputs in a short run. Longer ones: ``python -m tests.fuzz``."""
import time
from typing import List

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.nginx import NginxServer
from certbot_autowebroot.system import limits
from tests.fuzz import __main__ as runner
from tests.fuzz import files
from tests.fuzz import grammar
from tests.fuzz import targets
from tests.fuzz.findings import minimised
from tests.fuzz.findings import tried
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS
from tests.fuzz.targets import Target
from tests.fuzz.targets import nothing_kept

_ALL = sorted(TARGETS)


@pytest.mark.lab  # for its time alone: it needs neither root nor a server
@pytest.mark.parametrize("name", _ALL)
def test_built_inputs(name: str) -> None:
    """Inputs of the words of real configurations are answered or refused."""
    @settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(grammar.inputs(name))
    def holds(data: bytes) -> None:
        finding = tried(TARGETS[name], data)
        assert finding is None, str(finding)
    holds()


@pytest.mark.lab  # for its time alone: it needs neither root nor a server
@pytest.mark.parametrize("name", _ALL)
def test_mutated_inputs(name: str) -> None:
    """Mutations of the tables' configurations are answered or refused."""
    result = runner.run(runner.Batch(name, 1, 1, 400))
    assert [str(finding) for finding in result.findings] == []


@pytest.mark.lab  # for its time alone: it needs neither root nor a server
@pytest.mark.parametrize("name", _ALL)
def test_seeds_are_answered(name: str) -> None:
    """The starting points of the mutations are answered."""
    assert [str(finding) for finding in (tried(TARGETS[name], seed) for seed in seeds(name)) if finding] == []


@pytest.mark.parametrize("name", ["nginx", "apache", "apache-dump", "lighttpd", "caddy", "haproxy", "varnish"])
def test_seeds_reach_a_known_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that refuses all inputs would find nothing."""
    ends: List[object] = []
    follow = targets.follow

    def watched(*arguments: object) -> object:
        routes = follow(*arguments)  # type: ignore[arg-type]
        ends.append(routes[0].end)
        return routes
    monkeypatch.setattr(targets, "follow", watched)
    for seed in seeds(name):
        TARGETS[name].run(seed)
    assert len(ends) == len(seeds(name))
    assert sum(isinstance(end, Unknown) for end in ends) < len(ends) * 0.5


def _broken(data: bytes) -> None:
    if b"crash" in data:
        raise KeyError(data)
    if b"slow" in data:
        while True:
            time.monotonic()


def test_crash_is_found_and_minimised() -> None:
    """The harness can fail, so that its silence means something."""
    target = Target("broken", _broken)
    finding = tried(target, b"x" * 100 + b"crash" + b"y" * 100)
    assert finding is not None
    assert "KeyError in test_fuzz.py" in finding.kind
    assert minimised(finding, target).data == b"crash"
    assert tried(target, b"cras") is None


def test_endless_run_is_found() -> None:
    """And so is an input without an end."""
    finding = tried(Target("broken", _broken), b"slow", 0.1)
    assert finding is not None
    assert finding.kind == "took too long"


def test_invalid_answer_is_found() -> None:
    """A web server must answer with a destination of route.py."""
    for answer in ((), ("text",), (Unknown(""),)):
        with pytest.raises(AssertionError):
            targets.check(answer, files.request_for("x"))


def test_batch_is_reproducible() -> None:
    """A finding of one run is found again with the same seed."""
    def inputs(seed: int) -> List[bytes]:
        seen: List[bytes] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(runner.TARGETS, "nginx", Target("nginx", seen.append))
            runner.run(runner.Batch("nginx", seed, 3, 50))
        return seen
    assert inputs(1) == inputs(1) != inputs(2)


def test_inputs_are_shared_among_targets() -> None:
    """At least as many inputs as asked for, and as many for each target."""
    made = runner.batches(_ALL, 0, 1_000_000)
    assert {batch.target for batch in made} == set(_ALL)
    assert 1_000_000 <= sum(batch.inputs for batch in made) < 1_000_000 + len(_ALL)
    assert len({sum(batch.inputs for batch in made if batch.target == name) for name in _ALL}) == 1


@given(st.binary(max_size=300))
@settings(max_examples=50, derandomize=True, database=None)
def test_input_is_split(data: bytes) -> None:
    """Any bytes are a request and some files, the main one among them."""
    request, content = files.split(data)
    assert request.endpoint.is_unix or 0 < request.endpoint.port < 65536
    assert files.MAIN in content


def test_time_limit_ends_with_its_block() -> None:
    """Afterwards no timer runs, and the former handler is back."""
    with limits.cpu_time(0.05):
        pass
    started = time.process_time()
    while time.process_time() - started < 0.2:
        pass
    with pytest.raises(limits.TimeLimitError), limits.cpu_time(0):
        raise AssertionError("never")


def test_reader_sees_the_inputs_files() -> None:
    """The files of an input are those of the process's view."""
    _, content = files.split(b"http { include a; }\n%% a\nserver { listen 80; root /srv/b; }")
    process = files.process("nginx", [f"nginx: master process nginx -c {files.MAIN} -p /"], content)
    with nothing_kept():
        (end,) = NginxServer().ask(process, files.request_for("x"))
    assert str(end).startswith("/srv/b/.well-known/")
