"""Tables of configurations: each holds the evaluator's answer to several requests, and the real server's.

A test without a server compares the evaluator with the table; a test with the real server compares all three.
"""
import os
from typing import Any
from typing import Dict
from typing import Mapping

from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.system.processes import Process
from tests.lab.programs import CHALLENGES
from tests.lab.programs import Program
from tests.lab.programs import assert_true
from tests.lab.programs import brief
from tests.lab.programs import get

TOKEN = "A" * 43
PATH = f"/{CHALLENGES}/{TOKEN}"


def request_for(key: str) -> Request:
    """The request of a key, ``host``, ``host/path``, ``host/path?query`` or ``host@address``."""
    key, _, address = key.partition("@")
    host, slash, path = key.partition("/")
    path, _, query = (slash + path or PATH).partition("?")
    return Request(host, path, TOKEN, Endpoint(address or "127.0.0.1", 80), query=query)


def to(number: int, host: str, path: str = PATH) -> str:
    """The table's words for an upstream on port 8000 + number of the loopback address."""
    return f"to 127.0.0.1:{8000 + number} {host} {path}"


def answers(server: Any, process: Process, keys: Mapping[str, str]) -> Dict[str, Destination]:
    """The only destination of each key's request."""
    destinations = {}
    for key in keys:
        [destinations[key]] = server.ask(process, request_for(key))
    return destinations


def check_evaluator(server: Any, process: Process, expected: Mapping[str, str],
                    directory: "os.PathLike[str]") -> Dict[str, Destination]:
    """Compare the evaluator with the expected column; directories are relative to ``directory``."""
    assert server.recognises(process)
    destinations = answers(server, process, expected)
    assert {key: brief(destination, directory) for key, destination in destinations.items()} == expected
    return destinations


def check_server(server: Any, program: Program, expected: Mapping[str, str],
                 directory: "os.PathLike[str]") -> None:
    """Compare evaluator, expected column and the answers of the running program."""
    for key, destination in check_evaluator(server, program.process, expected, directory).items():
        request = request_for(key)
        assert_true(destination, get(request.endpoint.host, program.port, request))
