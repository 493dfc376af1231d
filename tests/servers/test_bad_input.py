"""Bad input of each kind in place of a configuration file, the main one and an included one.

The real servers keep running with their configuration. No kind hangs or raises: the rest of the configuration counts,
or the reason names the file.
"""
import os
import pathlib
import signal
import subprocess
import sys
from dataclasses import dataclass
from dataclasses import replace
from types import FrameType
from typing import Any
from typing import Callable
from typing import Iterator
from typing import NoReturn
from typing import Optional
from typing import Sequence

import pytest

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.apache import ApacheServer
from certbot_autowebroot.servers.apache.dump import dump
from certbot_autowebroot.servers.caddy import CaddyServer
from certbot_autowebroot.servers.haproxy import HaproxyServer
from certbot_autowebroot.servers.lighttpd import LighttpdServer
from certbot_autowebroot.servers.nginx import NginxServer
from certbot_autowebroot.servers.varnish import VarnishServer
from certbot_autowebroot.system.processes import process
from tests.lab.apache import Apache
from tests.lab.apache import make_world_readable
from tests.lab.caddy import Caddy
from tests.lab.haproxy import Haproxy
from tests.lab.lighttpd import Lighttpd
from tests.lab.nginx import Nginx
from tests.lab.varnish import Varnish

pytestmark = pytest.mark.lab

TOKEN = "A" * 43
REQUEST = Request("a.test", CHALLENGE_PATH + TOKEN, TOKEN, Endpoint("127.0.0.1", 80))
#: Seconds after which a question hangs: ten times what the slowest takes here.
HANGS = 60
#: A comment in every server's language.
NOTHING = "# nothing\n"


@dataclass(frozen=True)
class Server:
    """One of the servers.

    :ivar start: makes the lab's server, whose configuration reads the file ``part``; ``{dir}`` becomes the directory.
    :ivar includes: the line that reads a file, ``{}``; for HAProxy, which has no include, that of an ACL.
    :ivar verdict: the command of the server's own test.
    :ivar rejected: text that it refuses.
    """

    web_server: Callable[[], Any]
    start: Callable[[pathlib.Path], Any]
    includes: str
    verdict: Sequence[str]
    rejected: str = "}{"


def _lighttpd(directory: pathlib.Path) -> Lighttpd:
    return Lighttpd(directory, 'server.document-root = "{dir}/www"\ninclude "{dir}/part"\n')


def _caddy(directory: pathlib.Path) -> Caddy:
    return Caddy(directory, ":80 {\nroot * {dir}/www\nfile_server\nimport {dir}/part\n}\n", options="admin off",
                 environment={"XDG_CONFIG_HOME": "/dev/null/nowhere"})


SERVERS = {
    "nginx": Server(NginxServer, lambda directory: Nginx(
        directory, "server { listen 80; root {dir}/www; } include {dir}/part;"), "include {};",
        ["nginx", "-e", "stderr", "-t", "-c"]),
    "apache": Server(ApacheServer, lambda directory: Apache(
        directory, "Listen 80\nDocumentRoot {dir}/www\n<Directory {dir}>\nRequire all granted\n</Directory>\n"
        "Include {dir}/part\n"), "Include {}", ["apache2", "-t", "-f"], "<VirtualHost"),
    "lighttpd": Server(LighttpdServer, _lighttpd, 'include "{}"', ["lighttpd", "-tt", "-f"], "x ="),
    "caddy": Server(CaddyServer, _caddy, "import {}", ["caddy", "adapt", "--adapter", "caddyfile", "--config"]),
    "haproxy": Server(HaproxyServer, lambda directory: Haproxy(
        directory, "listen f\n bind :80\n acl listed hdr(host) -f {dir}/part\n http-request deny if listed\n"
        " server s 127.0.0.1:8001\n"), "a.example {}", ["haproxy", "-c", "-f"], "listen"),
    "varnish": Server(VarnishServer, lambda directory: Varnish(
        directory, 'backend default { .host = "127.0.0.1"; .port = "8001"; }\ninclude "{dir}/part";\n'),
        'include "{}";', ["varnishd", "-C", "-f"]),
}


