"""Every executable name of every record gets all that its server has; and no other module lists such names."""
import ast
import subprocess
import sys
from pathlib import Path
from typing import Any
from typing import Dict
from typing import List
from typing import Sequence
from typing import Tuple

import pytest
from zope.interface import implementer
from zope.interface.verify import verifyObject

import certbot_autowebroot
from certbot_autowebroot.cli import __main__ as cli
from certbot_autowebroot.interfaces import ForwardingError
from certbot_autowebroot.interfaces import IForwardsChallenges
from certbot_autowebroot.interfaces import IHasSnippet
from certbot_autowebroot.interfaces import SiteLines
from certbot_autowebroot.order import other_authenticators
from certbot_autowebroot.order import remedies
from certbot_autowebroot.order.inquiry import Candidates
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers import registry
from certbot_autowebroot.system.processes import Process
from tests.lab.other_package import BeeWeb
from tests.lab.other_package import register
from tests.lab.table import FRONT
from tests.lab.table import TOKEN
from tests.lab.table import front
from tests.lab.table import process_of

NAMES = [(server, executable) for server in registry.BUILT_IN for executable in server.executables]
every_name = pytest.mark.parametrize(("server", "executable"), NAMES, ids=[executable for _, executable in NAMES])

#: What a trail of each server begins with.
SECTION = {"nginx": "server www.sample.com", "apache": "<VirtualHost *:80> www.sample.com",
           "lighttpd": '$HTTP["host"] == "www.sample.com"', "caddy": "server srv0", "haproxy": "frontend web"}


def hop(process: Process, text: str) -> Hop:
    request = Request("www.sample.com", CHALLENGE_PATH + TOKEN, TOKEN, FRONT)
    return Hop(process.program, request, (Step(text, Source("/etc/x.conf", 1)),))


@every_name
def test_following(server: registry.Server, executable: str) -> None:
    """The server's evaluator answers, and the process is among the first that are searched for a port's owner."""
    web_server = registry.WebServers().for_process(process_of(executable))
    assert type(web_server) is type(server.make_evaluator())
    assert executable[:15] in registry.LIKELY[0]


@every_name
def test_advice(server: registry.Server, executable: str, tmp_path: Path) -> None:
    """The server's lines; and a path is asked for only where it serves files."""
    (tmp_path / "Caddyfile").write_text("http://www.sample.com {\n}\n")
    (tmp_path / "default.vcl").write_text("vcl 4.1;\n")
    arguments = {"caddy": ("run", "--config", f"{tmp_path}/Caddyfile"), "varnish": ("-f", f"{tmp_path}/default.vcl")}
    process = process_of(executable, *arguments.get(server.name, ()))
    found = remedies.lines_at(hop(process, SECTION.get(server.name, "")), process)
    assert (found.server if found else None) == (server.name if registry.SNIPPET in server.parts else None)
    unknown = Route((hop(process, ""),), Unknown("a variable"))
    assert bool(list(remedies.paths_to_give([unknown], lambda _: False))) is server.serves_files


@every_name
def test_snippet(server: registry.Server, executable: str, capsys: "pytest.CaptureFixture[str]") -> None:
    """The command has the same lines as the advice, under the server's name."""
    part = registry.part_of(process_of(executable), registry.SNIPPET)
    assert (part is not None) is (registry.SNIPPET in server.parts)
    if part:
        assert cli.main(["snippet", part.server]) == 0
        assert capsys.readouterr().out.rstrip("\n") == part.provider.for_every_site(
            "/var/www/autowebroot").rstrip("\n")


@every_name
def test_reload(server: registry.Server, executable: str) -> None:
    """The server's control; a process without relatives is its own main process."""
    part = registry.part_of(process_of(executable), registry.CONTROL)
    assert (part is not None) is (registry.CONTROL in server.parts)
    if part:
        assert part.provider is server.part(registry.CONTROL)
        assert part.provider.main_process(process_of(executable)) == process_of(executable)


@every_name
def test_fallback(server: registry.Server, executable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authenticator that edits the server's configuration, with the option for one that lies elsewhere."""
    monkeypatch.setattr(other_authenticators, "installed", lambda: {"nginx": None, "apache": None})
    monkeypatch.setattr(other_authenticators, "_is_on_the_host", lambda program: True)
    at_front = hop(process_of(executable), "")
    outcome = Outcome(Candidates("www.sample.com", front(FRONT), "token",
                                 {FRONT: [Route((at_front,), DeadEnd("no"))]}))
    expected = [server.authenticator] if server.authenticator else []
    assert other_authenticators.fitting(outcome) == expected
    for file in (f"{server.authenticator_root}x.conf", "/opt/x.conf"):
        route = Route((at_front._replace(trail=(Step("", Source(file)),)),), DeadEnd("no"))
        option = "" if file.startswith(server.authenticator_root) else f"--{server.authenticator}-server-root"
        assert remedies.server_root(server.authenticator, [route]) == option


def test_an_executable_has_one_server() -> None:
    """Else the last record would win."""
    assert len({executable for _, executable in NAMES}) == len(NAMES)


def test_no_other_module_lists_executables() -> None:
    """A copy of the names would miss the next one; a server's own modules may tell its programs apart."""
    package = Path(certbot_autowebroot.__file__).parent
    copies: Dict[str, List[str]] = {}
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] != "servers":
            copies[str(path)] = [node.value for node in ast.walk(ast.parse(path.read_text()))
                                 if isinstance(node, ast.Constant) and node.value in {name for _, name in NAMES}]
    assert {path: names for path, names in copies.items() if names} == {}


