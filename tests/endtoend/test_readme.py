"""README.rst and docs/ are true: their commands are typed, and their output compared."""
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from certbot_autowebroot.renewals.lineages import read_certificate
from tests.lab import certificates
from tests.lab import https
from tests.lab import readme
from tests.lab.certbot import Certbot
from tests.lab.net import PUBLIC_V4
from tests.lab.reader import PLACES
from tests.lab.reader import Reader
from tests.lab.reader import reader
from tests.lab.readme import NAME
from tests.lab.shared_directory import empty_www
from tests.lab.visitors import shown

pytestmark = pytest.mark.lab

__all__ = ["reader"]  # a fixture


@pytest.fixture
def served(reader: Reader) -> Iterator[None]:
    """The name is served from a directory."""
    reader.nginx.configure(f"server {{ listen 80; server_name {NAME}; root /srv/www; }}")
    with reader.nginx:
        yield


def test_quick_start(reader: Reader) -> None:
    """By the commands alone. The first needs a network: tests/packaging/fresh_debian.py types that too."""
    _, *commands = (command.replace("/opt/certbot/bin/", "") for command in readme.quick_start())
    reader.nginx.configure(f"server {{ listen 80; server_name {NAME}; root /srv/www; }}")
    reader.follows_quick_start(*commands, nginx=reader.nginx)
    assert os.listdir("/srv/www") == []


@pytest.mark.usefixtures("served")
def test_new_certificate(reader: Reader) -> None:
    """By the command alone, and with the line in cli.ini."""
    issuing, line = readme.blocks("docs/renewals.rst")["New certificates"]
    reader.types(issuing)
    assert reader.setting("authenticator") == "autowebroot"
    with open("/etc/letsencrypt/cli.ini", "a", encoding="utf-8") as file:
        file.write(line + "\n" + readme.blocks("docs/options.rst")[""][0] + "\n")
    reader.types("certbot renew --force-renewal")
    assert reader.setting("autowebroot_unproven") == "refuse"


@pytest.mark.parametrize("number", [0, 1])
def test_certificate_that_exists(reader: Reader, certbot: Certbot, number: int) -> None:
    """Each way to bring an old lineage over, after which a plain renewal goes through."""
    ways = readme.blocks("docs/renewals.rst")["The certificates that you have"]
    assert len(ways) == 2
    if "reconfigure" in ways[number] and certbot.version < (2, 3):
        return  # the page says so, and gives another way: test_ways_in.py
    reader.types(f"certbot certonly --standalone -d {NAME}")
    conf = Path(f"/etc/letsencrypt/renewal/{NAME}.conf")
    conf.write_text("renew_before_expiry = 9999 days\n" + conf.read_text())  # it is due
    reader.nginx.configure(f"server {{ listen 80; server_name {NAME}; root /srv/www; }}")
    with reader.nginx:
        reader.types(ways[number])
        assert reader.setting("authenticator") == "autowebroot"
        reader.types("certbot renew --force-renewal")


@pytest.mark.usefixtures("served")
def test_removal(reader: Reader, certbot: Certbot) -> None:
    """The lineages of ours are found and get another authenticator and hook; what the plugin kept is gone."""
    finding, changing, _, removing = readme.blocks()["Remove"][0].splitlines()
    assert {finding, changing, removing} <= {line for block in readme.blocks("docs/install.rst")["Remove"]
                                             for line in block.splitlines()}
    reader.types(f"certbot certonly -a autowebroot -d {NAME}")
    assert reader.types(finding).split() == [f"/etc/letsencrypt/renewal/{NAME}.conf"]
    if certbot.version < (2, 3):  # the page has another way for it
        return
    reader.types(changing)
    assert reader.setting("authenticator") == "webroot"
    assert reader.setting("renew_hook") == "systemctl reload nginx"
    assert reader.types(f"{finding} || true") == ""
    reader.types(removing.replace("/usr/local/bin/", "/srv/"))
    assert not Path("/var/lib/letsencrypt/autowebroot").exists()
    reader.types("certbot renew --dry-run")


def test_hardened_unit(reader: Reader) -> None:
    """Port 80 free, then taken, by what systemd makes of the lines: read-only mounts, and few capabilities."""
    unit = dict(line.split("=", 1) for line in readme.blocks("docs/hardening.rst")["systemd"][0].splitlines()[1:])
    assert {*PLACES[:3]} == {*unit["ReadWritePaths"].split()} and unit["ProtectSystem"] == "strict"
    capabilities = ",".join(name.replace("CAP_", "+").lower() for name in unit["CapabilityBoundingSet"].split())
    readonly = " ".join(("/", *PLACES[3:]))
    script = (f"for place in {readonly}; do mount -o remount,ro,bind $place; done; mount -t tmpfs tmpfs /var/tmp\n"
              f"TMPDIR=/var/tmp exec setpriv --bounding-set=-all,{capabilities} --inh-caps=-all $0 $@")
    os.mkdir("/srv/users")
    os.mkdir("/srv/users/www")
    os.chown("/srv/users/www", 1000, 1000)
    reader.types(f"unshare --mount sh -e -c '{script}' certbot certonly -a autowebroot -d {NAME}")
    reader.nginx.configure(f"server {{ listen 80; server_name {NAME}; root /srv/users/www; }}")
    with reader.nginx:
        printed = reader.types(f"unshare --mount sh -e -c '{script}' certbot renew --force-renewal -v")
        assert "/srv/users/www" in printed, printed


