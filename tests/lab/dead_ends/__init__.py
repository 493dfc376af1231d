"""Dead ends that people have met: each a configuration that answers the CA with something else than its file.

Each server has a table of them: bug reports, templates of hosting panels, ``.htaccess`` files, recipes. What is printed
for a dead end is done literally by :class:`~tests.lab.dead_ends.reader.Reader`, and the name is served.
"""
import re
import subprocess
from pathlib import Path
from typing import Any
from typing import Callable
from typing import ContextManager
from typing import Dict
from typing import Iterable
from typing import Mapping
from typing import NamedTuple

from tests.lab import net
from tests.lab.ca import CA
from tests.lab.dead_ends.reader import Reader
from tests.lab.programs import Program

#: The endpoint of an application that knows no challenges.
APPLICATION = "127.0.0.1:8001"


def running_application(directory: Path) -> Program:
    """That application; its working directory holds no file that is served."""
    host, port = APPLICATION.split(":")
    script = f"require('http').createServer((q, r) => {{ r.statusCode = 404; r.end('no') }}).listen({port}, '{host}')"
    return Program(["node", "-e", script], directory, port=int(port))


class DeadEnd(NamedTuple):
    """A configuration with a dead end for one name.

    :ivar text: what the server's frame takes for one site. ``{name}`` is the name, ``{dir}`` a directory for it alone,
        ``{app}`` the application, and ``{id}`` an identifier.
    :ivar setup: commands of a shell that make its files, run in that directory.
    :ivar alone: it, or its remedy, changes how other sites are answered too.
    :ivar has_v6: the name has an IPv6 address too.
    :ivar remote: a name on another machine.
    :ivar path: the directory that its owner gives with ``--autowebroot-path``, where that is the remedy.
    """

    text: str
    setup: str = ""
    alone: bool = False
    has_v6: bool = False
    remote: str = ""
    path: str = ""


class Case:
    """One dead end below a directory.

    :ivar name: the name.
    :ivar file: its site's file.
    :ivar text: its content, which the server's frame writes or includes.
    :ivar options: of the second check.
    """

    def __init__(self, key: str, dead_end: DeadEnd, directory: Path, ca: CA) -> None:
        self.key = key
        self.name = re.sub("[^a-z0-9]+", "-", key.lower()) + ".sample.com"
        own = directory / self.name
        own.mkdir(mode=0o755)
        self._values = {"{name}": self.name, "{dir}": str(own), "{app}": APPLICATION,
                        "{id}": re.sub("[^a-z]", "_", key.lower())}
        subprocess.run(["sh", "-e", "-c", self._filled(dead_end.setup)], cwd=own, check=True)
        self.file = own / "site.conf"
        self.text = self._filled(dead_end.text)
        self.options = ["--path", self._filled(dead_end.path)] if dead_end.path else []
        if dead_end.has_v6:
            ca.resolve(self.name, [net.PUBLIC_V4], [net.PUBLIC_V6])
        if dead_end.remote:
            ca.resolve(self._filled(dead_end.remote), ["192.0.2.9"])

    def _filled(self, text: str) -> str:
        for value, replacement in self._values.items():
            text = text.replace(value, replacement)
        return text


def follow_remedies(make: Callable[..., ContextManager[Any]], dead_ends: Mapping[str, DeadEnd], directory: Path,
                    check: Callable[..., str], ca: CA,
                    when_served: Callable[[Iterable[str]], None] = lambda names: None) -> Dict[str, str]:
    """Do what is printed for each dead end; returns what is wrong, by its key.

    :param make: makes a server below a directory, for the files of sites and their content.
    :param check: runs ``check`` with these arguments; returns what it prints.
    :param when_served: called with the names, once all are served.
    """
    cases = [Case(key, dead_end, directory, ca) for key, dead_end in dead_ends.items()]
    wrong: Dict[str, str] = {}
    with make(directory, {case.file: case.text for case in cases}) as server:
        said = _by_name(check(*(case.name for case in cases)), cases)
        reader = Reader(directory)
        for case in cases:
            try:
                assert ": good" not in said[case.name].partition("\n")[0], "no dead end"
                reader.follow(case.name, said[case.name])
            except AssertionError as error:
                wrong[case.key] = f"{error}\n{said[case.name]}"
        reader.edit()
        reader.run_commands()
        server.reload()
        options = [option for case in cases for option in case.options]
        again = _by_name(check(*options, *(case.name for case in cases)), cases)
        for case in cases:
            if f"{case.name}: good" not in again[case.name]:
                wrong.setdefault(case.key, f"{said[case.name]}\nthen:\n{again[case.name]}")
        if not wrong:
            when_served(case.name for case in cases)
    return wrong


def _by_name(printed: str, cases: Iterable[Case]) -> Dict[str, str]:
    """What ``check`` printed of each name."""
    parts = re.split(rf"(?m)^(?=(?:{'|'.join(re.escape(case.name) for case in cases)}): )", printed)
    return {part.partition(":")[0]: part for part in parts if part}
