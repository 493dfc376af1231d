"""The solver where the CA would get no answer, or might not: what it reports."""
import subprocess
import sys
import time
from pathlib import Path
from typing import List
from typing import Optional

import pytest

from certbot_autowebroot.order import candidates
from certbot_autowebroot.order import messages
from certbot_autowebroot.order.candidates import OrderOptions
from certbot_autowebroot.order.solver import Solver
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing import listening
from certbot_autowebroot.routing import probe
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.servers import forwarder
from certbot_autowebroot.system import addresses
from tests.lab.apache import Apache
from tests.lab.lighttpd import Lighttpd
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.orders import CONTENT
from tests.lab.orders import NAME
from tests.lab.orders import TOKEN
from tests.lab.orders import make
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved

pytestmark = pytest.mark.lab

__all__ = ["names", "place"]  # fixtures


def test_nginx_allow_list_is_unproven(place: Path) -> None:
    """The CA may pass where we may not: go on with the best candidate, and warn."""
    make(place, "root")
    config = f"server {{ listen 80; root {place}/root; allow 192.0.2.1; deny all; }}"
    with Nginx(place / "nginx", config), solved(place) as solver:
        assert solver.outcomes[NAME].verdict is Verdict.UNPROVEN
        assert (place / "root/.well-known/acme-challenge" / (TOKEN[:-2] + "00")).read_bytes() == CONTENT
        assert "could not be proved" in messages.unproven(solver.outcomes[NAME])


def test_apache_allow_list_is_unproven(place: Path) -> None:
    """Require ip, for an address that an administrator took for the CA's."""
    make(place, "root")
    with Apache(place / "apache", f"Listen 80\nDocumentRoot {place}/root\n<Directory />\nRequire ip 192.0.2.1\n"
                                  "</Directory>\n"), solved(place) as solver:
        assert solver.outcomes[NAME].verdict is Verdict.UNPROVEN


def test_unproven_refuse_is_an_error(place: Path) -> None:
    """--autowebroot-unproven refuse."""
    make(place, "root")
    config = f"server {{ listen 80; root {place}/root; allow 192.0.2.1; deny all; }}"
    with Nginx(place / "nginx", config), solved(place, refuse_unproven=True) as solver:
        assert solver.unanswered == [NAME]


def test_htaccess_that_denies_dotfiles_is_a_dead_end(place: Path) -> None:
    """Only the probe shows it."""
    make(place, "root")
    (place / "root" / ".htaccess").write_text('RedirectMatch 403 "/\\."\n')
    with Apache(place / "apache", f"Listen 80\nDocumentRoot {place}/root\n<Directory />\nAllowOverride All\n"
                                  "Require all granted\n</Directory>\n"), solved(place) as solver:
        assert solver.unanswered == [NAME]
        assert "403" in messages.failure(solver.outcomes[NAME])


def test_error_names_every_hop(place: Path) -> None:
    """There is no directory: the error lists the programs with pids and lines."""
    code = ("import http.server as h\nclass H(h.BaseHTTPRequestHandler):\n"
            "    def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(b'app')\n"
            "    def log_message(self, *a): pass\n"
            "s = h.ThreadingHTTPServer(('127.0.0.1', 3000), H); print('up', flush=True); s.serve_forever()")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=place) as application:
        try:
            assert application.stdout is not None and application.stdout.readline()
            config = "server { listen 80;\nlocation / { proxy_pass http://127.0.0.1:3000; } }"
            with Nginx(place / "nginx", config) as nginx, solved(place) as solver:
                said = messages.failure(solver.outcomes[NAME])
                assert f"nginx (pid {nginx.pid})" in said
        finally:
            application.kill()
    assert f"(pid {application.pid})" in said
    assert f"{nginx.conf}:" in said and "proxy_pass http://127.0.0.1:3000" in said
    assert "status 200" in said


@pytest.mark.parametrize(("extra", "verdict"), [
    ("gzip on; gzip_types *; gzip_min_length 1;", Verdict.PROVEN),
    ("open_file_cache max=100; open_file_cache_errors on; open_file_cache_valid 60s;", Verdict.PROVEN),
    ("if (-f {place}/maintenance) {{ return 503; }}", Verdict.DEAD_END),
    ("auth_basic x; auth_basic_user_file {place}/passwords;", Verdict.DEAD_END)])
def test_answer_with_existing_file_decides(place: Path, extra: str, verdict: Verdict) -> None:
    """Compression and caches do no harm; maintenance and a password do, to the CA as to us."""
    make(place, "root")
    (place / "maintenance").write_text("")
    (place / "passwords").write_text("")
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/root; {extra.format(place=place)} }}"), \
            solved(place) as solver:
        assert solver.outcomes[NAME].verdict is verdict


