"""Measure renewals with many sites, beside Certbot's own plugins: ``python -m benchmarks.many_sites``, as root.

Without options a short run of two minutes; ``--help`` lists the others. ``--full`` is the whole comparison, with
Certbot's own nginx and Apache plugins at 10,000 sites, and takes an hour.
"""
import argparse
import contextlib
import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List
from typing import Optional
from typing import Tuple

from benchmarks import lineages
from benchmarks import machines
from benchmarks import measure
from tests.lab import net
from tests.lab.ca import CA
from tests.lab.certbot import Certbot

FIRST_TIME = ["-a", "autowebroot", "--autowebroot-roots", "{}"]
_RENEW = ["renew", "--force-renewal"]
#: Two hundred renewals in each are enough.
_LONG_ROUNDS = 3


def renewals(directory: Path, ca: CA, server: str, sites: int, layout: str,
             options: argparse.Namespace) -> Dict[str, Any]:
    """Renew one name in the middle of all sites with every authenticator, on one server."""
    name = machines.name_of(sites // 2)
    root = str(machines.root_of(directory, sites // 2))
    with machines.SERVERS[server](directory, sites, layout):
        ways: Dict[str, Tuple[Certbot, List[str]]] = {
            "webroot -w": (Certbot(directory / "webroot", ca), [*_RENEW, "--webroot", "-w", root]),
            "autowebroot, remembered": (Certbot(directory / "remembered", ca), [*_RENEW, "-a", "autowebroot"]),
            "autowebroot, first time": (Certbot(directory / "first", ca), [*_RENEW, *FIRST_TIME])}
        if options.peers and sites <= options.peers_up_to and layout == options.layouts[0]:
            ways[f"Certbot's {server}"] = (Certbot(directory / "peer", ca),
                                           [*_RENEW, "-a", server, *machines.peer_options(server, directory, sites)])
        for way, (certbot, _) in ways.items():
            # A lineage of webroot would give autowebroot its webroot_map.
            given = ["-a", "autowebroot"] if way.startswith("autowebroot") else ["--webroot", "-w", root]
            measure.run(certbot, "certonly", *given, "-d", name)
        slow = [way for way in ways if way.startswith("Certbot's") and sites >= 1000]
        found = measure.in_turn(ways, options.rounds, slow)
    crowd = f", {options.processes} other processes, {options.connections} connections" if options.processes else ""
    medians = measure.table(f"{server}, {sites} sites ({'a file each' if layout == 'files' else 'one file'})"
                            f"{crowd}: certbot renew", found)
    return {"server": server, "sites": sites, "layout": layout, "ways": medians}


def free_port(directory: Path, ca: CA, options: argparse.Namespace) -> None:
    """Renew while no program listens on port 80."""
    name = machines.name_of(0)
    ways = {way: (Certbot(directory / way, ca), [*_RENEW, "-a", way]) for way in ("standalone", "autowebroot")}
    for certbot, _ in ways.values():
        measure.run(certbot, "certonly", "--standalone", "-d", name)
    measure.table("Port 80 is free: certbot renew", measure.in_turn(ways, options.rounds))


def many_lineages(directory: Path, ca: CA, server: str, options: argparse.Namespace) -> None:
    """Many lineages in one ``certbot renew``."""
    ways: Dict[str, Tuple[Certbot, List[str]]] = {}
    with machines.SERVERS[server](directory, options.lineage_sites, options.layouts[0]):
        for way, given in (("webroot", []), ("autowebroot, first time", FIRST_TIME),
                           ("autowebroot, remembered", ["-a", "autowebroot"])):
            certbot = Certbot(directory / f"certbot-{len(ways)}", ca)
            root = str(machines.root_of(directory, 0))
            how = ["-a", "autowebroot"] if given else ["--webroot", "-w", root]
            measure.run(certbot, "certonly", *how, "-d", machines.name_of(0))
            parameters = certbot.renewal_conf(machines.name_of(0)).read_text().partition("[renewalparams]\n")[2]
            for site in range(1, options.lineages):
                own = parameters.replace(machines.name_of(0), machines.name_of(site))
                own = own.replace(f"{root}\"", f"{machines.root_of(directory, site)}\"")  # of autowebroot_roots
                own = own.replace(f" = {root}", f" = {machines.root_of(directory, site)}")  # of webroot_map
                lineages.write(certbot.directory / "config", machines.name_of(site), own)
            ways[way] = (certbot, [*_RENEW, *given])
        medians = measure.table(f"{server}, {options.lineage_sites} sites: {options.lineages} lineages in one certbot "
                                "renew", measure.in_turn(ways, min(options.rounds, _LONG_ROUNDS)))
    for way, row in medians.items():
        print(f"{way:26}{row['added'] / options.lineages * 1000:8.1f} ms added for each lineage, "
              f"{row['added_cpu'] / options.lineages * 1000:.1f} ms of CPU")


def many_names(directory: Path, ca: CA, server: str, options: argparse.Namespace) -> None:
    """One order of a hundred names over a hundred roots."""
    names = {machines.name_of(site): str(machines.root_of(directory, site)) for site in range(100)}
    given = ["--webroot", "--webroot-map", json.dumps(names)]
    with machines.SERVERS[server](directory, 100, options.layouts[0]):
        ways = {"webroot with a map": (Certbot(directory / "webroot", ca), [*_RENEW, *given]),
                "autowebroot, remembered": (Certbot(directory / "remembered", ca), [*_RENEW, "-a", "autowebroot"]),
                "autowebroot, first time": (Certbot(directory / "first", ca), [*_RENEW, *FIRST_TIME])}
        for way, (certbot, _) in ways.items():
            how = ["-a", "autowebroot", "-d", ",".join(names)] if way.startswith("autowebroot") else given
            measure.run(certbot, "certonly", *how)
        measure.table(f"{server}: one order of a hundred names over a hundred roots",
                      measure.in_turn(ways, options.rounds))


def main() -> None:
    """Start the servers and measure."""
    options = _options()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    net.enter_private_namespace()
    with _scene() as above, CA(above / "ca") as ca, machines.crowd(options.processes, options.connections):
        if options.free_port:
            with _scene() as directory:
                free_port(directory, ca, options)
        for server in options.servers:
            for sites, layout in itertools.product(options.sites, options.layouts):
                with _scene() as directory:
                    _keep(options.out, renewals(directory, ca, server, sites, layout, options))
            if options.names:
                with _scene() as directory:
                    many_names(directory, ca, server, options)
            if options.lineages:
                with _scene() as directory:
                    many_lineages(directory, ca, server, options)


def _keep(path: Optional[str], result: Dict[str, Any]) -> None:
    """Add to the results of earlier runs, for the plot; those of the same server are replaced."""
    if path is None:
        return
    known = json.loads(Path(path).read_text()) if Path(path).exists() else []
    same = [one for one in known if all(one[key] == result[key] for key in ("server", "sites", "layout"))]
    known = [one for one in known if one not in same]
    Path(path).write_text(json.dumps([*known, result], indent=1) + "\n")


@contextlib.contextmanager
def _scene() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="autowebroot-benchmark-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="everything, for the plot and the record")
    parser.add_argument("--servers", nargs="+", choices=sorted(machines.SERVERS), default=["nginx"])
    parser.add_argument("--sites", nargs="*", type=int, default=[1, 1000])
    parser.add_argument("--layouts", nargs="+", choices=machines.LAYOUTS, default=["files"])
    parser.add_argument("--rounds", type=int, default=measure.PHASES)
    parser.add_argument("--peers", action="store_true", help="Certbot's own plugin too, in the first layout")
    parser.add_argument("--peers-up-to", type=int, default=10_000, metavar="SITES")
    parser.add_argument("--free-port", action="store_true", help="standalone against autowebroot")
    parser.add_argument("--names", action="store_true", help="a hundred names in one order")
    parser.add_argument("--lineages", type=int, default=0, metavar="N", help="so many lineages in one certbot renew")
    parser.add_argument("--lineage-sites", type=int, default=1000, metavar="N")
    parser.add_argument("--processes", type=int, default=0, metavar="N", help="so many other processes")
    parser.add_argument("--connections", type=int, default=0, metavar="N", help="so many open connections")
    parser.add_argument("--out", metavar="FILE", help="add the figures to this file, for benchmarks.plot")
    options = parser.parse_args()
    if options.full:
        options.servers, options.sites, options.layouts = ["nginx", "apache"], [1, 100, 1000, 10_000], ["files", "one"]
        options.peers = options.free_port = options.names = True
        options.lineages = 200
        options.processes, options.connections = 3000, 20_000
    return options


if __name__ == "__main__":
    main()
