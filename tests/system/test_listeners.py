"""Real sockets, and who is said to hold them."""
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
    return [found.inode for found in listeners.accepting(Endpoint(host, 8080), listeners.listeners())]


def test_the_very_address_is_preferred_to_all_addresses(held: List[socket.socket]) -> None:
    """The kernel's order, and so ours."""
    everything = listen(held, "0.0.0.0", reuse=True)
    one = listen(held, PUBLIC_V4, reuse=True)
    assert (who(PUBLIC_V4), who(OTHER_V4)) == ([one], [everything])


def test_a_dual_stack_socket_takes_ipv4_too(held: List[socket.socket]) -> None:
    """nginx's [::]:80 ipv6only=off, Java, Go."""
    both = listen(held, "::")
    assert (who(PUBLIC_V4), who(PUBLIC_V6)) == ([both], [both])


@pytest.mark.parametrize("name", ["a\nb", "a\n0: 1 2 zzzz 4 5 6 7", "a\rb", "a b", "\udcff", "a\n" + "9 " * 7])
def test_what_a_user_calls_his_socket_harms_nobody(held: List[socket.socket], tmp_path: Path, name: str) -> None:
    """The kernel writes the path of a unix socket into its table as it is, line feeds and all."""
    for path in (f"{tmp_path}/{name}", f"{tmp_path}/plain"):
        new = socket.socket(socket.AF_UNIX)
        held.append(new)
        new.bind(path)
        new.listen()
    hosts = [found.endpoint.host for found in listeners.listeners()]
    assert f"unix:{tmp_path}/plain" in hosts
    assert ("\n" in name) or f"unix:{tmp_path}/{name}" in hosts


def test_an_ipv6_only_socket_leaves_ipv4_free(held: List[socket.socket]) -> None:
    """Only netlink tells: /proc/net/tcp6 looks the same."""
    six = listen(held, "::", v6only=True)
    assert (who(PUBLIC_V4), who(PUBLIC_V6)) == ([], [six])


def test_an_ipv4_socket_is_preferred_to_a_dual_stack_one(held: List[socket.socket]) -> None:
    """Both can be bound with SO_REUSEPORT; connections over IPv4 go to the IPv4 one."""
    listen(held, "::", reuse=True)
    four = listen(held, "0.0.0.0", reuse=True)
    assert who(PUBLIC_V4) == [four]
    held[1].settimeout(5)
    with socket.create_connection((PUBLIC_V4, 8080)):
        held[1].accept()[0].close()


def test_shared_ports_give_every_socket(held: List[socket.socket]) -> None:
    """SO_REUSEPORT: any of them may get the CA."""
    both = [listen(held, "0.0.0.0", reuse=True), listen(held, "0.0.0.0", reuse=True)]
    assert sorted(who(PUBLIC_V4)) == sorted(both)


def test_an_ipv4_mapped_socket_is_one_of_ipv4(held: List[socket.socket]) -> None:
    """::ffff:203.0.113.10 is how some programs bind an IPv4 address."""
    mapped = listen(held, f"::ffff:{PUBLIC_V4}")
    assert who(PUBLIC_V4) == [mapped]


def test_the_owner_is_found_among_all_processes(held: List[socket.socket]) -> None:
    """We ourselves, for once."""
    inode = listen(held, "0.0.0.0")
    assert os.getpid() in listeners.owners({inode})[inode]


def test_a_unix_socket_is_a_listener_too(held: List[socket.socket], tmp_path: Path) -> None:
    """Where proxy_pass http://unix:… leads."""
    new = socket.socket(socket.AF_UNIX)
    held.append(new)
    new.bind(str(tmp_path / "app socket"))
    new.listen()
    found = listeners.accepting(Endpoint(f"unix:{tmp_path}/app socket", 0), listeners.listeners())
    assert [listener.inode for listener in found] == [os.fstat(new.fileno()).st_ino]


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


