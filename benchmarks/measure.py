"""Run Certbot and measure; ratios and differences of runs that take turns."""
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Sequence
from typing import Tuple

from tests.lab.certbot import Certbot

#: ru_maxrss of wait4(2) would begin with our own size, from before execve(2); VmHWM of proc(5) is Certbot's alone.
#: Certbot sleeps two seconds for each certificate, while the CA has long been done: without that, two hundred of them
#: take one minute and not seven, and the sleeps' rounding does not cover what we look for. Its plugins sleep as they
#: will, until the server has been reloaded.
_CERTBOT = """
import atexit, gc, os, sys, time, types
for _ in range(int(os.environ["COLLECTIONS"])):
    gc.collect(1)
from certbot.main import main
from acme import client
from certbot._internal import auth_handler
client.time = auth_handler.time = types.SimpleNamespace(
    **{**vars(time), "sleep": lambda seconds: time.sleep(min(seconds, float(os.environ["PATIENCE"])))})
@atexit.register
def tell():
    with open("/proc/self/status") as status, open(sys.argv[1], "w") as file:
        file.write(next(line for line in status if line.startswith("VmHWM")).split()[1])
sys.exit(main(sys.argv[2:]))
"""

#: Python goes through all objects at every eleventh of its lesser garbage collections, gc.set_threshold(). That takes
#: Certbot 15 ms, and whether a run has one more than another is an accident of where the count stands. So it stands
#: elsewhere in each round, and alike for all ways: medians are of what is mostly so, means have each accident in
#: proportion.
PHASES = 11

#: Seconds that Certbot sleeps at most while it waits for the CA.
_PATIENCE = 0.02


class Run(NamedTuple):
    """The cost of one run.

    :ivar wall: seconds.
    :ivar cpu: seconds of CPU time, its children's included.
    :ivar peak: megabytes, its own.
    """

    wall: float
    cpu: float
    peak: float


def run(certbot: Certbot, *arguments: str, phase: int = 0, patience: float = _PATIENCE) -> Run:
    """Run a command of Certbot; the benchmark ends if it fails.

    A renewal without a validation (:meth:`tests.lab.certbot.Certbot.run`) is repeated.
    """
    before = certbot.ca.validations()
    while True:
        found = _run(certbot, phase, patience, *arguments)
        if certbot.ca.validations() > before:
            return found


def _run(certbot: Certbot, phase: int, patience: float, *arguments: str) -> Run:
    certbot.directory.mkdir(parents=True, exist_ok=True)
    told = Path(certbot.directory, "peak")
    command = [sys.executable, "-c", _CERTBOT, str(told), *certbot.command(*arguments)[1:]]
    before = time.perf_counter()
    environment = {**certbot.environment(), "COLLECTIONS": str(phase), "PATIENCE": str(patience)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed modules are compiled once
    with open(Path(certbot.directory, "output"), "w") as output:
        process = subprocess.Popen(command, env=environment,
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - before
    if process.returncode:
        sys.exit(f"certbot {' '.join(arguments)} failed:\n{Path(certbot.directory, 'output').read_text()[-3000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, int(told.read_text()) / 1024)


def in_turn(ways: Dict[str, Tuple[Certbot, List[str]]], rounds: int, once: Sequence[str] = ()) -> Dict[str, List[Run]]:
    """Run all ways in turn, so that other load on the host falls on all alike.

    :param once: ways that are so slow that once is enough, in the end: a server of ten thousand sites has to do with
        their reload for a while. Certbot sleeps as it will, for it asks the CA no more than thirty times.
    """
    found: Dict[str, List[Run]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, (certbot, arguments) in ways.items():
            if name not in once:
                found[name].append(run(certbot, *arguments, phase=number % PHASES))
    for name in once:
        certbot, arguments = ways[name]
        found[name].append(run(certbot, *arguments, patience=math.inf))
    return found


def table(title: str, found: Dict[str, List[Run]]) -> Dict[str, Dict[str, float]]:
    """Print medians, and the cost that each way adds to the first, pair by pair; returns the same by way.

    The last column is the mean and not the median of the CPU time that is added.
    """
    base = next(iter(found.values()))
    print(f"\n{title}\n{'':26}{'rounds':>6}{'wall s':>9}{'spread':>8}{'CPU s':>8}{'peak MB':>9}"
          f"{'added s':>10}{'added CPU':>10}{'ratio':>8}{'added MB':>9}{'mean CPU':>10}")
    medians = {}
    for name, runs in found.items():
        pairs = list(zip(runs, base))
        medians[name] = row = {
            "wall": statistics.median(one.wall for one in runs),
            "cpu": statistics.median(one.cpu for one in runs),
            "peak": statistics.median(one.peak for one in runs),
            "added": statistics.median(mine.wall - theirs.wall for mine, theirs in pairs),
            "added_cpu": statistics.median(mine.cpu - theirs.cpu for mine, theirs in pairs),
            "mean_cpu": statistics.mean(mine.cpu - theirs.cpu for mine, theirs in pairs),
            "ratio": statistics.median(mine.wall / theirs.wall for mine, theirs in pairs),
            "added_peak": statistics.median(mine.peak - theirs.peak for mine, theirs in pairs)}
        spread = max(one.wall for one in runs) - min(one.wall for one in runs)
        print(f"{name:26}{len(runs):6}{row['wall']:9.3f}{spread:8.3f}{row['cpu']:8.3f}{row['peak']:9.1f}"
              f"{row['added']:10.3f}{row['added_cpu']:10.3f}{row['ratio']:8.3f}{row['added_peak']:9.1f}"
              f"{row['mean_cpu']:10.3f}", flush=True)
    return medians
