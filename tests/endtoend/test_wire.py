"""Names that have no directory, answered on the wire: a real Certbot, a real CA, and a server that is not touched."""
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.programs import Program
from tests.lab.wire import NO_WIRE
from tests.lab.wire import tables
from tests.lab.wire import wait_until
from tests.lab.wire_orders import APPLICATION
from tests.lab.wire_orders import answered_by
from tests.lab.wire_orders import order
from tests.lab.wire_orders import untouched

pytestmark = pytest.mark.lab

SITES = f"""
server {{{{ listen {PUBLIC_V4}:80; server_name root.sample.com; root {{place}}/root; }}}}
server {{{{ listen {PUBLIC_V4}:80; server_name app.sample.com;
           location / {{{{ proxy_pass http://127.0.0.1:3000; }}}} }}}}
server {{{{ listen {PUBLIC_V4}:80; server_name tls.sample.com; return 301 https://$host$request_uri; }}}}
server {{{{ listen {PUBLIC_V4}:80; server_name dots.sample.com; root {{place}}/dots;
           location ~ /\\. {{{{ deny all; }}}} }}}}
"""
CHECK = [sys.executable, "-m", "certbot_autowebroot.cli", "check", "--fallback", "wire"]
LINEAGE, APP, DOTS, TLS, FREE = (f"{word}.sample.com" for word in ("root", "app", "dots", "tls", "free"))


@pytest.fixture
def nginx(place: Path) -> Iterator[Nginx]:
    for name in ("root", "dots", "empty"):
        (place / name).mkdir()
    with Program([sys.executable, "-c", APPLICATION], place / "empty", port=3000), \
            Nginx(place / "nginx", SITES.format(place=place), user="www-data") as running:
        yield running


def assert_nothing_is_left(place: Path) -> None:
    """Neither a table nor a file; clients are acknowledged for another second."""
    wait_until(lambda: not tables())
    assert os.listdir(place / "root") == os.listdir(place / "dots") == []


def test_wire_answers_where_no_directory_does(certbot: Certbot, ca: CA, place: Path, nginx: Nginx) -> None:
    """One order with a directory and a free port, which stay ours; a renewal, that asks nothing, does the same."""
    ca.resolve(FREE, [OTHER_V4])
    before = untouched(nginx)
    done = certbot.run(*order(f"{LINEAGE},{APP},{DOTS},{TLS},{FREE}", "wire"))
    assert done.returncode == 0, done.stdout
    assert answered_by(certbot) == {APP: "wire", DOTS: "wire", TLS: "wire"}
    assert_nothing_is_left(place)
    assert certbot.renewal_setting(LINEAGE, "autowebroot_fallback") == "wire"
    for _ in range(2):
        done = certbot.run("renew", "--force-renewal")
        assert done.returncode == 0, done.stdout
        assert set(answered_by(certbot).values()) <= {"wire"}  # the CA may use an earlier authorization again
        assert_nothing_is_left(place)
    assert certbot.certificates(LINEAGE) >= 3
    assert untouched(nginx) == before


@pytest.mark.parametrize("fallback", ["auto", "wire,nginx"])
def test_wire_comes_before_the_servers_authenticator(certbot: Certbot, place: Path, nginx: Nginx,
                                                     fallback: str) -> None:
    """Although nginx's is installed and would do."""
    before = untouched(nginx)
    done = certbot.run(*order(APP, fallback), "--nginx-server-root", str(nginx.directory))
    assert done.returncode == 0, done.stdout
    assert answered_by(certbot) == {APP: "wire"}
    assert untouched(nginx) == before
    assert_nothing_is_left(place)


@pytest.mark.parametrize("fallback", ["auto", "wire,nginx"])
def test_without_rights_the_next_answers(certbot: Certbot, place: Path, nginx: Nginx, fallback: str,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container without CAP_NET_ADMIN and CAP_NET_RAW."""
    usual = certbot.command
    monkeypatch.setattr(certbot, "command", lambda *arguments: [*NO_WIRE, *usual(*arguments)])
    configuration = nginx.conf.read_bytes()
    done = certbot.run(*order(APP, fallback), "--nginx-server-root", str(nginx.directory))
    assert done.returncode == 0, done.stdout
    assert answered_by(certbot) == {APP: "nginx"}
    assert nginx.conf.read_bytes() == configuration
    assert_nothing_is_left(place)


def test_without_rights_the_error_says_so(certbot: Certbot, place: Path, nginx: Nginx,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no other; the CA is not asked."""
    usual = certbot.command
    monkeypatch.setattr(certbot, "command", lambda *arguments: [*NO_WIRE, *usual(*arguments)])
    before = untouched(nginx)
    done = certbot.run(*order(APP, "wire"))
    assert done.returncode == 1
    assert "tried the authenticator wire: it needs root, or in a container" in " ".join(done.stdout.split())
    assert untouched(nginx) == before
    assert_nothing_is_left(place)


@pytest.mark.parametrize("fallback", ["", "none"])
def test_wire_is_never_taken_unasked(certbot: Certbot, place: Path, nginx: Nginx, fallback: str) -> None:
    """The order ends with the error, although the wire could do it."""
    done = certbot.run(*order(APP, fallback)[:-2], *(["--autowebroot-fallback", fallback] if fallback else []))
    assert done.returncode == 1
    assert "Answering on the wire" not in certbot.log
    assert_nothing_is_left(place)


def test_check_tries_the_wire(certbot: Certbot, place: Path, nginx: Nginx) -> None:
    """By option, and where the lineage says so; it reports what the table did, and leaves nothing."""
    before = untouched(nginx)
    done = subprocess.run([*CHECK, APP, LINEAGE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.search(r"answered on the wire \(autowebroot_fallback\), whose table was there for (\S+) seconds and "
                     r"caught (\d+) segments", done.stdout)
    assert said and 0 < float(said[1]) < 10 and int(said[2]) > 0
    assert done.stdout.count("on the wire") == 1
    assert certbot.run(*order(APP, "wire")).returncode == 0
    found, = certbot.check()["lineages"]
    assert (found["outlook"], found["names"][0]["reason"][:20]) == ("good", "answered on the wire")
    assert untouched(nginx) == before
    assert_nothing_is_left(place)


def test_check_has_the_reason_without_rights(place: Path, nginx: Nginx) -> None:
    """And does not propose it."""
    done = subprocess.run([*NO_WIRE, *CHECK, APP], capture_output=True, text=True)
    assert done.returncode == 1
    assert "would fail: the authenticator wire: " in done.stdout and "it needs root, or in a container" in done.stdout
    assert "--autowebroot-fallback wire" not in done.stdout
    assert_nothing_is_left(place)
