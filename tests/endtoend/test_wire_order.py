"""One order with every kind of name without a directory, on the wire, while others use the servers; and kill -9."""
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.container import ADDRESS
from tests.lab.container import Container
from tests.lab.container_nginx import CONFIG
from tests.lab.container_nginx import wait_for_answer
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx
from tests.lab.programs import Program
from tests.lab.wire import processes_of
from tests.lab.wire import rules
from tests.lab.wire import tables
from tests.lab.wire import wait_until
from tests.lab.wire_orders import APPLICATION
from tests.lab.wire_orders import VISITS
from tests.lab.wire_orders import Others
from tests.lab.wire_orders import answered_by
from tests.lab.wire_orders import names_the_ca_asked_for
from tests.lab.wire_orders import order
from tests.lab.wire_orders import untouched

pytestmark = pytest.mark.lab

ROOT, APP, DOTS, SIX, BOX = (f"{word}.sample.com" for word in ("root", "app", "dots", "six", "box"))
SITES = f"""
server {{{{ listen {PUBLIC_V4}:80; listen [{PUBLIC_V6}]:80; server_name {ROOT}; root {{place}}/root;
           keepalive_timeout 3600; }}}}
server {{{{ listen {PUBLIC_V4}:80; listen [{PUBLIC_V6}]:80; server_name {APP} {SIX};
           location / {{{{ proxy_pass http://127.0.0.1:3000; }}}} }}}}
server {{{{ listen {PUBLIC_V4}:80; server_name {DOTS}; root {{place}}/dots; location ~ /\\. {{{{ deny all; }}}} }}}}
"""
#: A port forward into the container, as an engine makes it for the machine itself.
FORWARD = f"""table ip lab {{ chain output {{ type nat hook output priority -100
ip daddr {OTHER_V4} tcp dport 80 dnat to {ADDRESS}:80
}}
}}"""


@pytest.fixture
def nginx(place: Path) -> Iterator[Nginx]:
    for name in ("root", "dots", "empty"):
        (place / name).mkdir()
    (place / "root/index.html").write_text("the site")
    with Program([sys.executable, "-c", APPLICATION], place / "empty", port=3000), \
            Nginx(place / "nginx", VISITS + SITES.format(place=place), user="www-data") as running:
        yield running


@pytest.fixture
def container(place: Path) -> Iterator[None]:
    """Its nginx answers 404 to everything."""
    inside = CONFIG.format(root="/srv").replace("www.sample.com; root /srv;", f"{BOX}; return 404;")
    with Container(place / "box", "nginx -c /etc/inside.conf", {"/etc/inside.conf": inside}):
        wait_for_answer()
        with rules(FORWARD):
            yield


def test_renewal_disturbs_no_other_request(certbot: Certbot, ca: CA, place: Path, nginx: Nginx,
                                           container: None) -> None:
    """An application, a container, denied dot files, IPv6 alone, and a directory; nginx is what it was.

    Its access log has requests of the CA for the directory alone.
    """
    ca.resolve(SIX, [], [PUBLIC_V6])
    ca.resolve(BOX, [OTHER_V4])
    assert certbot.run(*order(f"{ROOT},{APP},{DOTS},{SIX},{BOX}", "wire")).returncode == 0
    assert answered_by(certbot) == dict.fromkeys((APP, DOTS, SIX, BOX), "wire")
    before = untouched(nginx)
    validations = ca.validations()
    with Others((PUBLIC_V4, PUBLIC_V4, PUBLIC_V6), ROOT) as others:
        for _ in range(2):  # the CA may use an authorization again
            done = certbot.run("renew", "--force-renewal")
            assert done.returncode == 0, done.stdout
            assert set(answered_by(certbot).values()) <= {"wire"}
    assert others.lost == []
    assert others.served > 100
    assert ca.validations() > validations
    assert untouched(nginx) == before
    assert names_the_ca_asked_for(nginx) == {ROOT}
    wait_until(lambda: not tables())
    assert os.listdir(place / "root") == ["index.html"]
    assert os.listdir(place / "dots") == []


@pytest.mark.parametrize("hangs", [False, True], ids=["killed", "killed, and its child hangs"])
def test_next_run_finds_nothing_of_a_killed_one(certbot: Certbot, place: Path, nginx: Nginx, hangs: bool) -> None:
    """The table goes with its process, and that with Certbot; one that hangs is ended by the next run."""
    usual, certbot.preload = certbot.preload, ""  # the validation must not be over before the signal
    with subprocess.Popen(certbot.command(*order(APP, "wire")), env=certbot.environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        wait_until(tables, 30)
        if hangs:
            for pid in processes_of(killed.pid):
                os.kill(pid, signal.SIGSTOP)
        killed.kill()
    certbot.preload = usual
    try:
        if not hangs:
            wait_until(lambda: not tables() and not processes_of(killed.pid))
        done = certbot.run(*order(APP, "wire"))
        assert done.returncode == 0, done.stdout
        assert processes_of(killed.pid) == []
        wait_until(lambda: not tables())
        assert os.listdir(certbot.directory / "work/autowebroot") == []
    finally:
        for pid in processes_of(killed.pid):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
