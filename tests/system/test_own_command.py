"""The commands that messages name work where they are typed."""
import sys
from pathlib import Path

import pytest

from certbot_autowebroot.system import own_command


@pytest.mark.parametrize("where, argument, said", [
    ("usual", "check", "certbot-autowebroot"),
    ("venv", "check", "{place}/venv/certbot-autowebroot"),
    ("", "{place}/some where/certbot-autowebroot", "'{place}/some where/certbot-autowebroot'"),
    ("bin", "{place}/bin/certbot", "{place}/bin/certbot-autowebroot"),
    ("", "{place}/cli.py", "{place}/bin/python -m certbot_autowebroot.cli"),
], ids=["installed for all", "in a virtual environment of the shell's", "by its path", "beside certbot", "as a module"])
def test_command_is_found(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, argument: str, said: str) -> None:
    """cron has another PATH than the shell, and certbot --quiet does not report a missing hook."""
    for name in ("usual", "venv", "bin"):
        (tmp_path / name).mkdir()
        if name == where:
            (tmp_path / name / "certbot-autowebroot").touch(0o755)
    monkeypatch.setattr(own_command, "_PATH", str(tmp_path / "usual"))
    monkeypatch.setenv("PATH", f"{tmp_path}/venv:{tmp_path}/usual")
    monkeypatch.setattr(sys, "argv", [argument.format(place=tmp_path)])
    monkeypatch.setattr(sys, "executable", f"{tmp_path}/bin/python")
    assert own_command.reload() == f"{said} reload".format(place=tmp_path)
    assert own_command.check(["a.sample.com"], {"--path": "/srv/my www", "--nodes": ""}) == \
        f"{said} check a.sample.com --path '/srv/my www'".format(place=tmp_path)


def test_snap_has_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certbot's snap brings certbot alone into PATH."""
    monkeypatch.setenv("CERTBOT_SNAPPED", "True")
    assert own_command.check(["a.sample.com"], {}) == ""
