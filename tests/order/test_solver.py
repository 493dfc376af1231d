"""The solver against real web servers, without a CA: where it publishes, what it proves, what it reports."""
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from typing import Dict
from typing import List

import pytest

from certbot_autowebroot.order import messages
from certbot_autowebroot.order import proof
from certbot_autowebroot.order.hints import Hint
from certbot_autowebroot.responders.footprints import Footprint
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.safe_directories import OpenDirectory
from certbot_autowebroot.routing.ca_verdict import Verdict
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.orders import CONTENT
from tests.lab.orders import NAME
from tests.lab.orders import TOKEN
from tests.lab.orders import ask
from tests.lab.orders import make
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved
from tests.lab.varnish import Varnish

pytestmark = pytest.mark.lab

__all__ = ["names", "place"]  # fixtures


def test_token_reuses_directories_of_test_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To make and remove them again for each of a hundred names would take longer than all else."""
    made: List[str] = []
    announce = Journal.announce

    def noted(journal: Journal, user: object, directory: OpenDirectory, name: str, *rest: Any) -> Footprint:
        made.append(name)
        return announce(journal, user, directory, name, *rest)
    monkeypatch.setattr(Journal, "announce", noted)
    make(place, "www")
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/www; }}"), solved(place):
        assert ask() == CONTENT
    assert [name for name in made if name in (".well-known", "acme-challenge")] == [".well-known", "acme-challenge"]


def test_empty_directories_go_before_the_last_check(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's rules may test for a directory: the last check must see what the CA will see."""
    there: List[bool] = []
    mismatches = proof.mismatches

    def noted(*arguments: Any) -> Any:
        there.extend((place / root / ".well-known").exists() for root in ("old", "www"))
        return mismatches(*arguments)
    monkeypatch.setattr(proof, "mismatches", noted)
    make(place, "old", "www")
    hints = {NAME: [Hint(f"{place}/old", "a guess")]}
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/www; }}"), solved(place, hints=hints):
        assert ask() == CONTENT
    assert there == [False, True]


def test_lost_token_after_proof_is_reported(place: Path) -> None:
    """The server returns every test file, but not the token."""
    make(place, "root")
    config = f"server {{ listen 80; root {place}/root; if ($uri ~ {TOKEN[:-2]}) {{ return 410; }} }}"
    with Nginx(place / "nginx", config), solved(place) as solver:
        assert solver.unanswered == [NAME]
        said = messages.failure(solver.outcomes[NAME])
    assert "status 410" in said and "run Certbot again" in said


def test_ip_address_identifier(place: Path) -> None:
    """RFC 8738."""
    make(place, "root")
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/root; }}"), solved(place, PUBLIC_V4):
        assert ask(name=PUBLIC_V4) == CONTENT


def test_hundred_names_over_hundred_roots(place: Path) -> None:
    """One order, each name with its own directory."""
    names = [f"n{number}.sample.com" for number in range(100)]
    make(place, *names)
    config = "".join(f"server {{ listen 80; server_name {name}; root {place}/{name}; }}" for name in names)
    with Nginx(place / "nginx", config), solved(place, *names) as solver:
        assert solver.unanswered == []
        assert [ask(name=name, number=number) for number, name in enumerate(names)] == [CONTENT] * 100


def test_public_directory_of_application_is_verified_first(place: Path) -> None:
    """Rails, Express: an existing file is fetched, and only then a file is written."""
    make(place, "app/public")
    (place / "app/public/robots.txt").write_text("User-agent: *")
    code = ("import functools, http.server as h\n"
            "class H(h.SimpleHTTPRequestHandler):\n    def log_message(self, *a): pass\n"
            "s = h.ThreadingHTTPServer(('', 80), functools.partial(H, directory='public'))\n"
            "print('up', flush=True); s.serve_forever()")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=place / "app") as application:
        try:
            assert application.stdout is not None and application.stdout.readline()
            with solved(place) as solver:
                assert solver.outcomes[NAME].verdict is Verdict.PROVEN
                assert ask() == CONTENT
            (place / "app/public/robots.txt").unlink()
            with solved(place) as solver:
                assert solver.unanswered == [NAME]
        finally:
            application.kill()


