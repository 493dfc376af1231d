"""A directory that the server's user may not enter is named, and the printed command opens it."""
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Callable
from typing import ContextManager

import pytest

from certbot_autowebroot.order import messages
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.system import access
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.nginx import Nginx
from tests.lab.orders import NAME
from tests.lab.orders import make
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved

__all__ = ["names", "place"]  # fixtures

pytestmark = pytest.mark.lab


def nginx(place: Path) -> "ContextManager[object]":
    return Nginx(place / "nginx", f"server {{ listen 80; root {place}/home/site; }}", user="www-data")


def nginx_alias(place: Path) -> "ContextManager[object]":
    return Nginx(place / "nginx", f"server {{ listen 80; location /.well-known/acme-challenge/ "
                                  f"{{ alias {place}/home/site/; }} }}", user="www-data")


def apache(place: Path) -> "ContextManager[object]":
    return Apache(place / "httpd", f"Listen 80\n<Directory />\nRequire all granted\n</Directory>\n<VirtualHost *:80>\n"
                                   f"ServerName {NAME}\nDocumentRoot {place}/home/site\n</VirtualHost>",
                  DEFAULT_MODULES)


@pytest.mark.parametrize("command", ["setfacl", "chmod"])
@pytest.mark.parametrize("server", [nginx, nginx_alias, apache])
def test_remedy_opens_the_directory(server: "Callable[[Path], ContextManager[object]]", command: str,
                                    place: Path) -> None:
    """A home directory with mode 0750 above the document root, and a worker that is www-data."""
    make(place, "home/site")
    os.chmod(place / "home", 0o750)
    with server(place):
        with solved(place) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.DEAD_END
            said = messages.failure(solver.outcomes[NAME])
        assert "let the user www-data, as whom" in said and f"enter {place}/home (its mode is 0750)" in said
        assert "reload it" not in said
        line = re.search(rf"({command} [^,\n]*?)(?:, or|\.\n|\.$)", said)
        assert line, said
        subprocess.run(shlex.split(line[1]), check=True)
        with solved(place) as solver:
            assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])


@pytest.mark.parametrize(("mode", "acl", "is_open"), [
    (0o711, "", True), (0o710, "", False), (0o710, "u:www-data:x", True), (0o710, "u:www-data:r", False),
    (0o751, "u:www-data:r", False), (0o700, "g:www-data:x", True), (0o701, "g:www-data:r", False),
    (0o700, "u:www-data:rwx,m::r", False)])
def test_modes_and_lists(place: Path, mode: int, acl: str, is_open: bool) -> None:
    """As the kernel decides for the user."""
    make(place, "home/site")
    os.chmod(place / "home", mode)
    if acl:
        subprocess.run(["setfacl", "-m", acl, place / "home"], check=True)
    worker = ["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups"]
    assert (subprocess.run([*worker, "test", "-x", place / "home"]).returncode == 0) is is_open
    with subprocess.Popen([*worker, "sleep", "60"]) as process:
        try:
            while not Path(f"/proc/{process.pid}/comm").read_text().startswith("sleep"):
                pass
            closed = access.closed_directory(process.pid, f"{place}/home/site/file")
        finally:
            process.kill()
    assert closed == (None if is_open else (str(place / "home"), "www-data", os.stat(place / "home").st_mode & 0o7777))
