"""Certbot is ended while a challenge lies in the web root."""
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator
from typing import List

import pytest

from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.system.views import View
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx
from tests.security import children

pytestmark = pytest.mark.lab

NAME = "www.sample.com"


@pytest.fixture
def root(place: Path) -> Iterator[Path]:
    path = place / "root"
    path.mkdir()
    with Nginx(place / "nginx", f"server {{ listen 80; server_name {NAME}; root {path}; }}", user="www-data"):
        yield path


def challenges(root: Path) -> List[Path]:
    return list(root.glob(".well-known/acme-challenge/*"))


def end_it_midway(certbot: Certbot, root: Path, how: signal.Signals) -> None:
    """Send a signal once the token has lain there for a while: after the probes, before the validation is over."""
    process = subprocess.Popen(certbot.command("certonly", "-a", "autowebroot", "-d", NAME),
                               env=certbot.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    seen: List[Path] = []
    steady = 0
    while steady < 10:
        assert process.poll() is None, "Certbot ended before the signal"
        time.sleep(0.01)
        now = challenges(root)
        steady = steady + 1 if now and now == seen else 0
        seen = now
    process.send_signal(how)
    assert process.wait(30) != 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_whoever_interrupts_finds_nothing_left(certbot: Certbot, root: Path, how: signal.Signals) -> None:
    """Ctrl-C, a shutdown, a systemd timeout."""
    end_it_midway(certbot, root, how)
    assert list(root.iterdir()) == []


def test_what_kill_9_left_is_removed_by_the_next_run(certbot: Certbot, root: Path) -> None:
    """Nobody can clean up then; the journal says what to do."""
    end_it_midway(certbot, root, signal.SIGKILL)
    left = challenges(root)
    assert len(left) == 1
    done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    assert done.returncode == 0, done.stdout
    assert list(root.iterdir()) == []
    assert f"Removed {left[0]}, which an earlier run had left behind." in certbot.log


@pytest.fixture
def reusing(ca: CA, tmp_path: Path) -> Iterator[CA]:
    """A CA that takes a valid authorization for valid again, in the place of the other one."""
    ca.stop()
    with CA(tmp_path / "reusing", reuses=True) as reusing:
        yield reusing
    ca.start()


def publish_and_die(journal: Path, root: Path) -> Path:
    """What a run leaves that is killed while it waits for the CA."""
    def act() -> None:
        place = Directory(PathInView(str(root)), ".well-known/acme-challenge/token")
        WebrootResponder(View.of_host(), place, Journal(str(journal))).publish(b"token.thumbprint")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(children.start(act), 0)
    (left,) = challenges(root)
    return left


def test_what_kill_9_left_is_removed_where_the_ca_asks_for_nothing(reusing: CA, tmp_path: Path, root: Path) -> None:
    """Certbot has no challenge for us then, only a plugin to prepare: killed after the CA came, so it goes for days."""
    certbot = Certbot(tmp_path, reusing)
    renew = ("certonly", "-a", "autowebroot", "-d", NAME, "--force-renewal")
    assert certbot.run(*renew).returncode == 0
    left = publish_and_die(tmp_path / "work" / "autowebroot", root)
    validations = reusing.validations()
    done = certbot.run(*renew)
    assert done.returncode == 0, done.stdout
    assert reusing.validations() == validations
    assert list(root.iterdir()) == []
    assert f"Removed {left}, which an earlier run had left behind." in certbot.log
