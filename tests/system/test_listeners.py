"""Real sockets and their owners."""
import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Iterator
from typing import List
from typing import Set

import pytest

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.system import listeners
from certbot_autowebroot.system import netlink
from certbot_autowebroot.system import processes
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6

pytestmark = pytest.mark.lab


@pytest.fixture
def held() -> Iterator[List[socket.socket]]:
    sockets: List[socket.socket] = []
    yield sockets
    for each in sockets:
        each.close()


def listen(held: List[socket.socket], host: str, v6only: bool = False, reuse: bool = False) -> int:
    """Listen on port 8080 and return the socket's inode."""
    new = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    held.append(new)
    new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse:
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if ":" in host:
        new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
    new.bind((host, 8080))
    new.listen()
    return os.fstat(new.fileno()).st_ino


def who(host: str) -> List[int]:
    return [listener.inode for listener in listeners.accepting(Endpoint(host, 8080), listeners.listeners())]


def test_exact_address_wins_over_all_addresses(held: List[socket.socket]) -> None:
    """As the kernel chooses."""
    everything = listen(held, "0.0.0.0", reuse=True)
    one = listen(held, PUBLIC_V4, reuse=True)
    assert (who(PUBLIC_V4), who(OTHER_V4)) == ([one], [everything])


def test_a_dual_stack_socket_takes_ipv4_too(held: List[socket.socket]) -> None:
    """nginx's [::]:80 ipv6only=off, Java, Go."""
    both = listen(held, "::")
    assert (who(PUBLIC_V4), who(PUBLIC_V6)) == ([both], [both])


@pytest.mark.parametrize("name", ["a\nb", "a\n0: 1 2 zzzz 4 5 6 7", "a\rb", "a b", "\udcff", "a\n" + "9 " * 7])
def test_unix_socket_with_an_odd_name(held: List[socket.socket], tmp_path: Path, name: str) -> None:
    """The kernel writes the path of a unix socket into its table as it is, with line feeds."""
    for path in (f"{tmp_path}/{name}", f"{tmp_path}/plain"):
        new = socket.socket(socket.AF_UNIX)
        held.append(new)
        new.bind(path)
        new.listen()
    hosts = [listener.endpoint.host for listener in listeners.listeners()]
    assert f"unix:{tmp_path}/plain" in hosts
    assert ("\n" in name) or f"unix:{tmp_path}/{name}" in hosts


def test_an_ipv6_only_socket_leaves_ipv4_free(held: List[socket.socket]) -> None:
    """Only netlink shows it: /proc/net/tcp6 looks the same."""
    six = listen(held, "::", v6only=True)
    assert (who(PUBLIC_V4), who(PUBLIC_V6)) == ([], [six])


def test_ipv4_socket_wins_over_a_dual_stack_one(held: List[socket.socket]) -> None:
    """Both can be bound with SO_REUSEPORT; connections over IPv4 go to the IPv4 one."""
    listen(held, "::", reuse=True)
    four = listen(held, "0.0.0.0", reuse=True)
    assert who(PUBLIC_V4) == [four]
    held[1].settimeout(5)
    with socket.create_connection((PUBLIC_V4, 8080)):
        held[1].accept()[0].close()


def test_shared_ports_give_every_socket(held: List[socket.socket]) -> None:
    """With SO_REUSEPORT, any of them may get the CA."""
    both = [listen(held, "0.0.0.0", reuse=True), listen(held, "0.0.0.0", reuse=True)]
    assert sorted(who(PUBLIC_V4)) == sorted(both)


def test_an_ipv4_mapped_socket_is_one_of_ipv4(held: List[socket.socket]) -> None:
    """::ffff:203.0.113.10 is how some programs bind an IPv4 address."""
    mapped = listen(held, f"::ffff:{PUBLIC_V4}")
    assert who(PUBLIC_V4) == [mapped]


def test_the_owner_is_found_among_all_processes(held: List[socket.socket]) -> None:
    """Here it is the test process itself."""
    inode = listen(held, "0.0.0.0")
    assert os.getpid() in listeners.owners({inode})[inode]


def test_unix_socket_is_a_listener(held: List[socket.socket], tmp_path: Path) -> None:
    """The target of proxy_pass http://unix:…."""
    new = socket.socket(socket.AF_UNIX)
    held.append(new)
    new.bind(str(tmp_path / "app socket"))
    new.listen()
    matches = listeners.accepting(Endpoint(f"unix:{tmp_path}/app socket", 0), listeners.listeners())
    assert [listener.inode for listener in matches] == [os.fstat(new.fileno()).st_ino]


#: Binds a socket below a directory that it has mounted something of its own over.
ELSEWHERE = """
import socket, subprocess, sys, time
subprocess.run(["mount", "-t", "tmpfs", "none", sys.argv[1]], check=True)
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1] + "/app.sock")
listening.listen()
print("ready", flush=True)
time.sleep(60)
"""


