"""Which other authenticators are asked, in which order, with which options; and plugins that do not load."""
import argparse
import json
import logging
from pathlib import Path
from typing import Any
from typing import ClassVar
from typing import Dict
from typing import List
from typing import Tuple

import configobj
import pytest
from certbot import errors

from certbot_autowebroot.authenticator import Authenticator
from certbot_autowebroot.order import fallback
from certbot_autowebroot.order import messages
from certbot_autowebroot.order import other_authenticators
from certbot_autowebroot.order import wire_fallback
from certbot_autowebroot.order.inquiry import Candidates
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.wire_fallback import WireFallback
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.wire import responder
from certbot_autowebroot.responders.wire.child import OWN_NETWORK
from certbot_autowebroot.responders.wire.responder import CatchPoint
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Route
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Trail
from certbot_autowebroot.routing.front_endpoints import Kind
from tests.lab import plugins
from tests.lab.table import front

ENDPOINT = Endpoint("203.0.113.10", 80)


@pytest.mark.parametrize(("said", "fits", "expected"), [
    ("nginx", [], ["nginx"]),
    ("nginx, apache,nginx", [], ["nginx", "apache"]),
    ("['nginx', 'apache']", [], ["nginx", "apache"]),
    ("auto", ["apache"], ["apache"]),
    ("auto", [], []),
    ("files,auto,nginx", ["nginx", "apache"], ["files", "nginx", "apache"]),
    ("none", ["nginx"], []),
    ("none,files", [], ["files"]),
    (" , ", ["nginx"], []),
])
def test_order(said: str, fits: List[str], expected: List[str]) -> None:
    """The order of the option, each authenticator once; auto stands for those that fit."""
    assert other_authenticators.order(said, fits) == expected


@pytest.mark.parametrize(("waiting", "expected"), [
    ([["nginx"], ["apache", "nginx"]], "apache"),
    ([["nginx", "files"], ["nginx"]], "nginx"),
    ([[], ["files"]], "files"),
    ([["nginx", "apache"], ["apache", "nginx"]], "nginx"),
])
def test_shared_authenticator_waits_for_other_names(waiting: List[List[str]], expected: str) -> None:
    """It is asked once for both names; where each waits for the other, the first goes first."""
    assert other_authenticators.next_of(waiting) == expected


class Challenge:
    """The part of Certbot's challenge that a plugin reads."""

    account_key = None

    def __init__(self, name: str) -> None:
        self.identifier = argparse.Namespace(value=name)

    @property
    def chall(self) -> "Challenge":
        return self

    def encode(self, field: str) -> str:
        return f"{field}-{self.identifier.value}"

    def response(self, account_key: object) -> str:
        return f"response for {self.identifier.value}"

    def response_and_validation(self) -> Tuple[str, str]:
        return self.response(None), "validation"


def outcome(holder: Program, name: str = "www.sample.com", trail: Trail = ()) -> Outcome:
    """A name whose port is held by a program that leads to a dead end."""
    found = Candidates(name, front(ENDPOINT), "token")
    hop = Hop(holder, found.request(ENDPOINT), trail)
    behind = Hop(Program("nginx", 1), found.request(ENDPOINT), ())
    return Outcome(found._replace(routes={ENDPOINT: [Route((hop, behind), DeadEnd("no"))]}))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another package is installed: one plugin's module is missing, one plugin is no class."""
    path = plugins.install(tmp_path, broken="no_such_module:Plugin", nothing="os:path", nginx="otherplugins:Files")
    monkeypatch.syspath_prepend(str(path))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return path


@pytest.mark.parametrize(("name", "on_the_host", "expected"), [
    ("nginx", True, ["nginx"]),
    ("nginx", False, []),  # in a container
    ("openresty", True, ["nginx"]),
    ("haproxy", True, []),  # though nginx is behind it: its authenticator would make it listen at the front
])
def test_auto_is_the_authenticator_of_the_front_server(packages: Path, monkeypatch: pytest.MonkeyPatch, name: str,
                                                       on_the_host: bool, expected: List[str]) -> None:
    """Where the front server runs on this host."""
    monkeypatch.setattr(other_authenticators, "_is_on_the_host", lambda program: on_the_host)
    assert other_authenticators.fitting(outcome(Program(name, 7))) == expected