def test_a_server_costs_no_other_servers_import() -> None:
    """All of them together would take 40 ms of each renewal."""
    code = ("import sys; from certbot_autowebroot.servers import registry; from tests.lab.table import process_of; "
            "registry.WebServers().for_process(process_of('lighttpd')); print(*sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], text=True, check=True,
                          stdout=subprocess.PIPE)
    servers = {name.split(".")[2] for name in done.stdout.split() if name.startswith("certbot_autowebroot.servers.")}
    assert servers == {"common", "lighttpd", "registry"}


@implementer(IHasSnippet)
class BeeWebWithLines(BeeWeb):
    """A web server of another package, with an optional part."""

    def for_site(self, process: Process, request: Request, trail: Tuple[Step, ...], directory: str) -> SiteLines:
        return SiteLines(Source("/etc/beeweb.conf", 1), (f"serve {directory}",), "at the beginning", "restart beeweb")

    def for_every_site(self, directory: str) -> str:
        return f"serve {directory}"


class WithBrokenLines(BeeWebWithLines):
    """One whose lines cannot be had."""

    def for_site(self, *arguments: Any) -> SiteLines:
        raise RuntimeError("no lines")


def test_parts_of_another_package(monkeypatch: pytest.MonkeyPatch, capsys: "pytest.CaptureFixture[str]") -> None:
    """Those that it brings are used like ours; those that it lacks are ours, where we know the program."""
    register(monkeypatch, BeeWebWithLines)
    process = process_of("beeweb")
    found = remedies.lines_at(hop(process, ""), process)
    assert found is not None
    assert (found.server, found.lines.lines) == ("beeweb", ("serve /var/www/autowebroot",))
    assert registry.part_of(process, registry.CONTROL) is None
    assert cli.main(["snippet", "beeweb", "--directory", "/srv/acme"]) == 0
    assert "serve /srv/acme" in capsys.readouterr().out
    assert registry.part_of(process_of("nginx"), registry.SNIPPET) is not None


@implementer(IForwardsChallenges)
class BeeWebWithForwarding(BeeWeb):
    """One that sends challenges to other machines."""

    def redirect(self, host: str) -> str:
        return f"redirect {host}"

    def proxy(self, host: str) -> str:
        return f"proxy {host}"

    def ask_peers(self, peers: Sequence[str], directory: str) -> str:
        raise ForwardingError("beeweb has no peers.")


def test_forwarding_of_another_package(monkeypatch: pytest.MonkeyPatch, capsys: "pytest.CaptureFixture[str]") -> None:
    """It is used like ours."""
    register(monkeypatch, BeeWebWithForwarding)
    for host, lines in ("web1", "proxy web1"), ("www.sample.com", "redirect www.sample.com"):
        assert cli.main(["snippet", "beeweb", "--to", host]) == 0
        assert capsys.readouterr().out == lines
    assert cli.main(["snippet", "beeweb", "--peers", "web1"]) == 2
    assert capsys.readouterr().err == "beeweb has no peers.\n"


@pytest.mark.parametrize("server", [server for server in registry.BUILT_IN if registry.FORWARDING in server.parts])
def test_forwarding(server: registry.Server) -> None:
    """Each server's module has the functions of the interface."""
    assert verifyObject(IForwardsChallenges, server.part(registry.FORWARDING))


def test_another_package_without_lines(monkeypatch: pytest.MonkeyPatch, capsys: "pytest.CaptureFixture[str]") -> None:
    """The command knows only its name, for it is not loaded before."""
    register(monkeypatch, BeeWeb)
    assert cli.main(["snippet", "beeweb"]) == 2
    assert "brings no lines for it" in capsys.readouterr().err


def test_broken_lines_of_another_package(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """They cost this remedy, and not the message with the others."""
    register(monkeypatch, WithBrokenLines)
    process = process_of("beeweb")
    assert remedies.lines_at(hop(process, ""), process) is None
    assert "could not be made: RuntimeError('no lines')" in caplog.text
