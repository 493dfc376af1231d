"""A lineage, and units of a systemd that does not run here. No CA: the lineages are made here."""
import os
import subprocess
from pathlib import Path
from typing import Callable
from typing import Iterator

import pytest

from tests.lab import certificates
from tests.lab import https
from tests.lab.orders import NAME
from tests.lab.orders import names
from tests.lab.orders import place

__all__ = ["names", "place"]  # fixtures


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
    """Lets a process be in a unit, for a systemctl that stands for systemd, which does not run here.

    Returns where that writes down what it is told.
    """
    mounted = []

    def make(pid: int, name: str, *, main: int, reload: str = "exit 9", command: str = "", user: str = "") -> Path:
        told = place / "told"
        cgroup = place / f"cgroup{pid}"
        cgroup.write_text(f"0::/system.slice/{name}\n")
        subprocess.run(["mount", "--bind", cgroup, f"/proc/{pid}/cgroup"], check=True)
        mounted.append(pid)
        script = place / "bin" / "systemctl"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"""#!/bin/sh
echo "$@" >> {told}
case $1 in
show) echo "MainPID={main}"; echo "User={user}"; echo "ExecStart={{ path=x ; argv[]={command} ; ignore_errors=no }}" ;;
*) {reload} ;;
esac
""")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
        return told
    yield make
    for pid in mounted:
        subprocess.run(["umount", f"/proc/{pid}/cgroup"], check=False, capture_output=True)
