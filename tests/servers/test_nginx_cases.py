"""nginx: the evaluator against a table, and both against the real nginx.

Every directory that a configuration names gets files of its own, so that a wrong answer shows in the body. In the
table, ``W`` stands for ``.well-known/acme-challenge``, ``T`` for the token; a path is below the lab's directory.
"""
import re
import subprocess
from pathlib import Path
from typing import Dict
from typing import Iterator
from typing import List
from typing import Sequence

import pytest

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.common import file_cache
from certbot_autowebroot.servers.nginx import NginxServer
from certbot_autowebroot.system import processes
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import MODULES
from tests.lab.nginx import Nginx
from tests.lab.nginx_table import CASES
from tests.lab.random.nginx_oracle import BACKENDS
from tests.lab.random.nginx_oracle import PATH
from tests.lab.random.nginx_oracle import TOKEN
from tests.lab.random.nginx_oracle import ask_evaluator
from tests.lab.random.nginx_oracle import ask_server
from tests.lab.random.nginx_oracle import disagreements
from tests.lab.random.nginx_oracle import evaluator_of
from tests.lab.random.nginx_oracle import put


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Servers to proxy to; their unix socket lies in the directory."""
    with Nginx(tmp_path_factory.mktemp("backends"), BACKENDS) as server:
        yield server.directory


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with cert.pem and key.pem."""
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=a.test", "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
                   check=True, capture_output=True)
    return directory


def request_for(text: str) -> Request:
    """``[https://]host[@address][/path]`` as a request; ``W`` and ``T`` in the path as in the table."""
    scheme, _, rest = text.rpartition("://")
    host, slash, path = rest.partition("/")
    host, _, address = host.partition("@")
    path = (slash + path).replace("W", CHALLENGE_PATH.strip("/")).replace("T", TOKEN) or PATH
    return Request(host, path, TOKEN, Endpoint(address or PUBLIC_V4, 443 if scheme else 80), scheme or "http")


def places(config: str, directory: Path) -> List[str]:
    """Where a file could lie: below every directory that the configuration names, in every usual way."""
    roots = [root.strip("/") for root in re.findall(r"\{dir\}/([\w./-]+)", config) if "." not in root]
    return [f"{directory}/{root}{below}{TOKEN}" for root in [*roots, "html"]
            for below in (CHALLENGE_PATH, "/acme-challenge/", "/")]


def described(destinations: Sequence[Destination], directory: Path) -> str:
    """The evaluator's answer as the table writes it."""
    texts = []
    for destination in destinations:
        if isinstance(destination, Directory):
            text = str(destination).removeprefix(f"{directory}/")
        elif isinstance(destination, Redirect):
            text = f"{destination.status} {destination.url}"
        elif isinstance(destination, Upstream):
            members = ",".join(map(str, destination.members))
            text = f"-> {members} {destination.host} {destination.path}"
        else:
            text = "dead" if isinstance(destination, DeadEnd) else str(destination)
        texts.append(text.replace(".well-known/acme-challenge", "W").replace(TOKEN, "T"))
    return " ".join(texts)


def expected_text(answer: str, backends: Path) -> str:
    """The expected column without the status of a dead end, which only the server gives."""
    text = "dead" if answer.startswith("dead") else answer.replace("{backends}", str(backends))
    return text.replace(".well-known/acme-challenge", "W").replace(TOKEN, "T")


def nginx(directory: Path, config: str, backends: Path) -> Nginx:
    """The nginx of one case, not started."""
    modules = ["ndk_http_module", "ngx_http_lua_module", "ngx_http_echo_module"]
    main = "".join(f"load_module {MODULES}/{module}.so; " for module in modules)
    config = config.replace("{token}", TOKEN).replace("{backends}", str(backends))
    return Nginx(directory, config, main=main if "lua" in config or "echo" in config else "")


@pytest.mark.parametrize(("config", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_evaluator(config: str, expected: Dict[str, str], tmp_path: Path) -> None:
    """The evaluator gives the expected column."""
    evaluator = evaluator_of(nginx(tmp_path, config, tmp_path))
    assert {asked: described(ask_evaluator(evaluator, request_for(asked)), tmp_path) for asked in expected} == {
        asked: expected_text(answer, tmp_path) for asked, answer in expected.items()}


@pytest.mark.lab
@pytest.mark.parametrize(("config", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_real_server(config: str, expected: Dict[str, str], tmp_path: Path, backends: Path, certificate: Path,
                     monkeypatch: pytest.MonkeyPatch) -> None:
    """The real server does what the evaluator says, and what the evaluator of its process says, cached."""
    monkeypatch.setattr(file_cache, "MIN_AGE", 0.0)
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).symlink_to(certificate / name)
    with nginx(tmp_path, config, backends) as server:
        master = processes.process(server.pid)
        assert master is not None
        evaluator = evaluator_of(server)
        for asked, answer in expected.items():
            request = request_for(asked)
            destinations = ask_evaluator(evaluator, request)
            assert described(destinations, tmp_path) == expected_text(answer, backends), asked
            assert NginxServer().ask(master, request) == destinations, asked
            assert list(disagreements(destinations, request, places(config, tmp_path))) == []
            for path in places(config, tmp_path):
                put(path)
            status = answer.partition(" ")[2] if answer.startswith("dead") else ""
            assert not status or ask_server(request).status == int(status), asked
