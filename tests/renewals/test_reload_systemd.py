"""Servers in units of systemd, with a fake systemctl."""
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable
from typing import Optional

import pytest

from certbot_autowebroot.system import systemd
from tests.lab import https
from tests.lab.net import PUBLIC_V4
from tests.lab.reloading import BROKEN
from tests.lab.reloading import WWW_DATA
from tests.lab.reloading import is_new
from tests.lab.reloading import reload
from tests.lab.reloading import serving


@pytest.mark.lab
def test_unit_reloads_its_server(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path]) -> None:
    """No signal is sent besides, and the configuration is tested before."""
    with serving(site, https.nginx(site)) as server:
        told = unit(server.pid, "nginx.service", main=server.pid, reload=f"kill -HUP {server.pid}")
        done = reload(capfd, site)
        assert (done.status, is_new(site)) == (0, True)
        assert f"nginx (pid {server.pid}) was reloaded (systemctl reload nginx.service)" in done.said
    assert told.read_text().splitlines()[-1] == "reload -- nginx.service"


@pytest.mark.lab
def test_unit_without_reload_is_reported(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path]) -> None:
    """With systemctl's error; no signal is sent behind systemd's back."""
    with serving(site, https.nginx(site)) as server:
        unit(server.pid, "nginx.service", main=server.pid, reload="echo Job type reload is not applicable >&2; exit 1")
        done = reload(capfd, site)
        assert not is_new(site)
    assert (done.status, "was not reloaded: Job type reload is not applicable" in done.said) == (1, True)


@pytest.mark.lab
def test_server_started_by_another_unit(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path]) -> None:
    """As by a job of cron's: a reload of cron.service would not help, so the server gets its own reload."""
    with serving(site, https.nginx(site)) as server:
        told = unit(server.pid, "cron.service", main=1)
        assert (reload(capfd, site).status, is_new(site)) == (0, True)
    assert "reload" not in told.read_text()


@pytest.mark.lab
def test_unit_that_ends_at_reload_is_reported(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path]) -> None:
    """The worst case, so the error is the loudest."""
    with serving(site, https.nginx(site)) as server:
        unit(server.pid, "nginx.service", main=server.pid, reload=f"kill -QUIT {server.pid}")
        done = reload(capfd, site, "--timeout", "0.5")
    assert (done.status, f"no program listens on {PUBLIC_V4}:443 any more" in done.said) == (1, True)


@pytest.mark.lab
def test_silent_client_does_not_block_lighttpd_unit(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path]) -> None:
    """Debian's unit sends the same signal, with the same effect."""
    with serving(site, https.lighttpd(site)) as server, socket.create_connection((PUBLIC_V4, 443)):
        time.sleep(0.3)
        unit(server.pid, "lighttpd.service", main=server.pid, reload=f"kill -USR1 {server.pid}")
        done = reload(capfd, site)
        assert (done.status, is_new(site)) == (0, True)
        assert f"(systemctl reload lighttpd.service, SIGINT to process {server.pid})" in done.said


@pytest.mark.lab
@pytest.mark.parametrize("broken", [False, True], ids=["good", "broken on disk"])
def test_unit_restarts_lighttpd_without_root_rights(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path], broken: bool) -> None:
    """As root, with the unit's own command; not where the restart would fail."""
    directory = site.place / "lighttpd"
    directory.mkdir()
    (directory / "error.log").touch()
    (directory / "error.log").chmod(0o666)
    server = https.lighttpd(site, f'server.username = "www-data"\nserver.pid-file = "{directory}/pid"\n')
    with serving(site, server):
        told = unit(server.pid, "lighttpd.service", main=server.pid, command=f"/usr/sbin/lighttpd -D -f {server.conf}",
                    reload=f"kill {server.pid}; sleep 0.5; lighttpd -f {server.conf}")
        if broken:
            server.conf.write_text(server.conf.read_text() + "nonsense = (((\n")
        done = reload(capfd, site)
        assert is_new(site) is not broken
    verbs = [line.split()[0] for line in told.read_text().splitlines()]
    if broken:
        assert (done.status, "restart" in verbs, "its own test of the configuration" in done.said) == (1, False, True)
    else:
        assert (done.status, verbs[-1], "systemctl restart lighttpd.service" in done.said) == (0, "restart", True)
        os.kill(int((directory / "pid").read_text()), signal.SIGTERM)


@pytest.mark.lab
@pytest.mark.parametrize("name", ["apache2", "haproxy", "lighttpd", "nginx"])
def test_private_tmp_of_certbot_is_no_container(site: https.Site, name: str) -> None:
    """Certbot's unit has ``PrivateTmp=``, so its mounts differ from every other process's."""
    command = ["unshare", "-m", sys.executable, "-m", "certbot_autowebroot.cli", "reload", "--lineage", str(site.live)]
    with serving(site, https.SERVERS[name](site)):
        done = subprocess.run([*command, PUBLIC_V4], capture_output=True, text=True, timeout=60)
        assert (done.returncode, is_new(site)) == (0, True), done
    with serving(site, https.SERVERS[name](site)) as server:
        BROKEN[name](server)
        done = subprocess.run([*command, PUBLIC_V4], capture_output=True, text=True, timeout=60)
        assert "its own test of the configuration on disk fails" in done.stderr, done


@pytest.mark.lab
@pytest.mark.parametrize("user", [None, "", "www-data"], ids=["no unit", "started as root", "a user's unit"])
def test_configuration_of_another_user_is_never_tested_as_root(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path], user: Optional[str]) -> None:
    """lighttpd's test runs the commands of its configuration: root tests only what systemd starts as root."""
    directory = site.place / "lighttpd"
    directory.mkdir()
    for name in ("error.log", "users"):
        (directory / name).touch()
        (directory / name).chmod(0o666)
    server = https.lighttpd(site, f'server.username = "www-data"\ninclude_shell "id -u >> {directory}/users"\n')
    with serving(site, server):
        if user is not None:
            unit(server.pid, "lighttpd.service", main=server.pid, user=user, reload="exit 1",
                 command=f"/usr/sbin/lighttpd -D -f {server.conf}")
        (directory / "users").write_text("")
        assert reload(capfd, site).status == 1
    assert set((directory / "users").read_text().split()) == ({WWW_DATA, "0"} if user == "" else {WWW_DATA})


@pytest.mark.parametrize("cgroup, unit", [
    ("0::/system.slice/nginx.service\n", "nginx.service"),
    ("0::/system.slice/system-haproxy.slice/haproxy@one.service\n", "haproxy@one.service"),
    ("0::/system.slice/caddy.service/worker\n", "caddy.service"),
    ("9:name=systemd:/system.slice/apache2.service\n8:pids:/other.service\n0::/\n", "apache2.service"),
    ("8:pids:/system.slice/nginx.service\n9:name=systemd:/\n", ""),
    ("0::/user.slice/user-1000.slice/session-3.scope\n", ""),
    ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service\n", ""),
    ("0::/system.slice/docker-0123.scope\n", ""),
    ("0::/machine.slice/libpod-0123.scope/container\n", ""),
    ("0::/docker/0123\n", ""),
    ("0::/../../nginx.service\n", ""),
    ("0::/\n", ""),
    ("", ""),
    ("garbage", ""),
], ids=["version 2", "an instance", "below it", "version 1", "not systemd's tree", "a login", "a user's service",
        "Docker", "Podman", "Docker without systemd", "outside of our namespace", "no systemd", "ended", "garbage"])
def test_unit_of_a_process(cgroup: str, unit: str) -> None:
    """A service of the system manager, and no other unit."""
    assert systemd.unit_in(cgroup) == unit
