"""Dead ends of real servers: what is printed for each is done literally, and the name is served."""
from pathlib import Path
from types import ModuleType
from typing import Any
from typing import Dict
from typing import Iterable
from typing import Iterator
from typing import List

import pytest

from certbot_autowebroot.cli import __main__ as cli
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.dead_ends import DeadEnd
from tests.lab.dead_ends import apache
from tests.lab.dead_ends import caddy
from tests.lab.dead_ends import follow_remedies
from tests.lab.dead_ends import haproxy
from tests.lab.dead_ends import lighttpd
from tests.lab.dead_ends import nginx
from tests.lab.dead_ends import running_application
from tests.lab.dead_ends import varnish
from tests.lab.shared_directory import empty_www

pytestmark = pytest.mark.lab

#: Each has ``make`` and ``DEAD_ENDS``. The first ones' sites are independent of each other.
TOGETHER = (nginx, apache, caddy)
ALONE = (lighttpd, haproxy, varnish)


@pytest.fixture(scope="module", autouse=True)
def application(lab_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's program instead of a directory; its own working directory holds no file that is served."""
    with running_application(tmp_path_factory.mktemp("app")):
        yield


@pytest.fixture(autouse=True)
def www() -> Iterator[None]:
    with empty_www():
        yield


def parameters() -> List[Any]:
    """One server for many dead ends, or for one that it cannot share."""
    found = [pytest.param(server, {key: dead_end for key, dead_end in server.DEAD_ENDS.items() if not dead_end.alone},
                          id=_name(server)) for server in TOGETHER]
    found += [pytest.param(server, {key: dead_end}, id=f"{_name(server)}: {key}")
              for server in (*TOGETHER, *ALONE) for key, dead_end in server.DEAD_ENDS.items()
              if server in ALONE or dead_end.alone]
    return found


def _name(server: ModuleType) -> str:
    return server.__name__.rpartition(".")[2]


@pytest.mark.parametrize(("server", "dead_ends"), parameters())
def test_remedy_works(server: Any, dead_ends: Dict[str, DeadEnd], certbot: Certbot, ca: CA, place: Path,
                      capsys: "pytest.CaptureFixture[str]") -> None:
    """The lines, commands and options work as they are printed; for many names, one certificate has them all."""
    def check(*arguments: str) -> str:
        cli.main(["check", "--work-dir", str(place / "work"), *arguments])
        return capsys.readouterr().out

    def get_certificate(names: Iterable[str]) -> None:
        done = certbot.run("certonly", "-a", "autowebroot", *(word for name in names for word in ("-d", name)))
        assert done.returncode == 0, done.stdout
    wrong = follow_remedies(server.make, dead_ends, place, check, ca,
                            get_certificate if len(dead_ends) > 1 else lambda names: None)
    assert not wrong, "\n\n".join(f"== {key}: {text}" for key, text in wrong.items())
