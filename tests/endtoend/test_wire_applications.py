"""nginx in front of applications as the world configures it: one order for all of these names."""
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from tests.lab import applications
from tests.lab import nginx_applications
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.nginx_applications import FILE
from tests.lab.nginx_applications import SITES
from tests.lab.nginx_applications import WIRE
from tests.lab.programs import Program
from tests.lab.wire import tables
from tests.lab.wire import wait_until
from tests.lab.wire_orders import VISITS
from tests.lab.wire_orders import answered_by
from tests.lab.wire_orders import names_the_ca_asked_for
from tests.lab.wire_orders import order
from tests.lab.wire_orders import untouched

pytestmark = pytest.mark.lab


@pytest.fixture
def own_addresses(ca: CA) -> Iterator[None]:
    """The addresses of the sites that do not share one; later tests count this machine's."""
    addresses = [address for site in SITES for address in (*site.own_v4, *site.own_v6)]
    for site in SITES:
        if site.own_v4 or site.own_v6:
            ca.resolve(site.name, site.own_v4, site.own_v6)
    for address in addresses:
        subprocess.run(["ip", "addr", "add", address, "dev", "lo"], check=True)
    yield
    for address in addresses:
        subprocess.run(["ip", "addr", "del", address, "dev", "lo"], check=True)


@pytest.fixture
def nginx(own_addresses: None, place: Path) -> Iterator[Nginx]:
    """All sites, and the applications."""
    directory = place / "nginx"
    for path in (directory, place / "empty", *(directory / site.label for site in SITES)):
        path.mkdir()
    config = VISITS + nginx_applications.COMMON + "".join(site.config(PUBLIC_V4) for site in SITES)
    ports = nginx_applications.ports()
    arguments = [applications.__file__, *(str(directory / name) for name in nginx_applications.sockets()),
                 *map(str, ports)]
    with Program([sys.executable, *arguments], place / "empty", port=ports[-1]), \
            Nginx(directory, config, user="www-data") as running:
        yield running


def test_every_application_is_answered(certbot: Certbot, nginx: Nginx) -> None:
    """On the wire, or by a file where nginx looks for one first; of the others nginx sees no request of the CA."""
    before = untouched(nginx)
    done = certbot.run(*order(",".join(site.name for site in SITES), "wire"))
    assert done.returncode == 0, done.stdout
    assert answered_by(certbot) == {site.name: WIRE for site in SITES if site.answered_by == WIRE}
    assert names_the_ca_asked_for(nginx) == {site.name for site in SITES if site.answered_by == FILE}
    assert untouched(nginx) == before
    wait_until(lambda: not tables())
