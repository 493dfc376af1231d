"""Random Apache configurations, held against a real httpd: ``python -m tests.lab.random.apache --count 5000``.

A configuration is one ``<VirtualHost>`` with directories and .htaccess files of its own. Several make a batch, which
one httpd runs, so that they compete for names and addresses too. A seed names a batch for good. Run by hand, it
enters a network namespace of its own, as pytest does; most of its time goes into files, so TMPDIR is best a tmpfs.
"""
import argparse
import http.client
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
from typing import List
from typing import Sequence
from urllib.parse import unquote

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Unknown
from tests.lab import net
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.random.apache_generator import ADDRESSES
from tests.lab.random.apache_generator import ASKED_NAMES
from tests.lab.random.apache_generator import Generator
from tests.lab.random.apache_oracle import NAMES
from tests.lab.random.apache_oracle import PATH
from tests.lab.random.apache_oracle import TOKEN
from tests.lab.random.apache_oracle import Asked
from tests.lab.random.apache_oracle import Evaluators
from tests.lab.random.apache_oracle import backends
from tests.lab.random.apache_oracle import fetch
from tests.lab.random.apache_oracle import ours

SITES_PER_BATCH = 50

@dataclass
class _Case:
    """One request, and what we say of it."""

    number: int
    asked: Asked
    destinations: List[Destination]


def hold(seed: int, directory: pathlib.Path, counts: typing.Counter[str]) -> List[str]:
    """Run one batch and return what we and httpd disagree on; ``counts`` gets the kinds of our answers."""
    generator = Generator(seed)
    present = Random(f"directories {seed}")  # noqa: S311
    top = directory / f"batch{seed}"
    server = Apache(top, generator.main(), (*DEFAULT_MODULES, "access_compat", "cgid", "env", "status"), ["-DACME"])
    for name in ("sites", "fragments"):
        (top / name).mkdir()
    (top / "fragments" / "root.inc").write_text(f"DocumentRoot {top}/main\n")
    (top / "fragments" / "x.inc").write_text("<IfDefine ACME>\nAlias /site {dir}/main/site\n</IfDefine>\n"
                                             .replace("{dir}", str(top)))
    _directories(top / "main")
    for number in range(SITES_PER_BATCH):
        for root in ("a", "b", "c"):
            # Where a directory is missing, httpd takes what follows for path info.
            _directories(top / f"s{number}" / root, NAMES if present.random() < 0.5 else present.sample(NAMES, 1))
        (top / f"s{number}" / "hosts" / f"n{number}.test").mkdir(parents=True)
        (top / "sites" / f"{number}.conf").write_text(generator.site(number).replace("{dir}", str(top)))
        for place in ("a", "b", "a/acme"):
            text = generator.htaccess(number)
            if text and (top / f"s{number}" / place).is_dir():
                (top / f"s{number}" / place / ".htaccess").write_text(text.replace("{dir}", str(top)))
    with backends(top):
        _start(server, counts)
        try:
            return _ask(server, Random(seed), counts)  # noqa: S311
        finally:
            server.stop()


def _directories(root: pathlib.Path, names: Sequence[str] = NAMES) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)


def _start(server: Apache, counts: typing.Counter[str]) -> None:
    """Start it; a virtual host that httpd refuses is left out, as it is no configuration then."""
    while True:
        try:
            server.start()
            return
        except AssertionError as error:
            where = re.search(r"line \d+ of (\S+/sites/\d+\.conf)", str(error))
            if where is None:
                raise
            os.unlink(where[1])
            counts["refused"] += 1


def _ask(server: Apache, random: Random, counts: typing.Counter[str]) -> List[str]:
    evaluators = Evaluators(server)
    found: List[str] = []
    cases: List[_Case] = []
    sites = sorted(int(path.stem) for path in (server.directory / "sites").iterdir())
    counts["configurations"] += len(sites)
    for number in sites:
        text = (server.directory / "sites" / f"{number}.conf").read_text()
        for template in random.sample(ASKED_NAMES, 3):
            query = "?x=y&b" if random.random() < 0.1 else ""
            asked = Asked(template.replace("{n}", f"n{number}"), PATH + query, address=_address(text, random),
                          port=8000 if ":8000>" in text or random.random() < 0.05 else 80)
            first = evaluators.destinations(asked, evaluators.dumped)
            has_roots = all(os.path.isdir(end.root) for end in first if isinstance(end, Directory))
            case = _Case(number, asked, _evaluated(evaluators, asked))
            cases.append(case)
            counts["answers"] += 1
            counts[type(case.destinations[0]).__name__] += 1
            counts["alternatives"] += len(case.destinations) > 1
            # Directories below a root come with the challenge, and so change nothing; a root that is missing does.
            if has_roots and set(_all_ours(first)) != set(_all_ours(case.destinations)):
                found.append(_told(server, case, f"before its directories were there we said {_all_ours(first)}"))
            read = evaluators.destinations(asked, evaluators.read)
            if ours(read) != ours(case.destinations):
                found.append(_told(server, case, f"the files say {ours(read)}"))
    empty = [case for case in cases if not isinstance(case.destinations[0], Unknown)]
    for case in empty:
        found += _empty_handed(server, case)
    return found + _serving_another(server, [case for case in empty if not any(
        isinstance(destination, Directory) for destination in case.destinations)])


