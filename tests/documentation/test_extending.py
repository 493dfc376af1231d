"""The example in docs/extending.rst runs."""
import itertools
import os
import signal
import textwrap
from pathlib import Path
from typing import Any
from typing import Dict
from typing import List
from typing import Tuple

import pytest
from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IHasSnippet
from certbot_autowebroot.interfaces import IReloads
from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.interfaces import SiteLines
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Source
from certbot_autowebroot.servers import registry
from tests.lab.table import FRONT
from tests.lab.table import TOKEN
from tests.lab.table import process_of
from tests.lab.table import request

DOCUMENT = Path(__file__).parents[2] / "docs" / "extending.rst"


def blocks() -> List[str]:
    """The code blocks of the document."""
    found = []
    for text in DOCUMENT.read_text().split(".. code-block:: python\n")[1:]:
        block = list(itertools.takewhile(lambda line: not line or line.startswith("    "), text.splitlines()))
        found.append(textwrap.dedent("\n".join(block)))
    return found


def example(configuration: str) -> Dict[str, Any]:
    """The names that the first two blocks define."""
    namespace: Dict[str, Any] = {}
    for code in blocks()[:2]:
        code = code.replace("/etc/beeweb.conf", configuration)
        exec(compile(code, str(DOCUMENT), "exec"), namespace)  # noqa: S102 - our own document
    return namespace


def test_the_example_finds_the_directory(tmp_path: Path) -> None:
    """And implements IWebServer."""
    (tmp_path / "beeweb.conf").write_text("x.sample.com /srv/x\nwww.sample.com /srv/bees/www\n")
    server = example(str(tmp_path / "beeweb.conf"))["BeeWeb"]
    assert verifyClass(IWebServer, server)
    assert server().recognises(process_of("beeweb"))
    found, = server().ask(process_of("beeweb"), request())
    assert isinstance(found, Directory)
    assert str(found) == f"/srv/bees/www/.well-known/acme-challenge/{TOKEN}"
    assert str(found.trail[0]) == f"www.sample.com /srv/bees/www ({tmp_path}/beeweb.conf:2)"
    assert isinstance(server().ask(process_of("beeweb"), request("other.sample.com"))[0], DeadEnd)


def test_the_examples_optional_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines for a site and for all sites, a test of the configuration, and a signal."""
    conf = tmp_path / "beeweb.conf"
    conf.write_text("www.sample.com /srv/bees/www\n")
    server = example(str(conf))["BeeWebWithParts"]
    assert verifyClass(IWebServer, server) and verifyClass(IHasSnippet, server) and verifyClass(IReloads, server)
    beeweb, process = server(), process_of("beeweb")
    directory, = beeweb.ask(process, request())
    lines = beeweb.for_site(process, request(), directory.trail, "/srv/acme")
    assert lines == SiteLines(Source(str(conf), 1), ("www.sample.com /srv/acme",), f"in place of {conf}:1",
                              "reload beeweb")
    assert beeweb.for_site(process, request(), (), "/srv/acme") is None
    assert beeweb.for_every_site("/srv/acme") == f"# In {conf}, for each name:\n# NAME /srv/acme\n"
    assert beeweb.main_process(process) is process
    assert beeweb.config_error(process) == ""
    conf.write_text("www.sample.com\n")
    assert beeweb.config_error(process) == "not two words: www.sample.com"
    sent: List[Tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    assert beeweb.reload(process, FRONT) == f"SIGHUP to process {process.pid}"
    assert sent == [(process.pid, signal.SIGHUP)]


def test_the_line_for_the_registry() -> None:
    """It is one as those that are there."""
    server = eval(blocks()[2].strip().rstrip(","), vars(registry))  # noqa: S307 - our own document
    assert server.executables == ("beeweb", "beeweb-debug")
    assert server.parts == registry.BUILT_IN[0].parts
