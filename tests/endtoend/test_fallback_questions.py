"""Whether another authenticator may answer: the question at a terminal, and no terminal."""
import contextlib
import os
import pty
import subprocess
import threading
from pathlib import Path
from typing import Tuple

import pytest

from tests.lab.certbot import Certbot
from tests.lab.fallbacks import APP
from tests.lab.fallbacks import LINEAGE
from tests.lab.fallbacks import configuration
from tests.lab.fallbacks import nothing_is_left
from tests.lab.fallbacks import options
from tests.lab.fallbacks import order
from tests.lab.fallbacks import renew
from tests.lab.nginx import Nginx

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("may_ask", [False, True], ids=["--non-interactive", "no terminal"])
def test_no_fallback_without_consent(certbot: Certbot, place: Path, nginx: Nginx, application: Path,
                                     monkeypatch: pytest.MonkeyPatch, may_ask: bool) -> None:
    """Without a terminal the order ends with the error, and the server is not touched."""
    usual = certbot.command
    monkeypatch.setattr(certbot, "command", lambda *arguments: [
        word for word in usual(*arguments) if not may_ask or word != "--non-interactive"])
    worker = nginx.workers
    done = certbot.run(*order(fallback=""), *options(nginx))
    assert done.returncode == 1
    assert "May it do so" not in done.stdout
    assert f"{APP}: " in done.stdout and "no server was touched" in done.stdout
    assert nginx.workers == worker
    assert nothing_is_left(place, application)


def converse(certbot: Certbot, prompt: bytes, answers: str, *arguments: str) -> "Tuple[int, str]":
    """Run Certbot at a terminal; returns its exit status and its output.

    :param answers: one letter for each prompt; Certbot is killed at the prompt where there is none.
    """
    command = [word for word in certbot.command(*arguments) if word != "--non-interactive"]
    terminal, end = pty.openpty()
    shown = b""
    with subprocess.Popen(command, env=certbot.environment(), stdin=end, stdout=end, stderr=end) as process:
        os.close(end)
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        left = list(answers)
        prompts = 0
        with contextlib.suppress(OSError):  # EIO: nobody holds the other end any more
            while True:
                shown += os.read(terminal, 4096)
                if shown.count(prompt) > prompts:
                    prompts += 1
                    os.write(terminal, f"{left.pop(0)}\n".encode()) if left else process.kill()
        watchdog.cancel()
    os.close(terminal)
    assert prompts, shown
    return process.returncode, shown.decode()


def test_next_run_restores_nginx_after_a_kill(certbot: Certbot, place: Path, nginx: Nginx, application: Path) -> None:
    """The next renewal takes the changes of nginx's authenticator back, though it does not need it."""
    before = configuration(nginx.directory)
    assert certbot.run(*order("root.sample.com"), *options(nginx)).returncode == 0
    converse(certbot, b"Press Enter", "", *order(APP), *options(nginx), "--debug-challenges")
    assert configuration(nginx.directory) != before
    assert renew(certbot) == {}
    assert configuration(nginx.directory) == before
    assert nothing_is_left(place, application)


def test_terminal_question_offers_wire_first(certbot: Certbot, nginx: Nginx) -> None:
    """With the name, the route and the action; nginx's authenticator is not needed then. Renewals know the answer."""
    status, shown = converse(certbot, b"(N)o:", "y", *order(fallback=""))
    assert status == 0, shown
    words = " ".join(shown.split())
    for said in (APP, "127.0.0.1:3000", "nftables catches the CA's requests", "No configuration is edited"):
        assert said in words
    assert shown.count("(N)o:") == 1
    assert certbot.renewal_setting(LINEAGE, "autowebroot_fallback") == "wire"
    assert renew(certbot) == {APP: "wire"}


def test_terminal_question_is_asked_once_each(certbot: Certbot, nginx: Nginx) -> None:
    """The second with the name, the route to the application, and the action; renewals know the answer."""
    status, shown = converse(certbot, b"(N)o:", "ny", *order(fallback=""), *options(nginx))
    assert status == 0, shown
    words = " ".join(shown.split())
    for said in (APP, "127.0.0.1:3000", "nginx (pid", "edits it back", "reloads it"):
        assert said in words
    assert shown.count("(N)o:") == 2
    assert certbot.renewal_setting(LINEAGE, "autowebroot_fallback") == "nginx"
    assert renew(certbot) == {APP: "nginx"}


def test_answer_no(certbot: Certbot, nginx: Nginx) -> None:
    """The error is the one without a terminal, and nginx is not touched."""
    worker = nginx.workers
    status, shown = converse(certbot, b"(N)o:", "nn", *order(fallback=""), *options(nginx))
    assert status == 1
    assert "no server was touched" in " ".join(shown.split())
    assert nginx.workers == worker


def test_answer_no_is_remembered(certbot: Certbot, nginx: Nginx) -> None:
    """With --allow-subset-of-names there is a certificate for the others."""
    status, shown = converse(certbot, b"(N)o:", "nn", *order(fallback=""), "--allow-subset-of-names", *options(nginx))
    assert status == 0, shown
    assert certbot.renewal_setting(LINEAGE, "autowebroot_fallback") == "none"
