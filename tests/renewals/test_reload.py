"""Which programs are reloaded, by sockets and handshakes; which are left alone, and the messages for them."""
import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import NamedTuple

import pytest

from certbot_autowebroot.cli import __main__ as cli
from certbot_autowebroot.renewals import reload as reloading
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from tests.lab import certificates
from tests.lab import https
from tests.lab import programs
from tests.lab.haproxy import Haproxy
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx
from tests.lab.orders import NAME
from tests.lab.reloading import Done
from tests.lab.reloading import current
from tests.lab.reloading import is_new
from tests.lab.reloading import reload
from tests.lab.reloading import serving
from tests.lab.users import as_nobody
from tests.lab.visitors import shown

ME, PARENT = os.getpid(), os.getppid()


@pytest.mark.lab
def test_every_address_of_a_name(
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


@pytest.mark.lab
def test_own_addresses_behind_a_router(
        site: https.Site, capfd: pytest.CaptureFixture[str], names: Dict[str, List[str]]) -> None:
    """The name leads to the router, whose port forward ends at one of them."""
    names[NAME] = ["198.51.100.77"]
    with serving(site, https.nginx(site)):
        done = reload(capfd, site)
        assert (done.status, is_new(site)) == (0, True)
    assert f"{PUBLIC_V4}:443 shows the new certificate" in done.said


@pytest.mark.lab
def test_current_certificate_needs_no_reload(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """The same workers go on, although the configuration on disk is broken."""
    with serving(site, https.nginx(site)) as server:
        assert reload(capfd, site).status == 0
        workers = server.workers
        server.configure("nonsense;")
        done = reload(capfd, site)
        assert (done.status, server.workers) == (0, workers)
    assert f"{PUBLIC_V4}:443 for {NAME} shows the current certificate" in done.said


@pytest.mark.lab
def test_certificate_of_another_lineage_needs_no_reload(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """A mail server's lineage, where 443 is the web server's."""
    other = site._replace(live=site.place / "other")
    certificates.lineage(other.live, "other.sample.com", days=60)
    with https.nginx(other) as server:
        workers = server.workers
        done = reload(capfd, site)
        assert (done.status, server.workers) == (0, workers)
    assert "a certificate that is not of this lineage" in done.said


@pytest.mark.lab
@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
def test_two_lineages_for_the_same_names(site: https.Site, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    """One for each kind of key: the handshake shows one of them, by the client's ciphers."""
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


@pytest.mark.lab
@pytest.mark.parametrize("days", [0, 30], ids=["current", "older"])
def test_unused_lineage_for_the_same_names(site: https.Site, capfd: pytest.CaptureFixture[str], days: int) -> None:
    """The server shows the certificate of the other lineage: it is named, and the unused one may be deleted."""
    unused = site.place / "live" / f"{NAME}-0001"
    with https.nginx(site) as server:
        workers = server.workers
        certificates.lineage(unused, NAME, days=days)
        done = reload(capfd, site._replace(live=unused))
        assert (done.status, server.workers) == (0, workers)
    assert done.said == (
        f"{PUBLIC_V4}:443 for {NAME} shows the certificate of the lineage {NAME} for the same names; nothing was "
        f"reloaded for it; if no server uses the lineage {NAME}-0001, delete it with: certbot delete --cert-name "
        f"{NAME}-0001 --config-dir {site.place}\n")


@pytest.mark.lab
def test_no_listener_needs_no_reload(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Port 443 is free."""
    done = reload(capfd, site)
    assert (done.status, f"no program listens on {PUBLIC_V4}:443" in done.said) == (0, True)


REFUSING: Dict[str, Callable[[https.Site], Any]] = {
    "nginx": lambda site: Nginx(site.place / "nginx", f"""server {{ listen 443 ssl default_server;
        ssl_reject_handshake on; }} server {{ listen 443 ssl; server_name {NAME}; return 200;
        ssl_certificate {site.live}/fullchain.pem; ssl_certificate_key {site.live}/privkey.pem; }}"""),
    "caddy": https.caddy,
}


@pytest.mark.lab
@pytest.mark.parametrize("name", REFUSING)
def test_refused_name_beside_a_served_one(site: https.Site, capfd: pytest.CaptureFixture[str], name: str) -> None:
    """A certificate may have a mail server's name; a lineage of refused names alone shows no certificate."""
    with serving(site, REFUSING[name](site)):
        done = reload(capfd, site, NAME, "mail.sample.com")
        assert (done.status, is_new(site)) == (0, True)
        assert f"no certificate could be had from {PUBLIC_V4}:443 for mail.sample.com" in done.said
        assert reload(capfd, site, "mail.sample.com").status == 2


@pytest.mark.lab
def test_plain_http_on_443(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """There is no certificate to compare."""
    with Nginx(site.place / "nginx", "server { listen 443; return 200; }"):
        done = reload(capfd, site)
    assert (done.status, "no certificate could be had from" in done.said) == (2, True)


@pytest.mark.lab
def test_server_with_a_copy_of_the_certificate(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Its configuration names files that are never renewed, so a reload does not help."""
    copy = site._replace(live=site.place / "copy")
    copy.live.mkdir()
    for file in site.live.iterdir():
        (copy.live / file.name).write_bytes(file.read_bytes())
    with serving(site, https.nginx(copy)):
        done = reload(capfd, site, "--timeout", "0.3")
    assert done.status == 1
    assert f"check whether its configuration names the files of {site.live}" in done.said


@pytest.mark.lab
def test_balancer_that_passes_tls_on(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Its reload does not help: the server behind it speaks TLS, and the message says so."""
    (site.place / "haproxy").mkdir()
    passing = Haproxy(site.place / "haproxy", """listen l\nmode tcp\nbind :443\nserver s 127.0.0.1:8443""",
                      options=("-W",), port=443)
    with https.nginx(site, "8443"), serving(site, passing):
        done = reload(capfd, site, "--timeout", "1")
        assert not is_new(site)
    assert done.status == 1
    assert "or passes TLS on to another server" in done.said


@pytest.mark.lab
def test_all_servers_on_a_shared_port_reload(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """SO_REUSEPORT: the kernel spreads the connections."""
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


@pytest.mark.lab
def test_unknown_program_is_named(
        site: https.Site, capfd: pytest.CaptureFixture[str], unit: Callable[..., Path]) -> None:
    """With its process id, and its unit where it has one; it is left alone."""
    (site.place / "cwd").mkdir()
    command = [sys.executable, "-c", PYTHON, str(site.live)]
    with serving(site, programs.Program(command, site.place / "cwd", port=443)) as server:
        done = reload(capfd, site)
        assert f"(pid {server.pid}) was not reloaded: how this program is reloaded is not known" in done.said
        assert (done.status, server.process.pid) == (1, server.pid)
        told = unit(server.pid, "site.service", main=server.pid)
        assert "perhaps by systemctl reload site.service" in reload(capfd, site).said
    assert told.read_text().splitlines() == ["show --property=MainPID -- site.service"]


@pytest.mark.lab
def test_without_root_the_listener_is_unknown(site: https.Site, capfd: pytest.CaptureFixture[str]) -> None:
    """The certificate is visible to every user, the process to root only."""
    def command() -> Done:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = cli.main(["reload", "--lineage", str(site.live)])
        return Done(status, said.getvalue())
    with serving(site, https.nginx(site)):
        done = as_nobody(command)
        assert (done.status, "only root can see which program it is" in done.said) == (1, True), done
        assert reload(capfd, site).status == 0
        assert as_nobody(command).status == 0


class Machine:
    """A table of listeners: the pid of an endpoint, or the endpoint that it passes connections on to."""

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
def test_program_that_ends_tls(table: Dict[str, Any], found: List[str]) -> None:
    """A program that passes connections on does not end TLS."""
    servers = reloading.servers_at(NAME, Endpoint("192.0.2.1", 443), Machine(table))  # type: ignore[arg-type]
    assert [server.named for server in servers] == [text.format(me=ME, parent=PARENT) for text in found]
