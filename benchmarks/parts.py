"""Measure the parts without Certbot, each beside its lower bound: ``python -m benchmarks.parts``."""
import argparse
import contextlib
import functools
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable
from typing import Iterator
from typing import List

from benchmarks import machines
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Request
from certbot_autowebroot.routing import probe
from certbot_autowebroot.routing.follow import follow
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.servers.common import file_cache
from certbot_autowebroot.servers.registry import LIKELY
from certbot_autowebroot.system import listeners
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.views import View
from tests.lab import net
from tests.lab.apache import MODULES
from tests.lab.nginx import Nginx

_TOKEN = "x" * 43
#: What servers/apache/dump.py asks httpd for.
_DUMPS = ("CONFIG", "RUN_CFG", "MODULES", "VHOSTS")
_IMPORT = re.compile(r"import time: +\d+ \| +(\d+) \| certbot_autowebroot\.authenticator")
_DOOR = Endpoint(net.PUBLIC_V4, 80)


def measure(title: str, act: Callable[[], object], times: int = 10, before: Callable[[], object] = int) -> None:
    """Print the least and the median of some runs, in milliseconds.

    :param before: runs before each, outside of the time.
    """
    found: List[float] = []
    for _ in range(times):
        before()
        started = time.perf_counter()
        act()
        found.append((time.perf_counter() - started) * 1000)
    print(f"  {title:58}{min(found):10.2f}{statistics.median(found):10.2f}", flush=True)


def forget() -> None:
    """Empty all caches, as in a new process."""
    listeners._last_searches.clear()
    from certbot_autowebroot.servers import apache
    from certbot_autowebroot.servers import nginx
    nginx._cache = file_cache.FileCache()
    apache._cache = file_cache.FileCache()


def parts(server: str, sites: int, layout: str) -> None:
    """All parts with one server."""
    with _directory() as directory, machines.SERVERS[server](directory, sites, layout) as running:
        request = Request(machines.name_of(sites // 2), CHALLENGE_PATH + _TOKEN, _TOKEN, _DOOR)
        time.sleep(file_cache.MIN_AGE + 0.5)
        print(f"\n{server}, {sites} sites: milliseconds{'least':>41}{'median':>10}")
        files = sorted(str(path) for path in (directory / "sites-enabled").iterdir())
        measure("floor: cat of the files", lambda: subprocess.run(["xargs", "cat"], input="\n".join(files), text=True,
                                                                  stdout=subprocess.DEVNULL, check=True))
        if server == "apache":
            for title, *dumps in (("floor: apache2 -t",), ("floor: apache2 -t, its names", "VHOSTS"),
                                  ("floor: apache2 -t, all that we read of it", *_DUMPS)):
                command = [*running.argv[:3], "-C", f"LoadModule info_module {MODULES}/mod_info.so", "-t",
                           *(f"-DDUMP_{what}" for what in dumps)]
                measure(title, functools.partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL,
                                                 stderr=subprocess.DEVNULL), 3)
        measure("listeners", listeners.listeners)
        inodes = {found.inode for found in listeners.accepting(_DOOR, listeners.listeners())}
        measure("floor: names of all processes", lambda: [processes.comm(pid) for pid in processes.all_pids()])
        measure("owner of the listener, first look", lambda: listeners.owners(inodes, LIKELY), before=forget)
        measure("owner of the listener, again", lambda: listeners.owners(inodes, LIKELY))
        few = 3 if sites > 1000 else 10
        measure("follow: all of it, for the first time", lambda: follow(request, Host()), few, forget)
        measure("follow: in the next lineage", lambda: follow(request, Host()), few)
        machine = Host()
        measure("follow: the next name of an order", lambda: follow(request, machine), few)
        measure("floor: one loopback request", _ask)
        measure("probe", lambda: probe.ask(request, machine))
        root = machines.root_of(directory, 0)
        measure("floor: mkdir, mkdir, write and all back", lambda: _write(root))
        journal = Journal(str(directory / "journal"))
        measure("publish and withdraw", lambda: _publish(root, journal))


def three_hops() -> None:
    """Follow one name through nginx, nginx and nginx, with their configurations read before."""
    config = """server { listen 80; location / { proxy_pass http://127.0.0.1:8081; } }
        server { listen 127.0.0.1:8081; location / { proxy_pass http://127.0.0.1:8082; } }
        server { listen 127.0.0.1:8082; root /srv; }"""
    request = Request(machines.name_of(0), CHALLENGE_PATH + _TOKEN, _TOKEN, _DOOR)
    with _directory() as directory, Nginx(directory, config):
        machine = Host()
        follow(request, machine)
        print("\nThree servers on one route")
        measure("follow: the next name of an order", lambda: follow(request, machine))


def importing() -> None:
    """The cost of the installed plugin for every other Certbot command."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-X", "importtime", "-c", "import certbot.main, certbot_autowebroot.authenticator"]
    found = []
    for _ in range(11):
        printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
        match = _IMPORT.search(printed)
        assert match is not None
        found.append(int(match[1]) / 1000)
    print("\nAny other command of Certbot")
    print(f"  {'import of the plugin':58}{min(found):10.2f}{statistics.median(found):10.2f}")


def _ask() -> None:
    with socket.create_connection((net.PUBLIC_V4, 80)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while connection.recv(65536):
            pass


def _write(root: Path) -> None:
    directory = root / CHALLENGE_PATH.strip("/")
    directory.mkdir(parents=True)
    (directory / _TOKEN).write_bytes(b"x")
    (directory / _TOKEN).unlink()
    directory.rmdir()
    directory.parent.rmdir()


def _publish(root: Path, journal: Journal) -> None:
    end = Directory(PathInView(str(root)), f"{CHALLENGE_PATH.strip('/')}/{_TOKEN}", ())
    responder = WebrootResponder(View.of_host(), end, journal)
    responder.publish(b"x")
    responder.withdraw()


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="autowebroot-benchmark-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def main() -> None:
    """Start the servers and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", choices=sorted(machines.SERVERS), default=["nginx", "apache"])
    parser.add_argument("--sites", nargs="+", type=int, default=[1, 1000])
    parser.add_argument("--layout", choices=machines.LAYOUTS, default="files")
    parser.add_argument("--processes", type=int, default=3000, metavar="N", help="so many other processes")
    parser.add_argument("--connections", type=int, default=20_000, metavar="N", help="so many open connections")
    options = parser.parse_args()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    net.enter_private_namespace()
    importing()
    three_hops()
    with machines.crowd(options.processes, options.connections):
        for server in options.servers:
            for sites in options.sites:
                parts(server, sites, options.layout)


if __name__ == "__main__":
    main()
