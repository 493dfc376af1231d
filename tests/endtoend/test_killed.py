"""Certbot is ended while a challenge lies in the web root."""
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator
from typing import List

import pytest

from tests.lab import crash
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx

pytestmark = pytest.mark.lab

NAME = "www.sample.com"


@pytest.fixture
def root(place: Path) -> Iterator[Path]:
    path = place / "root"
    path.mkdir()
    with Nginx(place / "nginx", f"server {{ listen 80; server_name {NAME}; root {path}; }}", user="www-data"):
        yield path


def end_it_midway(certbot: Certbot, root: Path, how: signal.Signals) -> None:
    """Send a signal once the token has been there for a while: after the probes, before the validation is over."""
    certbot.preload = ""  # the validation must not be over before the signal
    process = subprocess.Popen(certbot.command("certonly", "-a", "autowebroot", "-d", NAME),
                               env=certbot.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    seen: List[Path] = []
    steady = 0
    while steady < 10:
        assert process.poll() is None, "Certbot ended before the signal"
        time.sleep(0.01)
        now = crash.challenge_files(root)
        steady = steady + 1 if now and now == seen else 0
        seen = now
    process.send_signal(how)
    assert process.wait(30) != 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_interrupted_run_leaves_no_file(certbot: Certbot, root: Path, how: signal.Signals) -> None:
    """Ctrl-C, a shutdown, a systemd timeout."""
    end_it_midway(certbot, root, how)
    assert list(root.iterdir()) == []


def test_next_run_removes_files_of_a_killed_run(certbot: Certbot, root: Path) -> None:
    """The journal lists them."""
    end_it_midway(certbot, root, signal.SIGKILL)
    left = crash.challenge_files(root)
    assert len(left) == 1
    done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    assert done.returncode == 0, done.stdout
    assert list(root.iterdir()) == []
    assert f"Removed {left[0]}, which an earlier run had left behind." in certbot.log


def test_files_of_a_killed_run_go_without_a_challenge(reusing_ca: CA, tmp_path: Path, root: Path) -> None:
    """Certbot only prepares the plugin where the CA reuses an authorization, for days after the kill."""
    certbot = Certbot(tmp_path, reusing_ca)
    renew = ("certonly", "-a", "autowebroot", "-d", NAME, "--force-renewal")
    assert certbot.run(*renew).returncode == 0
    left = crash.publish_and_die(tmp_path / "work" / "autowebroot", root)
    validations = reusing_ca.validations()
    done = certbot.run(*renew)
    assert done.returncode == 0, done.stdout
    assert reusing_ca.validations() == validations
    assert list(root.iterdir()) == []
    assert f"Removed {left}, which an earlier run had left behind." in certbot.log
