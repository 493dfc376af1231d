"""Kill a run before each of its system calls, and check that the next run cleans up and succeeds.

Run it with ``python -m tests.security.killwalk``.
"""
import argparse
import collections
import os
import signal
import sys
import time
from dataclasses import dataclass
from dataclasses import field
from typing import AbstractSet
from typing import Callable
from typing import Counter
from typing import List
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.standalone import Listeners
from certbot_autowebroot.responders.standalone import StandaloneResponder
from certbot_autowebroot.responders.wire.responder import WireResponder
from certbot_autowebroot.responders.wire.responder import Wires
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing import probe
from tests.lab import children
from tests.lab import net
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import DIRECTORY
from tests.lab.hostile_site import OWNER
from tests.lab.hostile_site import STRANGER
from tests.lab.hostile_site import Site
from tests.lab.hostile_site import new_site
from tests.lab.wire import FRONT
from tests.lab.wire import tables
from tests.lab.wire import wait_until
from tests.security import tracing

TOKENS = ("one", "two")


def publish_and_withdraw(site: Site) -> None:
    """A test file that is withdrawn, then two tokens in one directory."""
    probe = site.responder("probe")
    probe.publish(CONTENT)
    probe.withdraw()
    responders = [site.responder(token) for token in TOKENS]
    for responder in responders:
        responder.publish(CONTENT)
    for responder in responders:
        responder.withdraw()


def listen_and_stop(site: Site) -> None:
    """A responder with a listener answers one request."""
    endpoint = Endpoint("127.0.0.1", 8402)
    listeners = Listeners()
    listeners.listen_at(endpoint)
    responder = StandaloneResponder(listeners, CHALLENGE_PATH + TOKENS[0])
    responder.publish(CONTENT)
    if probe.get_directly(endpoint, "www.sample.com", CHALLENGE_PATH + TOKENS[0]) != CONTENT:
        raise AssertionError("the responder does not answer")
    responder.withdraw()
    listeners.stop()


def answer_on_the_wire(site: Site) -> None:
    """Two tokens of one table."""
    wires = Wires(site.journal)
    responders = [WireResponder(wires, FRONT, token) for token in TOKENS]
    for responder in responders:
        responder.publish(CONTENT)
    for responder in responders:
        responder.withdraw()
    wires.stop()


def prepare_empty(site: Site) -> None:
    """A document root of a user."""


def prepare_roots(site: Site) -> None:
    """A document root of root."""
    os.chown(site.root, 0, 0)


def prepare_others(site: Site) -> None:
    """Other users' files in the same directories."""
    site.make("www/.well-known", STRANGER)
    site.write("www/.well-known/security.txt", b"Contact: mailto:me@sample.com")
    site.make(f"www/{DIRECTORY}", OWNER)
    site.write(f"www/{DIRECTORY}/three", b"another client's")


def prepare_leftovers(site: Site) -> None:
    """The leftovers of a run that was killed with both tokens published."""
    def act() -> None:
        for token in TOKENS:
            site.responder(token).publish(CONTENT)
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(children.start(act), 0)
    if not os.path.exists(f"{site.root}/{DIRECTORY}/two"):
        raise AssertionError("the run that was to be killed has not left anything")


def sweep(site: Site) -> None:
    """The sweep itself."""
    Journal(site.journal_directory).sweep()


#: What a responder of our own does; its threads' calls are not walked, and how often a reader reads is chance.
NETWORK = ("socket", "setsockopt", "bind", "listen", "getsockname", "connect", "sendto", "shutdown", "close")
#: What asks the process that answers on the wire, and what the journal says of it.
WIRE = ("write", "unlink")

#: The state before; the function to kill; the calls at which it is killed, empty for the caller's choice.
Scenario = Tuple[Callable[[Site], None], Callable[[Site], None], Tuple[str, ...]]
SCENARIOS: List[Scenario] = [
    (prepare_empty, publish_and_withdraw, ()),
    (prepare_roots, publish_and_withdraw, ()),
    (prepare_others, publish_and_withdraw, ()),
    (prepare_leftovers, sweep, ()),
    (prepare_empty, listen_and_stop, NETWORK),
    (prepare_empty, answer_on_the_wire, WIRE),
]


@dataclass
class Walked:
    """The result of a walk."""

    steps: Counter[str] = field(default_factory=collections.Counter)
    left: int = 0
    failures: List[str] = field(default_factory=list)

    def __str__(self) -> str:
        by_name = ", ".join(f"{name} {count}" for name, count in self.steps.most_common())
        return (f"{sum(self.steps.values())} steps killed ({by_name}); {self.left} of them left something behind; "
                f"after the next run: {len(self.failures)} leftovers or failures")


def walk(names: Tuple[str, ...] = (), scenarios: Sequence[Scenario] = SCENARIOS) -> Walked:
    """Kill at each call by these names, or at each call."""
    walked = Walked()
    with new_site() as site:
        for act in dict.fromkeys((publish_and_withdraw, listen_and_stop, *(act for _, act, _ in scenarios))):
            act(site)  # look-ups that a process caches must not be counted
    for prepare, act, own_names in scenarios:
        with new_site() as site:
            prepare(site)
            calls = tracing.run(lambda: act(site), names=own_names or names).calls  # noqa: B023
        for call in calls:
            if call.name in ("exit_group", "exit") or (call.name, call.number) == ("read", 1):
                continue
            walked.steps[call.name] += 1
            left, failure = _kill_at(call, prepare, act)
            walked.left += left
            if failure:
                step = f"{prepare.__name__}, {act.__name__}, {call.name} number {call.number}"
                walked.failures.append(f"{step}: {failure}")
    return walked


def _kill_at(call: tracing.Call, prepare: Callable[[Site], None], act: Callable[[Site], None]) -> Tuple[bool, str]:
    """Whether the killed run has left something, and what was wrong with the next one."""
    with new_site() as site:
        prepare(site)
        before = site.tree()
        expected = {name: what for name, what in before.items() if prepare is not prepare_leftovers or name == "."}
        traced = tracing.run(lambda: act(site), [f"{call.name}:signal=KILL:when={call.number}"], [call.name])
        if not os.WIFSIGNALED(traced.status):
            return False, f"the run was not killed, status {traced.status}"
        left = site.tree() != expected
        _set_the_clock(site, site.tree().keys() - before.keys())
        site.journal = Journal(site.journal_directory)
        sentences = site.journal.sweep()
        if site.tree() != expected:
            return left, f"left behind: {sorted(site.tree().keys() - expected.keys())}; the sweep reported {sentences}"
        if act is answer_on_the_wire:
            wait_until(lambda: not tables())
        for again in dict.fromkeys((publish_and_withdraw, listen_and_stop, act)):
            again(site)
        if site.tree() != expected:
            return left, f"left behind by the next run: {sorted(site.tree().keys() ^ expected.keys())}"
        if site.journals():
            return left, "a journal is left behind"
        return left, ""


def _set_the_clock(site: Site, made: AbstractSet[str]) -> None:
    """Set all times back by an hour: the clock was set, the file server has another, or the host was suspended."""
    for name in made:
        os.utime(f"{site.root}/{name}", (time.time() - 3600,) * 2)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="only calls that change something")
    net.enter_private_namespace()
    walked = walk(tracing.CHANGING if parser.parse_args().short else ())
    print(walked)
    for failure in walked.failures:
        print(failure)
    return 1 if walked.failures else 0


if __name__ == "__main__":
    sys.exit(main())
