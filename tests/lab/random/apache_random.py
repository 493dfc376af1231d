"""Random Apache configurations against a real httpd: ``python -m tests.lab.random.apache_random --count 5000``.

A configuration is one ``<VirtualHost>`` with its own directories and .htaccess files. Several make a batch, which one
httpd runs, so that they compete for names and addresses too. A seed always makes the same batch. The command enters a
network namespace of its own, as pytest does. Most of its time goes into files: TMPDIR is best a tmpfs.
"""
import argparse
import contextlib
import os
import pathlib
import re
import sys
import tempfile
import time
import typing
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Dict
from typing import Iterator
from typing import List
from typing import Optional
from typing import Sequence

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.apache.configuration import Configuration
from tests.lab import net
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.random import named_line
from tests.lab.random.apache_generator import ADDRESSES
from tests.lab.random.apache_generator import ASKED_NAMES
from tests.lab.random.apache_generator import Generator
from tests.lab.random.apache_oracle import FILES
from tests.lab.random.apache_oracle import PATH
from tests.lab.random.apache_oracle import TOKEN
from tests.lab.random.apache_oracle import all_described
from tests.lab.random.apache_oracle import answer_without_query
from tests.lab.random.apache_oracle import ask_evaluator
from tests.lab.random.apache_oracle import backends
from tests.lab.random.apache_oracle import described
from tests.lab.random.apache_oracle import disagreements
from tests.lab.random.apache_oracle import dumped_configuration
from tests.lab.random.apache_oracle import is_refusal
from tests.lab.random.apache_oracle import read_configuration
from tests.lab.random.apache_oracle import request_for
from tests.lab.random.named_line import DeadName

SITES_PER_BATCH = 50
REQUESTS_PER_SITE = 3
SITES_PER_NAMED_LINES = 150


@dataclass
class _Case:
    """One request and the evaluator's answer."""

    site: int
    request: Request
    destinations: List[Destination]


def run_batch(seed: int, directory: pathlib.Path, counts: typing.Counter[str]) -> List[str]:
    """Run one batch and return the disagreements with httpd; ``counts`` gets the kinds of our answers."""
    with _running(seed, directory / f"batch{seed}", counts) as server:
        return _ask(server, Random(seed), counts)  # noqa: S311


def wrong_lines(seed: int, directory: pathlib.Path, counts: typing.Counter[str]) -> List[str]:
    """Run one batch for the lines that its dead ends name; a text for each that is wrong."""
    with _running(seed, directory / f"lines{seed}", counts, SITES_PER_NAMED_LINES) as server:
        texts = named_line.wrong_lines(EditedApache(server), _dead_names(server, Random(seed)), counts)  # noqa: S311
        return [f"{server.directory.name}: {text}" for text in texts]


@contextlib.contextmanager
def _running(seed: int, top: pathlib.Path, counts: typing.Counter[str],
             sites: int = SITES_PER_BATCH) -> Iterator[Apache]:
    """An httpd with the virtual hosts of one batch."""
    generator = Generator(seed)
    present = Random(f"directories {seed}")  # noqa: S311
    server = Apache(top, generator.main(), (*DEFAULT_MODULES, "access_compat", "cgid", "env", "status"), ["-DACME"])
    for name in ("sites", "fragments"):
        (top / name).mkdir()
    (top / "fragments" / "root.inc").write_text(f"DocumentRoot {top}/main\n")
    (top / "fragments" / "x.inc").write_text(f"<IfDefine ACME>\nAlias /site {top}/main/site\n</IfDefine>\n")
    _make_directories(top / "main")
    for number in range(sites):
        for root in ("a", "b", "c"):
            # Where a directory is missing, httpd takes what follows for path info.
            _make_directories(top / f"s{number}" / root, FILES if present.random() < 0.5 else present.sample(FILES, 1))
        (top / f"s{number}" / "hosts" / f"n{number}.test").mkdir(parents=True)
        (top / "sites" / f"{number}.conf").write_text(generator.site(number).replace("{dir}", str(top)))
        for place in ("a", "b", "a/acme"):
            text = generator.htaccess(number)
            if text and (top / f"s{number}" / place).is_dir():
                (top / f"s{number}" / place / ".htaccess").write_text(text.replace("{dir}", str(top)))
    with backends(top):
        start(server, counts)
        try:
            yield server
        finally:
            server.stop()


def _make_directories(root: pathlib.Path, files: Sequence[str] = FILES) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)


