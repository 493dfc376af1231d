"""What autowebroot costs beside Certbot's own authenticators: ``python -m benchmarks.main_job [RUNS]``, as root.

One name and one site, a hundred names over a hundred roots, the import, three hops. Each round runs ``certbot renew``
with each authenticator in turn against the same CA, so that what the machine does otherwise falls on all alike; what
counts are the ratios within a round.
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict
from typing import List
from typing import Tuple

from certbot_autowebroot.follow import follow
from certbot_autowebroot.machine import ThisMachine
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from tests.lab import net
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx

NAME = "www.sample.com"
_IMPORT = re.compile(r"import time: +\d+ \| +(\d+) \| certbot_autowebroot\.authenticator")


def renew(certbot: Certbot, *arguments: str) -> Tuple[float, float]:
    """Seconds and peak megabytes of one renewal."""
    before = time.perf_counter()
    process = subprocess.Popen(certbot.command("renew", "--force-renewal", *arguments), env=certbot.environment(),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"certbot renew {' '.join(arguments)} failed; see {certbot.directory}/logs")
    return time.perf_counter() - before, usage.ru_maxrss / 1024


def compare(title: str, runs: int, certbots: "Dict[str, Tuple[Certbot, List[str]]]") -> None:
    """Run all of them in turn and print what each takes, and its ratio to the first."""
    measured: Dict[str, List[Tuple[float, float]]] = {name: [] for name in certbots}
    for _ in range(runs):
        for name, (certbot, arguments) in certbots.items():
            measured[name].append(renew(certbot, *arguments))
    base = next(iter(measured))
    print(f"\n{title}, {runs} rounds\n{'':32}{'seconds':>10}{'spread':>10}{'ratio':>8}{'MB':>8}{'more MB':>9}")
    for name, values in measured.items():
        seconds = [value[0] for value in values]
        ratio = statistics.median(mine[0] / theirs[0] for mine, theirs in zip(values, measured[base]))
        megabytes = statistics.median(value[1] for value in values)
        more = megabytes - statistics.median(value[1] for value in measured[base])
        print(f"{name:32}{statistics.median(seconds):10.3f}{max(seconds) - min(seconds):10.3f}{ratio:8.3f}"
              f"{megabytes:8.1f}{more:9.1f}")


def hundred_names(directory: Path, ca: CA, runs: int) -> None:
    """One order of a hundred names, each with a root of its own."""
    roots = {f"n{number}.sample.com": directory / "roots" / str(number) for number in range(100)}
    for root in roots.values():
        root.mkdir(parents=True)
    config = "".join(f"server {{ listen 80; server_name {name}; root {root}; }}" for name, root in roots.items())
    ways = {name: Certbot(directory / f"100-{name}", ca) for name in ("webroot", "autowebroot", "first")}
    for certbot in ways.values():
        assert certbot.run("certonly", "--standalone", "-d", ",".join(roots)).returncode == 0
    with Nginx(directory / "nginx-100", config, user="www-data"):
        webroot_map = json.dumps({name: str(root) for name, root in roots.items()})
        compare("A hundred names over a hundred roots", runs, {
            "webroot with a map": (ways["webroot"], ["--webroot", "--webroot-map", webroot_map]),
            "autowebroot, remembered": (ways["autowebroot"], ["-a", "autowebroot"]),
            "autowebroot, for the first time": (ways["first"], ["-a", "autowebroot", "--autowebroot-roots", "{}"])})


def three_hops(directory: Path, runs: int) -> None:
    """Following one name through nginx, nginx and nginx; and the first time, with the reading of configurations."""
    config = """server { listen 80; location / { proxy_pass http://127.0.0.1:8081; } }
        server { listen 127.0.0.1:8081; location / { proxy_pass http://127.0.0.1:8082; } }
        server { listen 127.0.0.1:8082; root /srv; }"""
    token = "x" * 43
    asked = Request(NAME, CHALLENGE_PATH + token, token, Endpoint(net.PUBLIC_V4, 80))
    with Nginx(directory / "nginx-hops", config):
        machine = ThisMachine()
        before = time.perf_counter()
        follow(asked, machine)
        first = time.perf_counter() - before
        before = time.perf_counter()
        for _ in range(runs):
            follow(asked, machine)
        each = (time.perf_counter() - before) / runs
    print(f"three hops: {first * 1000:.1f} ms the first time, {each * 1000:.2f} ms beyond reading the configurations")


def import_cost(runs: int) -> None:
    """What every other Certbot command pays for our being installed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-X", "importtime", "-c", "import certbot.main, certbot_autowebroot.authenticator"]
    found = []
    for _ in range(runs + 1):
        printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
        match = _IMPORT.search(printed)
        assert match is not None
        found.append(int(match[1]) / 1000)
    print(f"\nimport beside Certbot: {statistics.median(found[1:]):.2f} ms, median of {runs}")


def main() -> None:
    """Set the scene and measure."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    net.enter_private_namespace()
    directory = Path(tempfile.mkdtemp(prefix="autowebroot-benchmark-"))
    directory.chmod(0o755)
    (directory / "root").mkdir()
    try:
        with CA(directory / "ca") as ca:
            ways = {name: Certbot(directory / name, ca) for name in ("webroot", "autowebroot", "first", "standalone")}
            for certbot in ways.values():
                assert certbot.run("certonly", "--standalone", "-d", NAME).returncode == 0
            compare("Port 80 is free", runs, {
                "standalone": (ways["standalone"], ["--standalone"]),
                "autowebroot": (ways["autowebroot"], ["-a", "autowebroot"])})
            config = f"server {{ listen 80; server_name {NAME}; root {directory}/root; }}"
            with Nginx(directory / "nginx", config, user="www-data"):
                compare("nginx with one site holds port 80", runs, {
                    "webroot -w": (ways["webroot"], ["--webroot", "-w", str(directory / "root")]),
                    "autowebroot, remembered": (ways["autowebroot"], ["-a", "autowebroot"]),
                    "autowebroot, for the first time": (ways["first"], ["-a", "autowebroot",
                                                                        "--autowebroot-roots", "{}"])})
            hundred_names(directory, ca, max(2, runs // 3))
        import_cost(runs)
        three_hops(directory, 100 * runs)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
