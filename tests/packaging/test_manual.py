"""The manual page and the command say the same."""
import re
import subprocess
import sys
from pathlib import Path
from typing import Set

MANUAL = Path(__file__).parents[2] / "docs" / "certbot-autowebroot.8"


def options_of_the_command() -> Set[str]:
    """What --help lists."""
    found: Set[str] = set()
    for arguments in (["--help"], ["check", "--help"]):
        said = subprocess.run([sys.executable, "-m", "certbot_autowebroot.cli", *arguments], check=True,
                              capture_output=True, text=True).stdout
        found |= set(re.findall(r"^  (?:-h, )?(--[a-z0-9-]+)", said, re.MULTILINE))
    return found


def test_the_manual_page_has_the_commands_options() -> None:
    """All of them, and no other."""
    described = set(re.findall(r"^\.It Fl (-[a-z0-9-]+)", MANUAL.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"-" + option for option in described} == options_of_the_command()


def test_the_manual_page_has_no_faults() -> None:
    """As man(1) reads it: groff tells what it does not understand."""
    done = subprocess.run(["groff", "-mandoc", "-ww", "-Tutf8", str(MANUAL)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
