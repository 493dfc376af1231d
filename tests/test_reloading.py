"""Reloading each server for real, when all is well and when it is not. No CA: the lineages are made here."""
import contextlib
import io
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import NoReturn
from typing import Optional

import pytest

from certbot_autowebroot import cli
from certbot_autowebroot import reloading
from certbot_autowebroot.commands import reload as command
from certbot_autowebroot.lineages import read_certificate
from certbot_autowebroot.reloading import systemd
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from tests.lab import certificates
from tests.lab import https
from tests.lab import programs
from tests.lab.container import ADDRESS
from tests.lab.container import Container
from tests.lab.haproxy import Haproxy
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx
from tests.lab.visitors import shown
from tests.test_solver import NAME
from tests.test_solver import names
from tests.test_solver import place
from tests.test_without_root import as_nobody

__all__ = ["names", "place"]  # fixtures
ME, PARENT = os.getpid(), os.getppid()
WWW_DATA = str(pwd.getpwnam("www-data").pw_uid)


class Done(NamedTuple):
    """What the command said, and its exit status."""

    status: int
    said: str


@pytest.fixture
def site(place: Path) -> https.Site:
    """A lineage whose certificate was issued sixty days ago."""
    live = place / "live" / NAME
    certificates.lineage(live, NAME, days=60)
    return https.Site(NAME, live, place)


@pytest.fixture(autouse=True)
def no_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RENEWED_LINEAGE", "RENEWED_DOMAINS"):
        monkeypatch.delenv(name, raising=False)


def renewed(site: https.Site, days: int = 1) -> None:
    """A new certificate lies there, issued so many days ago; HAProxy's hook has run."""
    certificates.lineage(site.live, NAME, days)
    subprocess.run(["sh", "-c", https.both(site)], check=True)


@contextlib.contextmanager
def serving(site: https.Site, server: Any) -> Iterator[Any]:
    """A server that shows the certificate of before, while a new one lies there."""
    server.start()
    try:
        assert shown(PUBLIC_V4, NAME) == current(site)
        renewed(site)
        yield server
    finally:
        server.stop()


def current(site: https.Site) -> str:
    return read_certificate(str(site.live / "cert.pem")).fingerprint


def is_new(site: https.Site) -> bool:
    return shown(PUBLIC_V4, NAME) == current(site)


def reload(capfd: pytest.CaptureFixture[str], site: https.Site, *arguments: str) -> Done:
    status = cli.main(["reload", "--lineage", str(site.live), *arguments])
    captured = capfd.readouterr()
    return Done(status, captured.out + captured.err)


