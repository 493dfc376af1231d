"""Measure ``certbot-autowebroot check``: ``python -m benchmarks.check [LINEAGES [SITES]]``, as root.

Two hundred lineages of all kinds on one nginx with a thousand sites, in processes of their own, as cron runs it: the
first time (nothing remembered), with what was remembered, and without writing.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List
from typing import Tuple

from benchmarks import lineages
from tests.lab import net
from tests.lab.ca import CA
from tests.lab.nginx import Nginx

_RUNS = 5


def site(name: str, root: Path, pair: Tuple[Path, Path]) -> str:
    """A site as a hosting panel writes it, in a few lines."""
    return f"""server {{ listen 80; server_name {name} www.{name}; root {root}; index index.html;
    location / {{ try_files $uri $uri/ =404; }} location ~ /\\.ht {{ deny all; }} }}
server {{ listen 443 ssl; server_name {name} www.{name}; root {root};
    ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]}; }}
"""


def check(directory: Path, *arguments: str) -> Tuple[float, float, float, str]:
    """Seconds, seconds of CPU, peak megabytes and the line for monitoring of one check."""
    command = [sys.executable, "-m", "certbot_autowebroot.cli", "check", "--config-dir", str(directory / "config"),
               "--work-dir", str(directory / "work"), "--format", "nagios", *arguments]
    # A user's modules are compiled once, when they are installed.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    line = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - before
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, line.strip()


def measure(title: str, directory: Path, *arguments: str) -> None:
    """Print the median of some runs."""
    found = [check(directory, *arguments) for _ in range(_RUNS)]
    seconds = [one[0] for one in found]
    print(f"{title:24}{statistics.median(seconds):8.2f} s (spread {max(seconds) - min(seconds):.2f})"
          f"{statistics.median(one[1] for one in found):8.2f} s of CPU{max(one[2] for one in found):8.1f} MB   "
          f"{found[-1][3]}")


def main() -> None:
    """Start the server and measure."""
    how_many = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    sites = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    net.enter_private_namespace()
    directory = Path(tempfile.mkdtemp(prefix="autowebroot-benchmark-"))
    directory.chmod(0o755)
    config: List[str] = []
    conf_dir = directory / "config"
    for number in range(sites):
        name, root = f"n{number}.sample.com", directory / "roots" / str(number)
        root.mkdir(parents=True)
        if number < how_many:
            kinds = ("authenticator = autowebroot\n", "authenticator = standalone\n",
                     f"authenticator = webroot\n[[webroot_map]]\n{name} = {root}\n",
                     f"authenticator = webroot\n[[webroot_map]]\n{name} = {directory}/roots/0/gone\n")
            pair = lineages.write(conf_dir, name, kinds[number % len(kinds)])
        config.append(site(name, root, pair))
    try:
        with CA(directory / "ca"), Nginx(directory / "nginx", "".join(config), user="www-data"):
            measure("for the first time", directory)
            for conf in (conf_dir / "renewal").iterdir():
                name = conf.stem
                text = conf.read_text()
                if "= autowebroot" in text:
                    roots = {name: [[f"{directory}/roots/{name[1:].partition('.')[0]}", ".well-known/acme-challenge"]]}
                    conf.write_text(f"{text}autowebroot_roots = '{json.dumps(roots)}'\n")
            measure("with what is remembered", directory)
            measure("without writing", directory, "--no-write")
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