def others(said: str, **config: Any) -> fallback.Fallbacks:
    return fallback.Fallbacks(argparse.Namespace(**config), said, Authenticator, Journal("/nonexistent"))


@pytest.mark.parametrize(("said", "holder", "sentence"), [
    ("broken", Program("python3", 7), "the authenticator broken: it cannot be loaded: ModuleNotFoundError"),
    ("nothing", Program("python3", 7), "the authenticator nothing: this plugin is no authenticator"),
    ("nginx", Program("apache2", 7), "the authenticator nginx: the port is not held by its web server"),
])
def test_rejected_authenticator_is_one_sentence(packages: Path, monkeypatch: pytest.MonkeyPatch, said: str,
                                                holder: Program, sentence: str) -> None:
    """Certbot itself ends at a plugin that does not load."""
    monkeypatch.setattr(other_authenticators, "_is_on_the_host", lambda program: True)
    found = outcome(holder)
    answers = others(said).answer({"challenge": found}, lambda challenges: dict.fromkeys(challenges, "404"))
    (reason,), = answers.rejected.values()
    assert answers.responses == {} and reason.startswith(sentence)
    assert not (packages / "calls").exists()


def test_auto_tries_nginx_for_an_unidentified_listener(packages: Path) -> None:
    """The listener may be nginx."""
    found = outcome(Program("a program that is not visible to us"))
    others("nginx").answer({"challenge": found}, lambda challenges: dict.fromkeys(challenges, "404"))
    assert (packages / "calls").read_text().startswith("nginx prepare")


def test_installed_authenticators_load(packages: Path) -> None:
    """Neither installers nor broken plugins, and not our own."""
    found = others("").installed()
    assert set(plugins.PLUGINS) < set(found)
    assert not {"broken", "nothing", "null", "autowebroot"} & set(found)


@pytest.mark.parametrize(("file", "root", "expected"), [
    ("/opt/nginx/nginx.conf", "/etc/nginx", True),
    ("/opt/nginx/nginx.conf", "/opt/nginx", False),
    ("/etc/nginx/nginx.conf", "/etc/nginx", False),
])
def test_server_root_of_another_configuration_is_advised(
        packages: Path, monkeypatch: pytest.MonkeyPatch, file: str, root: str, expected: bool) -> None:
    """nginx runs with another configuration than the one that its plugin edits, and no option names it."""
    found = outcome(Program("a program that is not visible to us"), trail=(Step("server x", Source(file, 3)),))
    monkeypatch.setattr(fallback, "PATIENCE", 0)
    chosen = others("nginx", nginx_server_root=root, nginx_directory=str(packages))
    answers = chosen.answer({Challenge("www.sample.com"): found}, lambda challenges: dict.fromkeys(challenges, "404"))
    (reason,), = answers.rejected.values()
    assert ("--nginx-server-root DIR" in reason) is expected


