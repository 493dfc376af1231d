"""The evaluator of a running nginx: its process, command line, files and view of the file system."""
import os
import shutil
import socket
from pathlib import Path
from typing import Callable
from typing import Dict
from typing import List

import pytest
from zope.interface.verify import verifyClass

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.nginx import NginxServer
from certbot_autowebroot.servers.nginx import options
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.nginx import public_directory
from tests.lab.random.nginx_oracle import PATH
from tests.lab.random.nginx_oracle import TOKEN
from tests.lab.random.nginx_oracle import disagreements


def request(host: str = "a.test") -> Request:
    """The request of a CA."""
    return Request(host, PATH, TOKEN, Endpoint(PUBLIC_V4, 80))


def process(pid: int) -> Process:
    """A process that exists."""
    process = processes.process(pid)
    assert process is not None
    return process


def ask(nginx: Nginx, host: str = "a.test") -> List[Destination]:
    """The destinations of a running nginx, asked through its worker, as the listener search finds it."""
    return list(NginxServer().ask(process(nginx.workers[0]), request(host)))


def test_interface() -> None:
    """The class implements IWebServer."""
    assert verifyClass(IWebServer, NginxServer)


@pytest.mark.lab
@pytest.mark.parametrize("user", ["root", "www-data"])
def test_master_and_worker(user: str) -> None:
    """Both are recognised, and both have the master's configuration."""
    with public_directory() as directory, Nginx(directory, "server { listen 80; root {dir}/a; }", user=user) as nginx:
        for pid in (nginx.pid, nginx.workers[0]):
            server = NginxServer()
            assert server.recognises(process(pid))
            ends = list(server.ask(process(pid), request()))
            assert [str(end) for end in ends] == [f"{directory}/a{PATH}"]
            assert list(disagreements(ends, request())) == []


def test_other_program() -> None:
    """Python is not recognised."""
    assert not NginxServer().recognises(process(os.getpid()))


@pytest.mark.parametrize(("title", "expected"), [
    ("nginx", {}),
    ("/usr/sbin/nginx -c /a/b.conf", {"c": "/a/b.conf"}),
    ("nginx -c a.conf -p /opt/x/", {"c": "a.conf", "p": "/opt/x/"}),
    ("nginx -ca.conf -p/opt/x", {"c": "a.conf", "p": "/opt/x"}),
    ("nginx -g daemon on; master_process on; -c a.conf", {"g": "daemon on; master_process on;", "c": "a.conf"}),
    ("nginx -e /var/log/e.log -q -c a.conf", {"e": "/var/log/e.log", "c": "a.conf"}),
    ("nginx -p /with blank/x -c y", {"p": "/with blank/x", "c": "y"}),
])
def test_options_from_title(title: str, expected: Dict[str, str]) -> None:
    """The title has no borders between arguments; the options are found nevertheless."""
    assert options([f"nginx: master process {title}"]) == expected
    assert options([f"angie: master process {title}"]) == expected


def test_options_without_title() -> None:
    """With ``master_process off`` the arguments are unchanged."""
    assert options(["nginx", "-g", "daemon off; master_process off;", "-c", "/a b.conf"]) == {
        "g": "daemon off; master_process off;", "c": "/a b.conf"}


@pytest.mark.lab
@pytest.mark.parametrize("arguments", [
    ["-p", "{dir}", "-c", "nginx.conf"],
    ["-p", "{dir}/", "-c", "{dir}/nginx.conf", "-g", "worker_priority 1; env X;"],
    ["-c", "{dir}/nginx.conf", "-p", "{dir}"],
])
def test_command_lines(arguments: List[str], tmp_path: Path) -> None:
    """-c, -p and -g in any form lead to the running configuration; -c is relative to -p."""
    nginx = Nginx(tmp_path, "include more/*.conf; server { listen 80 default_server; root relative; }")
    nginx.write("more/a.conf", "server { listen 80; server_name a.test; root a; }")
    nginx.start(["nginx", *(argument.replace("{dir}", str(tmp_path)) for argument in arguments)])
    try:
        for host, root in (("a.test", "a"), ("b.test", "relative")):
            ends = ask(nginx, host)
            assert [str(end) for end in ends] == [f"{tmp_path}/{root}{PATH}"]
            assert list(disagreements(ends, request(host))) == []
    finally:
        nginx.stop()


