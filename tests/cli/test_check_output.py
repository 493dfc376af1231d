"""The output of ``check`` for hosts with faults: the reason, the attempts and the remedy, each once."""
import contextlib
import io
from pathlib import Path
from typing import Any
from typing import Dict
from typing import List

import pytest

from certbot_autowebroot.cli import __main__ as cli
from certbot_autowebroot.system import own_command
from tests.lab import certificates
from tests.lab import https
from tests.lab.lineages import certificate
from tests.lab.lineages import make_lineage
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.users import as_nobody

pytestmark = pytest.mark.lab

__all__ = ["names", "place"]  # fixtures
NAME = "www.sample.com"
LINES = r"rewrite ^/\.well-known/acme-challenge/ $uri break;"


@pytest.fixture
def config(place: Path) -> Path:
    return place / "config"


def check(config: Path, *arguments: str) -> int:
    return cli.main(["check", "--config-dir", str(config), "--work-dir", str(config.parent / "work"), *arguments])


def nginx(place: Path, config: str) -> Nginx:
    (place / "root").mkdir(exist_ok=True)
    return Nginx(place / "nginx", config, user="www-data")


def current(config: Path, days: int = 0, lineage: str = NAME) -> Path:
    """Give the lineage a certificate that port 443 can show; returns its directory below live/."""
    certificates.lineage(config.parent / "new", NAME, days)
    archive = config / "archive" / lineage
    for kind in ("cert", "privkey", "fullchain"):
        (config.parent / "new" / f"{kind}.pem").replace(archive / f"{kind}1.pem")
    return config / "live" / lineage


