"""A renewed certificate is what visitors see, by the deploy hook: a real Certbot, and each server for real."""
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from typing import Callable

import pytest

from certbot_autowebroot.renewals.lineages import read_certificate
from tests.lab.caddy import Caddy
from tests.lab.certbot import Certbot
from tests.lab.https import SERVERS
from tests.lab.https import Site
from tests.lab.https import both
from tests.lab.https import nginx
from tests.lab.net import PUBLIC_V4
from tests.lab.visitors import TlsVisitors
from tests.lab.visitors import shown

pytestmark = pytest.mark.lab

NAME = "www.sample.com"
RELOAD = f"{sys.executable} -m certbot_autowebroot.cli reload"


@pytest.fixture
def site(certbot: Certbot, place: Path) -> Site:
    """A lineage with its first certificate, which no server shows yet."""
    done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    assert done.returncode == 0, done.stdout
    return Site(NAME, certbot.directory / "config" / "live" / NAME, place)


def renew(certbot: Certbot) -> str:
    """A renewal with the deploy hook; returns the output of Certbot and hook."""
    done = certbot.run("renew", "--force-renewal", "--deploy-hook", RELOAD)
    assert done.returncode == 0, done.stdout
    return done.stdout


def current(site: Site) -> str:
    return read_certificate(str(site.live / "cert.pem")).fingerprint


@pytest.mark.parametrize("start", SERVERS.values(), ids=SERVERS)
def test_visitors_see_the_new_certificate(certbot: Certbot, site: Site, start: Callable[[Site], Any]) -> None:
    """No visitor is lost (of Caddy, one at most), and the same process goes on."""
    hook = certbot.directory / "config" / "renewal-hooks" / "deploy" / "haproxy"
    hook.write_text(f"#!/bin/sh\n{both(site)}\n")
    hook.chmod(0o755)
    server = start(site)
    server.start()
    try:
        pid, before = server.pid, shown(PUBLIC_V4, NAME)
        assert before == current(site)
        with TlsVisitors(PUBLIC_V4, NAME) as visitors:
            said = renew(certbot)
            assert current(site) != before
            assert {shown(PUBLIC_V4, NAME) for _ in range(10)} == {current(site)}, said
        # Caddy opens a second listener (SO_REUSEPORT): it resets what waits at the first when it closes that.
        assert len(visitors.lost) <= isinstance(server, Caddy), visitors.lost
        assert visitors.served > 20
        assert server.pid == pid and os.path.exists(f"/proc/{pid}")
        assert f"(pid {pid}) was reloaded (" in said, said
        assert f"{PUBLIC_V4}:443 shows the new certificate for {NAME}" in said
    finally:
        server.stop()


def test_certbot_shows_the_error_of_the_hook(certbot: Certbot, site: Site) -> None:
    """Visitors see the older certificate, and the log has the reason."""
    server = nginx(site)
    with server:
        before = shown(PUBLIC_V4, NAME)
        server.configure("nonsense;")
        said = renew(certbot)
        assert f"nginx (pid {server.pid}) was not reloaded" in said
        assert shown(PUBLIC_V4, NAME) == before != current(site)
    assert "error code 1" in said
    assert f'unknown directive "nonsense" in {server.conf}' in said



def check(certbot: Certbot) -> Any:
    """The lineage in check's JSON, the output for people, and the exit status."""
    command = [sys.executable, "-m", "certbot_autowebroot.cli", "check", "--config-dir",
               str(certbot.directory / "config"), "--work-dir", str(certbot.directory / "work")]
    told = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, text=True, timeout=60)
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60)
    return json.loads(told.stdout)["lineages"][0]["add_hook"], said.stdout, said.returncode


def test_check_warns_of_a_missing_hook(certbot: Certbot, site: Site) -> None:
    """The printed command adds one, and the next renewal runs it."""
    assert check(certbot)[0] is None  # nobody listens
    with nginx(site):
        add_hook, said, status = check(certbot)
        assert status == 0
        assert "warning: no hook reloads the server after a renewal" in said
        assert said.count(f"add one with: {add_hook}") == 1
        if certbot.version >= (2, 3):
            done = certbot.run(*shlex.split(add_hook)[1:])
            assert done.returncode == 0, done.stdout
        else:
            line, _, where = add_hook.partition(" (in ")
            assert where.startswith(str(certbot.renewal_conf(NAME)))
            conf = certbot.renewal_conf(NAME)
            conf.write_text(conf.read_text().replace("[renewalparams]\n", f"[renewalparams]\n{line}\n"))
        assert (check(certbot)[0], check(certbot)[2]) == (None, 0)
        done = certbot.run("renew", "--force-renewal")
        assert shown(PUBLIC_V4, NAME) == current(site), done.stdout
