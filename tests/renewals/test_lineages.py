"""Lineages of a Certbot configuration directory, and the messages for broken ones."""
import datetime
import os
from pathlib import Path
from typing import Any
from typing import Dict
from typing import Sequence
from typing import Tuple

import pytest

from certbot_autowebroot.renewals import lineages
from certbot_autowebroot.renewals import messages
from certbot_autowebroot.renewals.forecast import Forecast
from certbot_autowebroot.renewals.forecast import Outlook
from certbot_autowebroot.renewals.forecast import Served
from certbot_autowebroot.renewals.forecast import Shown
from certbot_autowebroot.renewals.lineages import Lineage
from certbot_autowebroot.route import Endpoint
from tests.lab.lineages import KINDS
from tests.lab.lineages import NAME
from tests.lab.lineages import NOW
from tests.lab.lineages import USUAL
from tests.lab.lineages import certificate
from tests.lab.lineages import make_lineage


def read(config: Path) -> Lineage:
    found, = lineages.lineages(str(config))
    return found


def test_lineage(tmp_path: Path) -> None:
    """Its name, authenticator, identifiers and days left."""
    conf = make_lineage(tmp_path)
    found = read(tmp_path)
    assert (found.name, found.conf, found.authenticator, found.port, found.problem) == (
        NAME, str(conf), "standalone", 80, "")
    assert found.certificate is not None and found.certificate.names == (NAME,)
    assert found.certificate.days_left(NOW) == 30
    assert found.certificate.days_left(NOW + datetime.timedelta(days=31)) == -1


@pytest.mark.parametrize(("parameters", "field", "value"), [
    (USUAL + "http01_port = 5080\n", "port", 5080),
    (USUAL + "http01_address = 203.0.113.10\n", "address", "203.0.113.10"),
    (USUAL + "http01_address = None\n", "address", ""),
    (USUAL + "pre_hook = systemctl stop nginx\n", "pre_hook", "systemctl stop nginx"),
    (USUAL + "autorenew = False\n", "autorenew", False),
    (USUAL + "directory_hooks = False\n", "directory_hooks", False),
    ("authenticator = webroot\nwebroot_path = /srv/a,\n[[webroot_map]]\na.b = /srv/b\n", "webroots",
     {"a.b": "/srv/b", "": "/srv/a"}),
    ("authenticator = webroot\nwebroot_path = /srv/a\n", "webroots", {"": "/srv/a"}),
    ("authenticator = webroot\nwebroot_path = /srv/a, /srv/b\n", "webroots", {"": "/srv/b"}),
    ("authenticator = webroot\n", "webroots", {}),
    ("authenticator = autowebroot\nautowebroot_fallback = nginx, apache\nautowebroot_path = None\n", "options",
     {"fallback": "['nginx', 'apache']", "path": ""}),
    ("authenticator = autowebroot\nautowebroot_unproven = refuse\nautowebroot_roots = '{\"a\": [[\"/b\", \"\"]]}'\n",
     "options", {"unproven": "refuse", "roots": '{"a": [["/b", ""]]}'})])
def test_parameters_are_read_as_by_certbot(tmp_path: Path, parameters: str, field: str, value: object) -> None:
    """Lists with one member, the word None, older forms."""
    make_lineage(tmp_path, parameters)
    found = read(tmp_path)
    assert found.problem == ""
    assert getattr(found, field) == value


@pytest.mark.parametrize(("content", "said"), [
    (b"", "does not say cert, privkey, chain, fullchain"),
    (b"cert = [[[\n=", "is broken"),
    (b"[renewalparams\n", "is broken"),
    (b"\xff\xfe\x00", "is not UTF-8"),
    (b"cert = a\nprivkey = b\nchain = c\nfullchain = d\n", "which authenticator"),
    (b"cert = a\nprivkey = b\nchain = c\nfullchain = d\nrenewalparams = x\n", "which authenticator"),
    (b"cert = a\nprivkey = b\nchain = c\nfullchain = d\n[renewalparams]\nauthenticator = None\n",
     "which authenticator"),
    (b"cert = a, b\nprivkey = b\nchain = c\nfullchain = d\n", "does not say cert"),
    (b"cert = a\nprivkey = b\nchain = c\nfullchain = d\n[renewalparams]\nauthenticator = x\nhttp01_port = y\n",
     "http01_port = y"),
    (b"cert = a\nprivkey = b\nchain = c\nfullchain = d\n[renewalparams]\nauthenticator = x\nhttp01_port = 99999\n",
     "http01_port = 99999"),
    (b"cert = a\nprivkey = b\nchain = c\nfullchain = d\n[renewalparams]\nauthenticator = x\nhttp01_address = y\n",
     "http01_address = y"),
    (b"\0" * 4096, "is broken")])
