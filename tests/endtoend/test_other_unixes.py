"""FreeBSD, macOS: what is missing there is reported once, and the plugin does what it can without.

Certbot runs without ``/proc``, netlink and ``O_PATH``, and with bind(2) and setgroups(2) as they are there; CA and web
server are the real ones.
"""
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict
from typing import List

import pytest

from tests.lab import certificates
from tests.lab import crash
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.certbot import prepend_path
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx

pytestmark = pytest.mark.lab

NAME = "www.sample.com"
SAID = "freebsd13 does not report which program listens on a port"
_LAB = Path(__file__).parents[1] / "lab" / "otherunix"
_WITHOUT_PROC = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh")


class OtherUnix(Certbot):
    """Certbot on another Unix."""

    def command(self, *arguments: str) -> List[str]:
        return [*_WITHOUT_PROC, *super().command(*arguments)]

    def environment(self) -> Dict[str, str]:
        environment = super().environment()
        prepend_path(environment, _LAB)
        return environment


def run_python(certbot: Certbot, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Python on that Unix, with stdout and stderr together."""
    return subprocess.run([*_WITHOUT_PROC, sys.executable, *arguments], env=certbot.environment(), timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture
def certbot(ca: CA, tmp_path: Path) -> Certbot:
    return OtherUnix(tmp_path, ca)


@pytest.fixture
def root(place: Path) -> Path:
    """A document root that another user owns, as in every home directory."""
    path = place / "root"
    path.mkdir()
    user = pwd.getpwnam("www-data")
    os.chown(path, user.pw_uid, user.pw_gid)
    return path


def nginx(place: Path, root: Path) -> Nginx:
    """nginx with one site. ``reuseport`` gives bind(2) the semantics that it has elsewhere: see the lab."""
    return Nginx(place / "nginx", f"server {{ listen 80 reuseport; server_name {NAME}; root {root}; }}",
                 user="www-data")


def test_plugin_is_listed(certbot: Certbot) -> None:
    """Every command imports it."""
    done = certbot.run("plugins")
    assert done.returncode == 0, done.stdout
    assert "* autowebroot" in done.stdout


def test_every_module_can_be_imported(certbot: Certbot) -> None:
    """No module needs a part of Linux at its import."""
    done = run_python(certbot, "-c", "import certbot_autowebroot as package, importlib, pkgutil\n"
                      "for module in pkgutil.walk_packages(package.__path__, 'certbot_autowebroot.'):\n"
                      "    importlib.import_module(module.name)")
    assert done.returncode == 0, done.stdout


def test_free_port(certbot: Certbot, ca: CA) -> None:
    """At both endpoints of a name; the log says, once, what this system does not report."""
    ca.resolve(NAME, [PUBLIC_V4], [PUBLIC_V6])
    try:
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    finally:
        ca.resolve(NAME)
    assert done.returncode == 0, done.stdout
    assert f"\n{NAME}: answered by autowebroot itself at " in done.stdout
    assert certbot.log.count(SAID) == 1
    assert SAID not in done.stdout


def test_free_address_beside_a_listener(certbot: Certbot, place: Path, root: Path) -> None:
    """Another program holds another address of the port."""
    with Nginx(place / "nginx", f"server {{ listen {OTHER_V4}:80; root {root}; }}", user="www-data"):
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    assert done.returncode == 0, done.stdout


def test_given_directory_is_remembered(certbot: Certbot, place: Path, root: Path) -> None:
    """--autowebroot-path, and at the next renewal autowebroot_roots; then the port is free; then all is as before."""
    with nginx(place, root):
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME, "--autowebroot-path", f"{place}:{root}")
        assert done.returncode == 0, done.stdout
        assert f"{NAME}: answered from {root} (" in certbot.log
        conf = certbot.renewal_conf(NAME)
        conf.write_text(conf.read_text().replace(f"autowebroot_path = {place}:{root}\n", ""))
        done = certbot.run("renew", "--force-renewal")
        assert done.returncode == 0, done.stdout
        assert certbot.renewal_setting(NAME, "autowebroot_path") is None
    for server in (subprocess.Popen(["true"]), nginx(place, root)):
        with server:
            done = certbot.run("renew", "--force-renewal")
            assert done.returncode == 0, done.stdout
    assert certbot.certificates(NAME) >= 4
    assert list(root.iterdir()) == []


def test_directory_of_a_former_webroot_lineage(certbot: Certbot, place: Path, root: Path) -> None:
    """webroot_map is visible at our first renewal, and remembered even where the port is free then."""
    with nginx(place, root):
        assert certbot.run("certonly", "--webroot", "-w", str(root), "-d", NAME).returncode == 0
    assert certbot.run("renew", "--force-renewal", "-a", "autowebroot").returncode == 0
    with nginx(place, root):
        done = certbot.run("renew", "--force-renewal")
    assert done.returncode == 0, done.stdout
    assert f"{NAME}: answered from {root} (" in certbot.log


def test_directory_is_remembered_without_a_challenge(reusing_ca: CA, tmp_path: Path, place: Path, root: Path) -> None:
    """Let's Encrypt reuses an authorization for weeks: the lineage is ours, and no challenge was performed."""
    certbot = OtherUnix(tmp_path, reusing_ca)
    with nginx(place, root):
        assert certbot.run("certonly", "--webroot", "-w", str(root), "-d", NAME).returncode == 0
        validations = reusing_ca.validations()
        assert certbot.run("renew", "--force-renewal", "-a", "autowebroot").returncode == 0
        assert reusing_ca.validations() == validations
        done = certbot.run("renew", "--dry-run")
    assert done.returncode == 0, done.stdout
    assert str(root) in str(certbot.renewal_setting(NAME, "autowebroot_roots"))


def test_link_to_the_directory_is_followed(certbot: Certbot, place: Path, root: Path) -> None:
    """A link of root's, in a directory that is root's alone."""
    (place / "current").symlink_to("root")
    with nginx(place, place / "current"):
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME, "--autowebroot-path", f"{place}/current")
    assert done.returncode == 0, done.stdout


