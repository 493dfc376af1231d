"""Static servers: the directory that we name is the one that the real program serves."""
import dataclasses
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers import static
from certbot_autowebroot.servers.common import paths
from certbot_autowebroot.system import processes
from tests.lab.programs import Program
from tests.lab.programs import assert_true
from tests.lab.programs import plant
from tests.lab.static_table import CASES
from tests.lab.static_table import HOST

TOKEN = "A" * 43
REQUEST = Request(HOST, f"/.well-known/acme-challenge/{TOKEN}", TOKEN, Endpoint("127.0.0.1", 80))

#: A stand-in for the npm packages, which Debian does not have, with their argv and default directory.
NODE_SERVER = """
const fs = require("fs"), path = require("path");
const given = process.argv.slice(2).filter((a, i, all) => !a.startsWith("-") && all[i - 1] != "-p")[0];
const root = given || (DEFAULT && fs.existsSync(DEFAULT) ? DEFAULT : ".");
TITLE
require("http").createServer((request, response) => fs.readFile(path.join(root, request.url), (error, data) => {
    response.statusCode = error ? 404 : 200;
    response.end(data);
})).listen(80);
"""


@pytest.fixture
def place():
    """A directory that every user may enter: some of the servers give up root."""
    path = Path(tempfile.mkdtemp(prefix="static-lab-"))
    path.chmod(0o755)
    plant(TOKEN, path / "site", path / "site" / HOST, path / "cwd", path / "cwd" / "public", path / "cwd" / "data",
          path / "cwd" / "dist", path / "jail", path / "jail" / "data")
    for name, default, title in (("http-server", "public", ""), ("serve", "", ""),
                                 ("titled", "public", "process.title = 'http-server';")):
        script = path / "node_modules" / name / "bin" / f"{name}.js"
        script.parent.mkdir(parents=True)
        script.write_text(NODE_SERVER.replace("DEFAULT", repr(default)).replace("TITLE", title))
    (path / "node_modules" / ".bin").mkdir()
    (path / "node_modules" / ".bin" / "http-server").symlink_to("../http-server/bin/http-server.js")
    (path / "busybox.conf").write_text(f"H:{path}/jail\n")
    (path / "vhost.conf").write_text("vhost\nuser=nobody\ndir=../site\n")
    (path / "data.conf").write_text("user=nobody\ndata_dir=data\n")
    (path / "cwd" / "router.php").write_text("<?php return false;")
    yield path
    shutil.rmtree(path)




@pytest.mark.lab
@pytest.mark.parametrize("command, expected", CASES.values(), ids=CASES)
def test_directory(place, command, expected):
    """The real program serves the file in the directory that the evaluator names.

    It is asked first: mini_httpd accepts connections before it has changed into its directory.
    """
    with Program(command.format(place=place).split(), place / "cwd") as server:
        answer = server.get(REQUEST)
        assert static.StaticServer().recognises(server.process)
        [destination] = static.StaticServer().ask(server.process, REQUEST)
        assert (destination.root, destination.name) == (str(place / expected), REQUEST.path[1:])
        assert not destination.guessed
        assert_true(destination, answer)


@pytest.mark.lab
def test_chroot(place):
    """The directory has its path in the chroot, and the process's view opens the served file."""
    for command, root in (("mini_httpd -D -p 80 -r -u nobody -d ../jail -dd data", "/data"),
                          ("webfsd -F -p 80 -R ../jail", "/")):
        with Program(command.split(), place / "cwd") as server:
            status, body, _ = server.get(REQUEST)
            [destination] = static.StaticServer().ask(server.process, REQUEST)
            assert (status, destination.root) == (200, root)
            assert server.process.view.read(str(destination)).decode() == body


@pytest.mark.lab
def test_config_with_virtual_hosts(place):
    """mini_httpd's configuration may be unreadable: its directory and that of the host below are alternatives."""
    with Program(["mini_httpd", "-D", "-p", "80", "-C", f"{place}/vhost.conf"], place / "cwd") as server:
        answer = server.get(REQUEST)
        destinations = static.StaticServer().ask(server.process, REQUEST)
        assert [d.root for d in destinations] == [str(place / "site"), str(place / "site" / HOST)]
        assert_true(destinations[1], answer)


