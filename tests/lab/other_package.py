"""A web server of another package, and its entry point."""
from importlib import metadata
from typing import Any
from typing import List

import pytest
from zope.interface import implementer

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.servers import registry
from certbot_autowebroot.system.processes import Process


@implementer(IWebServer)
class BeeWeb:
    """A web server of another package."""

    name = "beeweb"

    def recognises(self, process: Process) -> bool:
        return process.name == "beeweb"

    def ask(self, process: Process, request: Any) -> List[Directory]:
        return [Directory(PathInView("/srv/bees"), request.path.lstrip("/"))]


class Registered:
    """An entry point, whose class is made here instead of loaded from a package."""

    def __init__(self, made: Any) -> None:
        self.name = getattr(made, "name", "broken")
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