def test_a_socket_of_the_same_name_in_another_file_system_is_another(
        held: List[socket.socket], tmp_path: Path) -> None:
    """Anybody may bind one by the name of root's in a mount namespace of his own."""
    ours = socket.socket(socket.AF_UNIX)
    held.append(ours)
    ours.bind(f"{tmp_path}/app.sock")
    ours.listen()
    with subprocess.Popen(["unshare", "--mount", sys.executable, "-c", ELSEWHERE, tmp_path],
                          stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"ready\n"
        found = listeners.accepting(Endpoint(f"unix:{tmp_path}/app.sock", 0), listeners.listeners())
        other.kill()
    assert [listener.inode for listener in found] == [os.fstat(ours.fileno()).st_ino]


def test_the_machines_addresses_are_all_there() -> None:
    """As ip addr lists them."""
    assert {"127.0.0.1", "::1", PUBLIC_V4, OTHER_V4, PUBLIC_V6} <= set(netlink.local_addresses())


def test_our_own_listener_is_nobody(held: List[socket.socket]) -> None:
    """A second look must not take the responder of the first for a web server."""
    listen(held, "0.0.0.0")
    assert Host().holders(Endpoint(PUBLIC_V4, 8080)) == []


def test_somebody_elses_listener_is_named() -> None:
    """Program and pid, for the error at three in the morning."""
    code = "import socket; s = socket.create_server(('0.0.0.0', 8080)); print('up', flush=True); s.accept()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        holder, = Host().holders(Endpoint(PUBLIC_V4, 8080))
        assert holder.program.pid == other.pid
        assert holder.program.name.startswith("python")
        other.kill()


@contextlib.contextmanager
def program(code: str, *held: socket.socket) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python program that has our sockets, and has printed a line."""
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
    """Who holds a socket, but for us, who have made it."""
    return set(listeners.owners({inode}).get(inode, ())) - {os.getpid()}


@pytest.mark.parametrize("code", [WAITS, HIDES])
def test_whoever_takes_a_socket_over_is_found_at_the_next_look(held: List[socket.socket], code: str) -> None:
    """The owners of last time are looked at first; they are not believed. The heir may be older than that look."""
    inode = listen(held, "0.0.0.0")
    with program(code, held[0]) as before:
        assert listeners.owners({inode}) == {inode: [os.getpid()]}
        with program(code, held[0]) as after:
            held.pop().close()
            assert owners_of(inode) == {before.pid, after.pid}
        assert owners_of(inode) == {before.pid}
    assert owners_of(inode) == set()


def test_another_socket_than_last_time_has_an_owner_of_its_own(held: List[socket.socket]) -> None:
    """A process that the last look passed over is looked at when it holds what is asked for now."""
    here, there = listen(held, PUBLIC_V4), listen(held, OTHER_V4)
    with program(WAITS, held[0]) as one, program(HIDES, held[1]) as other:
        held.pop().close()
        held.pop().close()
        assert (owners_of(here), owners_of(there)) == ({one.pid}, {other.pid})
        assert (owners_of(here), owners_of(there)) == ({one.pid}, {other.pid})


def test_a_worker_is_not_an_owner_beside_its_master(held: List[socket.socket]) -> None:
    """It has the socket from there, and thousands of connections beside it, which nobody has to look through."""
    inode = listen(held, "0.0.0.0")
    with program(FORKS, held[0]) as master:
        held.pop().close()
        assert owners_of(inode) == {master.pid}


def test_a_worker_with_a_lower_number_than_its_master_is_none_either(
        held: List[socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of processes begin anew at pid_max: then the worker is looked at first."""
    inode = listen(held, "0.0.0.0")
    in_order = processes.all_pids
    monkeypatch.setattr(processes, "all_pids", lambda: in_order()[::-1])
    with program(FORKS, held[0]) as master:
        held.pop().close()
        assert owners_of(inode) == {master.pid}


def test_what_systemd_has_started_is_an_owner_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Socket activation: init holds the socket too, is the parent of who answers, and does not answer."""
    parents = {1: 0, 70: 1, 71: 70, 80: 1}
    monkeypatch.setattr(processes, "all_pids", lambda: list(parents))
    monkeypatch.setattr(processes, "parent_of", parents.__getitem__)
    monkeypatch.setattr(listeners, "_held_by", lambda pid, inodes: inodes if pid != 80 else set())
    assert listeners.owners({-1}) == {-1: [1, 70]}
