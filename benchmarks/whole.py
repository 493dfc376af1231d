"""Measure what a user waits for: ``python -m benchmarks.whole``, as root.

Whole processes of ``certbot`` as it is installed, with all its sleeps, in pairs: an issue with ``autowebroot`` beside
an issue with ``--webroot`` and the right directory, a renewal beside a renewal. Each pair runs the two in the other
order than the pair before, so that load on the host falls on both alike. *Least* is the difference of the least of
each. ``many_sites`` measures more, with Certbot's sleeps cut short.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable
from typing import List
from typing import NamedTuple
from typing import Tuple

from benchmarks import lineages
from benchmarks import machines
from benchmarks import measure
from tests.lab import net
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.nginx import public_directory

_RENEW = ("renew", "--force-renewal")
#: Where the count of garbage collections stands at the start, as measure.PHASES explains.
_PHASE = """
import gc, os
for _ in range(int(os.environ["COLLECTIONS"])):
    gc.collect(1)
"""


class Cost(NamedTuple):
    """The cost of one process and its children: seconds, and seconds of CPU time."""

    wall: float
    cpu: float


def run(certbot: Certbot, phase: int, *arguments: str) -> Cost:
    """Run a command; the benchmark ends if it fails. One without a validation by pebble is repeated."""
    environment = {**certbot.environment(), "COLLECTIONS": str(phase)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed modules are compiled once
    validations = certbot.ca.validations()
    while True:
        started = time.perf_counter()
        process = subprocess.Popen(certbot.command(*arguments), env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"certbot {' '.join(arguments)} failed:\n{certbot.log[-3000:]}")
        if certbot.ca.validations() > validations:
            return Cost(wall, usage.ru_utime + usage.ru_stime)


def compare(title: str, webroot: Callable[[int], Cost], ours: Callable[[int], Cost], pairs: int, of: int = 1) -> None:
    """Print what ours costs more than webroot, in milliseconds.

    :param webroot: runs it once, in a phase.
    :param of: divide by this number of lineages.
    """
    costs: List[Tuple[Cost, Cost]] = []
    for number in range(pairs):
        phase = number % measure.PHASES
        if number % 2:
            mine = ours(phase)
            costs.append((webroot(phase), mine))
        else:
            costs.append((webroot(phase), ours(phase)))
    added = sorted((mine.wall - theirs.wall) * 1000 / of for theirs, mine in costs)
    added_cpu = [(mine.cpu - theirs.cpu) * 1000 / of for theirs, mine in costs]
    least, least_cpu = ((min(getattr(pair[1], kind) for pair in costs) - min(getattr(pair[0], kind) for pair in costs))
                        * 1000 / of for kind in Cost._fields)
    quarter = len(added) // 4
    print(f"{title:44}{pairs:6}{statistics.median(theirs.wall for theirs, _ in costs):10.3f}"
          f"{statistics.median(added):9.0f}{added[quarter]:7.0f} to{added[-1 - quarter]:5.0f}{least:9.0f}"
          f"{statistics.median(added_cpu):9.0f}{least_cpu:9.0f}", flush=True)


def one_name(directory: Path, ca: CA, sites: int, pairs: int) -> None:
    """Issue and renew for one name in the middle of all sites."""
    name, root = machines.name_of(sites // 2), str(machines.root_of(directory, sites // 2))
    given = {"webroot": ["--webroot", "-w", root, "-d", name], "autowebroot": ["-a", "autowebroot", "-d", name]}
    new, old = ({way: Certbot(directory / kind / way, ca, _PHASE) for way in given} for kind in ("new", "old"))

    def issue(way: str) -> Callable[[int], Cost]:
        def once(phase: int) -> Cost:
            for part in ("live", "archive", "renewal"):
                shutil.rmtree(new[way].directory / "config" / part, ignore_errors=True)
            return run(new[way], phase, "certonly", *given[way])
        once(0)  # makes the account
        return once
    compare(f"issue, {sites} sites", issue("webroot"), issue("autowebroot"), pairs)
    for way, certbot in old.items():
        run(certbot, 0, "certonly", *given[way])
    compare(f"renew, {sites} sites", lambda phase: run(old["webroot"], phase, *_RENEW),
            lambda phase: run(old["autowebroot"], phase, *_RENEW), pairs)


def many_lineages(directory: Path, ca: CA, count: int, pairs: int) -> None:
    """Renew many lineages, each with a site of its own, in one process."""
    ways = {way: Certbot(directory / str(count) / way, ca, _PHASE) for way in ("webroot", "autowebroot")}
    name, root = machines.name_of(0), str(machines.root_of(directory, 0))
    for way, certbot in ways.items():
        run(certbot, 0, "certonly", "-a", way, *(["-w", root] if way == "webroot" else []), "-d", name)
        parameters = certbot.renewal_conf(name).read_text().partition("[renewalparams]\n")[2]
        for site in range(1, count):
            own = parameters.replace(name, machines.name_of(site))
            for end in ('"', "\n", ","):  # of autowebroot_roots, webroot_map and webroot_path
                own = own.replace(root + end, str(machines.root_of(directory, site)) + end)
            lineages.write(certbot.directory / "config", machines.name_of(site), own)
    compare(f"renew, {count} lineages, for each", lambda phase: run(ways["webroot"], phase, *_RENEW),
            lambda phase: run(ways["autowebroot"], phase, *_RENEW), pairs, count)


def main() -> None:
    """Start the servers and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=sorted(machines.SERVERS), default="nginx")
    parser.add_argument("--sites", nargs="+", type=int, default=[1, 1000, 10_000])
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--lineages", nargs="*", type=int, default=[], metavar="N",
                        help="so many lineages in one certbot renew, in the first number of sites that has as many")
    options = parser.parse_args()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    net.enter_private_namespace()
    print(f"{options.server}: milliseconds that autowebroot adds to --webroot\n{'':44}{'pairs':>6}{'webroot s':>10}"
          f"{'median':>9}{'middle half':>15}{'least':>9}{'CPU':>9}{'least':>9}")
    left = list(options.lineages)
    with public_directory() as above, CA(above / "ca") as ca:
        for sites in options.sites:
            with public_directory() as directory, machines.SERVERS[options.server](directory, sites, "files"):
                one_name(directory, ca, sites, options.pairs)
                for count in [count for count in left if count <= sites]:
                    many_lineages(directory, ca, count, options.pairs)
                    left.remove(count)


if __name__ == "__main__":
    main()