def test_taken_port_without_directory_is_an_error(certbot: Certbot, ca: CA, place: Path, root: Path) -> None:
    """One error: what this system does not report, and the option to give. No program listens beside nginx."""
    with nginx(place, root):
        before = ca.validations()
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert f"{NAME}: would fail {PUBLIC_V4}:80: a program that is not visible to us" in said
    assert f"cannot be known: {SAID}" in said
    assert re.search(r"what to do: [^.]*--autowebroot-path", said)
    assert "Traceback" not in done.stdout and "as root" not in said
    assert ca.validations() == before, "the CA was asked"
    assert list(root.iterdir()) == []


def test_foreign_address_is_named(certbot: Certbot) -> None:
    """The user mistyped --http-01-address. No other program is asked whether the port is free."""
    done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME, "--http-01-address", "198.51.100.1")
    assert done.returncode == 1
    assert "cannot listen on 198.51.100.1:80: this host does not have the address" in " ".join(done.stdout.split())


def test_unserved_directory_is_named(certbot: Certbot, place: Path, root: Path) -> None:
    """The user mistyped --autowebroot-path."""
    (place / "wrong").mkdir()
    with nginx(place, root):
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME, "--autowebroot-path", f"{place}/wrong")
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert f"a test file in {place}/wrong/.well-known/acme-challenge did not come back" in said
    assert list((place / "wrong").iterdir()) == []


def test_files_of_a_killed_run_are_removed(certbot: Certbot, place: Path, root: Path) -> None:
    """The journal lists them; other processes' file systems are not visible."""
    left = crash.publish_and_die(certbot.directory / "work" / "autowebroot", root)
    done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    assert done.returncode == 0, done.stdout
    assert f"Removed {left}, which an earlier run had left behind." in certbot.log
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(("options", "status", "expected"), [
    ([], 1, f"cannot be known: {SAID}"),
    (["--path", "{root}"], 0, "a test file in {root}/.well-known/acme-challenge came back"),
], ids=["nothing given", "directory given"])
def test_check_predicts_what_renew_does(
        certbot: Certbot, place: Path, root: Path, options: List[str], status: int, expected: str) -> None:
    """certbot-autowebroot check, with port 80 taken."""
    with nginx(place, root):
        done = run_python(certbot, "-m", "certbot_autowebroot.cli", "check", NAME,
                          "--work-dir", str(certbot.directory), *(option.format(root=root) for option in options))
    assert done.returncode == status, done.stdout
    assert expected.format(root=root) in done.stdout
    assert list(root.iterdir()) == []


def test_reload_reports_the_unknown_listener(certbot: Certbot, place: Path) -> None:
    """certbot-autowebroot reload: the old certificate is found, the process that shows it is not visible."""
    crt, key = certificates.expired(place, NAME)
    certificates.lineage(place / "live" / NAME, NAME, 1)
    with Nginx(place / "nginx", f"server {{ listen 443 ssl; ssl_certificate {crt}; ssl_certificate_key {key}; }}"):
        done = run_python(certbot, "-m", "certbot_autowebroot.cli", "reload", "--lineage", f"{place}/live/{NAME}")
    assert done.returncode == 1
    assert f"{PUBLIC_V4}:443 still shows an older certificate" in done.stdout
    assert "only root can see which program it is" in done.stdout and "Traceback" not in done.stdout
