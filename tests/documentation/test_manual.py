"""The manual page, the completion of bash and the parser agree."""
import argparse
import contextlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List
from typing import Set

import pytest

from certbot_autowebroot.authenticator import Authenticator
from certbot_autowebroot.cli import __main__ as cli

TOP = Path(__file__).parents[2]
MANUAL = TOP / "docs" / "certbot-autowebroot.1"
COMPLETION = TOP / "packaging" / "bash-completion" / "certbot-autowebroot"


def help_of(*command: str) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), pytest.raises(SystemExit):
        cli.parser().parse_args([*command, "--help"])
    return output.getvalue()


def options_of(said: str) -> Set[str]:
    return set(re.findall(r"^  (?:-h, )?(--[a-z0-9-]+)", said, re.MULTILINE))


@pytest.mark.parametrize(("tool", "file"), [("manpage.py", MANUAL), ("completion.py", COMPLETION)])
def test_made_files_are_up_to_date(tool: str, file: Path) -> None:
    """The committed file is the output of the tool."""
    made = subprocess.run([sys.executable, TOP / "tools" / tool], check=True, capture_output=True, text=True)
    assert file.read_text(encoding="utf-8") == made.stdout, "run: make manual"


@pytest.mark.parametrize(("line", "words"), [
    ("", "check reload snippet --help --version"), ("ch", "check"), ("check --format ", "text json nagios prometheus"),
    ("check --format = n", "nagios"), ("check --str", "--strict"), ("check --http-01-port ", ""),
    ("snippet ha", "haproxy"), ("reload --lineage {place}/a", "{place}/a b"), ("reload --t", "--timeout"),
    ("check --path = {place}/a", "{place}/a b")])
def test_completion_of_bash(tmp_path: Path, line: str, words: str) -> None:
    """The words that bash offers for a line; a directory stays one word."""
    (tmp_path / "a b").mkdir()
    shell = """source "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _certbot_autowebroot; printf '%s\\n' "${COMPREPLY[@]}" """
    typed = line.format(place=tmp_path).split(" ")
    done = subprocess.run([shutil.which("bash", path="/usr/bin:/bin") or "bash", "-c", shell, "bash", COMPLETION,
                           "certbot-autowebroot", *typed], capture_output=True, text=True, check=True)
    assert (done.stdout.split("\n")[:-1], done.stderr) == (
        [word.format(place=tmp_path) for word in (words.split() if "/" not in words else [words])] or [""], "")


def test_manual_page_has_every_option() -> None:
    """All options of each --help, and no other."""
    commands: List[str] = re.findall(r"^    ([a-z]+) ", help_of(), re.MULTILINE)
    page = MANUAL.read_text(encoding="utf-8")
    assert re.findall(r"^\.Ss certbot-autowebroot (.*)", page, re.MULTILINE) == commands
    described = {"-" + option for option in re.findall(r"^\.It .*?Fl (-[a-z0-9-]+)", page, re.MULTILINE)}
    plugin = argparse.ArgumentParser(add_help=False)
    Authenticator.inject_parser_options(plugin, "autowebroot")
    assert described == options_of(help_of()).union(*(options_of(help_of(command)) for command in commands),
                                                    options_of(plugin.format_help()))


@pytest.mark.lab
def test_manual_page_has_no_faults() -> None:
    """groff warns of macros that man(1) would not understand."""
    done = subprocess.run(["groff", "-mandoc", "-ww", "-Tutf8", str(MANUAL)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
