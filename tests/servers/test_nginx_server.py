"""From a running nginx to its answer: the process, its command line, its files, its view of the file system."""
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
    """What a CA asks."""
    return Request(host, PATH, TOKEN, Endpoint(PUBLIC_V4, 80))


def process(pid: int) -> Process:
    """A process that must be there."""
    found = processes.process(pid)
    assert found is not None
    return found


def ask(nginx: Nginx, host: str = "a.test") -> List[Destination]:
    """What we say of a running nginx; given the worker, as a listener search finds it."""
    return list(NginxServer().ask(process(nginx.workers[0]), request(host)))


def test_it_keeps_the_promise_of_the_interface() -> None:
    """NginxServer is an IWebServer."""
    assert verifyClass(IWebServer, NginxServer)


@pytest.mark.lab
@pytest.mark.parametrize("user", ["root", "www-data"])
def test_master_and_worker_give_the_same_answer(user: str) -> None:
    """Both are recognised, and both lead to the master's configuration."""
    with public_directory() as directory, Nginx(directory, "server { listen 80; root {dir}/a; }", user=user) as nginx:
        for pid in (nginx.pid, nginx.workers[0]):
            server = NginxServer()
            assert server.recognises(process(pid))
            ends = list(server.ask(process(pid), request()))
            assert [str(end) for end in ends] == [f"{directory}/a{PATH}"]
            assert list(disagreements(ends, request())) == []


def test_another_program_is_not_recognised() -> None:
    """Our own Python is no nginx."""
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
def test_options_out_of_the_title(title: str, expected: Dict[str, str]) -> None:
    """The title has lost the borders between the arguments; the options are found all the same."""
    assert options([f"nginx: master process {title}"]) == expected
    assert options([f"angie: master process {title}"]) == expected


def test_options_without_a_title() -> None:
    """With ``master_process off`` the arguments stay as they were."""
    assert options(["nginx", "-g", "daemon off; master_process off;", "-c", "/a b.conf"]) == {
        "g": "daemon off; master_process off;", "c": "/a b.conf"}


@pytest.mark.lab
@pytest.mark.parametrize("arguments", [
    ["-p", "{dir}", "-c", "nginx.conf"],
    ["-p", "{dir}/", "-c", "{dir}/nginx.conf", "-g", "worker_priority 1; env X;"],
    ["-c", "{dir}/nginx.conf", "-p", "{dir}"],
])
def test_command_lines(arguments: List[str], tmp_path: Path) -> None:
    """-c, -p and -g in any form lead to the configuration that runs, a relative -c by way of -p."""
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
def test_the_compiled_in_prefix(tmp_path: Path) -> None:
    """Without -p, a relative root is below the prefix that the running binary was built with."""
    nginx = Nginx(tmp_path, "server { listen 80; root below/it; }")
    nginx.start(["nginx", "-c", str(nginx.conf)])
    try:
        assert [str(end) for end in ask(nginx)] == [f"/usr/share/nginx/below/it{PATH}"]
    finally:
        nginx.stop()


@pytest.mark.lab
def test_a_deleted_binary_still_answers(tmp_path: Path) -> None:
    """An upgrade has deleted the file that still runs."""
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
def test_its_own_mounts_are_read_and_nothing_of_them_is_run(tmp_path: Path) -> None:
    """An nginx with other mounts, as in a container, has another /etc/nginx than we; its binary is not ours to run."""
    nginx = Nginx(tmp_path / "inside", "server { listen 80; root /srv/$host; }")
    command = f"mount --make-rprivate / && mount --bind {nginx.directory} /etc/nginx && exec nginx"
    nginx.start(["unshare", "-m", "sh", "-c", command])
    try:
        assert not process(nginx.pid).view.is_host
        assert [str(end) for end in ask(nginx)] == [f"/srv/a.test{PATH}"]
    finally:
        nginx.stop()


@pytest.mark.lab
def test_a_configuration_is_read_once_per_order(tmp_path: Path) -> None:
    """A second question to the same instance is answered from memory, a new instance reads anew."""
    with Nginx(tmp_path, "server { listen 80; root {dir}/a; }") as nginx:
        server = NginxServer()
        first = server.ask(process(nginx.pid), request())
        nginx.configure("server { listen 80; root {dir}/b; }")
        assert server.ask(process(nginx.workers[0]), request()) == first
        assert [str(end) for end in ask(nginx)] == [f"{tmp_path}/b{PATH}"]


