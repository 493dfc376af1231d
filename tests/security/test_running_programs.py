"""Root runs a program again only as root's own, or with the rights of its user."""
import os
import subprocess
from pathlib import Path
from typing import Callable
from typing import Iterator

import pytest

from certbot_autowebroot.servers import nginx
from certbot_autowebroot.servers.apache.directives import ConfigurationError
from certbot_autowebroot.servers.apache.dump import dump
from certbot_autowebroot.servers.caddy import source
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process
from tests.lab.hostile_site import OWNER
from tests.lab.nginx import public_directory

pytestmark = pytest.mark.lab


@pytest.fixture
def place() -> Iterator[Path]:
    with public_directory() as path:
        path.chmod(0o777)
        yield path


#: Writes its user into a file and does not end; its output stays open when it is killed.
PROGRAM = """
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(void)
{
    char name[4096];
    snprintf(name, sizeof name, "%s/run-by-%d", PLACE, (int)geteuid());
    close(open(name, O_CREAT | O_WRONLY, 0644));
    if (fork() == 0) {
        setsid();
        sleep(8);
        return 0;
    }
    pause();
}
"""


@pytest.fixture
def turned(place: Path) -> Iterator[Process]:
    """A process that was root's in its snapshot, and is a user's program afterwards."""
    program = place / "httpd"
    subprocess.run(["gcc", "-x", "c", "-o", program, f'-DPLACE="{place}"', "-"], input=PROGRAM, text=True, check=True)
    command = f"read go; exec setpriv --reuid={OWNER} --regid={OWNER} --clear-groups {program}"
    with subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE) as running:
        snapshot = processes.process(running.pid)
        assert snapshot is not None and snapshot.uid == 0
        vars(snapshot)["name"], vars(snapshot)["argv"] = "httpd", ("httpd",)
        assert running.stdin is not None
        running.stdin.write(b"\n")
        running.stdin.flush()
        while not (place / f"run-by-{OWNER}").exists():
            assert running.poll() is None
        yield snapshot
        running.kill()


def ask_apache(process: Process) -> None:
    with pytest.raises(ConfigurationError, match="has become another user's"):
        dump(process)


def ask_nginx(process: Process) -> None:
    with pytest.raises(PermissionError, match="has become another user's"):
        nginx._configure_arguments(process)


def ask_caddy(process: Process) -> None:
    """It may run with the user's rights; it has to end."""
    with pytest.raises(source.NoConfigurationError, match="caddy adapt did not end in 3 s"):
        source._adapted(process, "Caddyfile", "")


@pytest.mark.parametrize("ask", [ask_apache, ask_nginx, ask_caddy])
def test_process_that_was_root_for_a_moment(turned: Process, place: Path, ask: Callable[[Process], None]) -> None:
    """A set-user-ID program such as newgrp goes on as the user's program: root does not run that."""
    ask(turned)
    assert not (place / "run-by-0").exists()


def test_process_that_is_root_for_a_moment() -> None:
    """Its real user is another: then its program is not run."""
    with subprocess.Popen(["setpriv", f"--ruid={OWNER}", "sleep", "60"]) as running:
        while processes.comm(running.pid) != "sleep":
            assert running.poll() is None
        snapshot = processes.process(running.pid)
        assert snapshot is not None and snapshot.uid == OWNER
        with pytest.raises(PermissionError, match="with the rights of several users"), \
                processes.opened_program(snapshot):
            pass
        running.kill()


def test_working_directory_is_not_found_by_name(place: Path) -> None:
    """A link in its place would start a user's program in a directory closed to that user."""
    (place / "here").mkdir()
    with subprocess.Popen(["sleep", "60"], cwd=place / "here") as running:
        snapshot = processes.process(running.pid)
        assert snapshot is not None
        (place / "here").rename(place / "moved")
        (place / "here").symlink_to("/root")
        with processes.opened_program(snapshot) as opened:
            assert (place / "moved").samefile(opened.directory)
        running.kill()


def test_reused_pid() -> None:
    """The program has ended, and another has its pid."""
    snapshot = processes.process(os.getpid())
    assert snapshot is not None
    vars(snapshot)["start_time"] = snapshot.start_time - 1
    with pytest.raises(ProcessLookupError), processes.opened_program(snapshot):
        pass