def test_broken_renewal_configuration(tmp_path: Path, content: bytes, said: str) -> None:
    """One line with the name of the file; Certbot would not renew it."""
    conf = make_lineage(tmp_path)
    conf.write_bytes(content)
    found = read(tmp_path)
    assert str(conf) in found.problem and said in found.problem
    assert found.certificate is None and not found.hidden


@pytest.mark.parametrize(("pem", "said"), [(b"", "is broken"), (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "is broken")])
def test_broken_certificate(tmp_path: Path, pem: bytes, said: str) -> None:
    """A full disk at the last renewal."""
    make_lineage(tmp_path, pem=pem)
    assert f"live/{NAME}/cert.pem {said}" in read(tmp_path).problem


def test_missing_certificate(tmp_path: Path) -> None:
    """An administrator has tidied up."""
    make_lineage(tmp_path)
    (tmp_path / "archive" / NAME / "cert1.pem").unlink()
    assert f"live/{NAME}/cert.pem is missing" in read(tmp_path).problem


@pytest.mark.parametrize("kind", KINDS)
def test_missing_links_and_files(tmp_path: Path, kind: str) -> None:
    """Certbot needs four links; a key was deleted, or a copy made files of the links (rsync -L, scp)."""
    make_lineage(tmp_path)
    live = tmp_path / "live" / NAME / f"{kind}.pem"
    content = live.read_bytes()
    live.unlink()
    assert f"{live} is missing" in read(tmp_path).problem
    live.write_bytes(content)
    found = read(tmp_path)
    assert f"{live} is not a symbolic link" in found.problem
    assert found.certificate is not None and not found.hidden


def test_fifo_does_not_block(tmp_path: Path) -> None:
    """open(2) would wait for a writer for good."""
    conf = make_lineage(tmp_path)
    conf.unlink()
    os.mkfifo(conf)
    assert "not a regular file" in read(tmp_path).problem


def test_broken_lineage_does_not_hide_others(tmp_path: Path) -> None:
    """The others are read; files that are no renewal configurations are skipped."""
    for name in ("a.sample.com", "b.sample.com", "c.sample.com"):
        make_lineage(tmp_path / name, name=name)
        (tmp_path / "renewal").mkdir(exist_ok=True)
        (tmp_path / name / "renewal" / f"{name}.conf").rename(tmp_path / "renewal" / f"{name}.conf")
    (tmp_path / "renewal" / "b.sample.com.conf").write_text("[")
    (tmp_path / "renewal" / "b.sample.com.conf~").write_text("[")
    assert [(found.name, bool(found.problem)) for found in lineages.lineages(str(tmp_path))] == [
        ("a.sample.com", False), ("b.sample.com", True), ("c.sample.com", False)]


def test_no_lineages(tmp_path: Path) -> None:
    """Certbot was just installed."""
    assert lineages.lineages(str(tmp_path)) == []


def test_missing_configuration_directory_is_an_error(tmp_path: Path) -> None:
    """A typing mistake must not look like "all is well"."""
    with pytest.raises(FileNotFoundError):
        lineages.lineages(str(tmp_path / "gone"))


def test_earlier_certificates(tmp_path: Path) -> None:
    """A server without a reload still shows one of them; other files are skipped."""
    make_lineage(tmp_path)
    archive = tmp_path / "archive" / NAME
    (archive / "cert2.pem").write_bytes(certificate())
    (archive / "cert3.pem").write_bytes(b"")
    (archive / "chain1.pem").write_bytes(certificate())
    found = read(tmp_path)
    assert found.certificate is not None
    earlier = lineages.earlier_certificates(found)
    assert len(earlier) == 2 and found.certificate.fingerprint in earlier


def test_certificate_without_alternative_names(tmp_path: Path) -> None:
    """Its common name counts; it was made by hand."""
    make_lineage(tmp_path, pem=certificate(alternative=False))
    found = read(tmp_path)
    assert found.certificate is not None and found.certificate.names == (NAME,)


