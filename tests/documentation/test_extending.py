"""The example in docs/extending.rst is run as it stands there."""
import textwrap
from pathlib import Path
from typing import Any
from typing import Dict
from typing import List

from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.views import View
from tests.lab.table import TOKEN
from tests.lab.table import request

DOCUMENT = Path(__file__).parents[2] / "docs" / "extending.rst"


def example(configuration: str) -> Dict[str, Any]:
    """The names that the example defines."""
    _, _, rest = DOCUMENT.read_text().partition(".. code-block:: python\n")
    block: List[str] = []
    for line in rest.splitlines():
        if line and not line.startswith("    "):
            break
        block.append(line)
    namespace: Dict[str, Any] = {}
    code = textwrap.dedent("\n".join(block)).replace("/etc/beeweb.conf", configuration)
    exec(compile(code, str(DOCUMENT), "exec"), namespace)  # noqa: S102 - our own document
    return namespace


def process() -> Process:
    found = Process(pid=42, parent=1, start_time=7, name="beeweb", argv=("beeweb",), exe=PathInView("/usr/bin/beeweb"),
                    cwd=PathInView("/"), uid=0)
    found.__dict__["view"] = View.of_host()
    return found


def test_the_example_keeps_to_the_seam_and_finds_the_directory(tmp_path: Path) -> None:
    """Whoever copies it has something that works."""
    (tmp_path / "beeweb.conf").write_text("x.sample.com /srv/x\nwww.sample.com /srv/bees/www\n")
    server = example(str(tmp_path / "beeweb.conf"))["BeeWeb"]
    assert verifyClass(IWebServer, server)
    assert server().recognises(process())
    found, = server().ask(process(), request())
    assert isinstance(found, Directory)
    assert str(found) == f"/srv/bees/www/.well-known/acme-challenge/{TOKEN}"
    assert str(found.trail[0]) == f"www.sample.com /srv/bees/www ({tmp_path}/beeweb.conf:2)"
    assert isinstance(server().ask(process(), request("other.sample.com"))[0], DeadEnd)
