"""Mutate the seeds, a million times: ``python -m tests.fuzz --inputs 1000000 --processes 2 --crashes crashes.txt``.

A batch is named by the seed, the target and its number: the same command makes the same inputs.
"""
import argparse
import multiprocessing
import os
import resource
import sys
import time
from random import Random
from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Sequence

from tests.fuzz.findings import Finding
from tests.fuzz.findings import minimised
from tests.fuzz.findings import tried
from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import seeds
from tests.fuzz.seeds import words
from tests.fuzz.targets import TARGETS

BATCH = 2000
#: Bytes that one process may have: what asks for more is a finding (MemoryError), not the end of the machine.
MAX_MEMORY = 4 * 1024 ** 3
#: Findings of one batch that are made small.
MAX_FINDINGS = 5


class Batch(NamedTuple):
    """Some inputs for one target."""

    target: str
    seed: int
    number: int
    inputs: int


class Result(NamedTuple):
    """The result of a batch; ``kept`` is the number of inputs that became seeds."""

    batch: Batch
    seconds: float
    findings: List[Finding]


def run(batch: Batch) -> Result:
    """Run one batch. Some inputs become seeds for those after them, so that changes add up."""
    # Not a secret: the same numbers each time.
    random = Random(f"{batch.seed} {batch.target} {batch.number}")  # noqa: S311
    target, pool, dictionary = TARGETS[batch.target], list(seeds(batch.target)), words(batch.target)
    findings: Dict[str, Finding] = {}
    started = time.monotonic()
    for _ in range(batch.inputs):
        data = mutated(random.choice(pool), random, dictionary, pool)
        finding = tried(target, data)
        if finding and finding.kind not in findings and len(findings) < MAX_FINDINGS:
            findings[finding.kind] = finding
        if random.random() < 0.02:
            pool[random.randrange(len(pool))] = data
    seconds = time.monotonic() - started
    return Result(batch, seconds, [minimised(finding, target, 60 if "too long" in kind else 2000)
                                   for kind, finding in findings.items()])


def batches(targets: Sequence[str], seed: int, inputs: int) -> List[Batch]:
    """At least so many inputs, shared among the targets by turns."""
    each = max(1, -(-inputs // len(targets)))
    made = []
    for number in range(0, -(-each // BATCH)):
        made += [Batch(target, seed, number, min(BATCH, each - number * BATCH)) for target in targets]
    return made


def _start() -> None:
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def main(arguments: Sequence[str] = ()) -> int:
    """Run them, print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="over all targets together")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so much time")
    parser.add_argument("--crashes", default="crashes.txt", help="the file that findings are written to")
    given = parser.parse_args(arguments or None)
    started = time.monotonic()
    inputs: Dict[str, int] = {}
    seconds: Dict[str, float] = {}
    findings: Dict[str, Finding] = {}
    with multiprocessing.get_context("fork").Pool(given.processes, _start) as pool:
        for result in pool.imap_unordered(run, batches(given.target or list(TARGETS), given.seed, given.inputs)):
            name = result.batch.target
            inputs[name] = inputs.get(name, 0) + result.batch.inputs
            seconds[name] = seconds.get(name, 0.0) + result.seconds
            for finding in result.findings:
                if findings.setdefault(f"{name} {finding.kind}", finding) is finding:
                    with open(given.crashes, "a", encoding="utf-8", errors="backslashreplace") as file:
                        file.write(f"{finding}\n\n")
            if time.monotonic() - started > given.seconds:
                break
        pool.terminate()
    for name, count in inputs.items():
        print(f"{name:12} {count:9,} inputs {count / seconds[name]:8,.0f}/s "
              f"{sum(f.target == name for f in findings.values())} findings")
    print(f"{sum(inputs.values()):,} inputs in {time.monotonic() - started:.0f} s, {len(findings)} findings"
          + (f", see {given.crashes}" if findings else ""))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
