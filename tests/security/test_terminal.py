"""What strangers write is shown to root without what moves a terminal's cursor, or looks like a line of ours."""
import os
import shutil
from pathlib import Path
from typing import Callable
from typing import ContextManager

import pytest

from certbot_autowebroot import explain
from certbot_autowebroot.journal import Journal
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from tests.lab.nginx import Nginx
from tests.lab.programs import Program
from tests.responders.site import CONTENT
from tests.responders.site import Site
from tests.responders.site import new_site
from tests.security import children
from tests.test_solver import NAME
from tests.test_solver import names
from tests.test_solver import place
from tests.test_solver import solved

__all__ = ["names", "place"]  # fixtures

EVIL = "x\033[2J\nNothing failed. Run evil"


def program(place: Path) -> ContextManager[object]:
    """The name of an executable."""
    (place / "bin").mkdir()
    shutil.copy("/bin/busybox", place / "bin" / EVIL)
    return Program(["httpd", "-f", "-p", "80"], place / "bin", executable=str(place / "bin" / EVIL))


def answer(place: Path) -> ContextManager[object]:
    """What comes back, and what a configuration says."""
    return Nginx(place / "nginx", f'server {{ listen 80; return 404 "{EVIL}"; }}')


def redirect(place: Path) -> ContextManager[object]:
    """Where it leads to."""
    return Nginx(place / "nginx", 'server { listen 80; return 302 "http://other.sample.org/\033[2J"; }')


def root(place: Path) -> ContextManager[object]:
    """The name of a directory."""
    return Nginx(place / "nginx", f'server {{ listen 80; root "{place}/{EVIL}"; }}')


@pytest.mark.parametrize("make", [program, answer, redirect, root])
def test_an_error_is_printable(place: Path, make: Callable[[Path], ContextManager[object]]) -> None:
    """Names of programs and directories, lines of configurations and answers are told, escaped."""
    with make(place), solved(place) as solver:
        said = explain.failures([solver.inquiries[NAME]])
    assert "\\x1b[2J" in said
    assert [c for c in said if not c.isprintable() and c != "\n"] == []
    assert not [line for line in said.split("\n") if line.startswith("Nothing failed")]


def test_what_is_removed_is_printable() -> None:
    """The sweep's sentences, in which a path is."""
    with new_site() as site:
        root = site.make(EVIL)

        def act(site: Site = site) -> None:
            WebrootResponder(site.view, Directory(PathInView(root), "d/token"), site.journal).publish(CONTENT)

        assert os.waitpid(children.start(act), 0)[1] == 0
        said = Journal(site.journal_directory).sweep()
    assert len(said) == 2
    assert all(sentence.isprintable() for sentence in said)
