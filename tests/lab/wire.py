"""Another machine on the same wire, and an order that is answered there."""
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Callable
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Type

from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.wire.child import OWN_NETWORK
from certbot_autowebroot.responders.wire.responder import CatchPoint
from certbot_autowebroot.responders.wire.responder import WireResponder
from certbot_autowebroot.responders.wire.responder import Wires

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
CONTENT = f"{TOKEN}.nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ"
PATH = f"/.well-known/acme-challenge/{TOKEN}"
FRONT = CatchPoint(OWN_NETWORK, 80)
#: What to put before a command so that root lacks the rights that an answer on the wire needs.
NO_WIRE = ["setpriv", "--bounding-set", "-net_admin,-net_raw", "--inh-caps", "-net_admin,-net_raw"]
#: What the server itself says, to whatever it is asked.
THEIRS = "the server's own"
SERVER = f'server {{ listen 80; listen [::]:80; keepalive_timeout 60; location / {{ return 404 "{THEIRS}"; }} }}'

_HERE_V4, _THERE_V4 = "192.0.2.1", "192.0.2.2"
_HERE_V6, _THERE_V6 = "2001:db8:1::1", "2001:db8:1::2"
#: What ``ethtool -K`` does: SIOCETHTOOL with ETHTOOL_STSO, ETHTOOL_SGSO and ETHTOOL_SGRO of linux/ethtool.h.
_SET_OFFLOADS = """
import ctypes, fcntl, socket, struct, sys
for command in (0x1F, 0x24, 0x2C):
    value = ctypes.create_string_buffer(struct.pack("=II", command, int(sys.argv[2])))
    fcntl.ioctl(socket.socket(), 0x8946, struct.pack("@16sP24x", sys.argv[1].encode(), ctypes.addressof(value)))
"""


class Answer(NamedTuple):
    """What curl saw; status 0 for no answer."""

    status: int
    body: str


class Peer:
    """Another machine: a network namespace, and a veth between it and ours.

    :ivar pid: a process in it.
    """

    def __init__(self) -> None:
        self._process: Optional[subprocess.Popen[bytes]] = None

    def __enter__(self) -> "Peer":
        self._process = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        own = os.stat("/proc/self/ns/net").st_ino
        while os.stat(f"/proc/{self.pid}/ns/net").st_ino == own:
            time.sleep(0.005)
        for command in (f"link add peer type veth peer name wire netns {self.pid}", "link set peer up",
                        f"addr add {_HERE_V4}/24 dev peer", f"-6 addr add {_HERE_V6}/64 dev peer nodad"):
            subprocess.run(["ip", *command.split()], check=True)
        for command in ("link set lo up", "link set wire up", f"addr add {_THERE_V4}/24 dev wire",
                        f"-6 addr add {_THERE_V6}/64 dev wire nodad", f"route add default via {_HERE_V4}",
                        f"-6 route add default via {_HERE_V6}"):
            self.run("ip", *command.split())
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        subprocess.run(["ip", "link", "del", "peer"], check=False, capture_output=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def enter(self) -> List[str]:
        """What to put before a command so that it runs there."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net"]

    def run(self, *command: str, text: Optional[str] = None) -> str:
        """Run a program there."""
        return subprocess.run([*self.enter, *command], input=text, check=True, capture_output=True, text=True).stdout

    def sysctl(self, *settings: str) -> None:
        """Such as ``net.ipv4.tcp_sack=0``."""
        sysctl(*settings, enter=self.enter)


def sysctl(*settings: str, enter: Sequence[str] = ()) -> None:
    """Set values of the kernel for a network namespace."""
    for setting in settings:
        name, _, value = setting.partition("=")
        subprocess.run([*enter, "sh", "-c", f"echo {value} > /proc/sys/{name.replace('.', '/')}"], check=True)


def curl(host: str, path: str = PATH, *options: str, peer: Optional[Peer] = None, port: int = 80) -> Answer:
    """A GET by curl(1), which is none of ours."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"
    done = subprocess.run([*(peer.enter if peer else []), "curl", "--silent", "--noproxy", "*", "--max-time", "15",
                           "--write-out", "\n%{http_code}", *options, url], capture_output=True, text=True)
    body, _, status = done.stdout.rpartition("\n")
    return Answer(int(status) if done.returncode == 0 else 0, body)


OURS = Answer(200, CONTENT)
NOT_OURS = Answer(404, THEIRS)


@contextlib.contextmanager
def answered(directory: Path, where: CatchPoint = FRONT, token: str = TOKEN, content: str = CONTENT) -> Iterator[Wires]:
    """An order with one token, published at one place. Afterwards nothing of it is left."""
    wires = Wires(Journal(str(directory / "journal")))
    responder = WireResponder(wires, where, token)
    try:
        responder.publish(content.encode())
        yield wires
        responder.withdraw()
    finally:
        wires.stop()
    assert os.listdir(directory / "journal") == []


def set_offloads(device: str, is_on: bool, *enter: str) -> None:
    """Have the kernel cut and put together segments of a device (TSO, GSO and GRO), or not."""
    subprocess.run([*enter, sys.executable, "-c", _SET_OFFLOADS, device, str(int(is_on))], check=True)


@contextlib.contextmanager
def rules(text: str, *enter: str) -> Iterator[None]:
    """Another program's ruleset; the whole ruleset is flushed afterwards."""
    subprocess.run([*enter, "nft", "-f", "-"], input=text, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run([*enter, "nft", "flush", "ruleset"], check=True)


def tables() -> List[str]:
    """The names of all tables that we have made and that are there."""
    listed = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout
    return [line.split()[2] for line in listed.splitlines() if "certbot_autowebroot_" in line]


def processes_of(run: int) -> List[int]:
    """The processes that answer on the wire for the run with this process number."""
    pids = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            if f"\0certbot_autowebroot_{run}_".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                pids.append(pid)
        except OSError:
            pass
    return pids


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for something that comes by itself."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def nft_of(process: int) -> int:
    """The nft that a process of ours runs."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(children[0])