@pytest.mark.lab
def test_daemon_with_relative_directory(place):
    """Busybox httpd as a daemon changes into a relative -h: its working directory decides."""
    subprocess.run(["busybox", "httpd", "-p", "80", "-h", "../site"], cwd=place / "cwd", check=True)
    [pid] = [int(pid) for pid in subprocess.run(["pgrep", "-f", "busybox httpd -p 80 -h ../site"], check=True,
                                                capture_output=True, text=True).stdout.split()]
    try:
        destinations = static.StaticServer().ask(processes.process(pid), REQUEST)
        assert [d.root for d in destinations] == [str(place / "site")]
    finally:
        subprocess.run(["kill", str(pid)], check=True)


@pytest.mark.lab
def test_router_script(place):
    """A router script of php -S may answer itself: the directory is a guess."""
    with Program(["php", "-S", "127.0.0.1:80", "-t", "../site", "router.php"], place / "cwd") as server:
        [destination] = static.StaticServer().ask(server.process, REQUEST)
        assert (destination.root, destination.guessed) == (str(place / "site"), True)


@pytest.mark.lab
def test_title_over_arguments(place):
    """process.title overwrites the arguments: the directories are guesses, the default first."""
    with Program(["node", f"{place}/node_modules/titled/bin/titled.js"], place / "cwd") as server:
        assert server.process.argv == ("http-server",)
        destinations = static.StaticServer().ask(server.process, REQUEST)
        assert [d.root for d in destinations] == [str(place / name) for name in ("cwd/public", "cwd/dist", "cwd")]
        assert all(d.guessed for d in destinations)
        assert_true(destinations[0], server.get(REQUEST))


@pytest.mark.lab
def test_title_over_directory(place):
    """The argument is lost; the directory is among the guesses."""
    with Program(["node", f"{place}/node_modules/titled/bin/titled.js", "dist"], place / "cwd") as server:
        destinations = static.StaticServer().ask(server.process, REQUEST)
        assert server.get(REQUEST).body in map(str, destinations)


@pytest.mark.lab
def test_one_page_for_all_names(place):
    """With -s, serve looks for no file without an extension, and a token has none."""
    with Program(["node", f"{place}/node_modules/serve/bin/serve.js", "-s"], place / "cwd") as server:
        [destination] = static.StaticServer().ask(server.process, REQUEST)
        assert isinstance(destination, DeadEnd)


@pytest.mark.parametrize("name, argv, expected", [
    ("thttpd", "thttpd -d www -p 80", "/cwd"),
    ("darkhttpd", "darkhttpd /srv/site --port 80", "/srv/site"),
    ("darkhttpd", "darkhttpd --port 80 site", "/cwd/site"),
    ("ruby3.1", "ruby -run -e httpd . -p 80", "/cwd"),
    ("ruby3.1", "ruby -run -ehttpd -- -p 80 /srv/site", "/srv/site"),
    ("jwebserver", "jwebserver -p 80 -d /srv/site", "/srv/site"),
    ("java", "java -m jdk.httpserver -p 80", "/cwd"),
    ("python2.7", "python -m SimpleHTTPServer 80", "/cwd"),
    ("pypy3.9", "pypy3 -m http.server -d site", "/cwd/site"),
    ("busybox", "/usr/sbin/httpd -f -h x", "/cwd"),
    ("node", "node /usr/lib/node_modules/serve/build/main.js -l 80 dist", "/cwd/dist"),
    ("bun", "bun /app/node_modules/.bin/serve /dist", "/dist"),
])
def test_programs_without_debian_package(name, argv, expected):
    """By their manuals."""
    assert static.directories(name, argv.split(), "/cwd", HOST, lambda path: True)[0][0] == expected


@pytest.mark.parametrize("name, argv", [
    ("python3.11", "python3 app.py -m http.server"), ("python3.11", "python3 -m"), ("python3.11", "python3 -c pass"),
    ("busybox", "busybox sh"), ("busybox", "busybox"), ("php8.2", "php -f x.php"), ("node", "node server.js"),
    ("node", "node"), ("ruby3.1", "ruby -run -e cp a b"), ("java", "java -jar a.jar"), ("nginx", "nginx: master"),
    ("", ""),
])
def test_other_programs(name, argv):
    """The same interpreters run other programs."""
    assert static.directories(name, argv.split(), "/cwd", HOST, lambda path: True) == ()


def test_invisible_working_directory():
    """The directory is unknown."""
    process = dataclasses.replace(processes.process(os.getpid()), argv=("python", "-m", "http.server"), cwd="")
    assert isinstance(static.StaticServer().ask(process, REQUEST)[0], Unknown)


def test_path_stays_below_directory():
    """A proxy in front may leave dots in the path."""
    assert paths.below("/../a/./../b//c") == "b/c"


def test_interface():
    """The class implements IWebServer."""
    assert verifyClass(IWebServer, static.StaticServer)
