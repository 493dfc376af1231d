"""Text of other users reaches root's terminal without control characters and line breaks."""
import logging
import os
import shutil
import socket
from pathlib import Path
from typing import Callable
from typing import ContextManager

import pytest

from certbot_autowebroot.order import messages
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.standalone import Listeners
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.system import addresses
from tests.lab import children
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import Site
from tests.lab.hostile_site import new_site
from tests.lab.nginx import Nginx
from tests.lab.orders import NAME
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved
from tests.lab.programs import Program

__all__ = ["names", "place"]  # fixtures

pytestmark = pytest.mark.lab

EVIL = "x\033[2J\nNothing failed. Run evil"


def program(place: Path) -> ContextManager[object]:
    """The name of an executable."""
    (place / "bin").mkdir()
    shutil.copy("/bin/busybox", place / "bin" / EVIL)
    return Program(["httpd", "-f", "-p", "80"], place / "bin", executable=str(place / "bin" / EVIL))


def answer(place: Path) -> ContextManager[object]:
    """The body of an answer, and the text of a configuration."""
    return Nginx(place / "nginx", f'server {{ listen 80; return 404 "{EVIL}"; }}')


def redirect(place: Path) -> ContextManager[object]:
    """The target of a redirect."""
    return Nginx(place / "nginx", 'server { listen 80; return 302 "http://other.sample.org/\033[2J"; }')


def root(place: Path) -> ContextManager[object]:
    """The name of a directory."""
    return Nginx(place / "nginx", f'server {{ listen 80; root "{place}/{EVIL}"; }}')


@pytest.mark.parametrize("make", [program, answer, redirect, root])
def test_error_is_printable(place: Path, make: Callable[[Path], ContextManager[object]]) -> None:
    """Names of programs and directories, lines of configurations and answers are escaped."""
    with make(place), solved(place) as solver:
        text = messages.order_stopped([solver.outcomes[NAME]])
    assert "\\x1b[2J" in text
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    assert not [line for line in text.split("\n") if line.startswith("Nothing failed")]


def unresolved(place: Path) -> ContextManager[object]:
    """A name of an upstream."""
    return Nginx(place / "nginx", f'server {{ listen 80; location / {{ set $to "{EVIL}"; proxy_pass http://$to; }} }}')


@pytest.mark.parametrize("make", [program, root, unresolved])
def test_log_is_printable(
        place: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], ContextManager[object]]) -> None:
    """``certbot -vv`` shows it."""
    caplog.set_level(logging.DEBUG)
    with make(place), solved(place):
        pass
    assert "[2J" in caplog.text
    assert [record.getMessage() for record in caplog.records if not record.getMessage().isprintable()] == []


def test_log_of_requests_is_printable(caplog: pytest.LogCaptureFixture) -> None:
    """The responder's listener logs its requests."""
    caplog.set_level(logging.DEBUG)
    listeners = Listeners()
    listeners.listen_at(Endpoint("127.0.0.1", 8402))
    with socket.create_connection(("127.0.0.1", 8402)) as visitor:
        visitor.sendall(b"GET /.well-known/acme-challenge/\033[2J HTTP/1.0\r\n\r\n")
        while visitor.recv(4096):
            pass
    listeners.stop()
    assert "\\x1b[2J" in caplog.text
    assert [record.getMessage() for record in caplog.records if not record.getMessage().isprintable()] == []


@pytest.mark.parametrize("name", ["\udcff", "x\033[2J", "x" * 300])
def test_unresolved_name_is_printable(caplog: pytest.LogCaptureFixture, name: str) -> None:
    """Also bytes that are not UTF-8, which the log file would not accept."""
    caplog.set_level(logging.DEBUG)
    assert addresses.resolve(name) == []
    assert caplog.messages[0].isprintable()


def test_report_of_a_removal_is_printable() -> None:
    """The sweep's sentences name paths."""
    with new_site() as site:
        root = site.make(EVIL)

        def act(site: Site = site) -> None:
            WebrootResponder(site.view, Directory(PathInView(root), "d/token"), site.journal).publish(CONTENT)

        assert os.waitpid(children.start(act), 0)[1] == 0
        sentences = Journal(site.journal_directory).sweep()
    assert len(sentences) == 2
    assert all(sentence.isprintable() for sentence in sentences)


def test_report_of_a_failed_removal_is_printable() -> None:
    """A link in the path is named with its target."""
    with new_site() as site:
        root = site.make("www/x")

        def act(site: Site = site) -> None:
            WebrootResponder(site.view, Directory(PathInView(root), "d/token"), site.journal).publish(CONTENT)

        assert os.waitpid(children.start(act), 0)[1] == 0
        os.rename(root, site.path("away"))
        site.make(EVIL, 0)
        site.link("www/x", site.path(EVIL), 61001)
        sentences = Journal(site.journal_directory).sweep()
    assert len(sentences) == 2
    assert all("[2J" in sentence and sentence.isprintable() for sentence in sentences)