@pytest.mark.parametrize(("kept", "config", "expected"), [
    ("", {"files_directory": "/nowhere", "files_number": 1}, {}),
    ("", {"files_directory": "/a", "files_number": 1}, {"files_directory": "/a"}),
    ('{"files_directory": "/a"}', {"files_directory": "/nowhere", "files_number": 1}, {"files_directory": "/a"}),
    ('{"files_directory": "/a"}', {"files_directory": "/b", "files_number": 1}, {"files_directory": "/b"}),
    ('{"files_number": 7}', {"files_directory": "/nowhere", "files_number": 1}, {"files_number": 7}),
    ('{"other_number": 7}', {"files_directory": "/nowhere", "files_number": 1}, {}),
    ('{"broken_number": 7}', {"files_directory": "/nowhere", "files_number": 1}, {"broken_number": 7}),
], ids=["nothing", "said", "kept", "said anew", "a number", "not chosen any more", "not to be loaded now"])
def test_options(packages: Path, kept: str, config: Dict[str, Any], expected: Dict[str, Any]) -> None:
    """Remembered options fill the gaps of the configuration; options other than the default are remembered."""
    namespace = argparse.Namespace(**config)
    saved = fallback.Fallbacks(namespace, "files,broken", Authenticator, Journal("/nonexistent")).restore_options(kept)
    assert json.loads(saved or "{}") == expected
    assert vars(namespace) == {**config, **{option: expected[option] for option in config if option in expected}}


@pytest.mark.parametrize("kept", ["{", "[1]", "7", "[" * 100_000])
def test_invalid_options(packages: Path, kept: str) -> None:
    """A ValueError: the caller reports it and goes on."""
    with pytest.raises(ValueError):
        others("files").restore_options(kept)


def test_percent_signs_are_escaped(packages: Path, tmp_path: Path) -> None:
    """Certbot reads %(word)s in a renewal configuration as that setting, and skips a lineage without it."""
    odd = "date +%(x)s; 100%"
    saved = others("files", files_directory=odd).restore_options("")
    conf = tmp_path / "renewal.conf"
    written = configobj.ConfigObj(str(conf))
    written["saved"] = saved
    written.write()
    assert json.loads(configobj.ConfigObj(str(conf))["saved"]) == {"files_directory": odd}


