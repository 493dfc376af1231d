"""The command: arguments, output, exit status; and no file is left, whatever happens."""
import contextlib
import datetime
import io
import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List
from typing import Sequence

import pytest

from certbot_autowebroot import __version__
from certbot_autowebroot import settings
from certbot_autowebroot.cli import __main__ as cli
from certbot_autowebroot.cli import console
from certbot_autowebroot.order import other_authenticators
from certbot_autowebroot.responders.journal import Journal
from tests.lab import certificates
from tests.lab.check_formats import SCHEMA
from tests.lab.check_formats import conforms
from tests.lab.check_formats import samples
from tests.lab.lineages import certificate
from tests.lab.lineages import make_lineage
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.users import as_nobody

__all__ = ["names", "place"]  # fixtures
NAME = "www.sample.com"


@pytest.fixture
def root(place: Path) -> Iterator[Path]:
    """nginx serves the name from here, and refuses another."""
    path = place / "root"
    path.mkdir()
    with Nginx(place / "nginx", f"""server {{ listen 80; server_name {NAME} {PUBLIC_V4}; root {path}; }}
            server {{ listen 80; server_name no.sample.com; return 403; }}""", user="www-data"):
        yield path


@pytest.fixture
def config(place: Path) -> Path:
    path = place / "config"
    path.mkdir()
    return path


def check(place: Path, *arguments: str) -> int:
    """Run the command here; afterwards nothing is left of it."""
    before = tree(place)
    status = cli.main(["check", "--config-dir", str(place / "config"), "--work-dir", str(place / "work"), *arguments])
    assert tree(place) == before
    assert not list((place / "work").glob("autowebroot/*"))
    return status


def tree(place: Path) -> List[str]:
    """All files but those of the working directory."""
    return sorted(str(path) for path in place.rglob("*") if place / "work" not in (path, *path.parents))


def command(place: Path, *arguments: str) -> List[str]:
    return [sys.executable, "-m", "certbot_autowebroot.cli", "check", "--config-dir", str(place / "config"),
            "--work-dir", str(place / "work"), *arguments]