def start(server: Apache, counts: typing.Counter[str]) -> None:
    """Start it without the virtual hosts that httpd refuses."""
    while True:
        try:
            server.start()
            return
        except AssertionError as error:
            site = re.search(r"line \d+ of (\S+/sites/\d+\.conf)", str(error))
            if site is None:
                raise
            os.unlink(site[1])
            counts["refused"] += 1


def _ask(server: Apache, random: Random, counts: typing.Counter[str]) -> List[str]:
    dumped, read = dumped_configuration(server), read_configuration(server)
    mismatches: List[str] = []
    cases: List[_Case] = []
    sites = sorted(int(path.stem) for path in (server.directory / "sites").iterdir())
    counts["configurations"] += len(sites)
    for site in sites:
        text = (server.directory / "sites" / f"{site}.conf").read_text()
        for template in random.sample(ASKED_NAMES, REQUESTS_PER_SITE):
            query = "?x=y&b" if random.random() < 0.1 else ""
            request = request_for(template.replace("{n}", f"n{site}"), PATH + query, address=_address(text, random),
                                  port=8000 if ":8000>" in text or random.random() < 0.05 else 80)
            before = ask_evaluator(dumped, request)
            had_roots = all(os.path.isdir(end.root) for end in before if isinstance(end, Directory))
            case = _Case(site, request, _destinations(dumped, request))
            cases.append(case)
            counts["answers"] += 1
            counts[type(case.destinations[0]).__name__] += 1
            counts["alternatives"] += len(case.destinations) > 1
            # A new directory below a root changes nothing, for it comes with the challenge; a new root does.
            if had_roots and set(all_described(before)) != set(all_described(case.destinations)):
                mismatches.append(_mismatch(server, case, f"without directories we say {all_described(before)}"))
            from_files = described(ask_evaluator(read, request))
            if from_files != described(case.destinations):
                mismatches.append(_mismatch(server, case, f"the files say {from_files}"))
    cases = [case for case in cases if not isinstance(case.destinations[0], Unknown)]
    for case in cases:
        mismatches += [_mismatch(server, case, text) for text in disagreements(case.destinations, case.request, server)]
    return mismatches + _other_files_served(server, [case for case in cases if not any(
        isinstance(destination, Directory) for destination in case.destinations)])


def _dead_names(server: Apache, random: Random) -> List[DeadName]:
    """A request for each site that is a dead end; of those by the same line, the first."""
    configuration = read_configuration(server)
    dead_names: Dict[Optional[Source], DeadName] = {}
    for path in (server.directory / "sites").iterdir():
        text = path.read_text()
        request = request_for(f"n{path.stem}.test", address=_address(text, random),
                              port=8000 if ":8000>" in text else 80)
        ends = _destinations(configuration, request)
        if isinstance(ends[0], DeadEnd):
            dead_names.setdefault(named_line.named_line(ends[0]), DeadName(request, ends))
    return list(dead_names.values())


class EditedApache:
    """A running httpd whose lines are taken out."""

    def __init__(self, server: Apache) -> None:
        self._server = server

    def evaluate(self, requests: Sequence[Request]) -> List[Sequence[Destination]]:
        """What our model says of requests, by the files as they are now."""
        configuration = read_configuration(self._server)
        return [_destinations(configuration, request) for request in requests]

    def answer(self, request: Request, files: Sequence[str]) -> object:
        """What httpd answers while these files exist."""
        paths = [pathlib.Path(file) for file in files if not os.path.isdir(file)]
        missing = [parent for path in paths for parent in path.parents if not parent.exists()]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"file {path}")
        answer = answer_without_query(request)
        for path in paths:
            path.unlink()
        for directory in sorted(set(missing), reverse=True):
            directory.rmdir()
        return answer

    def serves(self, answer: object) -> bool:
        """Whether an answer is a file, a redirect or an upstream's, and no refusal."""
        return not is_refusal(str(answer))

    def worlds(self, request: Request, destinations: Sequence[Destination]) -> List[Sequence[str]]:
        """The files of the directories; without one, no file, a file in each directory, and a challenge below each."""
        site = re.match(r"n(\d+)", request.host)
        assert site is not None
        directories = _directories(self._server, f"s{site[1]}")
        return [[str(end)] for end in destinations if isinstance(end, Directory)] or [
            [], [f"{path}/{TOKEN}" for path in directories], [f"{path}{CHALLENGE_PATH}{TOKEN}" for path in directories]]

    def reload(self) -> None:
        """Take over the edited files. A running httpd ends where it refuses them."""
        try:
            if self._is_running:
                self._server.reload()
            else:
                self._server.start()
            self._is_running = True
        except AssertionError as error:
            self._server.stop()
            self._is_running = False
            file = re.search(r"line \d+ of ([^:\s]+)", str(error))
            if file is None:
                raise
            raise named_line.RefusedError(file[1]) from error

    _is_running = True

    def without(self, lines: List[str], number: int) -> List[str]:
        """The lines without one of them and the block that it opens; a virtual host gets an Alias that answers.

        A rule takes its conditions along: they would belong to the next rule.
        """
        line = lines[number].strip()
        if line.startswith("<VirtualHost"):
            remedy = f"{self._server.directory}/remedy"
            lines[number] += (f"\nAlias {CHALLENGE_PATH} {remedy}/\n<Directory {remedy}>\nRequire all granted\n"
                              "</Directory>")
        elif line.startswith("RewriteRule"):
            lines[number] = ""
            while number and lines[number - 1].strip().startswith("RewriteCond"):
                number -= 1
                lines[number] = ""
        elif line.startswith("<"):
            name = re.split(r"[ >]", line[1:])[0]
            depth = 0
            for index in range(number, len(lines)):
                depth += lines[index].strip().startswith(f"<{name}") - (lines[index].strip() == f"</{name}>")
                lines[index] = ""
                if not depth:
                    break
        else:
            lines[number] = ""
        return lines