def test_pre_hooks(tmp_path: Path) -> None:
    """Executable files that are no editor's backups."""
    hooks = tmp_path / "renewal-hooks" / "pre"
    hooks.mkdir(parents=True)
    for name, mode in (("stop", 0o755), ("stop~", 0o755), ("README", 0o644)):
        (hooks / name).write_text("")
        (hooks / name).chmod(mode)
    assert lineages.directory_hooks(str(tmp_path)) == [str(hooks / "stop")]


@pytest.mark.parametrize("parameters, files, found", [
    (USUAL, {}, ()),
    (USUAL + "installer = None\nrenew_hook = None\n", {}, ()),
    (USUAL + "installer = nginx\n", {}, ("nginx",)),
    (USUAL + "renew_hook = systemctl reload nginx\n", {}, ("systemctl reload nginx",)),
    (USUAL + "post_hook = systemctl start nginx\n", {}, ("systemctl start nginx",)),
    (USUAL, {"renewal-hooks/deploy/reload": ""}, ("{config}/renewal-hooks/deploy/reload",)),
    (USUAL, {"renewal-hooks/post/reload": ""}, ("{config}/renewal-hooks/post/reload",)),
    (USUAL + "directory_hooks = False\n", {"renewal-hooks/deploy/reload": ""}, ()),
    (USUAL, {"renewal-hooks/deploy/reload~": ""}, ()),
    (USUAL, {"cli.ini": "# deploy-hook = x\ndeploy-hook = reload it\n"}, ("reload it",)),
    (USUAL, {"cli.ini": "renew-hook: reload it\n"}, ("reload it",)),
    (USUAL, {"cli.ini": "--post-hook reload\n"}, ("reload",)),
    (USUAL, {"cli.ini": "pre-hook = stop\ndeploy-hook =\ndeploy-hooks = x\n"}, ()),
], ids=["nothing", "None", "an installer", "a deploy hook", "a post-hook", "a directory", "post-hooks' directory",
        "directories switched off", "an editor's copy", "cli.ini", "its older name", "as an option", "others"])
def test_hooks_after_a_renewal(tmp_path: Path, parameters: str, files: Dict[str, str], found: Sequence[str]) -> None:
    """All that may reload a server: the lineage's hooks, and those of every lineage."""
    make_lineage(tmp_path, parameters)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    assert read(tmp_path).afterwards == tuple(text.format(config=tmp_path) for text in found)


@pytest.mark.parametrize("shown, lineage, lacks", [
    ([Shown.CURRENT], {}, True),
    ([Shown.NO_LISTENER, Shown.STALE], {}, True),
    ([Shown.NO_LISTENER, Shown.OTHER, Shown.NO_CERTIFICATE], {}, False),
    ([], {}, False),
    ([Shown.CURRENT], {"afterwards": ("nginx",)}, False),
    ([Shown.CURRENT], {"autorenew": False}, False),
    ([Shown.CURRENT], {"problem": "is broken"}, False),
], ids=["it is shown", "an older one is", "another is", "it has no names", "something runs afterwards", "switched off",
        "broken"])
def test_lineage_needs_a_hook(shown: Sequence[Shown], lineage: Dict[str, Any], lacks: bool) -> None:
    """Where port 443 shows its certificate, and no hook would load the next one."""
    served = [Served("www.sample.com", Endpoint("203.0.113.10", 443), one) for one in shown]
    found = Forecast(Lineage("www.sample.com", "www.sample.com.conf", **lineage), Outlook.GOOD, served=served)
    assert found.lacks_hook is lacks


@pytest.mark.parametrize("version, said", [
    ((1, 21), "renew_hook = reload it (in /etc/letsencrypt/renewal/one.conf, below [renewalparams])"),
    ((2, 2), "renew_hook = reload it (in /etc/letsencrypt/renewal/one.conf, below [renewalparams])"),
    ((2, 3), "certbot reconfigure --cert-name one --deploy-hook 'reload it' --config-dir /x"),
    ((5, 8), "certbot reconfigure --cert-name one --deploy-hook 'reload it' --config-dir /x"),
], ids=str)
def test_command_that_adds_a_hook(version: Tuple[int, int], said: str) -> None:
    """A command since Certbot 2.3, before that a line of the renewal configuration."""
    found = Forecast(Lineage("one", "/etc/letsencrypt/renewal/one.conf"), Outlook.GOOD)
    assert messages.adding_hook(found, version, ["--config-dir", "/x"], "reload it") == said
