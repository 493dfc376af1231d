"""docs/automation.rst is true: its files name commands that run, options that exist, and metrics that are printed."""
import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import List
from typing import Tuple

import pytest

from certbot_autowebroot.cli import __main__ as cli
from tests.lab import readme
from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx

pytestmark = pytest.mark.lab

NAME = "www.sample.com"
BLOCKS = readme.blocks("docs/automation.rst")
PROGRAM = "certbot-autowebroot"


def run(certbot: Certbot, command: List[str]) -> Tuple[int, str]:
    """Run a command of the page on the directories of the test; returns its status and output."""
    assert command[0].rpartition("/")[2] == PROGRAM
    done = subprocess.run([sys.executable, "-m", "certbot_autowebroot.cli", *command[1:], *certbot.directories],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


@pytest.fixture
def site(place: Path) -> Path:
    root = place / "root"
    root.mkdir()
    return root


@pytest.fixture
def served(place: Path, site: Path) -> Nginx:
    return Nginx(place / "nginx", f"server {{ listen 80; server_name {NAME}; root {site}; }}", user="www-data")


def unit(block: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(block)
    return parser


def test_cron_and_systemd_run_the_check(certbot: Certbot, served: Nginx) -> None:
    """They are silent while all is well, and print what is wrong."""
    path, line = BLOCKS["Every morning, by cron"][0].splitlines()
    assert path.startswith("PATH=") and re.match(r"\d+ \d+ \* \* \* root ", line)
    service, timer = map(unit, BLOCKS["Every morning, by systemd"])
    assert timer["Install"]["WantedBy"] == "timers.target" and "OnCalendar" in timer["Timer"]
    certbot.run("certonly", "--standalone", "-d", NAME)
    for command in (line.split()[6:], shlex.split(service["Service"]["ExecStart"])):
        assert run(certbot, command) == (0, "")
        with served:
            status, said = run(certbot, command)
        assert status == 1 and f"{NAME}: would fail" in said


def test_monitoring_runs_the_check(certbot: Certbot, served: Nginx) -> None:
    """sudo allows the very command of NRPE and of Icinga."""
    sudoers, nrpe, icinga = BLOCKS["Nagios and Icinga"]
    allowed = sudoers.partition("NOPASSWD: ")[2]
    assert nrpe.partition("=sudo -n ")[2] == allowed
    words = re.findall(r'"(.*?)"', icinga.partition("command = ")[2])
    assert shlex.join(words) == f"sudo -n {allowed}"
    with served:
        certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
        status, said = run(certbot, shlex.split(allowed))
    assert status == 0 and said.startswith("AUTOWEBROOT OK - ")


def test_metrics_reach_the_directory(certbot: Certbot, served: Nginx, tmp_path: Path) -> None:
    """The script writes one file; the alerts name metrics that are in it."""
    script, alerts = BLOCKS["Prometheus"]
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / PROGRAM
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m certbot_autowebroot.cli "$@" '
                       f"{shlex.join(certbot.directories)}\n")
    program.chmod(0o755)
    directory = tmp_path / "exporter"
    directory.mkdir()
    with served:
        certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
        script = script.replace("/var/lib/prometheus/node-exporter", str(directory))
        script = script.replace("PATH=", f"PATH={program.parent}:")
        subprocess.run(["sh", "-c", script], check=True)
    assert [file.name for file in directory.iterdir()] == ["autowebroot.prom"]
    metrics = (directory / "autowebroot.prom").read_text()
    used = set(re.findall(r"autowebroot_\w+", alerts.partition("rules:")[2]))
    assert used and {name for name in used if not re.search(rf"^{name}[ {{]", metrics, re.MULTILINE)} == set()


def test_cli_ini_and_ansible_get_a_certificate(
        certbot: Certbot, served: Nginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With our authenticator and the hook; then the check of Ansible has nothing to say."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    ini = tmp_path / "cli.ini"
    ini.write_text(BLOCKS["cli.ini"][0] + "\n")
    tasks = BLOCKS["Ansible"][0]
    issuing, checking = ([word.strip() for word in words.replace("\n", " ").split(",")]
                         for words in re.findall(r"argv: \[(.*?)\]", tasks, re.DOTALL))
    with served:
        done = certbot.run("certonly", "-d", NAME, "--config", str(ini))
        assert done.returncode == 0, done.stdout
        assert certbot.renewal_setting(NAME, "authenticator") == "autowebroot"
        assert certbot.renewal_setting(NAME, "renew_hook") == "certbot-autowebroot reload"
        done = certbot.run(*issuing[1:], "--force-renewal", "--disable-hook-validation")
        assert done.returncode == 0, done.stdout
        assert certbot.renewal_setting(NAME, "renew_hook") == "/opt/certbot/bin/certbot-autowebroot reload"
        assert run(certbot, checking) == (0, "")


def test_every_command_of_the_page_exists() -> None:
    """Each line with the program is accepted by its parser."""
    text = "\n".join(block for blocks in BLOCKS.values() for block in blocks)
    commands = re.findall(rf"{PROGRAM} ((?:check|reload)[^\n>\],]*)", text)
    assert len(commands) > 5
    for command in commands:
        cli.parser().parse_args(shlex.split(command))
