"""The seams for third parties, and what they may do wrong."""
import importlib
from importlib import metadata
from typing import Any
from typing import List

import pytest
from zope.interface import implementer
from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IResponder
from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.responders.standalone import StandaloneResponder
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.routing.holders import IdentifiedProgram
from certbot_autowebroot.servers import registry
from certbot_autowebroot.system.processes import Process
from tests.lab.table import request

PROCESS = Process(pid=42, parent=1, start_time=7, name="beeweb", argv=("beeweb",), exe=PathInView("/usr/bin/beeweb"),
                  cwd=PathInView("/"), uid=0)


@implementer(IWebServer)
class BeeWeb:
    """What another package would register."""

    name = "beeweb"

    def recognises(self, process: Process) -> bool:
        return process.name == "beeweb"

    def ask(self, process: Process, request: Any) -> List[Directory]:
        return [Directory(PathInView("/srv/bees"), request.path.lstrip("/"))]


class Broken(BeeWeb):
    """One that fails when it is asked."""

    def ask(self, process: Process, request: Any) -> List[Directory]:
        raise RecursionError("too deep")


class Registered:
    """An entry point, whose class is made here instead of loaded from a package."""

    def __init__(self, made: Any) -> None:
        self._made = made

    def load(self) -> Any:
        if isinstance(self._made, Exception):
            raise self._made
        return self._made


def register(monkeypatch: pytest.MonkeyPatch, *made: Any) -> registry.WebServers:
    """The web servers with these in the entry point group."""
    class EntryPoints:
        def select(self, group: str) -> List[Registered]:
            return [Registered(each) for each in made] if group == "certbot_autowebroot.web_servers" else []
    monkeypatch.setattr(metadata, "entry_points", EntryPoints)
    return registry.WebServers()


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_every_web_server_of_ours_keeps_to_the_seam(name: str) -> None:
    """Methods and signatures are those of IWebServer."""
    module, _, attribute = name.partition(":")
    assert verifyClass(IWebServer, getattr(importlib.import_module(f"certbot_autowebroot.servers.{module}"), attribute))


@pytest.mark.parametrize("responder", [StandaloneResponder, WebrootResponder])
def test_every_responder_keeps_to_the_seam(responder: Any) -> None:
    """Methods and signatures are those of IResponder."""
    assert verifyClass(IResponder, responder)


def test_another_packages_web_server_is_asked_before_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """AnyProgram, our last, recognises every process."""
    assert isinstance(register(monkeypatch, BeeWeb).for_process(PROCESS), BeeWeb)


def test_one_that_cannot_be_loaded_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's package must not stop a renewal."""
    found = register(monkeypatch, ImportError("no module named bees"), BeeWeb)
    assert isinstance(found.for_process(PROCESS), BeeWeb)


def test_one_that_fails_when_asked_costs_its_answer_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back is Unknown, with the reason; hints and other names go on."""
    holder = IdentifiedProgram(PROCESS, register(monkeypatch, Broken))
    answer, = holder.ask(request())
    assert isinstance(answer, Unknown) and "too deep" in answer.reason


def test_without_other_packages_ours_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same instance again, which keeps what it has read."""
    found = register(monkeypatch)
    assert found.for_process(PROCESS) is found.for_process(PROCESS)