def test_unix_socket_of_the_same_name_in_another_mount_namespace(
        held: List[socket.socket], tmp_path: Path) -> None:
    """Any user may bind a socket by the name of root's in another mount namespace."""
    ours = socket.socket(socket.AF_UNIX)
    held.append(ours)
    ours.bind(f"{tmp_path}/app.sock")
    ours.listen()
    with subprocess.Popen(["unshare", "--mount", sys.executable, "-c", ELSEWHERE, tmp_path],
                          stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"ready\n"
        matches = listeners.accepting(Endpoint(f"unix:{tmp_path}/app.sock", 0), listeners.listeners())
        other.kill()
    assert [listener.inode for listener in matches] == [os.fstat(ours.fileno()).st_ino]


def test_local_addresses() -> None:
    """As ip addr lists them."""
    assert {"127.0.0.1", "::1", PUBLIC_V4, OTHER_V4, PUBLIC_V6} <= set(netlink.local_addresses())


def test_own_listener_is_no_holder(held: List[socket.socket]) -> None:
    """A second attempt must not take the responder of the first for a web server."""
    listen(held, "0.0.0.0")
    assert Host().holders(Endpoint(PUBLIC_V4, 8080)) == []


def test_holder_has_program_and_pid() -> None:
    """The error message needs both."""
    code = "import socket; s = socket.create_server(('0.0.0.0', 8080)); print('up', flush=True); s.accept()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        holder, = Host().holders(Endpoint(PUBLIC_V4, 8080))
        assert holder.program.pid == other.pid
        assert holder.program.name.startswith("python")
        other.kill()


@contextlib.contextmanager
def program(code: str, *held: socket.socket) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python program that inherits these sockets and has printed a line."""
    descriptors = [each.fileno() for each in held]
    with subprocess.Popen([sys.executable, "-S", "-c", code, *map(str, descriptors)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, pass_fds=descriptors) as running:
        assert running.stdout is not None
        assert running.stdout.readline()
        yield running


WAITS = "import sys; print('up', flush=True); sys.stdin.read()"
FORKS = "import os, sys; child = os.fork(); child and print(child, flush=True); sys.stdin.read(); child and os.wait()"
HIDES = f"open('/proc/self/comm', 'w').write('no server'); {WAITS}"


def owners_of(inode: int) -> Set[int]:
    """The owners of a socket, except this process, which has made it."""
    return set(listeners.owners({inode}).get(inode, ())) - {os.getpid()}


@pytest.mark.parametrize("code", [WAITS, HIDES])
def test_new_owner_is_found_at_the_next_search(held: List[socket.socket], code: str) -> None:
    """Earlier owners are searched first, and checked. The new owner may be older than that search."""
    inode = listen(held, "0.0.0.0")
    with program(code, held[0]) as before:
        assert listeners.owners({inode}) == {inode: [os.getpid()]}
        with program(code, held[0]) as after:
            held.pop().close()
            assert owners_of(inode) == {before.pid, after.pid}
        assert owners_of(inode) == {before.pid}
    assert owners_of(inode) == set()


def test_each_socket_has_its_own_owner(held: List[socket.socket]) -> None:
    """A process that an earlier search has passed over is found as owner of another socket."""
    here, there = listen(held, PUBLIC_V4), listen(held, OTHER_V4)
    with program(WAITS, held[0]) as one, program(HIDES, held[1]) as other:
        held.pop().close()
        held.pop().close()
        assert (owners_of(here), owners_of(there)) == ({one.pid}, {other.pid})
        assert (owners_of(here), owners_of(there)) == ({one.pid}, {other.pid})


def test_worker_is_no_owner_beside_its_main_process(held: List[socket.socket]) -> None:
    """It has inherited the socket, and has thousands of connections, which need no search."""
    inode = listen(held, "0.0.0.0")
    with program(FORKS, held[0]) as main:
        held.pop().close()
        assert owners_of(inode) == {main.pid}


def test_worker_with_a_lower_pid_than_its_main_process(
        held: List[socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pids start anew at pid_max: then the worker is searched first."""
    inode = listen(held, "0.0.0.0")
    in_order = processes.all_pids
    monkeypatch.setattr(processes, "all_pids", lambda: in_order()[::-1])
    with program(FORKS, held[0]) as main:
        held.pop().close()
        assert owners_of(inode) == {main.pid}


def test_socket_activated_program_is_an_owner_beside_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Socket activation: init holds the socket too, is the parent of the program, and does not answer."""
    parents = {1: 0, 70: 1, 71: 70, 80: 1}
    monkeypatch.setattr(processes, "all_pids", lambda: list(parents))
    monkeypatch.setattr(processes, "parent_of", parents.__getitem__)
    monkeypatch.setattr(listeners, "_held_by", lambda pid, inodes: inodes if pid != 80 else set())
    assert listeners.owners({-1}) == {-1: [1, 70]}