class Lab:
    """One running server, its configuration file, and the content with which it started."""

    def __init__(self, name: str, directory: pathlib.Path) -> None:
        self.name = name
        self.kind = SERVERS[name]
        self.part = directory / "part"
        self.part.write_text(NOTHING)
        (directory / "www").mkdir()
        self.server = self.kind.start(directory)
        self.conf = pathlib.Path(self.server.file if name == "apache" else self.server.conf)
        self.good = self.conf.read_bytes()
        self.server.start()

    def put(self, path: pathlib.Path, kind: "Callable[[Lab, pathlib.Path], None]") -> None:
        """Put bad input there, and restore the other file."""
        for known, content in ((self.conf, self.good), (self.part, NOTHING.encode())):
            if known.is_dir():
                known.rmdir()
            elif os.path.lexists(known):
                known.unlink()
            known.write_bytes(content)
        path.unlink()
        kind(self, path)

    def accepts(self) -> bool:
        """Whether the server would start with the present file."""
        asked = subprocess.run([*self.kind.verdict, str(self.conf)], cwd=self.conf.parent, capture_output=True,
                               timeout=HANGS, env={**os.environ, "HOME": str(self.conf.parent)})
        return asked.returncode == 0

    def ask(self) -> Sequence[Destination]:
        """The destinations of a request."""
        found = process(self.server.pid)
        assert found is not None
        with Deadline():
            answer: Sequence[Destination] = self.kind.web_server().ask(found, REQUEST)
        return answer


class Deadline:
    """Fails in place of hanging."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGALRM, _late)
        signal.alarm(HANGS)

    def __exit__(self, *exc: object) -> None:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, self._before)


def _late(number: int, frame: Optional[FrameType]) -> NoReturn:
    raise AssertionError(f"no answer in {HANGS} s")


@pytest.fixture(scope="module", params=SERVERS)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp(request.param)
    make_world_readable(directory)  # Varnish reads as a user of its own
    made = Lab(request.param, directory)
    try:
        yield made
    finally:
        made.server.stop()


def nothing(lab: Lab, path: pathlib.Path) -> None:
    """A file without content."""
    path.write_text(NOTHING)


def missing(lab: Lab, path: pathlib.Path) -> None:
    """No file."""


def fifo(lab: Lab, path: pathlib.Path) -> None:
    """A FIFO, which blocks whoever opens it."""
    os.mkfifo(path)


def directory(lab: Lab, path: pathlib.Path) -> None:
    """A directory."""
    path.mkdir()


def loop(lab: Lab, path: pathlib.Path) -> None:
    """A file that reads itself, twice."""
    path.write_text(2 * (lab.kind.includes.format(path) + "\n"))


def links(lab: Lab, path: pathlib.Path) -> None:
    """A symlink to itself."""
    path.symlink_to(path)


def endless(lab: Lab, path: pathlib.Path) -> None:
    """A device that never ends."""
    path.symlink_to("/dev/zero")


def garbage(lab: Lab, path: pathlib.Path) -> None:
    """Bytes that are no text."""
    path.write_bytes(bytes(range(255, -1, -1)) * 50)


def rejected(lab: Lab, path: pathlib.Path) -> None:
    """A configuration that the server itself rejects."""
    path.write_text(lab.kind.rejected + "\n")


def comments(lab: Lab, path: pathlib.Path) -> None:
    """50 MB of comments after good lines."""
    path.write_bytes((lab.good if path == lab.conf else b"") + 500_000 * (b"# " + b"x" * 97 + b"\n"))


def one_word(lab: Lab, path: pathlib.Path) -> None:
    """50 MB without an end of line; the bracket, since Caddy takes the word alone for a site's name."""
    path.write_bytes(b"} " + b"x" * 50_000_000)


def many_lines(lab: Lab, path: pathlib.Path) -> None:
    """50 MB of lines that no server takes."""
    path.write_bytes(b"{ x ; } \n" * 5_500_000)


KINDS = (missing, fifo, directory, loop, links, endless, garbage, rejected, comments, one_word, many_lines)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("where", ["conf", "part"])
def test_bad_input(where: str, kind: Callable[[Lab, pathlib.Path], None], lab: Lab,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is that of the rest of the configuration, or a reason that names the file or the server."""
    monkeypatch.setattr(sys.modules[dump.__module__], "TIMEOUT", 2.0)  # httpd -t waits at a FIFO for ever
    lab.put(lab.part, nothing)
    (good,) = lab.ask()
    assert not isinstance(good, (DeadEnd, Unknown))
    path = lab.conf if where == "conf" else lab.part
    lab.put(path, kind)
    answers = lab.ask()
    assert answers
    for answer in answers:
        if isinstance(answer, (DeadEnd, Unknown)):
            text = "; ".join([answer.reason, *map(str, answer.trail)])
            assert str(path) in text or lab.name in text.lower(), text
            assert "\n" not in answer.reason
        else:
            assert replace(answer, trail=()) == replace(good, trail=())


def test_rejected_kind(lab: Lab) -> None:
    """The server refuses the kind "rejected", and accepts the good configuration."""
    lab.put(lab.part, nothing)
    assert lab.accepts()
    lab.put(lab.conf, rejected)
    assert not lab.accepts()
    lab.put(lab.part, rejected)
    assert lab.kind.web_server is HaproxyServer or not lab.accepts()  # a list of names may hold anything