def test_clean_up_once_for_performed_challenges(packages: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Certbot calls cleanup with all challenges of the order, and may call it again."""
    chosen = others("reluctant", reluctant_directory=str(packages))
    mine, another = Challenge("www.sample.com"), Challenge("other.sample.com")
    answers = chosen.answer({mine: outcome(Program("python3", 7))}, lambda challenges: {})
    assert answers.responses == {mine: "response for www.sample.com"}
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            chosen.cleanup([mine, another])
    assert calls(packages) == ["prepare", "perform www.sample.com", "cleanup www.sample.com"]
    assert len([record for record in caplog.records if "could not clean up" in record.message]) == 1


def calls(packages: Path) -> List[str]:
    """The calls of the plugins, without their names."""
    return [line.partition(" ")[2] for line in (packages / "calls").read_text().splitlines()]


def test_interrupted_authenticator_is_cleaned_up(packages: Path) -> None:
    """Ctrl-C while it reloads a server: Certbot then calls cleanup."""
    chosen = others("interrupted", interrupted_directory=str(packages))
    mine = Challenge("www.sample.com")
    with pytest.raises(KeyboardInterrupt):
        chosen.answer({mine: outcome(Program("python3", 7))}, lambda challenges: {})
    assert (packages / "token-www.sample.com").exists()
    chosen.cleanup([mine])
    assert not (packages / "token-www.sample.com").exists()


def test_hint_of_the_authenticator_that_answered(packages: Path) -> None:
    """Under its name, and no other authenticator's."""
    chosen = others("refusing,files", files_directory=str(packages), refusing_directory=str(packages))
    mine = Challenge("www.sample.com")
    chosen.answer({mine: outcome(Program("python3", 7))}, lambda challenges: {})
    assert chosen.hints([mine, Challenge("other.sample.com")]) == [f"files: Look at {packages}."]
    assert chosen.hints([Challenge("other.sample.com")]) == []


def test_ip_address_is_performed_alone(packages: Path) -> None:
    """Certbot's nginx and Apache plugins refuse all challenges that come together with one."""
    names = ["a.sample.com", "192.0.2.1", "b.sample.com", "2001:db8::1"]
    others("silent").answer({Challenge(name): outcome(Program("python3", 7), name) for name in names}, lambda left: {})
    assert [line for line in calls(packages) if "perform" in line] == [
        "perform a.sample.com b.sample.com", "perform 192.0.2.1 2001:db8::1"]


def test_error_of_several_lines_is_indented() -> None:
    """nginx's errors have several lines; the indent keeps them apart from ours."""
    reason = "the authenticator nginx: Error while running nginx -t.\n\nWhat to do: \x1b[2J\nnginx: failed"
    failing = outcome(Program("nginx", 7))._replace(rejected=(reason,))
    said = messages.failure(failing).splitlines()
    start = said.index("  tried the authenticator nginx: Error while running nginx -t.")
    assert said[start + 1:start + 3] == ["    What to do: \\x1b[2J", "    nginx: failed"]


def test_hint_for_published_and_unpublished_names() -> None:
    """With --allow-subset-of-names the CA is asked for a name without a published token."""
    dead = outcome(Program("nginx", 7), "dead.sample.com")
    alive = outcome(Program("nginx", 7), "alive.sample.com")._replace(answered_by="nginx")
    said = messages.hint([dead, alive], 80, ["dead.sample.com"])
    assert said.count("dead.sample.com") == 1 and "Nothing was published for dead.sample.com" in said
    assert "alive.sample.com: answered by the authenticator nginx" in said and "it was served" in said
    assert messages.hint([dead], 80, ["dead.sample.com"]).count("\n") == 0


def test_question_about_many_names_fits_on_a_screen() -> None:
    """It shows the routes of the first names and the number of the others."""
    many = [outcome(Program("nginx", 7), f"{number}.sample.com") for number in range(100)]
    routes, asked = messages.without_directory(many), messages.question({"nginx": many})
    assert routes.count("203.0.113.10:80: nginx (pid 7)") == 1
    assert "4.sample.com" in asked and "5.sample.com" not in asked and "95 more" in asked


@pytest.mark.parametrize(("option", "holder", "expected", "useless"), [
    ("wire", "python3", ["wire"], []),
    ("wire,nginx", "nginx", ["wire", "nginx"], []),
    ("nginx,wire", "apache2", ["wire"], ["the authenticator nginx: the port is not held by its web server"]),
    ("auto", "nginx", ["wire", "nginx"], []),
    ("auto", "haproxy", ["wire"], ["auto: no authenticator is installed that belongs to the program on the port"]),
    ("none", "nginx", [], []),
    ("", "nginx", [], []),
])
def test_wire_candidates(packages: Path, monkeypatch: pytest.MonkeyPatch, option: str, holder: str,
                         expected: List[str], useless: List[str]) -> None:
    """auto begins with wire, whatever program holds the port; without the option it is no candidate."""
    monkeypatch.setattr(other_authenticators, "_is_on_the_host", lambda program: True)
    known = other_authenticators.installed()
    assert other_authenticators.candidates(option, outcome(Program(holder, 7)), known) == (expected, useless)


def test_wire_needs_an_endpoint_of_this_host() -> None:
    """Where all addresses are another machine's, there is nothing to catch."""
    elsewhere = Outcome(Candidates("www.sample.com", front(ENDPOINT, kind=Kind.REMOTE), "token"))
    assert other_authenticators.candidates("wire", elsewhere, {}) == ([], [])


@pytest.mark.parametrize(("reason", "expected"), [("", ["wire", "nginx"]), ("only Linux has nftables", ["nginx"])])
def test_check_predicts_wire(packages: Path, monkeypatch: pytest.MonkeyPatch, reason: str, expected: List[str]) -> None:
    """As the dry run says."""
    monkeypatch.setattr(other_authenticators, "_is_on_the_host", lambda program: True)
    monkeypatch.setattr(responder, "why_not", lambda: reason)
    assert other_authenticators.would_be_asked("auto", outcome(Program("nginx", 7))) == expected


def test_wire_is_known_and_has_no_options(packages: Path) -> None:
    """It is no plugin, and yet no unknown name; its neighbours in the list keep their options."""
    chosen = others("wire,nginy,files", files_directory="/a", files_number=1)
    assert chosen.unknown() == ["nginy"]
    assert json.loads(chosen.restore_options("")) == {"files_directory": "/a"}


def test_another_packages_wire_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            caplog: pytest.LogCaptureFixture) -> None:
    """Ours is, with a warning; it is listed where the dry run succeeds, and nothing else is under its name."""
    monkeypatch.syspath_prepend(str(plugins.install(tmp_path, wire="otherplugins:Files")))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    for reason in ("", "only Linux has nftables"):
        monkeypatch.setattr(responder, "why_not", lambda reason=reason: reason)
        assert ("wire" in others("").installed()) is (not reason)
    monkeypatch.setattr(wire_fallback, "why_not", lambda: "only Linux has nftables")
    others("wire").answer({Challenge("www.sample.com"): outcome(Program("python3", 7))}, lambda challenges: {})
    assert not (tmp_path / "calls").exists()
    assert "the plugin wire of another package is not asked" in caplog.text


