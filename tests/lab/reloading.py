"""Helpers for the tests of reload: a server that shows the older certificate, and the command."""
import contextlib
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import NamedTuple

import pytest

from certbot_autowebroot.cli import __main__ as cli
from certbot_autowebroot.renewals.lineages import read_certificate
from tests.lab import certificates
from tests.lab import https
from tests.lab.net import PUBLIC_V4
from tests.lab.orders import NAME
from tests.lab.visitors import shown

WWW_DATA = str(pwd.getpwnam("www-data").pw_uid)


class Done(NamedTuple):
    """The exit status of the command, and its output."""

    status: int
    said: str


def renewed(site: https.Site, days: int = 1) -> None:
    """Make a new certificate, issued so many days ago, and HAProxy's file of it."""
    certificates.lineage(site.live, NAME, days)
    subprocess.run(["sh", "-c", https.both(site)], check=True)


@contextlib.contextmanager
def serving(site: https.Site, server: Any) -> Iterator[Any]:
    """A server that shows the older certificate, while the new one is on disk."""
    server.start()
    try:
        assert shown(PUBLIC_V4, NAME) == current(site)
        renewed(site)
        yield server
    finally:
        server.stop()


def current(site: https.Site) -> str:
    return read_certificate(str(site.live / "cert.pem")).fingerprint


def is_new(site: https.Site) -> bool:
    return shown(PUBLIC_V4, NAME) == current(site)


def reload(capfd: pytest.CaptureFixture[str], site: https.Site, *arguments: str) -> Done:
    status = cli.main(["reload", "--lineage", str(site.live), *arguments])
    captured = capfd.readouterr()
    return Done(status, captured.out + captured.err)


BROKEN: Dict[str, Callable[[Any], None]] = {
    "nginx": lambda server: server.configure("nonsense;"),
    "apache2": lambda server: server.write("Nonsense on\n"),
    "lighttpd": lambda server: server.conf.write_text("nonsense = (((\n"),
    "haproxy": lambda server: server.conf.write_text("frontend f\n nonsense\n"),
}


@pytest.fixture
def site(place: Path) -> https.Site:
    """A lineage whose certificate was issued sixty days ago."""
    live = place / "live" / NAME
    certificates.lineage(live, NAME, days=60)
    return https.Site(NAME, live, place)


@pytest.fixture(autouse=True)
def no_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RENEWED_LINEAGE", "RENEWED_DOMAINS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def unit(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """A function that puts a process into a unit of a fake systemctl; systemd does not run here.

    It returns the file with systemctl's arguments.
    """
    mounted = []

    def make(pid: int, name: str, *, main: int, reload: str = "exit 9", command: str = "", user: str = "") -> Path:
        calls = place / "calls"
        cgroup = place / f"cgroup{pid}"
        cgroup.write_text(f"0::/system.slice/{name}\n")
        subprocess.run(["mount", "--bind", cgroup, f"/proc/{pid}/cgroup"], check=True)
        mounted.append(pid)
        script = place / "bin" / "systemctl"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"""#!/bin/sh
echo "$@" >> {calls}
case $1 in
show) echo "MainPID={main}"; echo "User={user}"; echo "ExecStart={{ path=x ; argv[]={command} ; ignore_errors=no }}" ;;
*) {reload} ;;
esac
""")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
        return calls
    yield make
    for pid in mounted:
        subprocess.run(["umount", f"/proc/{pid}/cgroup"], check=False, capture_output=True)