@pytest.mark.parametrize("root", ["/", "/etc", "{place}/gone", "{place}/file"])
def test_unusable_document_root_is_named(place: Path, root: str) -> None:
    """No traceback, and no file is made."""
    (place / "file").write_text("")
    root = root.format(place=place)
    with Nginx(place / "nginx", f"server {{ listen 80; root {root}; }}"), solved(place) as solver:
        assert solver.unanswered == [NAME]
        assert root in messages.failure(solver.outcomes[NAME])
    assert not Path("/.well-known").exists() and not Path("/etc/.well-known").exists()


def test_silent_server_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit holds, and the error names the program."""
    monkeypatch.setattr(probe.ask, "__defaults__", (0.3,))
    monkeypatch.setattr(probe.get_directly, "__defaults__", (0.3,))
    code = "import socket, time; s = socket.create_server(('', 80)); print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=place) as silent:
        try:
            assert silent.stdout is not None and silent.stdout.readline()
            with solved(place) as solver:
                said = messages.failure(solver.outcomes[NAME])
        finally:
            silent.kill()
    assert "time limit" in said and f"(pid {silent.pid})" in said


def test_silent_program_costs_one_timeout(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For any number of names and of files that it might serve."""
    make(place, "public", "static")
    for name in ("public/robots.txt", "public/app.css", "static/logo.svg"):
        (place / name).write_text("here")
    asked: List[str] = []
    get_directly = probe.get_directly

    def counted(endpoint: Endpoint, host: str, path: str) -> Optional[bytes]:
        asked.append(path)
        return get_directly(endpoint, host, path, timeout=0.2)
    monkeypatch.setattr(probe, "get_directly", counted)
    monkeypatch.setattr(probe.ask, "__defaults__", (0.2,))
    code = "import socket, time; s = socket.create_server(('', 80)); print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=place) as silent:
        try:
            assert silent.stdout is not None and silent.stdout.readline()
            Solver(OrderOptions(80), Journal(str(place / "journal"))).find_out(["a.sample.com", "b.sample.com"])
        finally:
            silent.kill()
    assert len(asked) == 1


def test_failure_names_unread_configuration(place: Path) -> None:
    """A script of the server decides about the root, and scripts are not run."""
    make(place, "lighttpd", "one", "two")
    (place / "more.conf").write_text(f'server.document-root := "{place}/two"\n')
    config = f'server.document-root = "{place}/one"\ninclude_shell "head {place}/more.conf"\n'
    with Lighttpd(place / "lighttpd", config), solved(place) as solver:
        said = messages.failure(solver.outcomes[NAME])
    assert f"looks in the directory {place}/one/.well-known/acme-challenge; the test file did not come back" in said
    assert "cannot be known: what include_shell" in said


def test_slow_programs_have_one_time_limit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user may own a thousand ports, each of which delays a name."""
    make(place, "public")
    (place / "public/robots.txt").write_text("here")
    monkeypatch.setattr(candidates, "MAX_GUESSING", 1.0)
    monkeypatch.setattr(forwarder, "MAX_WAITING", 1.0)
    asked: List[Endpoint] = []

    def late(endpoint: Endpoint, host: str, path: str) -> None:
        asked.append(endpoint)
        time.sleep(0.2)
    monkeypatch.setattr(probe, "get_directly", late)
    code = ("import socket, time; s = [socket.create_server(('127.0.0.1', port)) for port in range(8100, 8130)]; "
            "print('up', flush=True); time.sleep(60)")
    members = "".join(f"server 127.0.0.1:{port};" for port in range(8100, 8130))
    config = f"upstream u {{ {members} }} server {{ listen 80; location / {{ proxy_pass http://u; }} }}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=place) as program, \
            Nginx(place / "nginx", config):
        try:
            assert program.stdout is not None and program.stdout.readline()
            monkeypatch.setattr(probe.ask, "__defaults__", (0.2,))
            Solver(OrderOptions(80), Journal(str(place / "journal"))).find_out([NAME])
        finally:
            program.kill()
    assert 0 < len(asked) < 8


def test_slow_resolver_has_one_time_limit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's upstream may have a thousand names whose name server never answers."""
    monkeypatch.setattr(listening, "MAX_RESOLVING", 1.0)
    asked: List[str] = []

    def late(host: str) -> List[str]:
        asked.append(host)
        time.sleep(0.2)
        return []
    monkeypatch.setattr(addresses, "resolve", late)
    here = Host()
    for number in range(30):
        assert here.reach(Endpoint(f"{number}.sample.org", 80), Endpoint(PUBLIC_V4, 80)) == []
    assert 0 < len(asked) < 8
