"""kill -9 at any moment, of any process: nothing is left, and no visitor notices."""
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator
from typing import List
from typing import Sequence

import pytest

from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.wire import leftovers
from certbot_autowebroot.responders.wire.leftovers import Leftover
from certbot_autowebroot.responders.wire.responder import WireResponder
from certbot_autowebroot.responders.wire.responder import Wires
from tests.lab.net import PUBLIC_V4
from tests.lab.nginx import Nginx
from tests.lab.wire import CONTENT
from tests.lab.wire import FRONT
from tests.lab.wire import NOT_OURS
from tests.lab.wire import OURS
from tests.lab.wire import SERVER
from tests.lab.wire import TOKEN
from tests.lab.wire import Answer
from tests.lab.wire import Peer
from tests.lab.wire import curl
from tests.lab.wire import nft_of
from tests.lab.wire import processes_of
from tests.lab.wire import tables
from tests.lab.wire import wait_until

pytestmark = pytest.mark.lab

#: Publishes one token and waits.
RUN = """
import sys
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.wire.child import OWN_NETWORK
from certbot_autowebroot.responders.wire.responder import CatchPoint, WireResponder, Wires
wires = Wires(Journal(sys.argv[1]))
WireResponder(wires, CatchPoint(OWN_NETWORK, 80), sys.argv[2]).publish(sys.argv[3].encode())
print("published", flush=True)
sys.stdin.read()
"""
#: The same on a kernel without owners of tables.
RUN_WITHOUT_OWNER = """
import os, sys
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.wire import answering
answering.VARIANTS = answering.VARIANTS[2:]
name = f"certbot_autowebroot_{os.getpid()}_old"
wire = answering.Wire(name)
Journal(sys.argv[1]).announce_table(name, int(sys.argv[2]))
wire.install([80])
wire.add_token(sys.argv[3], "content")
print("published", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with Nginx(tmp_path_factory.mktemp("nginx"), SERVER) as running:
        yield running


def start(program: str, *arguments: object, enter: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*enter, sys.executable, "-c", program, *map(str, arguments)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def published(run: "subprocess.Popen[bytes]") -> None:
    assert run.stdout is not None
    assert run.stdout.readline() == b"published\n"


def kill(run: "subprocess.Popen[bytes]") -> None:
    with run:
        run.kill()


def nothing_runs(run: "subprocess.Popen[bytes]") -> bool:
    return not processes_of(run.pid) and not [name for name in tables() if f"_{run.pid}_" in name]


def swept(directory: Path) -> List[str]:
    sentences = Journal(str(directory)).sweep()
    assert not os.path.exists(directory) or os.listdir(directory) == []
    return sentences


def test_at_any_moment(nginx: Nginx, tmp_path: Path) -> None:
    """Twenty runs, each killed within its first second, and 5,000 visitors meanwhile."""
    chance = random.Random(15)  # noqa: S311
    visits = tmp_path / "visits"
    visits.write_text("".join(f'url = "http://{PUBLIC_V4}/{number}"\noutput = /dev/null\n' for number in range(5000)))
    with subprocess.Popen(["curl", "--silent", "--noproxy", "*", "--parallel", "--parallel-max", "10", "--write-out",
                           "%{http_code}\n", "--config", str(visits)], stdout=subprocess.PIPE, text=True) as visitors:
        for _ in range(5):
            runs = [start(RUN, tmp_path / "journal", TOKEN, CONTENT) for _ in range(4)]
            deaths = sorted((time.monotonic() + chance.uniform(0.15, 0.9), number) for number in range(4))
            for moment, number in deaths:
                time.sleep(max(0.0, moment - time.monotonic()))
                kill(runs[number])
            for run in runs:
                wait_until(lambda run=run: nothing_runs(run))  # type: ignore[misc]
        assert visitors.stdout is not None
        assert visitors.stdout.read() == "404\n" * 5000
    assert swept(tmp_path / "journal") == []
    assert curl(PUBLIC_V4) == NOT_OURS


def test_end_of_the_run_after_an_answer(nginx: Nginx, tmp_path: Path) -> None:
    """Its process goes on acknowledging for a second, then it goes too."""
    run = start(RUN, tmp_path / "journal", TOKEN, CONTENT)
    published(run)
    assert curl(PUBLIC_V4) == OURS
    kill(run)
    before = time.monotonic()
    assert processes_of(run.pid) != []
    wait_until(lambda: nothing_runs(run))
    assert 0.5 < time.monotonic() - before < 5
    assert swept(tmp_path / "journal") == []


@pytest.mark.parametrize("victim", ["process", "nft"])
def test_death_of_a_helper(nginx: Nginx, tmp_path: Path, victim: str) -> None:
    """The table goes with it, requests reach the server, and the order ends as always."""
    wires = Wires(Journal(str(tmp_path / "journal")))
    responder = WireResponder(wires, FRONT, TOKEN)
    responder.publish(CONTENT.encode())
    process = max(pid for pid in processes_of(os.getpid()) if Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z")
    nft = nft_of(process)
    os.kill(process if victim == "process" else nft, signal.SIGKILL)
    wait_until(lambda: curl(PUBLIC_V4) == NOT_OURS)
    responder.withdraw()
    wires.stop()
    assert os.listdir(tmp_path / "journal") == []
    wait_until(lambda: process not in processes_of(os.getpid()) and not os.path.exists(f"/proc/{nft}"))


def test_hanging_process(nginx: Nginx, tmp_path: Path) -> None:
    """It hurts our own token alone; the next run ends it, and the table with it."""
    run = start(RUN, tmp_path / "journal", TOKEN, CONTENT)
    published(run)
    process, = processes_of(run.pid)
    os.kill(process, signal.SIGSTOP)
    try:
        assert curl(PUBLIC_V4, "/") == NOT_OURS
        assert curl(PUBLIC_V4, "/.well-known/acme-challenge/other") == NOT_OURS
        assert curl(PUBLIC_V4, f"/.well-known/acme-challenge/{TOKEN}", "--max-time", "0.5") == Answer(0, "")
        assert Journal(str(tmp_path / "journal")).sweep() == []  # the run lives
        kill(run)
        assert not nothing_runs(run)
        sentence, = swept(tmp_path / "journal")
        assert sentence.startswith(f"Removed the nftables table certbot_autowebroot_{run.pid}_")
        wait_until(lambda: nothing_runs(run))
        assert curl(PUBLIC_V4) == NOT_OURS
    finally:
        if process in processes_of(run.pid):
            os.kill(process, signal.SIGKILL)


def test_table_without_an_owner(nginx: Nginx, tmp_path: Path) -> None:
    """Where the kernel knows no owners, a killed run leaves its table, which expires; the next run deletes it."""
    run = start(RUN_WITHOUT_OWNER, tmp_path / "journal", 0, TOKEN)
    published(run)
    kill(run)
    name, = [name for name in tables() if name.endswith("_old")]
    listed = subprocess.run(["nft", "list", "set", "inet", name, "ports"], check=True, capture_output=True, text=True)
    assert "80 timeout 10m expires" in listed.stdout
    subprocess.run(["nft", "delete", "element", "inet", name, "ports", "{ 80 }"], check=True)  # what time does
    assert curl(PUBLIC_V4) == NOT_OURS
    assert swept(tmp_path / "journal") == [
        f"Removed the nftables table {name}, which an earlier run had left behind."]
    assert name not in tables()


def test_table_in_a_container(tmp_path: Path) -> None:
    """The next run deletes it there; there is nothing to do where the container is gone."""
    with Peer() as container:
        number = os.stat(f"/proc/{container.pid}/ns/net").st_ino
        run = start(RUN_WITHOUT_OWNER, tmp_path / "journal", number, TOKEN, enter=container.enter)
        published(run)
        kill(run)
        assert "_old" in container.run("nft", "list", "tables")
        sentence, = swept(tmp_path / "journal")
        assert sentence.startswith("Removed the nftables table certbot_autowebroot_")
        assert "_old" not in container.run("nft", "list", "tables")
    assert not leftovers.remove(Leftover(1, "certbot_autowebroot_none", number))


def test_terminate(nginx: Nginx, tmp_path: Path) -> None:
    """systemd ends all processes of a service with its main one: the table goes."""
    run = start(RUN, tmp_path / "journal", TOKEN, CONTENT)
    published(run)
    for pid in (run.pid, *processes_of(run.pid)):
        os.kill(pid, signal.SIGTERM)
    with run:
        wait_until(lambda: nothing_runs(run))
    assert curl(PUBLIC_V4) == NOT_OURS


def test_what_a_journal_may_say() -> None:
    """Lines that are torn, of files, of tables that are gone, of names that are none of ours."""
    text = b"""
{"number": 1, "table": "certbot_autowebroot_1_aa", "network": 0}

{"number": 2, "table": "certbot_autowebroot_2_bb", "network": 4026532000}

{"number": 2, "gone": true}

{"number": 3, "path": "/srv", "name": "x"}

{"number": 4, "table": "filter; flush ruleset", "network": 0}

{"number": 5, "table": ["certbot_autowebroot_5"], "network": 0}

{"number": {}, "gone": true}

{"number": 6, "table": "certbot_autowebroot_6_cc", "net"""
    assert leftovers.parse(text) == [Leftover(1, "certbot_autowebroot_1_aa", 0)]