def test_reason_for_missing_test_file(place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is given for the directory of the route and for those of --path; other directories did not return the file."""
    (place / "given").mkdir()
    with nginx(place, f"server {{ listen 80; root {place}/root; }}"):
        (place / "root").rmdir()
        assert check(config, NAME, "--path", f"{place}/given:{place}/none") == 1
    said = capsys.readouterr().out
    assert f"looks in the directory {place}/root/.well-known/acme-challenge; refused: The document root" in said
    assert f"tried {place}/none/.well-known/acme-challenge; refused: The document root {place}/none" in said
    assert f"a test file in {place}/given/.well-known/acme-challenge did not come back\n" in said


def test_remembered_directory_on_the_route_is_refused_once(
        place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error log of the running server names it too. Here no journal can be written."""
    root = f'{{"{NAME}": [["{place}/root", ".well-known/acme-challenge"]]}}'
    make_lineage(config, f"authenticator = autowebroot\nautowebroot_roots = '{root}'\n")
    (place / "work").write_text("")
    with nginx(place, f"server {{ listen 80; root {place}/root; }}"):
        assert check(config) == 1
    said = capsys.readouterr().out
    assert f"looks in the directory {place}/root/.well-known/acme-challenge; refused: The journal" in said
    assert said.count("The journal") == 1


def test_removed_root_of_server_without_reload(place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The root on disk is tried, the root in the error log is refused, and a reload is advised."""
    with nginx(place, f"server {{ listen 80; root {place}/root; }}") as server:
        (place / "root").rename(place / "moved")
        server.configure(f"server {{ listen 80; root {place}/moved; }}")
        assert check(config, NAME) == 1
        pid = server.pid
    said = capsys.readouterr().out
    assert f"looks in the directory {place}/moved/.well-known/acme-challenge; the test file did not come back" in said
    assert f"tried {place}/root/.well-known/acme-challenge of nginx (pid {pid}); refused: The document root" in said
    assert "- repair what was refused: install -d -m 755 " in said, said
    assert "runs with the configuration that is on disk (reload it)" in said


def test_redirect_is_reported_once(place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer is the redirect that the configuration shows already."""
    with nginx(place, "server { listen 80; return 301 http://$host:8080$request_uri; }"):
        assert check(config, NAME) == 1
    said = capsys.readouterr().out
    assert said.count("the CA does not follow a redirect to") == 1 and "came back: " not in said


def test_names_with_same_result_are_grouped(place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One route and one remedy for all names that fail; of the good names, the first."""
    all_names = [f"n{number}.sample.com" for number in range(20)]
    make_lineage(config, "authenticator = autowebroot\n", "n0.sample.com", certificate(all_names))
    with nginx(place, f"""server {{ listen 80; root {place}/root; }}
            server {{ listen 80; server_name ~^n1; return 404; }}"""):
        assert check(config) == 1
    said = capsys.readouterr().out
    bad = [name for name in all_names if name.startswith("n1")]
    assert f"  {', '.join(bad)}: would fail\n" in said
    assert said.count("return 404") == 2 and said.count(LINES) == 1
    assert "  n0.sample.com, n2.sample.com, n3.sample.com, n4.sample.com, n5.sample.com and 4 more: a test file" in said
    assert f"no program listens on {PUBLIC_V4}:443 for n0.sample.com, n1.sample.com" in said
    assert said.count("no program listens on") == 1


def test_lines_are_printed_for_first_lineage_only(
        place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All lineages have the same server."""
    for name in ("a.sample.com", "b.sample.com", "c.sample.com"):
        make_lineage(config, "authenticator = autowebroot\n", name)
    with nginx(place, "server { listen 80; return 404; }"):
        assert check(config) == 1
    said = capsys.readouterr().out
    assert said.count(LINES) == 1 and said.count("the lines above, into the server block at ") == 2


def test_standalone_lineage_without_remedy_shows_route(
        place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The program that holds the port, and why autowebroot would fail too."""
    make_lineage(config)
    with nginx(place, "server { listen 80; return 404; }"):
        assert check(config, "--quiet") == 1
    said = capsys.readouterr().out
    assert "standalone cannot listen on port 80" in said and "autowebroot would fail too:\n" in said
    assert "return 404 (" in said and LINES in said and "mend it with" not in said


def test_no_write_reports_moved_webroot(place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lineage's directory, the directory where the request ends, and one remedy: no lines for the server."""
    make_lineage(config, f"authenticator = webroot\n[[webroot_map]]\n{NAME} = {place}/old\n")
    with nginx(place, f"server {{ listen 80; root {place}/root; }}"):
        assert check(config, "--no-write") == 1
    said = capsys.readouterr().out
    assert f"{NAME}: webroot would put the file into {place}/old/.well-known/acme-challenge, and " in said
    assert f"looks in the directory {place}/root/.well-known/acme-challenge\n" in said
    assert "mend it with" in said and "what to do" not in said


def test_silent_second_address_is_unproven(
        place: Path, config: Path, capsys: pytest.CaptureFixture[str], names: Dict[str, List[str]]) -> None:
    """The site has moved to another machine, perhaps; the CA will see."""
    names[NAME] = [PUBLIC_V4, "198.51.100.7"]
    make_lineage(config, "authenticator = autowebroot\n")
    with nginx(place, f"server {{ listen 80; root {place}/root; }}"):
        assert check(config) == 4
    assert f"{NAME} also resolves to 198.51.100.7, which does not answer from here" in capsys.readouterr().out


def test_older_certificate_on_443_names_the_reload(
        place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To people and in the line for monitoring; the command then reloads the server."""
    make_lineage(config, "authenticator = autowebroot\n")
    live = current(config, days=60)
    with https.nginx(https.Site(NAME, live, place)):
        current(config)
        assert check(config) == 1
        said = capsys.readouterr().out
        assert f"reload it with: {own_command.reload()} --lineage {live}\n" in said
        assert check(config, "--format", "nagios") == 1
        assert f"WARNING - 1 lineage: 1 good; an older certificate is shown: {NAME} |" in capsys.readouterr().out
        assert cli.main(["reload", "--lineage", str(live)]) == 0
        assert check(config) == 0


def test_nagios_line_names_expired_certificate(place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Though its renewal would succeed."""
    make_lineage(config, "authenticator = autowebroot\n", pem=certificate(days=-10000, issued=-10090))
    assert check(config, "--format", "nagios") == 2
    assert f"CRITICAL - 1 lineage: 1 good; expired: {NAME} |" in capsys.readouterr().out


@pytest.mark.parametrize(("listen", "said"), [
    ("443", "it does not speak TLS"),
    ("443 ssl; ssl_reject_handshake on", "it has none for this name (")])
def test_reason_for_no_certificate_on_443(place: Path, config: Path, capsys: pytest.CaptureFixture[str], listen: str,
                                          said: str) -> None:
    """In words of our own, not OpenSSL's."""
    make_lineage(config, "authenticator = autowebroot\n")
    with nginx(place, f"server {{ listen 80; listen {listen}; root {place}/root; }}"):
        assert check(config) == 0
    assert f"no certificate could be had from {PUBLIC_V4}:443 for {NAME}: {said}" in capsys.readouterr().out


def test_without_root_no_name_fails(place: Path, config: Path) -> None:
    """Neither where root's web server answers nor where no program listens: port 80 is root's."""
    def act() -> Any:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = cli.main(["check", NAME])
        return status, out.getvalue()
    check(config, NAME)  # what is imported late must be so before: nobody may not read the modules of root's Python
    for running in (nginx(place, f"server {{ listen 80; root {place}/root; }}"), contextlib.nullcontext()):
        with running:
            status, said = as_nobody(act)
        assert (status, f"{NAME}: could not be checked (run it as root)\n" in said) == (2, True), said


def test_unused_lineage_for_the_same_names(place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Port 443 shows the certificate of the other lineage: no server shows an older certificate."""
    for lineage in (NAME, f"{NAME}-0001"):
        make_lineage(config, "authenticator = autowebroot\n", lineage)
    live = current(config, 10)
    current(config, 0, f"{NAME}-0001")
    tls = https.Site(NAME, live, place / "tls")
    tls.place.mkdir()
    with nginx(place, f"server {{ listen 80; root {place}/root; }}"), https.nginx(tls):
        assert check(config) == 0
    said = capsys.readouterr().out
    assert f"{PUBLIC_V4}:443 for {NAME} shows the current certificate\n" in said
    assert f"{PUBLIC_V4}:443 for {NAME} shows the certificate of the lineage {NAME} for the same names, until " in said
    assert (f"  if no server uses the lineage {NAME}-0001, delete it with: certbot delete --cert-name {NAME}-0001 "
            f"--config-dir {config}\n") in said and said.count("delete it with") == 1