def test_unverified_guess_is_never_written_to(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guessed directory is one that the program does not serve."""
    make(place, "app/public")
    (place / "app/public/robots.txt").write_text("User-agent: *")
    written: List[str] = []
    monkeypatch.setattr("certbot_autowebroot.responders.factory.WebrootResponder",
                        lambda _view, directory, _journal: written.append(str(directory)))
    code = "import socket; s = socket.create_server(('', 80)); print('up', flush=True)\nwhile 1: s.accept()[0].close()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=place / "app") as application:
        try:
            assert application.stdout is not None and application.stdout.readline()
            with solved(place) as solver:
                assert solver.unanswered == [NAME]
        finally:
            application.kill()
    assert written == []


class Meanwhile:
    """Act at one step of the solver: before the nth proof, or after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, events: Dict[int, Any], after: bool = False) -> None:
        self.count = 0
        prove = proof.prove

        def interrupted(*arguments: Any) -> Any:
            event = events.get(self.count) if arguments[0] else None
            self.count += bool(arguments[0])
            if event and not after:
                event()
            results = prove(*arguments)
            if event and after:
                event()
            return results
        monkeypatch.setattr(proof, "prove", interrupted)


def test_server_starts_between_snapshot_and_bind(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is free in the snapshot and taken at bind()."""
    make(place, "root")
    nginx = Nginx(place / "nginx", f"server {{ listen 80; root {place}/root; }}")
    Meanwhile(monkeypatch, {0: nginx.start})
    try:
        with solved(place) as solver:
            assert solver.unanswered == []
            assert ask() == CONTENT
    finally:
        nginx.stop()


def test_server_stops_between_snapshot_and_probe(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is ready, and no program serves it any more."""
    make(place, "root")
    nginx = Nginx(place / "nginx", f"server {{ listen 80; root {place}/root; }}")
    nginx.start()
    Meanwhile(monkeypatch, {0: nginx.stop})
    with solved(place) as solver:
        assert solver.unanswered == []
        assert ask() == CONTENT


def test_server_reloads_between_snapshot_and_probe(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment moves the root."""
    make(place, "one", "two")
    nginx = Nginx(place / "nginx", f"server {{ listen 80; root {place}/one; }}")

    def deploy() -> None:
        nginx.configure(f"server {{ listen 80; root {place}/two; }}")
        nginx.reload()
    Meanwhile(monkeypatch, {0: deploy})
    with nginx, solved(place) as solver:
        assert solver.unanswered == []
        assert ask() == CONTENT


@pytest.mark.parametrize("known", [["real", "link"], ["link", "real"], ["link"]])
@pytest.mark.parametrize("served", ["link", "real", ""])
def test_directory_with_two_paths_is_tried_once(place: Path, known: List[str], served: str) -> None:
    """A symlink and its target: the second path must not take the file of the first for another program's."""
    make(place, "real")
    (place / "link").symlink_to(place / "real")
    refuses = "if ($http_autowebroot_probe) { return 410; }"
    config = f"root {place}/{served};" if served else f"root {place}/real; {refuses}"
    hints = [Hint(f"{place}/{name}", "--autowebroot-path") for name in known]
    with Nginx(place / "nginx", f"server {{ listen 80; {config} }}"), solved(place, hints={NAME: hints}) as solver:
        outcome = solver.outcomes[NAME]
        assert outcome.verdict is (Verdict.PROVEN if served else Verdict.DEAD_END)
        assert not outcome.proof.publish_errors
        if not served:
            assert messages.failure(outcome).count("did not come back") == 1


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("stops", [True, False])
def test_change_between_proof_and_publishing_is_noticed(
        place: Path, monkeypatch: pytest.MonkeyPatch, remembered: bool, stops: bool) -> None:
    """The last check, of the real token, comes before the CA; after a deployment or a stop the proof is repeated."""
    make(place, "one", "two")
    nginx = Nginx(place / "nginx", f"server {{ listen 80; root {place}/one; }}")

    def deploy() -> None:
        nginx.configure(f"server {{ listen 80; root {place}/two; }}")
        nginx.reload()
    Meanwhile(monkeypatch, {0: nginx.stop if stops else deploy}, after=True)
    hints = {NAME: [Hint(f"{place}/one", "last time")]} if remembered else {}
    with nginx, solved(place, hints=hints) as solver:
        assert solver.unanswered == []
        assert ask() == CONTENT


def test_token_is_never_requested_before_it_exists(place: Path) -> None:
    """Varnish remembers a 404 for two minutes."""
    make(place, "root", "varnish")
    with Nginx(place / "nginx", f"server {{ listen 127.0.0.1:8080; root {place}/root; }}"), \
            Varnish(place / "varnish", 'backend default { .host = "127.0.0.1"; .port = "8080"; }'):
        for _ in range(2):
            with solved(place) as solver:
                assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
                assert ask() == CONTENT
            # A token of its own for each order; this one was asked for, and is remembered.
            subprocess.run(["varnishadm", "-n", place / "varnish/work", "ban", "req.url", "~", "."], check=True,
                           capture_output=True)


@pytest.mark.parametrize("edited", ["root {place}/new;", "return 403;", "root {place}/new; } garbage {"])
def test_edited_configuration_without_reload(place: Path, edited: str) -> None:
    """Another root, a refusal, a broken file: the running server's answer wins, which its error log shows."""
    make(place, "old", "new")
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/old; }}") as nginx:
        nginx.configure("server { listen 80; " + edited.replace("{place}", str(place)) + " }")
        with solved(place) as solver:
            assert solver.unanswered == [], messages.failure(solver.outcomes[NAME])
            assert ask() == CONTENT
            assert solver.proven_directories() == {NAME: [(f"{place}/old", ".well-known/acme-challenge")]}


