"""A page as a reader follows it: its sections, and the blocks to type or to compare with a terminal.

Without docutils: the cells of the version matrix have none.
"""
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import ContextManager
from typing import Dict
from typing import List

from tests.lab.ca import CA
from tests.lab.certbot import Certbot

TOP = Path(__file__).parents[2]
NAME = "www.sample.com"


def blocks(name: str = "README.rst") -> Dict[str, List[str]]:
    """By the title of each section, its code blocks; before the first section, the title is empty."""
    rest = re.split(r"^(\S.*)\n-{3,}$", (TOP / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {title: [textwrap.dedent(block).strip() for block in re.findall(r"::\n\n((?: {4}.*\n|\n)+)", text)]
            for title, text in zip(["", *rest[1::2]], rest[::2])}


def quick_start() -> List[str]:
    """The commands of README's quick start: install, check, move one lineage, dry run."""
    commands = blocks()["Quick start"][0].splitlines()
    assert [Path(command.split()[0]).name for command in commands] == ["pip", "certbot-autowebroot", *["certbot"] * 2]
    return commands


class Reader:
    """A reader who types on a machine, with Certbot's own directories."""

    def __init__(self, certbot: Certbot, ca: CA) -> None:
        self._certbot = certbot
        # On a terminal Certbot would ask the reader for these.
        Path("/etc/letsencrypt/cli.ini").write_text(
            f"server = {ca.server}\nnon-interactive = true\nagree-tos = true\nregister-unsafely-without-email = true\n"
            "no-random-sleep-on-renew = true\n")

    def types(self, block: str) -> str:
        """Type a block into a shell; returns what it printed."""
        done = self.run(["sh", "-e", "-c", block])
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        return done.stdout

    def run(self, command: List[str]) -> "subprocess.CompletedProcess[str]":
        """Run a command in the reader's environment."""
        path = os.pathsep.join([str(Path(self._certbot.program).parent), str(Path(sys.executable).parent),
                                os.environ["PATH"]])
        # What a new setuptools says of an old Certbot is no output of ours.
        environment = {**self._certbot.environment(), "PATH": path, "PYTHONWARNINGS": "ignore:pkg_resources is",
                       "TERM": "xterm"}
        environment.pop("NO_COLOR", None)
        return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120)

    def follows_quick_start(self, check: str, reconfigure: str, dry_run: str, nginx: ContextManager[object]) -> None:
        """The lineage that fails tonight is renewed, by the commands alone.

        :param nginx: serves the name at port 80 from a directory.
        """
        self.types(f"certbot certonly --standalone -d {NAME}")
        with nginx:
            assert f"{NAME}: would fail" in self.types(f"{check} || true")
            if self._certbot.version < (2, 3):  # the README says so, and gives another way: test_ways_in.py
                return
            self.types(reconfigure)
            assert "all simulated renewals succeeded" in self.types(dry_run)
            assert f"{NAME}: would be renewed" in self.types(check)
        setting = "authenticator = autowebroot\n"
        assert setting in Path(f"/etc/letsencrypt/renewal/{NAME}.conf").read_text(encoding="utf-8")
