"""Names as DNS has them: name servers good and bad, and what /etc/hosts says besides."""
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator
from typing import List
from typing import Sequence

import pytest

from certbot_autowebroot.route import Source
from certbot_autowebroot.system import dns
from certbot_autowebroot.system import resolver_files
from certbot_autowebroot.system.dns_messages import Outcome
from certbot_autowebroot.system.resolver_files import HostsLine
from tests.lab.dns import REFUSED
from tests.lab.dns import SERVER_FAILURE
from tests.lab.dns import DnsServer

NAME = "www.sample.com"
#: Where the question of an answer stands.
POINTER = b"\xc0\x0c"
SERVERS = ["127.0.0.1", "127.0.0.2"]


@pytest.fixture(autouse=True)
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A port that needs no root, at which all name servers of a test listen."""
    with socket.create_server((SERVERS[0], 0)) as listener:
        port = int(listener.getsockname()[1])
    monkeypatch.setattr(dns, "_PORT", port)
    return port


@pytest.fixture
def server(port: int) -> Iterator[DnsServer]:
    with DnsServer(SERVERS[0], port=port) as running:
        running.resolve(NAME, "192.0.2.1", "2001:db8::2", "192.0.2.3")
        yield running


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Files of the resolver that are the test's own."""
    for setting, name in (("RESOLV_CONF", "resolv.conf"), ("SYSTEMD_RESOLV_CONF", "systemd"), ("HOSTS", "hosts")):
        monkeypatch.setattr(resolver_files, setting, str(tmp_path / name))
    (tmp_path / "resolv.conf").write_text("".join(f"nameserver {server}\n" for server in SERVERS))
    return tmp_path


