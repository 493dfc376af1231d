"""The command ``certbot-autowebroot snippet``; tests/endtoend tries its output in the real servers."""
import pytest

from certbot_autowebroot import settings
from certbot_autowebroot.cli import __main__ as cli
from certbot_autowebroot.servers.common.snippet import checked


@pytest.mark.parametrize("server", ["nginx", "apache", "lighttpd", "caddy"])
def test_own_directory(server: str, capsys: "pytest.CaptureFixture[str]") -> None:
    """It replaces the shared directory in the lines and in the command that makes it."""
    assert cli.main(["snippet", server]) == 0
    usual = capsys.readouterr().out
    assert cli.main(["snippet", server, "--directory", "/srv/acme-1/"]) == 0
    assert capsys.readouterr().out == usual.replace(settings.SHARED_DIRECTORY, "/srv/acme-1")
    assert f"install -d -m 755 {settings.SHARED_DIRECTORY}\n" in usual


def test_haproxy_has_no_directory(capsys: "pytest.CaptureFixture[str]") -> None:
    """It serves no files."""
    assert cli.main(["snippet", "haproxy", "--directory", "/srv/acme"]) == 2
    said = capsys.readouterr()
    assert not said.out and "serves no files" in said.err


@pytest.mark.parametrize("directory", ["", "/", "srv/acme", "/srv/a b", "/srv/;x", "/srv/$x", "/srv/%1", "/srv/{x}",
                                       "/srv/../etc", "/srv/.", "/srv//x", "/srv/x\n", '/srv/"x', "/srv/\u00e4"])
def test_directory_that_needs_quotes(
        directory: str, capsys: "pytest.CaptureFixture[str]") -> None:
    """It is refused: no quotes are right for five servers."""
    with pytest.raises(ValueError, match="absolute path"):
        checked(directory)
    with pytest.raises(SystemExit) as exit_:
        cli.main(["snippet", "nginx", f"--directory={directory}"])
    assert exit_.value.code == 2
    assert "absolute path" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("directory", ["/srv", "/srv/.acme", "/srv/a..b/c-d_e+f@g", "/var/www/autowebroot/"])
def test_directory_without_quotes(directory: str) -> None:
    """It is accepted; a slash at its end is dropped."""
    assert checked(directory) == directory.rstrip("/")


def test_unknown_server(capsys: "pytest.CaptureFixture[str]") -> None:
    """argparse names the known ones."""
    with pytest.raises(SystemExit) as exit_:
        cli.main(["snippet", "thttpd"])
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert all(server in said for server in ("nginx", "apache", "lighttpd", "caddy", "haproxy"))