BROKEN: Dict[str, Callable[[Any], None]] = {
    "nginx": lambda server: server.configure("nonsense;"),
    "apache2": lambda server: server.write("Nonsense on\n"),
    "lighttpd": lambda server: server.conf.write_text("nonsense = (((\n"),
    "haproxy": lambda server: server.conf.write_text("frontend f\n nonsense\n"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_configuration_that_is_broken_on_disk_is_told_and_nobody_is_reloaded(
        site: https.Site, capfd: pytest.CaptureFixture[str], name: str) -> None:
    """Each server's own test says what and where; Apache httpd and lighttpd would have ended."""
    with serving(site, https.SERVERS[name](site)) as server:
        BROKEN[name](server)
        done = reload(capfd, site)
        assert not is_new(site)
    assert done.status == 1
    assert "was not reloaded: its own test of the configuration on disk fails:\n  " in done.said
    assert str(server.file if name == "apache2" else server.conf) in done.said


def test_a_certificate_of_another_sites_that_apache_does_not_test_is_found(
        site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """``-t`` says "Syntax OK" over a file without a certificate, and a reload would end httpd."""
    with serving(site, https.apache(site)) as server:
        torn = site.place / "torn.pem"
        torn.write_text("torn")
        server.write(server.file.read_text() + "<VirtualHost *:443>\nServerName other.sample.com\nSSLEngine on\n"
                     f"SSLCertificateFile {torn}\n</VirtualHost>\n")
        done = reload(capfd, site)
        assert not is_new(site)
    assert (done.status, f"there is no certificate in {torn}" in done.said) == (1, True)


@pytest.mark.parametrize("name", https.SERVERS)
def test_a_key_that_does_not_belong_to_the_new_certificate_is_given_to_nobody(
        site: https.Site, capfd: pytest.CaptureFixture[str], name: str) -> None:
    """Somebody has copied one of the two files."""
    with serving(site, https.SERVERS[name](site)):
        certificates.lineage(site.place / "other", NAME, days=0)
        (site.place / "other" / "privkey.pem").replace(site.live / "privkey.pem")
        done = reload(capfd, site)
        assert not is_new(site)
    assert done.status == 1
    assert f"the key {site.live}/privkey.pem does not belong to the certificate {site.live}/cert.pem" in done.said


def test_every_address_of_a_name_is_looked_at(
        site: https.Site, capfd: pytest.CaptureFixture[str], names: Dict[str, List[str]]) -> None:
    """Two servers, one for each family; both are reloaded."""
    names[NAME] = [PUBLIC_V4, PUBLIC_V6]
    one, two = site._replace(place=site.place / "one"), site._replace(place=site.place / "two")
    one.place.mkdir()
    two.place.mkdir()
    with https.nginx(one, f"[{PUBLIC_V6}]:443"), serving(site, https.apache(two)) as apache:
        done = reload(capfd, site)
        assert (done.status, is_new(site), shown(PUBLIC_V6, NAME)) == (0, True, current(site))
        assert f"apache2 (pid {apache.pid}) was reloaded" in done.said
    assert f"[{PUBLIC_V6}]:443 shows the new certificate" in done.said


def test_behind_a_router_the_machines_own_addresses_are_looked_at(
        site: https.Site, capfd: pytest.CaptureFixture[str], names: Dict[str, List[str]]) -> None:
    """The name leads to the router, whose port forward ends at one of them."""
    names[NAME] = ["198.51.100.77"]
    with serving(site, https.nginx(site)):
        done = reload(capfd, site)
        assert (done.status, is_new(site)) == (0, True)
    assert f"{PUBLIC_V4}:443 shows the new certificate" in done.said


def test_ctrl_c_ends_it_without_a_traceback(
        site: https.Site, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the status that a shell gives."""
    def interrupted(*_: Any) -> NoReturn:
        raise KeyboardInterrupt
    monkeypatch.setattr(reloading, "reload", interrupted)
    assert reload(capfd, site) == Done(130, "")


def test_who_shows_the_current_certificate_is_left_alone(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """The same workers go on, although what is on disk is broken."""
    with serving(site, https.nginx(site)) as server:
        assert reload(capfd, site).status == 0
        workers = server.workers
        server.configure("nonsense;")
        done = reload(capfd, site)
        assert (done.status, server.workers) == (0, workers)
    assert f"{PUBLIC_V4}:443 for {NAME} shows the current certificate" in done.said


def test_who_shows_a_certificate_of_another_lineage_is_left_alone(
        site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """A mail server's lineage, where 443 is the web server's."""
    other = site._replace(live=site.place / "other")
    certificates.lineage(other.live, "other.sample.com", days=60)
    with https.nginx(other) as server:
        workers = server.workers
        done = reload(capfd, site)
        assert (done.status, server.workers) == (0, workers)
    assert "a certificate that is not of this lineage" in done.said


@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
def test_of_two_lineages_for_the_same_names_the_renewed_one_is_looked_at(
        site: https.Site, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    """One for each kind of key: a handshake shows the one or the other, by what the visitor knows."""
    other = site.place / "rsa"
    certificates.lineage(other, NAME, days=30, key="RSA")
    server = https.nginx(site)
    files = f"ssl_certificate {other}/fullchain.pem; ssl_certificate_key {other}/privkey.pem;"
    server.conf.write_text(server.conf.read_text().replace("return 200;", f"return 200; {files}"))
    with server:
        live = site.live if kind == "ECDSA" else other
        for lineage in (site.live, other):
            assert reload(capfd, site._replace(live=lineage)).said.endswith("shows the current certificate\n")
        certificates.lineage(live, NAME, days=0, key=kind)
        done = reload(capfd, site._replace(live=live))
        assert done.status == 0
        assert f"shows the new certificate for {NAME}" in done.said


def test_where_nobody_listens_there_is_nothing_to_do(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """The port is free."""
    done = reload(capfd, site)
    assert (done.status, f"nobody listens on {PUBLIC_V4}:443" in done.said) == (0, True)


REFUSING: Dict[str, Callable[[https.Site], Any]] = {
    "nginx": lambda site: Nginx(site.place / "nginx", f"""server {{ listen 443 ssl default_server;
        ssl_reject_handshake on; }} server {{ listen 443 ssl; server_name {NAME}; return 200;
        ssl_certificate {site.live}/fullchain.pem; ssl_certificate_key {site.live}/privkey.pem; }}"""),
    "caddy": https.caddy,
}


@pytest.mark.parametrize("name", REFUSING)
def test_a_name_that_the_server_refuses_is_no_failure_where_it_serves_another(
        site: https.Site, capfd: pytest.CaptureFixture[str], name: str) -> None:
    """A certificate may have a name that is a mail server's; for that one alone nothing could be seen."""
    with serving(site, REFUSING[name](site)):
        done = reload(capfd, site, NAME, "mail.sample.com")
        assert (done.status, is_new(site)) == (0, True)
        assert f"no certificate could be had from {PUBLIC_V4}:443 for mail.sample.com" in done.said
        assert reload(capfd, site, "mail.sample.com").status == 2


def test_where_no_tls_is_spoken_it_could_not_be_seen(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Plain HTTP on 443."""
    with Nginx(site.place / "nginx", "server { listen 443; return 200; }"):
        done = reload(capfd, site)
    assert (done.status, "no certificate could be had from" in done.said) == (2, True)


def test_a_server_with_a_copy_of_its_own_is_told_in_vain(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Its configuration names files that nobody renews."""
    copy = site._replace(live=site.place / "copy")
    copy.live.mkdir()
    for file in site.live.iterdir():
        (copy.live / file.name).write_bytes(file.read_bytes())
    with serving(site, https.nginx(copy)):
        done = reload(capfd, site, "--timeout", "0.3")
    assert done.status == 1
    assert f"see whether its configuration names the files of {site.live}" in done.said


def test_a_balancer_that_passes_tls_on_is_told_in_vain(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """The server behind it speaks TLS, and is not looked for: the balancer goes on, and the sentence says it."""
    (site.place / "haproxy").mkdir()
    passing = Haproxy(site.place / "haproxy", """listen l\nmode tcp\nbind :443\nserver s 127.0.0.1:8443""",
                      options=("-W",), port=443)
    with https.nginx(site, "8443"), serving(site, passing):
        done = reload(capfd, site, "--timeout", "1")
        assert not is_new(site)
    assert done.status == 1
    assert "or passes TLS on to another server" in done.said


def test_servers_that_share_the_port_are_all_reloaded(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """SO_REUSEPORT: the kernel gives each some of the visitors."""
    places = [site.place / "one", site.place / "two"]
    for path in places:
        path.mkdir()
    one, two = (https.nginx(site._replace(place=path), "443 reuseport") for path in places)
    with one, serving(site, two):
        done = reload(capfd, site)
        assert done.status == 0
        assert {shown(PUBLIC_V4, NAME) for _ in range(40)} == {current(site)}
    assert done.said.count("was reloaded (SIGHUP to process") == 2


PYTHON = """
import http.server, ssl, sys
server = http.server.HTTPServer(("0.0.0.0", 443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + "/fullchain.pem", sys.argv[1] + "/privkey.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def test_a_program_that_is_not_known_is_named(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path]) -> None:
    """With its process id, and its unit where it has one; nothing is done to it."""
    (site.place / "cwd").mkdir()
    command = [sys.executable, "-c", PYTHON, str(site.live)]
    with serving(site, programs.Program(command, site.place / "cwd", port=443)) as server:
        done = reload(capfd, site)
        assert f"(pid {server.pid}) was not reloaded: how this program is reloaded is not known" in done.said
        assert (done.status, server.process.pid) == (1, server.pid)
        told = unit(server.pid, "site.service", main=server.pid)
        assert "perhaps by systemctl reload site.service" in reload(capfd, site).said
    assert told.read_text().splitlines() == ["show --property=MainPID -- site.service"]


def test_haproxy_without_a_master_cannot_be_reloaded(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """A signal would do nothing, or end it."""
    with serving(site, https.haproxy(site, "-db")):
        done = reload(capfd, site)
        assert not is_new(site)
    assert (done.status, "it was started without a master (-W)" in done.said) == (1, True)


def test_haproxys_master_is_found_where_only_its_configuration_asks_for_one(
        site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """``master-worker`` in the section ``global``."""
    server = https.haproxy(site, "-V")
    server.conf.write_text("global\n master-worker\n" + server.conf.read_text())
    with serving(site, server):
        assert reload(capfd, site).status == 0
        assert is_new(site)


def test_haproxy_as_debian_runs_it(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """The worker has given up root's rights and gone into a chroot; the master, who reads the files, has not."""
    server = https.haproxy(site, "-Ws")
    (site.place / "empty").mkdir()
    server.conf.write_text(f"global\n chroot {site.place}/empty\n user www-data\n group www-data\n daemon\n"
                           + server.conf.read_text())
    with serving(site, server):
        done = reload(capfd, site)
        assert (done.status, is_new(site)) == (0, True)
        assert f"(SIGUSR2 to process {server.pid})" in done.said


def test_caddy_without_an_admin_api_cannot_be_reloaded(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """``admin off``; Caddy 2.6 knows no signal for it."""
    with serving(site, https.caddy(site, "admin off")):
        done = reload(capfd, site)
    assert (done.status, "its admin API does not answer" in done.said) == (1, True)


def test_what_caddy_runs_with_is_loaded_and_not_what_is_on_disk(
        site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Somebody is in the middle of editing the Caddyfile; only the certificate is new."""
    with serving(site, https.caddy(site)) as server:
        server.conf.write_text("nonsense {{{")
        assert reload(capfd, site).status == 0
        assert is_new(site)


def test_what_caddy_says_no_to_is_told(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Another file of its configuration is gone; it goes on with what it has."""
    extra = site.place / "extra"
    certificates.lineage(extra, "other.sample.com", days=0)
    server = https.caddy(site)
    server.conf.write_text(server.conf.read_text() + f"\nhttps://other.sample.com {{\ntls {extra}/fullchain.pem "
                           f"{extra}/privkey.pem\n}}\n")
    with serving(site, server):
        (extra / "fullchain.pem").unlink()
        done = reload(capfd, site)
        assert not is_new(site)
    assert (done.status, f"{extra}/fullchain.pem" in done.said) == (1, True)


def test_lighttpd_that_has_given_up_roots_rights_is_not_ended(
        site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """It could not read its key again: SIGUSR1 would be its end."""
    (site.place / "lighttpd").mkdir()
    (site.place / "lighttpd" / "error.log").touch()
    (site.place / "lighttpd" / "error.log").chmod(0o666)
    with serving(site, https.lighttpd(site, 'server.username = "www-data"\nserver.groupname = "www-data"\n')) as server:
        done = reload(capfd, site)
        assert not is_new(site)
        assert f"lighttpd (pid {server.pid}) was not reloaded: it has given up root's rights" in done.said
    assert done.status == 1
    assert "Permission denied" in done.said


def test_lighttpd_in_a_chroot_is_not_ended(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """It would not find its configuration again."""
    Path(f"{site.place}{site.place}/lighttpd").mkdir(parents=True)
    with serving(site, https.lighttpd(site, f'server.chroot = "{site.place}"\n')) as server:
        done = reload(capfd, site)
        assert not is_new(site)
        assert f"lighttpd (pid {server.pid}) was not reloaded: it has gone into a chroot" in done.said
    assert done.status == 1


@pytest.mark.parametrize("name", ["apache2", "haproxy", "lighttpd", "nginx"])
def test_from_a_service_with_a_tmp_of_its_own_nobody_is_taken_for_a_container(site: https.Site, name: str) -> None:
    """Certbot's own unit has ``PrivateTmp=``, and so mounts of its own: for it, everybody else's are other ones."""
    command = ["unshare", "-m", sys.executable, "-m", "certbot_autowebroot.cli", "reload", "--lineage", str(site.live)]
    with serving(site, https.SERVERS[name](site)):
        done = subprocess.run([*command, PUBLIC_V4], capture_output=True, text=True, timeout=60)
        assert (done.returncode, is_new(site)) == (0, True), done
    with serving(site, https.SERVERS[name](site)) as server:
        BROKEN[name](server)
        done = subprocess.run([*command, PUBLIC_V4], capture_output=True, text=True, timeout=60)
        assert "its own test of the configuration on disk fails" in done.stderr, done


def test_a_visitor_who_says_nothing_does_not_keep_lighttpd_from_everybody(
        site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """It waits for its clients before it starts anew, and answers nobody meanwhile."""
    with serving(site, https.lighttpd(site)) as server, socket.create_connection((PUBLIC_V4, 443)):
        time.sleep(0.3)
        done = reload(capfd, site)
        assert (done.status, is_new(site), server.process.pid) == (0, True, server.pid)
    assert re.search(r"\(SIGUSR1 to process (\d+), SIGINT to process \1\)", done.said)


def test_nginx_as_debian_starts_it_and_its_program_gone_by_an_upgrade(
        site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """The title has lost the borders between arguments; the file that runs is no longer there."""
    server = https.nginx(site)
    program = site.place / "bin" / "nginx"
    program.parent.mkdir()
    shutil.copy("/usr/sbin/nginx", program)
    server.start([str(program), "-g", "master_process on; worker_priority 0;", "-p", f"{server.directory}/",
                  "-c", "nginx.conf"])
    try:
        program.unlink()
        renewed(site)
        assert (reload(capfd, site).status, is_new(site)) == (0, True)
        renewed(site, days=0)
        server.configure("nonsense;")
        assert f'unknown directive "nonsense" in {server.conf}' in reload(capfd, site).said
    finally:
        server.stop()


def test_apache_as_debian_starts_it(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """``-k start`` tells a running one nothing while it is tested."""
    server = https.apache(site)
    server.arguments = ("-k", "start")
    with serving(site, server):
        assert (reload(capfd, site).status, is_new(site)) == (0, True)


def test_haproxys_environment_is_that_of_its_test(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Its configuration may name files by it; and a master has told it things that are not for a test."""
    server = https.haproxy(site)
    server.conf.write_text(server.conf.read_text().replace(f"{site.place}/both.pem", '"${WHERE}/both.pem"'))
    server._environment = {**os.environ, "WHERE": str(site.place)}
    with serving(site, server):
        assert (reload(capfd, site).status, is_new(site)) == (0, True)
        renewed(site, days=0)  # once more, for the master has started itself anew
        assert (reload(capfd, site).status, is_new(site)) == (0, True)


@pytest.fixture
def unit(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Lets a process be in a unit, for a systemctl that stands for systemd, which does not run here.

    Returns where that writes down what it is told.
    """
    mounted = []

    def make(pid: int, name: str, *, main: int, reload: str = "exit 9", command: str = "", user: str = "") -> Path:
        told = place / "told"
        cgroup = place / f"cgroup{pid}"
        cgroup.write_text(f"0::/system.slice/{name}\n")
        subprocess.run(["mount", "--bind", cgroup, f"/proc/{pid}/cgroup"], check=True)
        mounted.append(pid)
        script = place / "bin" / "systemctl"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"""#!/bin/sh
echo "$@" >> {told}
case $1 in
show) echo "MainPID={main}"; echo "User={user}"; echo "ExecStart={{ path=x ; argv[]={command} ; ignore_errors=no }}" ;;
*) {reload} ;;
esac
""")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
        return told
    yield make
    for pid in mounted:
        subprocess.run(["umount", f"/proc/{pid}/cgroup"], check=False, capture_output=True)


def test_what_a_unit_owns_is_reloaded_by_its_unit(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path]) -> None:
    """And by nobody else; its configuration has been tested before."""
    with serving(site, https.nginx(site)) as server:
        told = unit(server.pid, "nginx.service", main=server.pid, reload=f"kill -HUP {server.pid}")
        done = reload(capfd, site)
        assert (done.status, is_new(site)) == (0, True)
        assert f"nginx (pid {server.pid}) was reloaded (systemctl reload nginx.service)" in done.said
    assert told.read_text().splitlines()[-1] == "reload -- nginx.service"


def test_a_unit_that_cannot_reload_is_told(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path]) -> None:
    """What systemctl says is passed on; no signal is sent behind systemd's back."""
    with serving(site, https.nginx(site)) as server:
        unit(server.pid, "nginx.service", main=server.pid, reload="echo Job type reload is not applicable >&2; exit 1")
        done = reload(capfd, site)
        assert not is_new(site)
    assert (done.status, "was not reloaded: Job type reload is not applicable" in done.said) == (1, True)


def test_a_server_that_another_unit_has_started_is_reloaded_in_its_own_way(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path]) -> None:
    """By hand from a job of cron's: to reload cron.service would be no help."""
    with serving(site, https.nginx(site)) as server:
        told = unit(server.pid, "cron.service", main=1)
        assert (reload(capfd, site).status, is_new(site)) == (0, True)
    assert "reload" not in told.read_text()


def test_a_unit_that_ends_at_its_reload_is_told(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path]) -> None:
    """The worst case, and so the loudest."""
    with serving(site, https.nginx(site)) as server:
        unit(server.pid, "nginx.service", main=server.pid, reload=f"kill -QUIT {server.pid}")
        done = reload(capfd, site, "--timeout", "0.5")
    assert (done.status, f"nobody listens on {PUBLIC_V4}:443 any more" in done.said) == (1, True)


def test_a_visitor_who_says_nothing_does_not_keep_a_units_lighttpd_from_everybody(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path]) -> None:
    """Debian's unit sends the same signal, and has the same trouble."""
    with serving(site, https.lighttpd(site)) as server, socket.create_connection((PUBLIC_V4, 443)):
        time.sleep(0.3)
        unit(server.pid, "lighttpd.service", main=server.pid, reload=f"kill -USR1 {server.pid}")
        done = reload(capfd, site)
        assert (done.status, is_new(site)) == (0, True)
        assert f"(systemctl reload lighttpd.service, SIGINT to process {server.pid})" in done.said


@pytest.mark.parametrize("broken", [False, True], ids=["good", "broken on disk"])
def test_lighttpd_that_has_given_up_roots_rights_is_started_anew_by_its_unit(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path], broken: bool) -> None:
    """As root, with the command that root has written down; not where that would leave nobody on the port."""
    directory = site.place / "lighttpd"
    directory.mkdir()
    (directory / "error.log").touch()
    (directory / "error.log").chmod(0o666)
    server = https.lighttpd(site, f'server.username = "www-data"\nserver.pid-file = "{directory}/pid"\n')
    with serving(site, server):
        told = unit(server.pid, "lighttpd.service", main=server.pid, command=f"/usr/sbin/lighttpd -D -f {server.conf}",
                    reload=f"kill {server.pid}; sleep 0.5; lighttpd -f {server.conf}")
        if broken:
            server.conf.write_text(server.conf.read_text() + "nonsense = (((\n")
        done = reload(capfd, site)
        assert is_new(site) is not broken
    verbs = [line.split()[0] for line in told.read_text().splitlines()]
    if broken:
        assert (done.status, "restart" in verbs, "its own test of the configuration" in done.said) == (1, False, True)
    else:
        assert (done.status, verbs[-1], "systemctl restart lighttpd.service" in done.said) == (0, "restart", True)
        os.kill(int((directory / "pid").read_text()), signal.SIGTERM)


class Machine:
    """Who holds an endpoint, as a table: a pid of his own, or where he passes connections on to."""

    def __init__(self, table: Dict[str, Any]) -> None:
        self._table = table

    def holders(self, endpoint: Endpoint) -> List[Any]:
        return [Holder(entry) for entry in self._table.get(str(endpoint), [])]

    def reach(self, member: Endpoint, origin: Endpoint) -> List[Endpoint]:
        return [member]


class Holder(NamedTuple):
    entry: Any

    @property
    def program(self) -> Program:
        return Program("nginx", self.entry, 1) if isinstance(self.entry, int) else Program("a port forward")

    def ask(self, request: Request) -> List[Any]:
        if self.entry == "hidden":
            return [Unknown("who listens is not visible")]
        return [Upstream((Endpoint(self.entry, 443),), request.host, request.path, "https")]


@pytest.mark.parametrize("table, found", [
    ({"192.0.2.1:443": [ME]}, ["nginx (pid {me})"]),
    ({"192.0.2.1:443": [ME, PARENT]}, ["nginx (pid {me})", "nginx (pid {parent})"]),
    ({"192.0.2.1:443": ["192.0.2.2"], "192.0.2.2:443": [ME]}, ["nginx (pid {me})"]),
    ({"192.0.2.1:443": ["192.0.2.2", "192.0.2.3"], "192.0.2.2:443": [ME], "192.0.2.3:443": [ME]}, ["nginx (pid {me})"]),
    ({"192.0.2.1:443": ["hidden"]}, ["a port forward"]),
    ({"192.0.2.1:443": ["192.0.2.1"]}, ["the program that listens there"]),
    ({}, ["the program that listens there"]),
], ids=["one", "two that share the port", "behind a forward", "behind two", "not visible", "a loop", "gone"])
def test_who_speaks_tls_at_a_door(table: Dict[str, Any], found: List[str]) -> None:
    """Whoever passes connections on as they are is not the one."""
    servers = reloading.servers_at(NAME, Endpoint("192.0.2.1", 443), Machine(table))  # type: ignore[arg-type]
    assert [server.named for server in servers] == [text.format(me=ME, parent=PARENT) for text in found]


@pytest.mark.parametrize("user", [None, "", "www-data"], ids=["no unit", "started as root", "a user's unit"])
def test_what_is_not_roots_is_never_tested_as_root(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path], user: Optional[str]) -> None:
    """lighttpd's test runs the commands of its configuration. Only what systemd starts as root is tested as root."""
    directory = site.place / "lighttpd"
    directory.mkdir()
    for name in ("error.log", "users"):
        (directory / name).touch()
        (directory / name).chmod(0o666)
    server = https.lighttpd(site, f'server.username = "www-data"\ninclude_shell "id -u >> {directory}/users"\n')
    with serving(site, server):
        if user is not None:
            unit(server.pid, "lighttpd.service", main=server.pid, user=user, reload="exit 1",
                 command=f"/usr/sbin/lighttpd -D -f {server.conf}")
        (directory / "users").write_text("")
        assert reload(capfd, site).status == 1
    assert set((directory / "users").read_text().split()) == ({WWW_DATA, "0"} if user == "" else {WWW_DATA})


@pytest.mark.parametrize("cgroup, unit", [
    ("0::/system.slice/nginx.service\n", "nginx.service"),
    ("0::/system.slice/system-haproxy.slice/haproxy@one.service\n", "haproxy@one.service"),
    ("0::/system.slice/caddy.service/worker\n", "caddy.service"),
    ("9:name=systemd:/system.slice/apache2.service\n8:pids:/other.service\n0::/\n", "apache2.service"),
    ("8:pids:/system.slice/nginx.service\n9:name=systemd:/\n", ""),
    ("0::/user.slice/user-1000.slice/session-3.scope\n", ""),
    ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service\n", ""),
    ("0::/system.slice/docker-0123.scope\n", ""),
    ("0::/machine.slice/libpod-0123.scope/container\n", ""),
    ("0::/docker/0123\n", ""),
    ("0::/../../nginx.service\n", ""),
    ("0::/\n", ""),
    ("", ""),
    ("garbage", ""),
], ids=["version 2", "an instance", "below it", "version 1", "not systemd's tree", "a login", "a user's service",
        "Docker", "Podman", "Docker without systemd", "outside of our namespace", "no systemd", "ended", "garbage"])
def test_the_unit_of_a_process(cgroup: str, unit: str) -> None:
    """What systemd itself calls a service of the machine, and nothing else."""
    assert systemd.unit_in(cgroup) == unit


@pytest.fixture
def forwarded() -> Iterator[None]:
    """Port 443 of the public address goes into the container."""
    subprocess.run(["nft", "-f", "-"], text=True, check=True, input=f"""
table ip reloading {{
    chain output {{
        type nat hook output priority -100
        ip daddr {PUBLIC_V4} tcp dport 443 dnat to {ADDRESS}:443
    }}
}}
""")
    yield
    subprocess.run(["nft", "delete", "table", "ip", "reloading"], check=True)


INSIDE = {
    "nginx -c /etc/inside.conf": """daemon off; pid /run/nginx.pid; error_log /var/log/error.log; user root; events {}
        http { access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
        uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e; server { listen 443 ssl; return 200;
        ssl_certificate /etc/live/fullchain.pem; ssl_certificate_key /etc/live/privkey.pem; } }""",
    "apache2 -DFOREGROUND -f /etc/inside.conf": """LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
        LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
        LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
        DefaultRuntimeDir /run\nPidFile /run/httpd.pid\nErrorLog /var/log/error.log\nMutex file:/run default
        Listen 443\nServerName inside\nSSLEngine on\nUser www-data\nGroup www-data
        SSLCertificateFile /etc/live/fullchain.pem\nSSLCertificateKeyFile /etc/live/privkey.pem\n""",
}


@contextlib.contextmanager
def contained(site: https.Site, command: str) -> Iterator[Container]:
    with Container(site.place / "box", command, {"/etc/inside.conf": INSIDE[command]},
                   volumes={"/etc/live": site.live}) as box:
        deadline = time.monotonic() + 10
        while True:
            try:
                assert shown(ADDRESS, NAME) == current(site)
                break
            except OSError:
                assert time.monotonic() < deadline, "the container does not answer"
                time.sleep(0.02)
        renewed(site)
        yield box


def test_nginx_in_a_container_is_told_by_a_signal(
        site: https.Site, capfd: pytest.CaptureFixture[str], forwarded: None) -> None:
    """Its program is not run from here; it tests what it reads by itself."""
    with contained(site, "nginx -c /etc/inside.conf"):
        done = reload(capfd, site)
        assert (done.status, is_new(site)) == (0, True), done.said
    assert "SIGHUP to process" in done.said


def test_nginx_in_a_container_goes_on_where_its_configuration_is_broken(
        site: https.Site, capfd: pytest.CaptureFixture[str], forwarded: None) -> None:
    """A signal does no harm."""
    with contained(site, "nginx -c /etc/inside.conf") as box:
        Path(f"/proc/{box.pid}/root/etc/inside.conf").write_text("nonsense;")
        done = reload(capfd, site, "--timeout", "1")
        assert not is_new(site)
    assert (done.status, "still shows an older certificate" in done.said) == (1, True)


def test_apache_in_a_container_is_left_alone(
        site: https.Site, capfd: pytest.CaptureFixture[str], forwarded: None) -> None:
    """A broken configuration would end it, and it cannot be tested from here."""
    with contained(site, "apache2 -DFOREGROUND -f /etc/inside.conf"):
        done = reload(capfd, site)
        assert not is_new(site)
    assert (done.status, "it runs in a container" in done.said) == (1, True)


def test_an_ordinary_user_is_told_that_root_could(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """What is shown he can see; who shows it he cannot."""
    def command() -> Done:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = cli.main(["reload", "--lineage", str(site.live)])
        return Done(status, said.getvalue())
    with serving(site, https.nginx(site)):
        done = as_nobody(command)
        assert (done.status, "root could see and reload it" in done.said) == (1, True), done
        assert reload(capfd, site).status == 0
        assert as_nobody(command).status == 0



def test_names_find_their_lineages(place: Path, capfd: pytest.CaptureFixture[str], names: Dict[str, List[str]]) -> None:
    """By hand, after a renewal without a hook; for a wildcard, a name that it is good for is asked."""
    for name in (NAME, "*.wild.sample.com"):
        certificates.lineage(place / "live" / name, name, days=0)
        conf = place / "renewal" / f"{name}.conf"
        conf.parent.mkdir(exist_ok=True)
        files = [f"{key} = {place}/live/{name}/{key}.pem\n" for key in ("cert", "privkey", "chain", "fullchain")]
        conf.write_text("".join(files) + "[renewalparams]\nauthenticator = manual\n")
    assert cli.main(["reload", "--config-dir", str(place), NAME, "WWW.wild.sample.com"]) == 0
    said = capfd.readouterr().out
    assert said == (f"nobody listens on {PUBLIC_V4}:443 for www.wild.sample.com\n"
                    f"nobody listens on {PUBLIC_V4}:443 for {NAME}\n")
    assert cli.main(["reload", "--config-dir", str(place), NAME, "other.sample.com"]) == 2
    assert f"other.sample.com: no certificate below {place} is for this name" in capfd.readouterr().err


def test_a_deploy_hook_needs_no_arguments(
        site: https.Site, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Certbot's environment says it all."""
    monkeypatch.setenv("RENEWED_LINEAGE", str(site.live))
    monkeypatch.setenv("RENEWED_DOMAINS", f"one.sample.com {NAME}")
    assert cli.main(["reload"]) == 0
    assert capfd.readouterr().out == f"nobody listens on {PUBLIC_V4}:443 for one.sample.com, {NAME}\n"


@pytest.mark.parametrize("arguments, said", [
    ([], "which certificate has been renewed?"),
    (["--lineage", "{place}/none"], "{place}/none/cert.pem cannot be read: No such file or directory"),
    (["--lineage", "{place}/torn"], "{place}/torn/cert.pem cannot be read: there is no certificate in it"),
    (["--config-dir", "{place}/none", NAME], "{place}/none: No such file or directory"),
    (["--lineage", "{place}/live/www.sample.com", "no name!"], "no name!: "),
], ids=["nothing is said", "no lineage", "a torn one", "no configuration directory", "no name"])
def test_what_cannot_be_looked_at_is_told_in_a_line(
        site: https.Site, capfd: pytest.CaptureFixture[str], arguments: List[str], said: str) -> None:
    """Exit status 2, and what to do where that is not plain."""
    (site.place / "torn").mkdir()
    (site.place / "torn" / "cert.pem").write_text("torn")
    assert cli.main(["reload", *(argument.format(place=site.place) for argument in arguments)]) == 2
    captured = capfd.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert said.format(place=site.place) in captured.err


@pytest.mark.parametrize("seconds", ["-1", "nan", "soon", "1e9"])
def test_a_time_that_is_none_is_refused(capfd: pytest.CaptureFixture[str], seconds: str) -> None:
    """Also one that never ends."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["reload", "--timeout", seconds, NAME])
    assert ended.value.code == 2
    assert "--timeout" in capfd.readouterr().err


@pytest.mark.parametrize("where, argument, said", [
    ("usual", "check", "certbot-autowebroot reload"),
    ("venv", "check", "{place}/venv/certbot-autowebroot reload"),
    ("", "{place}/some where/certbot-autowebroot", "'{place}/some where/certbot-autowebroot' reload"),
    ("", "{place}/cli.py", f"{sys.executable} -m certbot_autowebroot.cli reload"),
], ids=["installed for all", "in a virtual environment of the shell's", "by its path", "as a module"])
def test_the_hook_that_is_advised_is_found_at_night(
        place: Path, monkeypatch: pytest.MonkeyPatch, where: str, argument: str, said: str) -> None:
    """cron's PATH is not the shell's, and Certbot renews nothing with a hook that it does not find."""
    for name in ("usual", "venv"):
        (place / name).mkdir()
        if name == where:
            (place / name / "certbot-autowebroot").touch(0o755)
    monkeypatch.setattr(command, "_PATH", str(place / "usual"))
    monkeypatch.setenv("PATH", f"{place}/venv:{place}/usual")
    monkeypatch.setattr(sys, "argv", [argument.format(place=place)])
    assert command.command() == said.format(place=place)