@pytest.mark.lab
def test_compiled_prefix(tmp_path: Path) -> None:
    """Without -p, a relative root is below the prefix of the running binary."""
    nginx = Nginx(tmp_path, "server { listen 80; root below/it; }")
    nginx.start(["nginx", "-c", str(nginx.conf)])
    try:
        assert [str(end) for end in ask(nginx)] == [f"/usr/share/nginx/below/it{PATH}"]
    finally:
        nginx.stop()


@pytest.mark.lab
def test_deleted_binary(tmp_path: Path) -> None:
    """An upgrade has deleted the file of the running process."""
    binary = tmp_path / "nginx"
    shutil.copy(str(shutil.which("nginx")), binary)
    nginx = Nginx(tmp_path, "server { listen 80; root relative; }")
    nginx.start([str(binary), "-c", str(nginx.conf)])
    try:
        binary.unlink()
        assert NginxServer().recognises(process(nginx.pid))
        assert [str(end) for end in ask(nginx)] == [f"/usr/share/nginx/relative{PATH}"]
    finally:
        nginx.stop()


@pytest.mark.lab
def test_own_mounts(tmp_path: Path) -> None:
    """An nginx with other mounts, as in a container, has another /etc/nginx."""
    nginx = Nginx(tmp_path / "inside", "server { listen 80; root /srv/$host; }")
    command = f"mount --make-rprivate / && mount --bind {nginx.directory} /etc/nginx && exec nginx"
    nginx.start(["unshare", "-m", "sh", "-c", command])
    try:
        assert not process(nginx.pid).view.is_host
        assert [str(end) for end in ask(nginx)] == [f"/srv/a.test{PATH}"]
    finally:
        nginx.stop()


@pytest.mark.lab
def test_one_reading_per_order(tmp_path: Path) -> None:
    """An instance reads the configuration once; a new instance reads it again."""
    with Nginx(tmp_path, "server { listen 80; root {dir}/a; }") as nginx:
        server = NginxServer()
        first = server.ask(process(nginx.pid), request())
        nginx.configure("server { listen 80; root {dir}/b; }")
        assert server.ask(process(nginx.workers[0]), request()) == first
        assert [str(end) for end in ask(nginx)] == [f"{tmp_path}/b{PATH}"]


@pytest.mark.lab
def test_unresolvable_upstream(tmp_path: Path) -> None:
    """A name with which ``nginx -T`` prints nothing does not matter."""
    with Nginx(tmp_path, "server { listen 80; root {dir}/a; }") as nginx:
        nginx.configure("upstream gone { server no-such-name.invalid:80; } server { listen 80; root {dir}/a; "
                        "location /app { proxy_pass http://gone; } }")
        assert [str(end) for end in ask(nginx)] == [f"{tmp_path}/a{PATH}"]


@pytest.mark.lab
def test_broken_file(tmp_path: Path) -> None:
    """The running server continues with the old file; the candidate names the error in the new one."""
    with Nginx(tmp_path, "server { listen 80; root {dir}/a; }") as nginx:
        nginx.configure("server { listen 80; root {dir}/a; } server { listen 80 } ")
        (end,) = ask(nginx)
        assert isinstance(end, Directory)
        assert str(end) == f"{tmp_path}/a{PATH}"
        assert 'unexpected "}"' in str(end.trail[0])
        assert str(nginx.conf) in str(end.trail[0])


@pytest.mark.lab
def test_unreadable_part(tmp_path: Path) -> None:
    """It may contain the location that decides: a dead end is not certain."""
    with Nginx(tmp_path, "server { listen 80; root {dir}/a; }") as nginx:
        nginx.configure("server { listen 80; include {dir}/missing.conf; return 404; }")
        (end,) = ask(nginx)
        assert isinstance(end, Unknown)
        assert "missing.conf" in str(end.trail[0])


