"""Unknown programs: few guesses, marked as such, the served directory among them."""
import dataclasses
import os
import sys

import pytest
from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers import guess
from certbot_autowebroot.system import processes
from tests.lab.programs import Program
from tests.lab.programs import plant

TOKEN = "A" * 43
HOST = "www.sample.com"
REQUEST = Request(HOST, f"/.well-known/acme-challenge/{TOKEN}", TOKEN, Endpoint("127.0.0.1", 80))

#: An application server like that of any framework: only its code names the directory.
APPLICATION = """
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=DIRECTORY)
http.server.ThreadingHTTPServer(("127.0.0.1", 80), handler).serve_forever()
"""


@pytest.mark.lab
@pytest.mark.parametrize("directory, arguments, cwd", [
    ("'public'", [], "app"),
    ("'static'", [], "app"),
    ("'dist'", [], "app"),
    ("sys.argv[0][:-6] + 'www'", [], "elsewhere"),
    ("sys.argv[1]", ["{place}/files"], "elsewhere"),
    ("sys.argv[1][7:]", ["--root={place}/files"], "elsewhere"),
    ("sys.argv[1] + '/public'", ["../app"], "elsewhere"),
    ("'.'", [], "app"),
    ("sys.argv[1][16:] + '/webapps/ROOT'", ["-Dcatalina.base={place}/app"], "elsewhere"),
], ids=["public", "static", "dist", "beside the script", "an argument", "an option", "below an argument", "the cwd",
        "as Tomcat"])
def test_served_directory(tmp_path, directory, arguments, cwd):
    """The directory that the real program serves is among the guesses."""
    places = ("app", "app/public", "app/static", "app/dist", "app/www", "app/webapps/ROOT", "files", "elsewhere")
    plant(TOKEN, *(tmp_path / name for name in places))
    (tmp_path / "app" / "app.py").write_text(APPLICATION.replace("DIRECTORY", directory))
    argv = [sys.executable, f"{tmp_path}/app/app.py", *(a.format(place=tmp_path) for a in arguments)]
    with Program(argv, tmp_path / cwd) as server:
        status, served, _ = server.get(REQUEST)
        assert status == 200
        assert guess.AnyProgram().recognises(server.process)
        destinations = guess.AnyProgram().ask(server.process, REQUEST)
        assert served in map(str, destinations)
        assert all(d.guessed and d.name == REQUEST.path[1:] for d in destinations)


#: It greets each client, as sshd does.
GREETING = """
import socket, sys
server = socket.create_server(("127.0.0.1", 80))
while True:
    client = server.accept()[0]
    client.sendall(b"SSH-2.0-OpenSSH_9.2p1\\x1b Debian\\r\\n")
    client.recv(1000)
    client.close()
"""


@pytest.mark.lab
def test_program_without_http(tmp_path):
    """The reason quotes its answer, without control characters, and its command line."""
    (tmp_path / "public").mkdir()
    with Program([sys.executable, "-c", GREETING, "--secure"], tmp_path) as server:
        [destination] = guess.AnyProgram().ask(server.process, REQUEST)
    assert isinstance(destination, DeadEnd)
    assert " does not speak HTTP: it answered SSH-2.0-OpenSSH_9.2p1\\x1b Debian; " in destination.reason
    assert f"; its command line is {sys.executable} -c " in destination.reason


@pytest.mark.lab
def test_silent_program_is_guessed(tmp_path):
    """A server that closes the connection may speak HTTP to others."""
    silent = GREETING.replace("client.sendall", "len")
    (tmp_path / "public").mkdir()
    with Program([sys.executable, "-c", silent], tmp_path) as server:
        assert all(destination.guessed for destination in guess.AnyProgram().ask(server.process, REQUEST))


@pytest.mark.parametrize("path, system", [
    ("/", True), ("/etc", True), ("/etc/x", True), ("/usr/share/x", True), ("/root/app", True), ("/proc/1", True),
    ("/lib64", True), ("/home", True), ("/var", True), ("/var/lib", True), ("/srv", True), ("/opt", True),
    ("/tmp", True), ("/home/ann/site", False), ("/var/www", False), ("/srv/site", False), ("/opt/app/public", False),
    ("/library", False), ("/rooted", False), ("/var/www/html", False), ("/var/log/app", True),
])
def test_system_directories(path, system):
    """A guess never leads to a file there."""
    assert guess.is_system_directory(path) is system


def test_no_guess_is_system_directory():
    """Not for a daemon in / with system paths as arguments, nor through dots."""
    argv = ["daemon", "/etc", "--root=/", "/srv/../etc/x", "-d/usr/share", "http://x/y", "site"]
    destinations = [path for path, _ in guess.directories(argv, "/", lambda path: True)]
    assert destinations[0] == "/site"
    assert not [path for path in destinations if path.startswith(("/etc", "/usr")) or path == "/" or ":" in path]


def test_number_of_guesses():
    """It has a limit, since each guess costs a probe; so has the number of arguments."""
    asked = []
    argv = ["java", *(f"/opt/app/lib/{n}.jar" for n in range(100_000))]
    destinations = guess.directories(argv, "/srv/app", lambda path: asked.append(path) or True)
    assert len(destinations) == guess.MAX_GUESSES
    assert len(asked) < 1000


def test_program_without_directories(tmp_path):
    """The destination is unknown; the reason names the program."""
    process = dataclasses.replace(processes.process(os.getpid()), argv=("daemon",), cwd="/", name="daemon")
    [destination] = guess.AnyProgram().ask(process, REQUEST)
    assert isinstance(destination, Unknown)
    assert "daemon" in destination.reason


def test_empty_process():
    """A kernel thread has neither arguments nor a working directory."""
    assert guess.directories((), "", lambda path: True) == []
    assert guess.directories(("",), "", lambda path: True) == []


def test_interface():
    """The class implements IWebServer."""
    assert verifyClass(IWebServer, guess.AnyProgram)
