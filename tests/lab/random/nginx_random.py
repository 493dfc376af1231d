"""Random nginx configurations against a real nginx: ``python -m tests.lab.random.nginx_random --count 5000``.

A configuration is one ``server`` block. Several make a batch, which one nginx runs, so that they compete for names and
addresses too. A seed always makes the same batch. The command enters a network namespace of its own, as pytest does.
"""
import argparse
import os
import re
import sys
import tempfile
import typing
from collections import Counter
from pathlib import Path
from random import Random
from typing import List

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from tests.lab import net
from tests.lab.nginx import Nginx
from tests.lab.random.nginx_generator import ADDRESSES
from tests.lab.random.nginx_generator import ASKED_NAMES
from tests.lab.random.nginx_generator import Generator
from tests.lab.random.nginx_oracle import BACKENDS
from tests.lab.random.nginx_oracle import ask_evaluator
from tests.lab.random.nginx_oracle import disagreements
from tests.lab.random.nginx_oracle import evaluator_of

SITES_PER_BATCH = 10
REQUESTS_PER_SITE = 3

#: Paths below a root at which one rule or another looks for the file.
BELOW = (CHALLENGE_PATH, "/acme-challenge/", "/", "/moved/acme-challenge/", f"/x{CHALLENGE_PATH}")


def run_batch(seed: int, directory: Path, counts: typing.Counter[str]) -> List[str]:
    """Run one batch and return the disagreements with nginx; ``counts`` gets the kinds of our answers."""
    generator = Generator(seed)
    nginx = Nginx(directory / f"batch{seed}", "map_hash_bucket_size 256; variables_hash_bucket_size 128;\n"
                  + generator.maps() + "\nserver { listen 127.0.0.1:99; set $sub ''; set $file ''; }\n"
                  + "include sites/*.conf;\n")
    nginx.write("snippets/acme.conf", "location ^~ /.well-known/acme-chall { include more.inc; }")
    nginx.write("more.inc", "root {dir}/r5;")
    for number in range(SITES_PER_BATCH):
        nginx.write(f"sites/{number}.conf", generator.server())
    start(nginx, counts)
    try:
        return _ask(nginx, Random(seed), counts)  # noqa: S311
    finally:
        nginx.stop()


def start(nginx: Nginx, counts: typing.Counter[str]) -> None:
    """Start it without the server blocks that nginx refuses."""
    while True:
        try:
            nginx.start()
            return
        except AssertionError as error:
            site = re.search(r"in (\S+/sites/\d+\.conf):\d+", str(error))
            if site is None:
                raise
            os.unlink(site[1])
            counts["refused"] += 1


def _ask(nginx: Nginx, random: Random, counts: typing.Counter[str]) -> List[str]:
    evaluator = evaluator_of(nginx)
    sites = len(list((nginx.directory / "sites").iterdir()))
    counts["configurations"] += sites
    mismatches: List[str] = []
    for number in range(sites * REQUESTS_PER_SITE):
        token = f"tok-{number:03}-0123456789abcdefghijklmnopqrstuvwxyz"
        request = Request(random.choice(ASKED_NAMES), CHALLENGE_PATH + token, token,
                          Endpoint(random.choice(ADDRESSES), 80))
        destinations = ask_evaluator(evaluator, request)
        if "no server that listens" in str(destinations[0]):
            continue
        counts["answers"] += 1
        counts[type(destinations[0]).__name__] += 1
        counts["alternatives"] += any("unknown here" in step.text for step in destinations[0].trail)
        elsewhere = [f"{nginx.directory}/r{root}{below}{token}" for root in range(6) for below in BELOW
                     if isinstance(destinations[0], DeadEnd)]
        mismatches += [f"{nginx.directory.name}: {text}" for text in disagreements(destinations, request, elsewhere)]
    return mismatches


def main() -> int:
    """Run many batches and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=5000, help="configurations")
    arguments.add_argument("--seed", type=int, default=0, help="the first batch")
    given = arguments.parse_args()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    net.enter_private_namespace()
    counts: typing.Counter[str] = Counter()
    mismatches: List[str] = []
    with tempfile.TemporaryDirectory() as directory, Nginx(Path(directory) / "backends", BACKENDS):
        seed = given.seed
        while counts["configurations"] < given.count:
            mismatches += run_batch(seed, Path(directory), counts)
            seed += 1
    for text in mismatches:
        print(text)
    print(f"{len(mismatches)} disagreements;", ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