def _address(text: str, random: Random) -> str:
    """Mostly one that the virtual host is for."""
    own = [address for address in ADDRESSES if address in text.partition("\n")[0]]
    return random.choice(own if own and random.random() < 0.9 else ADDRESSES)


def _evaluated(evaluators: Evaluators, asked: Asked) -> List[Destination]:
    """What we say once the directories are there that we name: nobody would name them otherwise."""
    for _ in range(4):
        destinations = evaluators.destinations(asked, evaluators.dumped)
        missing = [pathlib.Path(str(d)).parent for d in destinations if isinstance(d, Directory)]
        if all(path.is_dir() for path in missing):
            break
        for path in missing:
            path.mkdir(parents=True, exist_ok=True)
    return destinations


def _empty_handed(server: Apache, case: _Case) -> List[str]:
    """Whether httpd does what we say, with no files but those that we have named."""
    files = [pathlib.Path(str(d)) for d in case.destinations if isinstance(d, Directory)]
    if any(file.is_dir() for file in files):
        return []  # another's document root, which was named after the token
    for file in files:
        file.write_text(f"file {file}")
    answer = _fetched(case.asked)
    for file in set(files):
        file.unlink()
    if answer == "none" and _has_crashed(server):
        return []
    said = _all_ours(case.destinations)
    said += ["index"] if any(isinstance(end, DeadEnd) and end.reason.endswith("a slash: no file answers")
                             for end in case.destinations) else []
    # Where a condition cannot be known, the dead end that its other answer leads to is not told; a redirect that needs
    # our file to be there is one as well.
    said += ["none", "elsewhere"] if any(text in step.text for d in case.destinations for step in d.trail
                            for text in ("taken as", "who asks decides")) else []
    return [] if _agree(answer, said) else [_told(server, case, f"httpd says {answer}")]


def _has_crashed(server: Apache) -> bool:
    """Whether httpd fell over: it does so at ``%1`` after a ``RewriteCond expr`` without groups.

    The parent looks after its children once a second.
    """
    time.sleep(1.5)
    return "exit signal Segmentation fault" in server.log


def _all_ours(destinations: Sequence[Destination]) -> List[str]:
    return [word for destination in destinations for word in ours([destination])]


def _fetched(asked: Asked) -> str:
    try:
        answer = fetch(asked)
    except (OSError, http.client.HTTPException):
        return "none"
    return unquote(answer.partition("?")[0]) if answer.startswith("upstream ") else answer


def _agree(answer: str, said: Sequence[str]) -> bool:
    # mod_dir's redirect to a directory: no file of ours either way.
    nothing = answer.startswith("none") or (answer.startswith("301 http://") and answer.partition("?")[0].endswith("/"))
    # A directory's index may be passed on or redirected, which has lost the token.
    nothing = nothing or (answer.startswith(("upstream ", "30")) and TOKEN not in answer
                          and bool({"index", "elsewhere"} & set(said)))
    return answer in said or (nothing and "none" in said)


def _serving_another(server: Apache, cases: Sequence[_Case]) -> List[str]:
    """Whether httpd serves a file where we say that it serves none."""
    files = [path / TOKEN for top in ("main", "s*") for path in server.directory.glob(f"{top}/**")
             if not (path / TOKEN).is_dir()]  # a document root may be named after the token
    for file in files:
        file.write_text(f"file {file}")
    served = [(case, answer) for case in cases for answer in [_fetched(case.asked)] if answer.startswith("file ")]
    for file in files:
        file.unlink()
    found = []
    for case, answer in served:
        file = pathlib.Path(answer[5:])
        file.write_text(answer)
        if _fetched(case.asked) == answer:
            found.append(_told(server, case, f"httpd serves {answer}"))
        file.unlink()
    return found


def _told(server: Apache, case: _Case, what: str) -> str:
    trail = " | ".join(str(step) for step in case.destinations[0].trail)
    said = ours(case.destinations)
    return f"{server.directory.name} site {case.number} {case.asked}\n  we say {said}; {what}\n  {trail}"


def main() -> int:
    """Hold many, print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=5000, help="configurations")
    arguments.add_argument("--seed", type=int, default=0, help="the first batch")
    arguments.add_argument("--directory", help="keep the configurations there")
    given = arguments.parse_args()
    net.enter_private_namespace()
    began = time.monotonic()
    counts: typing.Counter[str] = Counter()
    found: List[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        seed = given.seed
        while counts["configurations"] < given.count:
            found += hold(seed, pathlib.Path(given.directory or temporary), counts)
            seed += 1
    for text in found:
        print(text)
    print(f"{len(found)} disagreements in {time.monotonic() - began:.0f} s;",
          ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
