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


@pytest.mark.parametrize(("host", "line"), [
    ("renews.sample.com", "return 302 http://renews.sample.com$request_uri;"),
    ("Renews.Sample.com.", "return 302 http://renews.sample.com$request_uri;"),
    ("web1", "proxy_pass http://web1;"), ("web1.internal", "proxy_pass http://web1.internal;"),
    ("10.0.0.1", "proxy_pass http://10.0.0.1;"), ("203.0.113.1", "proxy_pass http://203.0.113.1;"),
    ("fd00::1", "proxy_pass http://[fd00::1];"), ("[fd00::1]", "proxy_pass http://[fd00::1];")])
def test_to_redirects_to_a_public_name(host: str, line: str, capsys: "pytest.CaptureFixture[str]") -> None:
    """To an address and a private name it proxies."""
    assert cli.main(["snippet", "nginx", "--to", host]) == 0
    lines = capsys.readouterr().out
    assert f"    {line}\n" in lines
    assert f'# For the machines that do not renew: challenges go to {host.lower().strip("[].")}, which renews.' in lines


@pytest.mark.parametrize("host", ["", "a b", "a;b", "http://a.com", "a.com:80", "-a.com", "a..com", "1.2.3", "a_b",
                                  "a,", "fd00::1%eth0;"])
@pytest.mark.parametrize("option", ["--to", "--peers"])
def test_host_that_is_none(option: str, host: str, capsys: "pytest.CaptureFixture[str]") -> None:
    """It is refused, for it would stand in a configuration without quotes."""
    with pytest.raises(SystemExit) as exit_:
        cli.main(["snippet", "nginx", f"{option}={host}"])
    assert exit_.value.code == 2
    assert "is neither a name nor an address" in capsys.readouterr().err


def test_to_has_no_directory(capsys: "pytest.CaptureFixture[str]") -> None:
    """The file lies on the other machine."""
    assert cli.main(["snippet", "nginx", "--to", "web1", "--directory", "/srv/acme"]) == 2
    assert "there is no --directory for it" in capsys.readouterr().err


@pytest.mark.parametrize(("peers", "warns"), [("a,b,c,d,d", False), ("a,b,c,d,e", True)])
def test_varnish_names_its_limit(peers: str, warns: bool, capsys: "pytest.CaptureFixture[str]") -> None:
    """Varnish has four retries, unless an option gives it more; a peer counts once."""
    assert cli.main(["snippet", "varnish", "--peers", peers]) == 0
    assert ("varnishd the option -p max_retries=5" in capsys.readouterr().out) is warns