def test_hook_is_saved_with_the_lineage(reader: Reader, certbot: Certbot) -> None:
    """The command that gives a lineage a deploy hook."""
    hook, = readme.blocks()["What a renewal does"]
    assert hook in readme.blocks("docs/renewals.rst")["Visitors get the new certificate"]
    reader.types(f"certbot certonly -a autowebroot -d {NAME}")
    if certbot.version >= (2, 3):  # the command that the README has for newer ones
        reader.types(hook)
        assert reader.setting("renew_hook") in hook


def test_cron_finds_the_hook(reader: Reader, certbot: Certbot, place: Path) -> None:
    """By the lines for cron(8), whose PATH they set; the hook is where the section on pip has put it."""
    if certbot.version < (2, 3):  # it has no command that keeps a hook
        return
    hook, = readme.blocks()["What a renewal does"]
    lines, = (block for block in readme.blocks("docs/renewals.rst")["At night"] if " * * * " in block)
    *settings, line = lines.splitlines()
    usual = {name: value for name, value in certbot.environment().items()
             if name in ("REQUESTS_CA_BUNDLE", "NO_PROXY", "PYTHONPATH")}
    for name, command in (("certbot", certbot.program),
                          ("certbot-autowebroot", f"{sys.executable} -m certbot_autowebroot.cli")):
        exports = "".join(f"export {variable}='{value}'\n" for variable, value in usual.items())
        (place / name).write_text(f'#!/bin/sh\n{exports}exec {command} "$@"\n')
        (place / name).chmod(0o755)
    reader.types(f"certbot certonly -a autowebroot -d {NAME}")
    reader.types(hook)
    conf, live = Path(f"/etc/letsencrypt/renewal/{NAME}.conf"), Path(f"/etc/letsencrypt/live/{NAME}")
    conf.write_text("renew_before_expiry = 9999 days\n" + conf.read_text())  # it is due
    with https.nginx(https.Site(NAME, live, place)):
        before = shown(PUBLIC_V4, NAME)
        done = subprocess.run(["sh", "-c", line.partition(" root ")[2].replace("/opt/certbot/bin", str(place))],
                              env={"PATH": "/usr/bin:/bin", **dict(
                                  setting.replace("/usr/local/bin", str(place)).split("=") for setting in settings)},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=120)
        assert (done.returncode, done.stdout) == (0, "")
        assert before != shown(PUBLIC_V4, NAME) == read_certificate(str(live / "cert.pem")).fingerprint


def test_haproxy_gets_a_file_of_each_lineage(reader: Reader) -> None:
    """A hook of all lineages: the files of one lineage do not become another's."""
    blocks = readme.blocks("docs/renewals.rst")["Visitors get the new certificate"]
    script, = (block for block in blocks if "haproxy" in block)
    hook = Path("/etc/letsencrypt/renewal-hooks/deploy/haproxy")
    hook.parent.mkdir(parents=True)
    hook.write_text(script + "\n")
    hook.chmod(0o755)
    Path("/etc/haproxy/certs").mkdir()
    for name in (NAME, "mail.sample.com"):
        certificates.lineage(Path("/etc/letsencrypt/live") / name, name, days=0)
        reader.types(f"RENEWED_LINEAGE=/etc/letsencrypt/live/{name} {hook}")
    made = Path("/etc/haproxy/certs") / f"{NAME}.pem"
    live = Path("/etc/letsencrypt/live") / NAME
    assert made.read_bytes() == (live / "fullchain.pem").read_bytes() + (live / "privkey.pem").read_bytes()
    assert made.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(made.parent)) == ["mail.sample.com.pem", f"{NAME}.pem"]


def test_directory_for_a_name_without_one(reader: Reader) -> None:
    """The snippet, its directory, and the line in the server block; no other setting is needed."""
    Path("/etc/nginx/snippets").mkdir()
    with empty_www():
        reader.types(readme.blocks("docs/no-directory.rst")["Give it a directory, for good"][0])
        reader.nginx.configure(f"server {{ include snippets/autowebroot.conf;\nlisten 80; server_name {NAME}; "
                               "location / { proxy_pass http://127.0.0.1:8001; } }")
        with reader.nginx:
            reader.types(f"certbot certonly -a autowebroot -d {NAME}")
        assert "/var/www/autowebroot" in reader.setting("autowebroot_roots")


def test_other_plugin_for_a_name_without_directory(reader: Reader, certbot: Certbot) -> None:
    """The command that chooses it, once."""
    choosing = readme.blocks("docs/no-directory.rst")["Use Certbot's own plugin for the server"][0]
    reader.types(f"certbot certonly --standalone -d {NAME}")
    reader.nginx.configure(f"server {{ listen 80; server_name {NAME};\nlocation / {{ return 404; }} }}")
    Path("/etc/nginx/mime.types").write_text("")
    if certbot.version >= (2, 3):  # the command that the README has for newer ones
        with reader.nginx:
            reader.types(choosing)
            reader.types("certbot renew --force-renewal")
        assert reader.setting("autowebroot_fallback") == "nginx"


def test_shown_output_is_printed(reader: Reader) -> None:
    """But for process ids and line numbers. The picture has a test of its own."""
    def comparable(text: str) -> str:
        return re.sub(r"(?<=pid )\d+|(?<=conf:)\d+", "N", text).strip()
    shown = readme.blocks()["It fails, you see why, it works"]
    reader.types(f"certbot certonly --standalone -d {NAME}")
    reader.serves_https()
    with reader.nginx:
        for block in shown:
            command, _, printed = block.partition("\n")
            assert comparable(reader.types(f"{command[2:]} || true")) == comparable(printed)