def _address(text: str, random: Random) -> str:
    """Mostly an address of the virtual host."""
    own = [address for address in ADDRESSES if address in text.partition("\n")[0]]
    return random.choice(own if own and random.random() < 0.9 else ADDRESSES)


def _destinations(configuration: Configuration, request: Request) -> List[Destination]:
    """The evaluator's answer once the directories in it exist: an owner makes the directories that he configures."""
    for _ in range(4):
        destinations = ask_evaluator(configuration, request)
        missing = [pathlib.Path(str(d)).parent for d in destinations if isinstance(d, Directory)]
        if all(path.is_dir() for path in missing):
            break
        for path in missing:
            path.mkdir(parents=True, exist_ok=True)
    return destinations


def _directories(server: Apache, *patterns: str) -> List[pathlib.Path]:
    """The directories of sites, and all below them. Since Python 3.13, ``**`` matches files as well."""
    return [path for pattern in patterns for path in server.directory.glob(f"{pattern}/**") if path.is_dir()]


def _other_files_served(server: Apache, cases: Sequence[_Case]) -> List[str]:
    """Files that httpd serves where the evaluator names none."""
    # A document root may have the token as its name.
    files = [path / TOKEN for path in _directories(server, "main", "s*") if not (path / TOKEN).is_dir()]
    for file in files:
        file.write_text(f"file {file}")
    answers = [(case, answer_without_query(case.request)) for case in cases]
    for file in files:
        file.unlink()
    mismatches = []
    for case, answer in answers:
        if answer.startswith("file "):
            file = pathlib.Path(answer[5:])
            file.write_text(answer)
            if answer_without_query(case.request) == answer:
                mismatches.append(_mismatch(server, case, f"httpd serves {answer}"))
            file.unlink()
    return mismatches


def _mismatch(server: Apache, case: _Case, what: str) -> str:
    trail = " > ".join(str(step) for step in case.destinations[0].trail)
    return (f"{server.directory.name} site {case.site} {case.request.url} at {case.request.endpoint}:\n"
            f"  we say {described(case.destinations)}\n  by {trail}\n  {what}")


def main() -> int:
    """Run many batches and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=5000, help="configurations")
    arguments.add_argument("--seed", type=int, default=0, help="the first batch")
    arguments.add_argument("--named-line", action="store_true", help="hold so many lines that dead ends name")
    arguments.add_argument("--directory", help="keep the configurations there")
    given = arguments.parse_args()
    net.enter_private_namespace()
    began = time.monotonic()
    counts: typing.Counter[str] = Counter()
    mismatches: List[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(given.directory or temporary)
        seed = given.seed
        while counts["named lines" if given.named_line else "configurations"] < given.count:
            mismatches += (wrong_lines if given.named_line else run_batch)(seed, directory, counts)
            seed += 1
    for text in mismatches:
        print(text)
    print(f"{len(mismatches)} disagreements in {time.monotonic() - began:.0f} s;",
          ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
