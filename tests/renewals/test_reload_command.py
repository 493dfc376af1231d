"""The command's arguments, Certbot's environment, and the messages for invalid input."""
import contextlib
import io
from pathlib import Path
from typing import Any
from typing import Dict
from typing import List
from typing import NoReturn

import pytest

from certbot_autowebroot.cli import __main__ as cli
from certbot_autowebroot.renewals import reload as reloading
from tests.lab import certificates
from tests.lab import https
from tests.lab.lineages import make_lineage
from tests.lab.net import PUBLIC_V4
from tests.lab.orders import NAME
from tests.lab.reloading import Done
from tests.lab.reloading import reload
from tests.lab.users import as_nobody


@pytest.mark.lab
def test_names_find_their_lineages(place: Path, capfd: pytest.CaptureFixture[str], names: Dict[str, List[str]]) -> None:
    """By hand, after a renewal without a hook; for a wildcard, a name that it covers is asked."""
    for name in (NAME, "*.wild.sample.com"):
        certificates.lineage(place / "live" / name, name, days=0)
        conf = place / "renewal" / f"{name}.conf"
        conf.parent.mkdir(exist_ok=True)
        files = [f"{key} = {place}/live/{name}/{key}.pem\n" for key in ("cert", "privkey", "chain", "fullchain")]
        conf.write_text("".join(files) + "[renewalparams]\nauthenticator = manual\n")
    assert cli.main(["reload", "--config-dir", str(place), NAME, "WWW.wild.sample.com"]) == 0
    said = capfd.readouterr().out
    assert said == (f"no program listens on {PUBLIC_V4}:443 for www.wild.sample.com\n"
                    f"no program listens on {PUBLIC_V4}:443 for {NAME}\n")
    assert cli.main(["reload", "--config-dir", str(place), NAME, "other.sample.com"]) == 2
    assert f"other.sample.com: no certificate below {place} is for this name" in capfd.readouterr().err


@pytest.mark.lab
def test_without_root_names_are_unknown(place: Path) -> None:
    """/etc/letsencrypt/live is root's: the name may be in a certificate there."""
    make_lineage(place, "authenticator = manual\n", NAME)
    (place / "live").chmod(0o700)

    def act() -> Any:
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            of_name = cli.main(["reload", "--config-dir", str(place), NAME])
            of_lineage = cli.main(["reload", "--lineage", str(place / "live" / NAME)])
        return of_name, of_lineage, said.getvalue()
    of_name, of_lineage, said = as_nobody(act)
    file = f"{place}/live/{NAME}/cert.pem"
    assert (of_name, of_lineage) == (2, 2)
    assert said == (f"certbot-autowebroot: {NAME}: it is not known which certificate is for this name: its certificate "
                    f"{file} cannot be read: Permission denied (run it as root)\n"
                    f"certbot-autowebroot: {file} cannot be read: Permission denied (run it as root)\n")


@pytest.mark.lab
def test_deploy_hook_needs_no_arguments(
        site: https.Site, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Certbot's environment names the lineage."""
    monkeypatch.setenv("RENEWED_LINEAGE", str(site.live))
    monkeypatch.setenv("RENEWED_DOMAINS", f"one.sample.com {NAME}")
    assert cli.main(["reload"]) == 0
    assert capfd.readouterr().out == f"no program listens on {PUBLIC_V4}:443 for one.sample.com, {NAME}\n"


@pytest.mark.parametrize("arguments, said", [
    ([], "which certificate was renewed?"),
    (["--lineage", "{place}/none"], "{place}/none/cert.pem cannot be read: No such file or directory"),
    (["--lineage", "{place}/torn"], "{place}/torn/cert.pem cannot be read: there is no certificate in it"),
    (["--config-dir", "{place}/none", NAME], "{place}/none: No such file or directory"),
    (["--lineage", "{place}/live/www.sample.com", "no name!"], "no name!: "),
], ids=["nothing is said", "no lineage", "a torn one", "no configuration directory", "no name"])
def test_unusable_arguments_are_one_line(
        site: https.Site, capfd: pytest.CaptureFixture[str], arguments: List[str], said: str) -> None:
    """Exit status 2, with a remedy where it is not plain."""
    (site.place / "torn").mkdir()
    (site.place / "torn" / "cert.pem").write_text("torn")
    assert cli.main(["reload", *(argument.format(place=site.place) for argument in arguments)]) == 2
    captured = capfd.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert said.format(place=site.place) in captured.err


@pytest.mark.parametrize("seconds", ["-1", "nan", "soon", "1e9"])
def test_invalid_time_is_refused(capfd: pytest.CaptureFixture[str], seconds: str) -> None:
    """Also an infinite one."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["reload", "--timeout", seconds, NAME])
    assert ended.value.code == 2
    assert f"--timeout: '{seconds}' is no number of seconds from 0 to 3600\n" in capfd.readouterr().err


def test_ctrl_c_is_no_traceback(
        site: https.Site, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the exit status of a shell."""
    def interrupted(*_: Any) -> NoReturn:
        raise KeyboardInterrupt
    monkeypatch.setattr(reloading, "reload", interrupted)
    assert reload(capfd, site) == Done(130, "")