def test_impossible_wire_leaves_it_to_the_next(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the clause of the dry run as the reason."""
    monkeypatch.setattr(wire_fallback, "why_not", lambda: "only Linux has nftables")
    mine = Challenge("www.sample.com")
    answers = others("wire,files", files_directory=str(packages)).answer(
        {mine: outcome(Program("python3", 7))}, lambda challenges: {})
    assert answers.answered_by == {mine: "files"}
    assert answers.rejected == {mine: ["the authenticator wire: only Linux has nftables"]}


class Responder:
    """Instead of a WireResponder: keeps what is published in a list; the token of bad.sample.com is refused."""

    published: ClassVar[List[Tuple[CatchPoint, str, bytes]]] = []

    def __init__(self, wires: object, where: CatchPoint, token: str) -> None:
        self._at = (where, token)

    def publish(self, content: bytes) -> None:
        if self._at[1] == "token-bad.sample.com":
            raise PublishError("its process has ended")
        self.published.append((*self._at, content))

    def withdraw(self) -> None:
        self.published[:] = [one for one in self.published if one[:2] != self._at]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> List[Tuple[CatchPoint, str, bytes]]:
    """What stands on the wire. All endpoints with one port have one catch point."""
    monkeypatch.setattr(Responder, "published", [])
    monkeypatch.setattr(wire_fallback, "WireResponder", Responder)
    monkeypatch.setattr(wire_fallback, "catch_point", lambda endpoint: CatchPoint(OWN_NETWORK, endpoint.port))
    return Responder.published


GOOD, BAD = Challenge("good.sample.com"), Challenge("bad.sample.com")
ENDPOINTS = [ENDPOINT, Endpoint("2001:db8::10", 80), Endpoint("203.0.113.10", 8080)]


def wire() -> WireFallback:
    return WireFallback(Journal("/nonexistent"), {GOOD: ENDPOINTS, BAD: ENDPOINTS})


def test_wire_publishes_at_each_catch_point_once(published: List[Tuple[CatchPoint, str, bytes]]) -> None:
    """And withdraws for the challenges that it is given."""
    fallback_on_wire = wire()
    assert fallback_on_wire.perform([GOOD]) == ["response for good.sample.com"]
    assert published == [(CatchPoint(OWN_NETWORK, port), "token-good.sample.com", b"validation") for port in (80, 8080)]
    fallback_on_wire.cleanup([BAD])
    assert len(published) == 2
    for _ in range(2):
        fallback_on_wire.cleanup([GOOD])
        assert published == []


def test_wire_publish_error_is_of_one_name(published: List[Tuple[CatchPoint, str, bytes]]) -> None:
    """The others have a response; where none has, the error is the reason."""
    assert wire().perform([BAD, GOOD]) == [None, "response for good.sample.com"]
    with pytest.raises(errors.PluginError, match="its process has ended"):
        wire().perform([BAD])