@pytest.mark.lab
def test_an_upstream_that_does_not_resolve(tmp_path: Path) -> None:
    """A name that makes ``nginx -T`` print nothing does not keep us from reading the rest."""
    with Nginx(tmp_path, "server { listen 80; root {dir}/a; }") as nginx:
        nginx.configure("upstream gone { server no-such-name.invalid:80; } server { listen 80; root {dir}/a; "
                        "location /app { proxy_pass http://gone; } }")
        assert [str(end) for end in ask(nginx)] == [f"{tmp_path}/a{PATH}"]


@pytest.mark.lab
def test_a_broken_file_is_named_in_the_trail(tmp_path: Path) -> None:
    """Broken on disk, the running server goes on; so do we, with a candidate that says what is wrong with it."""
    with Nginx(tmp_path, "server { listen 80; root {dir}/a; }") as nginx:
        nginx.configure("server { listen 80; root {dir}/a; } server { listen 80 } ")
        (end,) = ask(nginx)
        assert isinstance(end, Directory)
        assert str(end) == f"{tmp_path}/a{PATH}"
        assert 'unexpected "}"' in str(end.trail[0])
        assert str(nginx.conf) in str(end.trail[0])


@pytest.mark.lab
def test_an_unreadable_part_makes_a_dead_end_unknown(tmp_path: Path) -> None:
    """What cannot be read may hold the very location that decides: no proof of a dead end."""
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
def test_bad_includes_neither_hang_nor_raise(make: Callable[[Path], None], tmp_path: Path) -> None:
    """Whatever lies in place of a file, the rest is used and the problem named."""
    with Nginx(tmp_path, "server { listen 80; root {dir}/a; }") as nginx:
        make(tmp_path / "bad.conf")
        nginx.configure("include {dir}/bad.conf; server { listen 80; root {dir}/a; }")
        (end,) = ask(nginx)
        assert str(end) == f"{tmp_path}/a{PATH}"
        assert "bad.conf" in str(end.trail[0])


@pytest.mark.lab
def test_a_process_that_has_ended_is_unknown(tmp_path: Path) -> None:
    """Between our look and our question it may have gone."""
    with Nginx(tmp_path, "server { listen 80; root {dir}/a; }") as nginx:
        gone = process(nginx.pid)
    (end,) = NginxServer().ask(gone, request())
    assert isinstance(end, Unknown)


def asked(target: str, referer: str = "-") -> None:
    """Somebody asks it for something."""
    with socket.create_connection(("127.0.0.1", 80)) as visitor:
        visitor.sendall(f"GET {target} HTTP/1.0\r\nHost: a.test\r\nReferer: {referer}\r\n\r\n".encode())
        while visitor.recv(4096):
            pass


def told(nginx: Nginx) -> List[str]:
    """Where its log says that it has looked for the file."""
    return [str(directory) for directory in NginxServer().missed(process(nginx.workers[0]), request())]


@pytest.mark.lab
@pytest.mark.parametrize(("owner", "expected"), [(0, True), (33, True), (61001, False)],
                         ids=["root", "www-data, as on Debian", "a user"])
def test_its_log_tells_where_it_looked(owner: int, expected: bool) -> None:
    """Except for a log that an ordinary user writes himself."""
    with public_directory() as directory, Nginx(directory, "server { listen 80; root {dir}/a; }") as nginx:
        asked(PATH)
        os.chown(nginx.error_log, owner, owner)
        assert told(nginx) == ([f"{directory}/a{PATH}"] if expected else [])


@pytest.mark.lab
def test_what_visitors_have_written_in_its_log() -> None:
    """Whoever knows a test file's name in time has a line about it written, and can name no file but such a one."""
    with public_directory() as directory, Nginx(directory, "server { listen 80; root {dir}/a; }") as nginx:
        asked("/x", f'open() "/b{PATH}" failed (2: ')
        for path in (f"/c/50-{TOKEN}.rules", f"/c/{TOKEN}", f"/c{PATH}.rules", f"/c{PATH}/x"):
            asked(f"/x%0A2026/11/26%2000:00:00%20[error]%201%231:%20*1%20open()%20%22{path}%22%20failed%20(2:%20")
        written = nginx.error_log.read_text()
        assert f'referrer: "open() "/b{PATH}" failed (2:"' in written
        assert f'\n2026/11/26 00:00:00 [error] 1#1: *1 open() "/c/{TOKEN}" failed (2: ' in written
        assert told(nginx) == []
