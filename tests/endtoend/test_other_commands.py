"""Installing us changes no other Certbot command. Every command imports every plugin, so one that fails stops all."""
import subprocess
from pathlib import Path
from typing import List

import pytest

from tests.lab.certbot import Certbot

pytestmark = pytest.mark.lab

NAME = "www.sample.com"


@pytest.fixture
def certbot(certbot: Certbot, monkeypatch: pytest.MonkeyPatch) -> Certbot:
    """A Certbot that prints each warning each time, deprecations too."""
    usual = certbot.environment
    monkeypatch.setattr(certbot, "environment", lambda: {**usual(), "PYTHONWARNINGS": "always"})
    return certbot


def of_ours(done: "subprocess.CompletedProcess[str]") -> List[str]:
    """The lines of a command's output that are about this plugin."""
    return [line for line in done.stdout.splitlines() if "autowebroot" in line]


def test_plugins_lists_the_plugin(certbot: Certbot) -> None:
    """Without a warning. Certbot up to 2.7 checks requirements here: a missing one is a traceback in every command."""
    done = certbot.run("plugins")
    assert done.returncode == 0, done.stdout
    assert "* autowebroot" in of_ours(done)
    assert [line for line in of_ours(done) if "Warning" in line] == []


def test_plugins_can_be_prepared(certbot: Certbot) -> None:
    """As a menu does with every plugin."""
    done = certbot.run("plugins", "--prepare", "--authenticators")
    assert done.returncode == 0, done.stdout
    assert "* autowebroot" in done.stdout


def test_help_has_our_options(certbot: Certbot) -> None:
    """certbot --help autowebroot."""
    done = certbot.run("--help", "autowebroot")
    assert done.returncode == 0, done.stdout
    assert "--autowebroot-path" in done.stdout and "--autowebroot-unproven" in done.stdout


def test_other_lineages_are_not_touched(certbot: Certbot) -> None:
    """certonly, certificates, renew: not a word of ours on the terminal or in the renewal configuration."""
    for command in (["certonly", "--standalone", "-d", NAME], ["certificates"],
                    ["renew", "--force-renewal"], ["renew", "--dry-run"]):
        done = certbot.run(*command)
        assert done.returncode == 0, done.stdout
        assert of_ours(done) == []
    assert certbot.certificates(NAME) >= 2  # three, where the first renewal came without a validation
    assert "autowebroot" not in certbot.renewal_conf(NAME).read_text()


def test_journal_directory_is_made_on_demand(certbot: Certbot, tmp_path: Path) -> None:
    """It comes with the first challenge that we answer."""
    assert certbot.run("certonly", "--standalone", "-d", NAME).returncode == 0
    assert list(tmp_path.rglob("*autowebroot*")) == []
