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
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Source
from tests.lab import net
from tests.lab.nginx import Nginx
from tests.lab.random import named_line
from tests.lab.random.named_line import DeadName
from tests.lab.random.nginx_generator import ADDRESSES
from tests.lab.random.nginx_generator import ASKED_NAMES
from tests.lab.random.nginx_generator import Generator
from tests.lab.random.nginx_oracle import BACKENDS
from tests.lab.random.nginx_oracle import TOKEN
from tests.lab.random.nginx_oracle import Answer
from tests.lab.random.nginx_oracle import answer_with
from tests.lab.random.nginx_oracle import ask_evaluator
from tests.lab.random.nginx_oracle import assumed_files
from tests.lab.random.nginx_oracle import disagreements
from tests.lab.random.nginx_oracle import evaluator_of

SITES_PER_BATCH = 10
REQUESTS_PER_SITE = 3
SITES_PER_NAMED_LINES = 100

#: Paths below a root at which one rule or another looks for the file.
BELOW = (CHALLENGE_PATH, "/acme-challenge/", "/", "/moved/acme-challenge/", f"/x{CHALLENGE_PATH}")


def run_batch(seed: int, directory: Path, counts: typing.Counter[str]) -> List[str]:
    """Run one batch and return the disagreements with nginx; ``counts`` gets the kinds of our answers."""
    generator = Generator(seed)
    nginx = _nginx(generator, directory / f"batch{seed}")
    for number in range(SITES_PER_BATCH):
        nginx.write(f"sites/{number}.conf", generator.server())
    start(nginx, counts)
    try:
        return _ask(nginx, Random(seed), counts)  # noqa: S311
    finally:
        nginx.stop()


def wrong_lines(seed: int, directory: Path, counts: typing.Counter[str]) -> List[str]:
    """Run one batch for the lines that its dead ends name; a text for each that is wrong.

    The server blocks have a name of their own each, and many refusals.
    """
    generator = Generator(seed, refusals=0.5)
    nginx = _nginx(generator, directory / f"lines{seed}")
    for number in range(SITES_PER_NAMED_LINES):
        nginx.write(f"sites/{number}.conf", generator.server(f"site{number}.test"))
    start(nginx, counts)
    try:
        texts = named_line.wrong_lines(EditedNginx(nginx), _dead_names(nginx), counts)
        return [f"{nginx.directory.name}: {text}" for text in texts]
    finally:
        nginx.stop()


def _nginx(generator: Generator, directory: Path) -> Nginx:
    """An nginx with the directives that all sites share."""
    nginx = Nginx(directory, "map_hash_bucket_size 256; variables_hash_bucket_size 128;\n"
                  + generator.maps() + "\nserver { listen 127.0.0.1:99; set $sub ''; set $file ''; }\n"
                  + "include sites/*.conf;\n")
    nginx.write("snippets/acme.conf", "location ^~ /.well-known/acme-chall {\ninclude more.inc;\n}\n")
    nginx.write("more.inc", "root {dir}/r5;")
    return nginx


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


def _dead_names(nginx: Nginx) -> List[DeadName]:
    """A request for each site that is a dead end; of those by the same line, the first."""
    evaluator = evaluator_of(nginx)
    dead_names: Dict[Optional[Source], DeadName] = {}
    for number in range(SITES_PER_NAMED_LINES):
        listens = (nginx.directory / "sites" / f"{number}.conf").read_text().partition("server_name")[0]
        address = next((one for one in ADDRESSES if one in listens),
                       net.PUBLIC_V6 if "[::]" in listens else net.PUBLIC_V4)
        request = Request(f"site{number}.test", CHALLENGE_PATH + TOKEN, TOKEN, Endpoint(address, 80))
        ends = ask_evaluator(evaluator, request)
        if isinstance(ends[0], DeadEnd):
            dead_names.setdefault(named_line.named_line(ends[0]), DeadName(request, ends))
    return list(dead_names.values())


class EditedNginx:
    """A running nginx whose lines are taken out."""

    def __init__(self, nginx: Nginx) -> None:
        self._nginx = nginx

    def evaluate(self, requests: Sequence[Request]) -> List[Sequence[Destination]]:
        """What our model says of requests, by the files as they are now."""
        evaluator = evaluator_of(self._nginx)
        return [ask_evaluator(evaluator, request) for request in requests]

    def answer(self, request: Request, files: Sequence[str]) -> object:
        """What nginx answers while these files exist."""
        return answer_with(files, request)

    def serves(self, answer: object) -> bool:
        """Whether an answer is a file, a redirect or a backend's, and no refusal."""
        return isinstance(answer, Answer) and answer.served

    def worlds(self, request: Request, destinations: Sequence[Destination]) -> List[Sequence[str]]:
        """The files of the directories; without one, those that the dead end assumes."""
        return [[str(end)] for end in destinations if isinstance(end, Directory)] or [assumed_files(destinations[0])]

    def reload(self) -> None:
        """Take over the edited files."""
        try:
            self._nginx.reload()
        except AssertionError as error:
            file = re.search(r" in (\S+):\d+", str(error))
            if file is None:
                raise
            raise named_line.RefusedError(file[1]) from error

    def without(self, lines: List[str], number: int) -> List[str]:
        """The lines without one of them and the block that it opens; a server block gets a location that answers."""
        if lines[number].startswith("server {"):
            lines[number] += f" location ^~ {CHALLENGE_PATH} {{ root {self._nginx.directory}/remedy; }}"
            return lines
        depth = 0
        for index in range(number, len(lines)):
            depth += lines[index].endswith("{") - (lines[index] == "}")
            lines[index] = ""  # the other lines keep their numbers
            if not depth:
                return lines
        raise AssertionError("a block without an end")


def main() -> int:
    """Run many batches and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=5000, help="configurations")
    arguments.add_argument("--seed", type=int, default=0, help="the first batch")
    arguments.add_argument("--named-line", action="store_true", help="hold so many lines that dead ends name")
    given = arguments.parse_args()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    net.enter_private_namespace()
    counts: typing.Counter[str] = Counter()
    mismatches: List[str] = []
    with tempfile.TemporaryDirectory() as directory, Nginx(Path(directory) / "backends", BACKENDS):
        seed = given.seed
        while counts["named lines" if given.named_line else "configurations"] < given.count:
            mismatches += (wrong_lines if given.named_line else run_batch)(seed, Path(directory), counts)
            seed += 1
    for text in mismatches:
        print(text)
    print(f"{len(mismatches)} disagreements;", ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