@pytest.fixture
def asked_system(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """The names that the system's resolver was asked for; it knows one address."""
    asked: List[str] = []

    def resolve(name: str) -> List[str]:
        asked.append(name)
        return ["192.0.2.77", "2001:db8::77"]
    monkeypatch.setattr(dns, "resolve_by_system", resolve)
    return asked


def test_many_names_at_once(server: DnsServer, asked_system: Sequence[str]) -> None:
    """Two questions for each, each name once, and an address is its own."""
    server.default = ("192.0.2.9",)
    names = [NAME, NAME, "192.0.2.5", "2001:DB8::5", *(f"{number}.sample.com" for number in range(100))]
    results = dns.resolve(names)
    assert len(server.queries) == 202
    assert results[NAME].addresses == ("2001:db8::2", "192.0.2.1", "192.0.2.3")
    assert results[NAME].v4 == dns.Records(("192.0.2.1", "192.0.2.3"), Outcome.ADDRESSES, SERVERS[0])
    assert results["192.0.2.5"].addresses == ("192.0.2.5",)
    assert results["2001:DB8::5"].addresses == ("2001:db8::5",)
    assert results["99.sample.com"].v6 == dns.Records((), Outcome.NO_DATA, SERVERS[0])
    assert not asked_system


def test_missing_name_is_told_from_one_without_addresses(server: DnsServer, asked_system: Sequence[str]) -> None:
    """NXDOMAIN, and NOERROR with nothing in it."""
    server.resolve("empty.sample.com")
    results = dns.resolve(["missing.sample.com", "empty.sample.com", "no..name"])
    assert [results[name].is_missing for name in results] == [True, False, True]
    assert results["empty.sample.com"].v4.outcome is Outcome.NO_DATA
    assert not asked_system


def test_search_list_is_not_used(server: DnsServer, files: Path) -> None:
    """Of resolv.conf only the servers count."""
    (files / "resolv.conf").write_text("search sample.com\noptions ndots:5\nnameserver 127.0.0.1\n")
    assert dns.resolve(["www"])["www"].is_missing


def test_truncated_answer_is_asked_for_over_tcp(server: DnsServer) -> None:
    """A hundred records do not fit in 512 bytes."""
    server.truncated.append(NAME)
    assert dns.resolve([NAME])[NAME].addresses == ("2001:db8::2", "192.0.2.1", "192.0.2.3")
    assert len(server.queries) == 4


@pytest.mark.parametrize("fault", ["closed", "refused", "silent", "failure"])
def test_next_server_is_asked(fault: str, server: DnsServer, port: int, asked_system: Sequence[str]) -> None:
    """At once where the first says that it cannot, after a second where it says nothing."""
    with DnsServer(SERVERS[1], ["192.0.2.50"], port):
        if fault == "closed":
            server.__exit__(None, None, None)
        server.codes["*"] = {"refused": REFUSED, "failure": SERVER_FAILURE}.get(fault, 0)
        server.silent += ["*"] if fault == "silent" else []
        started = time.monotonic()
        assert dns.resolve([NAME])[NAME].v4 == dns.Records(("192.0.2.50",), Outcome.ADDRESSES, SERVERS[1])
        assert (time.monotonic() - started > 0.9) == (fault == "silent")
    assert not asked_system


@pytest.mark.parametrize("code", [SERVER_FAILURE, REFUSED, None])
def test_system_counts_where_no_server_answers(code: "int | None", server: DnsServer,
                                               asked_system: Sequence[str]) -> None:
    """An isolated machine; and the result says so."""
    if code is None:
        server.__exit__(None, None, None)
    else:
        server.codes["*"] = code
    started = time.monotonic()
    result = dns.resolve([NAME])[NAME]
    assert time.monotonic() - started < 0.9, "nobody was waited for"
    assert result.is_from_system and not result.is_missing
    assert result.addresses == ("2001:db8::77", "192.0.2.77")
    assert result.v4.outcome is (Outcome.NO_ANSWER if code is None else Outcome.FAILED)
    assert asked_system == [NAME]


def test_one_family_may_fail_alone(server: DnsServer, asked_system: Sequence[str]) -> None:
    """Some name servers do not answer for AAAA; what they say of A counts."""
    server.forge = lambda message: [message] if b"\0\x01\0\x01" in message[12:40] else []
    result = dns.resolve([NAME], timeout=0.5)[NAME]
    assert result.addresses == ("192.0.2.1", "192.0.2.3")
    assert result.v6.outcome is Outcome.NO_ANSWER
    assert not result.is_from_system and not asked_system


def test_deadline_is_for_all_names_together(server: DnsServer, asked_system: Sequence[str]) -> None:
    """A hundred names on a silent server cost one deadline."""
    server.silent.append("*")
    started = time.monotonic()
    results = dns.resolve([f"{number}.sample.com" for number in range(100)], timeout=0.5)
    assert time.monotonic() - started < 3.0
    assert all(result.is_from_system for result in results.values())


def test_forged_answers_are_passed_over(server: DnsServer) -> None:
    """Another id, another question, a loop of pointers, nothing at all: the true one comes after them."""
    server.forge = lambda true: [b"", b"\0\0" + true[2:], true[:13] + b"X" + true[14:], true[:30],
                                 true[:12] + POINTER * 9, true]
    assert dns.resolve([NAME])[NAME].v4.addresses == ("192.0.2.1", "192.0.2.3")


def test_ids_and_ports_are_random(server: DnsServer) -> None:
    """RFC 5452."""
    numbers: List[bytes] = []

    def forge(message: bytes) -> List[bytes]:
        numbers.append(message[:2])
        return [message]
    server.forge = forge
    dns.resolve([f"{number}.sample.com" for number in range(50)])
    assert len(set(numbers)) > 90


def test_given_server_is_the_only_one(server: DnsServer, port: int) -> None:
    """--autowebroot-resolver: a public resolver sees what the CA sees."""
    with DnsServer("127.0.0.3", ["198.51.100.9"], port):
        assert dns.resolve([NAME], "127.0.0.3")[NAME].addresses == ("198.51.100.9",)
    assert not server.queries


@pytest.mark.parametrize(("resolv_conf", "systemd", "servers"), [
    ("nameserver 192.0.2.1\nnameserver 192.0.2.1 #\nnameserver fe80::1%eth0\n", "", ["192.0.2.1", "fe80::1%eth0"]),
    ("nameserver 127.0.0.53\noptions edns0 trust-ad\n", "nameserver 192.0.2.7\n", ["192.0.2.7"]),
    ("nameserver 127.0.0.53\n", "# none\n", ["127.0.0.53"]),
    ("nameserver 127.0.0.53\nnameserver 192.0.2.2\n", "nameserver 192.0.2.7\n", ["127.0.0.53", "192.0.2.2"]),
    ("nameserver\nnameserver dns.example\n#nameserver 192.0.2.1\n", "", ["127.0.0.1"]),
    ("".join(f"nameserver 192.0.2.{number}\n" for number in range(9)), "", ["192.0.2.0", "192.0.2.1", "192.0.2.2"]),
], ids=["usual", "systemd-resolved", "systemd-resolved without servers", "stub and another", "none", "many"])
def test_name_servers(files: Path, resolv_conf: str, systemd: str, servers: Sequence[str]) -> None:
    """resolv.conf(5); behind systemd-resolved, whose stub answers from /etc/hosts too, the servers that it asks."""
    (files / "resolv.conf").write_text(resolv_conf)
    (files / "systemd").write_text(systemd)
    assert resolver_files.name_servers() == servers


def test_no_files_at_all(files: Path) -> None:
    """glibc asks this machine then."""
    (files / "resolv.conf").unlink()
    assert resolver_files.name_servers() == ["127.0.0.1"]
    assert resolver_files.hosts_lines([NAME]) == {}


def test_hosts_line_that_contradicts_dns_is_named(server: DnsServer, files: Path) -> None:
    """DNS wins: a CA sees nothing of the file. A line that agrees is none of them."""
    (files / "hosts").write_text(f"# {NAME}\n127.0.1.1 box WWW.sample.com # mine\n192.0.2.1\t{NAME}\nx {NAME}\n")
    result = dns.resolve([NAME])[NAME]
    file = str(files / "hosts")
    wrong = HostsLine("127.0.1.1", Source(file, 2))
    assert result.hosts == (wrong, HostsLine("192.0.2.1", Source(file, 3)))
    assert result.contradicting_hosts == (wrong,)
    assert str(wrong.source) == f"{file}:2"
    assert "127.0.1.1" not in result.addresses


def test_own_name_is_told_apart(server: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """nss-myhostname gives it every address of the machine, whatever DNS says."""
    monkeypatch.setattr("socket.gethostname", lambda: "WWW.sample.com")
    assert dns.resolve([NAME])[NAME].is_own_name
    assert not dns.resolve(["a.sample.com"])["a.sample.com"].is_own_name


def test_import_is_cheap() -> None:
    """Every renewal imports it: the modules of ours and nothing else that Certbot has not loaded."""
    loaded = ("import socket, ipaddress, logging, certbot.plugins.common; import sys; before = set(sys.modules); "
              "import certbot_autowebroot.system.dns; print(*sorted(set(sys.modules) - before))")
    modules = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True).stdout.split()
    assert {name.partition(".")[0] for name in modules} <= {"certbot_autowebroot", "selectors"}, modules
