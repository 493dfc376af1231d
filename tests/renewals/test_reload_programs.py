"""Each real server: its own test, its own reload, and the cases in which a reload would end it."""
import functools
import os
import re
import shutil
import socket
import time
from pathlib import Path

import pytest

from certbot_autowebroot.servers import registry
from certbot_autowebroot.servers.lighttpd import control
from certbot_autowebroot.system import processes
from tests.lab import certificates
from tests.lab import https
from tests.lab.caddy import Caddy
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.orders import NAME
from tests.lab.reloading import BROKEN
from tests.lab.reloading import is_new
from tests.lab.reloading import reload
from tests.lab.reloading import renewed
from tests.lab.reloading import serving

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("name", BROKEN)
def test_broken_configuration_prevents_reload(site: https.Site, capfd: pytest.CaptureFixture[str], name: str) -> None:
    """Each server's own test gives the error and its line; Apache httpd and lighttpd would have ended."""
    with serving(site, https.SERVERS[name](site)) as server:
        BROKEN[name](server)
        done = reload(capfd, site)
        assert not is_new(site)
    assert done.status == 1
    assert "was not reloaded: its own test of the configuration on disk fails:\n  " in done.said
    assert str(server.file if name == "apache2" else server.conf) in done.said


def test_missing_certificate_of_another_apache_site(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
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
def test_wrong_key_prevents_reload(site: https.Site, capfd: pytest.CaptureFixture[str], name: str) -> None:
    """One of the two files was copied by hand."""
    with serving(site, https.SERVERS[name](site)):
        certificates.lineage(site.place / "other", NAME, days=0)
        (site.place / "other" / "privkey.pem").replace(site.live / "privkey.pem")
        done = reload(capfd, site)
        assert not is_new(site)
    assert done.status == 1
    assert f"the key {site.live}/privkey.pem does not belong to the certificate {site.live}/cert.pem" in done.said


def test_haproxy_without_master_has_no_reload(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """A signal would have no effect, or end it."""
    with serving(site, https.haproxy(site, "-db")):
        done = reload(capfd, site)
        assert not is_new(site)
    assert (done.status, "it was started without a master (-W)" in done.said) == (1, True)


def test_haproxy_master_by_configuration(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """``master-worker`` in the section ``global``."""
    server = https.haproxy(site, "-V")
    server.conf.write_text("global\n master-worker\n" + server.conf.read_text())
    with serving(site, server):
        assert reload(capfd, site).status == 0
        assert is_new(site)


def test_haproxy_as_debian_runs_it(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """The worker has given up root's rights and entered a chroot; the master, which reads the files, has not."""
    server = https.haproxy(site, "-Ws")
    (site.place / "empty").mkdir()
    server.conf.write_text(f"global\n chroot {site.place}/empty\n user www-data\n group www-data\n daemon\n"
                           + server.conf.read_text())
    with serving(site, server):
        done = reload(capfd, site)
        assert (done.status, is_new(site)) == (0, True)
        assert f"(SIGUSR2 to process {server.pid})" in done.said


def test_caddy_without_admin_api_has_no_reload(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """``admin off``; Caddy 2.6 has no signal for it."""
    with serving(site, https.caddy(site, "admin off")):
        done = reload(capfd, site)
    assert (done.status, "its admin API does not answer" in done.said) == (1, True)


def test_caddy_loads_its_running_configuration(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """The Caddyfile on disk is half edited; only the certificate is new."""
    with serving(site, https.caddy(site)) as server:
        server.conf.write_text("nonsense {{{")
        assert reload(capfd, site).status == 0
        assert is_new(site)


def test_refusal_of_caddy_is_reported(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Another file of its configuration is missing; Caddy goes on with the old configuration."""
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


def test_lighttpd_without_root_rights_gets_no_signal(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """It could not read its key again: SIGUSR1 would end it."""
    (site.place / "lighttpd").mkdir()
    (site.place / "lighttpd" / "error.log").touch()
    (site.place / "lighttpd" / "error.log").chmod(0o666)
    with serving(site, https.lighttpd(site, 'server.username = "www-data"\nserver.groupname = "www-data"\n')) as server:
        done = reload(capfd, site)
        assert not is_new(site)
        assert f"lighttpd (pid {server.pid}) was not reloaded: it has given up root's rights" in done.said
    assert done.status == 1
    assert "Permission denied" in done.said


def test_lighttpd_in_a_chroot_gets_no_signal(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """It would not find its configuration again."""
    Path(f"{site.place}{site.place}/lighttpd").mkdir(parents=True)
    with serving(site, https.lighttpd(site, f'server.chroot = "{site.place}"\n')) as server:
        done = reload(capfd, site)
        assert not is_new(site)
        assert f"lighttpd (pid {server.pid}) was not reloaded: it has gone into a chroot" in done.said
    assert done.status == 1


def test_silent_client_does_not_block_lighttpd(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """lighttpd waits for its clients before it starts anew, and answers no request meanwhile."""
    with serving(site, https.lighttpd(site)) as server, socket.create_connection((PUBLIC_V4, 443)):
        time.sleep(0.3)
        done = reload(capfd, site)
        assert (done.status, is_new(site), server.process.pid) == (0, True, server.pid)
    assert re.search(r"\(SIGUSR1 to process (\d+), SIGINT to process \1\)", done.said)


def test_nginx_as_debian_starts_it(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """The title has lost the borders between arguments, and an upgrade has deleted the program."""
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
    """The test must not run ``-k start`` of the running command line."""
    server = https.apache(site)
    server.arguments = ("-k", "start")
    with serving(site, server):
        assert (reload(capfd, site).status, is_new(site)) == (0, True)


def test_haproxy_test_has_the_running_environment(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """The configuration may name files by it; the master's own variables are left out."""
    server = https.haproxy(site)
    server.conf.write_text(server.conf.read_text().replace(f"{site.place}/both.pem", '"${WHERE}/both.pem"'))
    server._environment = {**os.environ, "WHERE": str(site.place)}
    with serving(site, server):
        assert (reload(capfd, site).status, is_new(site)) == (0, True)
        renewed(site, days=0)  # once more, for the master has started itself anew
        assert (reload(capfd, site).status, is_new(site)) == (0, True)


#: By executable name, the program that is copied to it.
OTHER_NAMES = {
    **dict.fromkeys(("angie", "tengine", "openresty", "nginx-debug"), "nginx"),
    **dict.fromkeys(("httpd", "httpd2", "httpd.worker", "httpd.event", "httpd-prefork"), "apache2"),
    "frankenphp": "caddy",
}


def test_every_other_name_is_tried() -> None:
    """But for lighttpd-angel, which is another program."""
    known = {name for server in registry.BUILT_IN if registry.CONTROL in server.parts for name in server.executables}
    assert known == {*OTHER_NAMES, *https.SERVERS, "lighttpd-angel"}


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_a_build_with_another_name(site: https.Site, capfd: pytest.CaptureFixture[str],
                                   monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It is reloaded as the server that it is."""
    program = str(site.place / "bin" / name)
    (site.place / "bin").mkdir()
    shutil.copy(shutil.which(OTHER_NAMES[name]) or "", program)
    monkeypatch.setattr("tests.lab.apache.PROGRAM", program)
    server = https.SERVERS[OTHER_NAMES[name]](site)
    if isinstance(server, Nginx):
        command = [program, "-p", str(server.directory), "-c", str(server.conf), "-e", str(server.error_log)]
        monkeypatch.setattr(server, "start", functools.partial(server.start, command))
    elif isinstance(server, Caddy):
        server.argv[0] = program
    with serving(site, server):
        running = processes.process(server.pid)
        assert running is not None and running.name == name
        done = reload(capfd, site)
        assert (done.status, is_new(site)) == (0, True)
    assert f"{running.program} was reloaded" in done.said


def test_lighttpd_under_its_wrapper(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """lighttpd-angel(8) starts lighttpd, which holds the port."""
    server = https.lighttpd(site)
    server.argv[0] = "lighttpd-angel"
    with serving(site, server):
        wrapper = processes.process(server.pid)
        assert wrapper is not None and wrapper.name == "lighttpd-angel"
        main = control.main_process(wrapper)
        assert (main.name, main.parent) == ("lighttpd", wrapper.pid)
        done = reload(capfd, site)
        assert (done.status, is_new(site)) == (0, True)
    assert f"lighttpd (pid {main.pid}) was reloaded (SIGUSR1 to process {main.pid}" in done.said
