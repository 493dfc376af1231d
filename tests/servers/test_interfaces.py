"""The interfaces for other packages, and what these may do wrong."""
from typing import Any
from typing import List

import pytest
from zope.interface.verify import verifyClass
from zope.interface.verify import verifyObject

from certbot_autowebroot.interfaces import IForwardsChallenges
from certbot_autowebroot.interfaces import IHasSnippet
from certbot_autowebroot.interfaces import IReloads
from certbot_autowebroot.interfaces import IResponder
from certbot_autowebroot.interfaces import IRestarts
from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.responders.standalone import StandaloneResponder
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.routing.holders import IdentifiedProgram
from certbot_autowebroot.servers import registry
from certbot_autowebroot.system.processes import Process
from tests.lab.other_package import BeeWeb
from tests.lab.other_package import register
from tests.lab.table import request

PROCESS = Process(pid=42, parent=1, start_time=7, name="beeweb", argv=("beeweb",), exe=PathInView("/usr/bin/beeweb"),
                  cwd=PathInView("/"), uid=0)


class Broken(BeeWeb):
    """One that fails when it is asked."""

    def ask(self, process: Process, request: Any) -> List[Directory]:
        raise RecursionError("too deep")


@pytest.mark.parametrize("server", registry.BUILT_IN, ids=lambda server: server.name)
def test_every_built_in_server_implements_its_interfaces(server: registry.Server) -> None:
    """Its evaluator provides IWebServer, its parts the optional interfaces: methods and signatures."""
    assert verifyObject(IWebServer, server.make_evaluator())
    for name in server.parts:
        part = server.part(name)
        assert verifyObject({registry.SNIPPET: IHasSnippet, registry.CONTROL: IReloads,
                             registry.FORWARDING: IForwardsChallenges}[name], part)
        assert not IRestarts.providedBy(part) or verifyObject(IRestarts, part)


@pytest.mark.parametrize("responder", [StandaloneResponder, WebrootResponder])
def test_every_responder_implements_its_interface(responder: Any) -> None:
    """Methods and signatures are those of IResponder."""
    assert verifyClass(IResponder, responder)


def test_another_package_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """AnyProgram, our last, recognises every process."""
    assert isinstance(register(monkeypatch, BeeWeb).for_process(PROCESS), BeeWeb)


def test_import_error_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not stop a renewal; the other packages are asked."""
    found = register(monkeypatch, ImportError("no module named bees"), BeeWeb)
    assert isinstance(found.for_process(PROCESS), BeeWeb)


def test_one_that_fails_when_asked_costs_its_answer_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back is Unknown, with the reason; hints and other names go on."""
    holder = IdentifiedProgram(PROCESS, register(monkeypatch, Broken))
    answer, = holder.ask(request())
    assert isinstance(answer, Unknown) and "too deep" in answer.reason


def test_same_instance_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps the configuration that it has read."""
    found = register(monkeypatch)
    assert found.for_process(PROCESS) is found.for_process(PROCESS)