def test_deleted_binary_still_runs(place: Path) -> None:
    """An upgrade deleted it; the configuration is found all the same."""
    make(place, "root")
    binary = place / "nginx-copy" / "nginx"
    binary.parent.mkdir()
    binary.write_bytes(Path(shutil.which("nginx") or "").read_bytes())
    binary.chmod(0o755)
    nginx = Nginx(place / "nginx", f"server {{ listen 80; root {place}/root; }}")
    nginx.start([str(binary), "-p", str(nginx.directory), "-c", str(nginx.conf)])
    try:
        binary.unlink()
        with solved(place):
            assert ask() == CONTENT
    finally:
        nginx.stop()


def test_proven_directory_is_first_next_time(place: Path) -> None:
    """No configuration is read then."""
    make(place, "root")
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/root; }}"):
        with solved(place) as solver:
            (root, directory), = solver.proven_directories()[NAME]
        with solved(place, hints={NAME: [Hint(root, "last time", directory)]}) as solver:
            assert solver.outcomes[NAME].verdict is Verdict.PROVEN
            assert solver.outcomes[NAME].routes == {}


def test_directory_served_in_turns_is_not_remembered(place: Path) -> None:
    """One probe next time would find one of them only."""
    make(place, "one", "two")
    with Nginx(place / "nginx", f"""
            upstream app {{ server 127.0.0.1:8081; server 127.0.0.1:8082; }}
            server {{ listen 80; location / {{ proxy_pass http://app; }} }}
            server {{ listen 127.0.0.1:8081; root {place}/one; }}
            server {{ listen 127.0.0.1:8082; root {place}/two; }}"""), solved(place) as solver:
        assert solver.proven_directories() == {}