def make_fifo(path: Path) -> None:
    """A FIFO, which would block whoever opens it."""
    os.mkfifo(path)


def make_loop(path: Path) -> None:
    """A file that includes itself."""
    path.write_text(f"include {path};\n", encoding="utf-8")


def make_symlink_loop(path: Path) -> None:
    """A symlink to itself."""
    path.symlink_to(path)


def make_large(path: Path) -> None:
    """A sparse file of 100 MB."""
    with open(path, "wb") as file:
        file.truncate(100 * 1024 * 1024)


def make_garbage(path: Path) -> None:
    """Bytes that are no text."""
    path.write_bytes(bytes(range(255, -1, -1)) * 50)


def make_directory(path: Path) -> None:
    """A directory in place of a file."""
    path.mkdir()


@pytest.mark.lab
@pytest.mark.parametrize("make", [make_fifo, make_loop, make_symlink_loop, make_large, make_garbage, make_directory])
def test_bad_include(make: Callable[[Path], None], tmp_path: Path) -> None:
    """The rest of the configuration counts, and the problem is named."""
    with Nginx(tmp_path, "server { listen 80; root {dir}/a; }") as nginx:
        make(tmp_path / "bad.conf")
        nginx.configure("include {dir}/bad.conf; server { listen 80; root {dir}/a; }")
        (end,) = ask(nginx)
        assert str(end) == f"{tmp_path}/a{PATH}"
        assert "bad.conf" in str(end.trail[0])


@pytest.mark.lab
def test_ended_process(tmp_path: Path) -> None:
    """The process may end between the snapshot and the question."""
    with Nginx(tmp_path, "server { listen 80; root {dir}/a; }") as nginx:
        gone = process(nginx.pid)
    (end,) = NginxServer().ask(gone, request())
    assert isinstance(end, Unknown)


def visit(target: str, referer: str = "-") -> None:
    """Make a request of a client."""
    with socket.create_connection(("127.0.0.1", 80)) as visitor:
        visitor.sendall(f"GET {target} HTTP/1.0\r\nHost: a.test\r\nReferer: {referer}\r\n\r\n".encode())
        while visitor.recv(4096):
            pass


def missed(nginx: Nginx) -> List[str]:
    """The files that it did not find, by its log."""
    return [str(directory) for directory in NginxServer().missed(process(nginx.workers[0]), request())]


@pytest.mark.lab
@pytest.mark.parametrize(("owner", "expected"), [(0, True), (33, True), (61001, False)],
                         ids=["root", "www-data, as on Debian", "a user"])
def test_missed(owner: int, expected: bool) -> None:
    """The error log has the path, except in a log that an ordinary user can write."""
    with public_directory() as directory, Nginx(directory, "server { listen 80; root {dir}/a; }") as nginx:
        visit(PATH)
        os.chown(nginx.error_log, owner, owner)
        assert missed(nginx) == ([f"{directory}/a{PATH}"] if expected else [])


@pytest.mark.lab
def test_missed_ignores_text_of_clients() -> None:
    """A client that knows the name of a test file can only make the log name a file of that name."""
    with public_directory() as directory, Nginx(directory, "server { listen 80; root {dir}/a; }") as nginx:
        visit("/x", f'open() "/b{PATH}" failed (2: ')
        for path in (f"/c/50-{TOKEN}.rules", f"/c/{TOKEN}", f"/c{PATH}.rules", f"/c{PATH}/x"):
            visit(f"/x%0A2026/11/26%2000:00:00%20[error]%201%231:%20*1%20open()%20%22{path}%22%20failed%20(2:%20")
        written = nginx.error_log.read_text()
        assert f'referrer: "open() "/b{PATH}" failed (2:"' in written
        assert f'\n2026/11/26 00:00:00 [error] 1#1: *1 open() "/c/{TOKEN}" failed (2: ' in written
        assert missed(nginx) == []