@pytest.mark.lab
def test_route_has_pid_file_and_line(place: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It also has the proof, and check leaves no file behind."""
    assert check(place, NAME) == 0
    said = capsys.readouterr().out
    assert re.search(rf"^{NAME}: good, a test file came back$", said, re.MULTILINE)
    assert re.search(rf"^  {PUBLIC_V4}:80: nginx \(pid \d+\)$", said, re.MULTILINE)
    assert re.search(rf"^    root {root} \({place}/nginx/nginx.conf:\d+\)$", said, re.MULTILINE)
    assert f"    looks in the directory {root}/.well-known/acme-challenge; the test file came back\n" in said


@pytest.mark.lab
def test_failing_name_has_a_remedy(place: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It also has the answer and the line that refuses."""
    assert check(place, NAME, "no.sample.com") == 1
    said = capsys.readouterr().out
    assert "no.sample.com: would fail\n" in said and "return 403" in said and "status 403" in said
    assert "what to do: " in said
    assert "2 names: 1 good, 1 would fail\n" in said


@pytest.mark.lab
def test_quiet_prints_only_failures(place: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For cron: no mail when all is well."""
    assert check(place, "--quiet", NAME) == 0
    assert capsys.readouterr().out == ""
    assert check(place, "--quiet", NAME, "no.sample.com") == 1
    said = capsys.readouterr().out
    assert "no.sample.com" in said and NAME not in said


@pytest.mark.lab
@pytest.mark.parametrize(("name", "said"), [
    ("*.sample.com", "needs dns-01"), ("http://www.sample.com", "URL"), ("a b", "no host name"),
    ("a\nHost: b", "no host name"), ("", "empty label"), ("a..b", "empty label"), ("x" * 64 + ".com", "too long"),
    ("m\u00fcnchen.de", "Punycode")])
def test_invalid_name_is_one_line(
        place: Path, root: Path, capsys: pytest.CaptureFixture[str], name: str, said: str) -> None:
    """In Certbot's words; the other names are checked."""
    assert check(place, name, NAME) == 1
    printed = capsys.readouterr().out
    assert said in printed and f"{NAME}: good" in printed
    assert printed.count("\n") == len(printed.splitlines())


@pytest.mark.lab
def test_ip_address_and_upper_case_are_identifiers(place: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """RFC 8738, RFC 4343."""
    assert check(place, PUBLIC_V4, "WWW.Sample.Com.") == 0
    said = capsys.readouterr().out
    assert f"{PUBLIC_V4}: good" in said and f"{NAME}: good" in said


@pytest.mark.lab
def test_no_write_writes_no_file(place: Path, root: Path, monkeypatch: pytest.MonkeyPatch,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    """--no-write: no test file, no journal, and the output says that there is no proof."""
    monkeypatch.setattr(Journal, "announce", lambda *_: pytest.fail("something is written"))
    assert check(place, "--no-write", NAME) == 0
    assert "should be good (nothing was written, so nothing is proved)" in capsys.readouterr().out
    assert not (place / "work").exists()


@pytest.mark.lab
def test_path_option_is_tried(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--path, for a program without a configuration."""
    (place / "site").mkdir()
    code = ("import functools, http.server as h\n"
            "class H(h.SimpleHTTPRequestHandler):\n    def log_message(self, *a): pass\n"
            f"s = h.ThreadingHTTPServer(('', 80), functools.partial(H, directory={str(place / 'site')!r}))\n"
            "print('up', flush=True); s.serve_forever()")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd="/") as program:
        try:
            assert program.stdout is not None and program.stdout.readline()
            assert check(place, NAME) == 1
            assert check(place, "--path", f"/nowhere:{place}/site", NAME) == 0
        finally:
            program.kill()
    assert f"a test file in {place}/site/.well-known/acme-challenge came back" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--http-01-port", "0"], ["--http-01-port", "x"], ["--http-01-address", "x"],
                                       ["--format", "xml"], ["--unknown"]])
def test_bad_arguments_are_status_2(place: Path, arguments: List[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is checked."""
    with pytest.raises(SystemExit) as ended:
        check(place, *arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "usage: certbot-autowebroot check" in said
    assert arguments[-1] in said.splitlines()[-1] and "_" not in said.splitlines()[-1]


@pytest.mark.parametrize("command", ["check", "reload", "snippet nginx"])
def test_unknown_option_shows_usage_of_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The usage of the whole command names no option."""
    with pytest.raises(SystemExit) as ended:
        cli.main([*command.split(), "--wrong"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"usage: certbot-autowebroot {command.split()[0]} ")
    assert said.endswith("error: unrecognized arguments: --wrong\n")


def test_bare_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    """It is no success, because nothing was checked."""
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert "check today whether tonight's renewal will work" in said.err


def test_relative_and_missing_paths_are_reported(
        place: Path, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the shared directory and of one that exists no note is printed."""
    monkeypatch.chdir(place)
    assert check(place, "--path", f"config:none:{place}:{settings.SHARED_DIRECTORY}") == 0
    assert capsys.readouterr().err == (
        f"certbot-autowebroot: --path config is a relative path: it means {place}/config here\n"
        f"certbot-autowebroot: --path none is a relative path: it means {place}/none here\n"
        f"certbot-autowebroot: --path {place}/none: there is no such directory\n")


def test_missing_configuration_directory_is_status_2(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, no traceback; Nagios has a status of its own for it."""
    assert check(place) == 2
    assert capsys.readouterr().err == f"certbot-autowebroot: {place}/config: No such file or directory\n"
    assert check(place, "--format", "nagios") == 3
    assert capsys.readouterr().out.startswith("AUTOWEBROOT UNKNOWN - ")
    assert check(place, "--format", "prometheus") == 2
    assert samples(capsys.readouterr().out)["autowebroot_check_exit_status"] == [("", "2")]


def test_no_lineages_is_good(place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The output says that there are none."""
    assert check(place) == 0
    assert "No certificates have been issued" in capsys.readouterr().out


@pytest.mark.lab
def test_broken_lineage_is_one_line(place: Path, config: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken renewal configuration, a missing certificate and a wildcard; the good lineage is checked."""
    for name in ("a.sample.com", "b.sample.com", "c.sample.com", NAME):
        make_lineage(config, "authenticator = autowebroot\n", name,
                     certificate(["*.sample.com"]) if name.startswith("c.") else None)
    (config / "renewal/a.sample.com.conf").write_text("[")
    (config / "archive/b.sample.com/cert1.pem").unlink()
    assert check(place) == 1
    said = capsys.readouterr().out
    assert "a.sample.com: would fail\n" in said and f"{config}/renewal/a.sample.com.conf is broken" in said
    assert f"{config}/live/b.sample.com/cert.pem is missing" in said
    assert "*.sample.com: a wildcard name needs dns-01" in said
    assert f"{NAME}: would be renewed (autowebroot)" in said
    assert "4 lineages: 1 good, 3 would fail\n" in said


@pytest.mark.parametrize("authenticator", ["nginx", "apache", "dns-rfc2136", "manual", "somebody:elses"])
def test_other_authenticators_are_unjudged(
        place: Path, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
        authenticator: str) -> None:
    """They are listed with the days left and are no failure."""
    monkeypatch.setattr(other_authenticators, "installed", lambda: {authenticator.rpartition(":")[2]: None})
    make_lineage(config, f"authenticator = {authenticator}\n")
    assert check(place) == 0
    assert f"{NAME}: cannot be judged here ({authenticator}); " in capsys.readouterr().out


def test_missing_authenticator_fails(place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An upgrade of the system has left its package behind."""
    make_lineage(config, "authenticator = dns-gone\n")
    assert check(place) == 1
    assert "the authenticator dns-gone is not installed" in capsys.readouterr().out


def test_expired_certificate_fails(place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever authenticator should have renewed it."""
    make_lineage(config, "authenticator = manual\n", pem=certificate(days=-10000, issued=-10090))
    assert check(place, "--quiet") == 1
    assert "it expired" in capsys.readouterr().out
    assert check(place, "--format", "nagios") == 2


def test_disabled_renewal_is_reported(place: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """certbot renew skips it."""
    make_lineage(config, "authenticator = standalone\nautorenew = False\n")
    assert check(place) == 0
    assert "is disabled" in capsys.readouterr().out


@pytest.mark.lab
def test_nagios_line_has_counts(place: Path, config: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """OK and CRITICAL; the failing names are in the line."""
    make_lineage(config, "authenticator = autowebroot\n")
    assert check(place, "--format", "nagios") == 0
    ok = capsys.readouterr().out
    assert re.fullmatch(r"AUTOWEBROOT OK - 1 lineage: 1 good \| good=1 unjudged=0 good_from_inside=0 "
                        r"unproven=0 unknown=0 fails=0 stale=0 days_left=\d+\n", ok), ok
    make_lineage(config, "authenticator = autowebroot\n", "no.sample.com")
    assert check(place, "--format", "nagios") == 2
    assert capsys.readouterr().out.startswith("AUTOWEBROOT CRITICAL - 2 lineages: 1 good, 1 would fail (no.sample.com)")
    assert check(place, "--format", "nagios", NAME) == 0


@pytest.mark.lab
@pytest.mark.parametrize("arguments", [[NAME, "no.sample.com", "*.x"], ["--no-write", NAME], []])
def test_json_conforms_to_schema(place: Path, config: Path, root: Path, capsys: pytest.CaptureFixture[str],
                                 arguments: Sequence[str]) -> None:
    """check.schema.json names every member and every value of a kind."""
    make_lineage(config, "authenticator = standalone\n")
    make_lineage(config, "authenticator = x\n", "no.sample.com")
    (config / "renewal/no.sample.com.conf").write_text("")
    status = check(place, "--json", *arguments)
    found = json.loads(capsys.readouterr().out)
    conforms(found, SCHEMA)
    assert (found["version"], found["exit_status"]) == (__version__, status)
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(found["time"])
    assert datetime.timedelta() <= age < datetime.timedelta(minutes=1)
    assert status == (0 if arguments == ["--no-write", NAME] else 1)


def test_json_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """It comes with the package."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", "--json-schema"])
    assert (ended.value.code, json.loads(capsys.readouterr().out)) == (0, SCHEMA)


@pytest.mark.lab
def test_prometheus_has_outlooks(place: Path, config: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of lineages and of names; a quotation mark in a file name is escaped."""
    make_lineage(config, "authenticator = autowebroot\n")
    make_lineage(config, "authenticator = standalone\n", 'a"\\b\n')
    assert check(place, "--format", "prometheus") == 1
    found = samples(capsys.readouterr().out)
    assert found["autowebroot_check_info"] == [(f'version="{__version__}"', "1")]
    assert found["autowebroot_check_exit_status"] == [("", "1")]
    assert abs(int(found["autowebroot_check_time_seconds"][0][1]) - time.time()) < 60
    assert found["autowebroot_lineage_outlook"] == [
        ('lineage="a\\"\\\\b\\\\n",authenticator="",outlook="fails"', "1"),
        (f'lineage="{NAME}",authenticator="autowebroot",outlook="good"', "1")]
    assert found["autowebroot_certificate_stale"] == [(f'lineage="{NAME}"', "0")]
    assert int(found["autowebroot_certificate_not_after_seconds"][0][1]) > time.time()
    assert check(place, "--format", "prometheus", NAME, "*.sample.com") == 1
    of_names = samples(capsys.readouterr().out)
    page = (Path(__file__).parents[2] / "docs" / "check.rst").read_text(encoding="utf-8")
    listed = set(re.findall(r"^``(autowebroot_\w+)", page, re.MULTILINE))
    assert {*found, *of_names} == {name for name in listed if "_served_" not in name}
    assert of_names["autowebroot_name_outlook"] == [
        (f'name="{NAME}",outlook="good"', "1"), ('name="*.sample.com",outlook="fails"', "1")]


@pytest.mark.lab
@pytest.mark.parametrize("subcommand", ["check", "reload"])
def test_colour_on_terminal_only(place: Path, root: Path, subcommand: str) -> None:
    """Plain text in a pipe and with NO_COLOR (no-color.org)."""
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    typed = command(place, "--no-write", PUBLIC_V4)
    if subcommand == "reload":
        make_lineage(place / "config", name=PUBLIC_V4)
        typed = [*typed[:3], "reload", "--lineage", str(place / "config" / "live" / PUBLIC_V4)]
    piped = subprocess.run(typed, stdout=subprocess.PIPE, env=environment, timeout=60)
    assert piped.stdout and b"\033" not in piped.stdout
    assert b"\033[32m" in on_a_terminal(typed, environment)
    assert b"\033" not in on_a_terminal(typed, {**environment, "NO_COLOR": "1"})


@pytest.mark.lab
def test_progress_on_terminal_only(place: Path, root: Path) -> None:
    """One line, wiped at the end; in a pipe no progress."""
    many = [f"203.0.113.{number}" for number in range(100, 140)]
    environment = {**os.environ, "TERM": "xterm"}
    shown = on_a_terminal(command(place, "--no-write", *many), environment)
    assert re.search(rb"\r\033\[K\[#*\.*\] following requests: \d+ of 40", shown)
    piped = subprocess.run(command(place, "--no-write", *many), capture_output=True, timeout=60)
    assert piped.stderr == b""


@pytest.mark.lab
def test_silence_on_terminal_is_explained(place: Path, slow: Path) -> None:
    """After three seconds: the stage, and how long it takes at most; the line is removed at the end."""
    environment = {**os.environ, "TERM": "xterm"}
    started = time.monotonic()
    shown = on_a_terminal(command(place, PUBLIC_V4), environment)
    assert time.monotonic() - started > 3
    assert b"\r\033[Kasking front endpoints (at most 10 s for each request)" in shown
    assert b"\r\033[K" + PUBLIC_V4.encode() in shown.replace(b"\033[31m", b"")


@pytest.mark.parametrize(("terminal", "said"), [(True, "\r\033[Kwaiting (at most 9 s)\r\033[K"), (False, "")])
def test_short_work_is_silent(monkeypatch: pytest.MonkeyPatch, terminal: bool, said: str) -> None:
    """A stage is printed after the silence, and only at a terminal."""
    monkeypatch.setattr(console, "is_terminal", lambda _stream: terminal)
    monkeypatch.setattr(console, "_PAUSE", 0.01)
    stream = io.StringIO()
    with console.Progress(stream, lambda: {"waiting": "at most 9 s"}) as progress:
        progress.show("waiting", 0, 1)
        time.sleep(0.1)
    assert stream.getvalue() == ""
    monkeypatch.setattr(console, "SILENCE", 0.2)
    with console.Progress(stream, lambda: {"waiting": "at most 9 s"}) as progress:
        progress.show("waiting", 0, 1)
        time.sleep(0.35)
    assert stream.getvalue() == said


def on_a_terminal(arguments: List[str], environment: Dict[str, str]) -> bytes:
    """The output of a command that runs on a terminal."""
    terminal, other = pty.openpty()
    with subprocess.Popen(arguments, stdin=other, stdout=other, stderr=other, env=environment) as process:
        os.close(other)
        said = b""
        while True:
            try:
                piece = os.read(terminal, 4096)
            except OSError:  # EIO: the last holder of the other end has closed it
                break
            if not piece:
                break
            said += piece
        process.wait(60)
    os.close(terminal)
    return said


@pytest.mark.lab
def test_control_characters_are_escaped(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other users write configurations, and root reads this output on a terminal."""
    with Nginx(place / "nginx", "server { listen 80; root /srv/\033[2Jx; }"):
        assert check(place, "--no-write", NAME) == 0
    said = capsys.readouterr().out
    assert "\033" not in said and r"/srv/\x1b[2Jx" in said


@pytest.mark.lab
def test_closed_pipe_is_no_error(place: Path, root: Path) -> None:
    """``check … | head -1``."""
    with subprocess.Popen(command(place, PUBLIC_V4), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.lab
@pytest.mark.parametrize("arguments", [["check", PUBLIC_V4], ["check", "--json", PUBLIC_V4], ["snippet", "nginx"],
                                       ["reload", "--lineage", "{live}"]], ids=lambda arguments: arguments[0])
@pytest.mark.parametrize(("output", "status", "said"), [
    (">&-", 0, ""), ("2>&- >/dev/null", 0, ""), ("| true", 0, ""),
    (">/dev/full", 2, "certbot-autowebroot: standard output: No space left on device\n")],
    ids=["closed", "errors closed", "read no further", "full"])
def test_broken_output_is_no_traceback(
        place: Path, config: Path, arguments: List[str], output: str, status: int, said: str) -> None:
    """As under a cron job or a wrapper; the command does its work all the same."""
    certificates.lineage(config / "live" / PUBLIC_V4, PUBLIC_V4, days=0)
    words = [word.format(live=config / "live" / PUBLIC_V4) for word in arguments]
    line = shlex.join([sys.executable, "-m", "certbot_autowebroot.cli", *words])
    done = subprocess.run(["sh", "-c", f"unset PYTHONUNBUFFERED; {line} {output}"], stderr=subprocess.PIPE, text=True,
                          timeout=60)
    assert (done.returncode, done.stderr) == (status, said)


class Slow:
    """A server that accepts and never answers: test files exist for as long as the probe waits."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 8080))

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def slow(place: Path) -> Iterator[Path]:
    """nginx passes all requests on to a server that never answers, and gives up after four seconds."""
    (place / "root").mkdir()
    server = Slow()
    with Nginx(place / "nginx", """server { listen 80;
            location / { proxy_pass http://127.0.0.1:8080; proxy_read_timeout 4s; } }"""):
        yield place / "root"
    server.close()


@pytest.mark.lab
@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP],
                                     [signal.SIGINT, signal.SIGINT, signal.SIGTERM]], ids=str)
def test_interrupted_check_leaves_no_file(place: Path, slow: Path, signals: Sequence[signal.Signals]) -> None:
    """Ctrl-C while test files exist, and again while they are removed; nohup of the tests is not inherited."""
    with subprocess.Popen(["env", "--default-signal=HUP", *command(place, "--path", str(slow), PUBLIC_V4)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not list(slow.glob(".well-known/acme-challenge/*")):
            assert process.poll() is None and time.monotonic() < deadline, "no test file was seen"
            time.sleep(0.01)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.05)
        out, err = process.communicate(timeout=40)
    assert process.returncode == 128 + signals[0]
    assert list(slow.iterdir()) == []
    assert not list((place / "work").glob("autowebroot/*"))
    assert (out, err) == (b"", b"")


@contextlib.contextmanager
def usual_signals() -> Iterator[None]:
    """An interrupted command leaves its signals ignored."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.lab
def test_interrupted_clean_up_leaves_no_file(place: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each removal in turn is interrupted before it happens; from the third on none is left to interrupt."""
    release = Journal.release
    statuses = []
    for step in range(4):
        count = iter(range(100))

        def interrupted(journal: Journal, footprints: Any, step: int = step, count: Any = count) -> None:
            if next(count) == step:
                os.kill(os.getpid(), signal.SIGINT)
            release(journal, footprints)
        monkeypatch.setattr(Journal, "release", interrupted)
        with usual_signals():
            statuses.append(check(place, NAME, "b.sample.com"))
        assert list(root.iterdir()) == []
    assert statuses == [128 + signal.SIGINT, 128 + signal.SIGINT, 0, 0]


@pytest.mark.lab
def test_without_root_lineages_are_unknown(place: Path, config: Path) -> None:
    """/etc/letsencrypt/archive is root's: the outlook is unknown, neither good nor bad."""
    make_lineage(config, "authenticator = standalone\n")
    (config / "archive").chmod(0o700)

    def act() -> Any:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = cli.main(["check", "--config-dir", str(config)])
        return status, out.getvalue()
    status, said = as_nobody(act)
    assert status == 2, said
    assert f"{NAME}: could not be checked" in said and "Permission denied (run it as root)" in said
