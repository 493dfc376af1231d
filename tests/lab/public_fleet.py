"""Three machines that serve one name, for a CA that comes from outside; Certbot runs on the first.

Each of the others is a network behind the same router::

    outside                           router                      machines
    198.51.100.1   CA                                             203.0.113.10   renews
    198.51.100.90  balancer   <---->                   <---->     192.0.2.2      nginx
                                                                  192.0.2.6      apache, or caddy
"""
import contextlib
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from typing import Callable
from typing import Dict
from typing import Optional
from typing import Type

from tests.lab.caddy import Caddy
from tests.lab.edge import balancer
from tests.lab.fleet import FORWARDING
from tests.lab.fleet import apache
from tests.lab.fleet import nginx
from tests.lab.networks import Network
from tests.lab.nginx import Nginx
from tests.lab.outside import BALANCER
from tests.lab.outside import OWN_V4
from tests.lab.outside_orders import NAME
from tests.lab.outside_orders import Orders

#: The machines' addresses; of those after the first, the router has the address before.
ADDRESSES = (OWN_V4, "192.0.2.2", "192.0.2.6")
BEHIND_BALANCER, IN_DNS = "balancer", "DNS"
FRONTS = (BEHIND_BALANCER, IN_DNS)
#: The servers of the machines by the form of their lines: not every server can ask peers.
SERVERS = {"--to": ("nginx", "nginx", "apache"), "--peers": ("nginx", "nginx", "caddy")}
#: What a server answers that has no lines for challenges.
_WITHOUT: Dict[str, Callable[[Path], Any]] = {
    "nginx": lambda place: Nginx(place, f"server {{ listen 80; server_name {NAME}; return 404; }}"),
    "apache": lambda place: apache(place, ""),
    "caddy": lambda place: Caddy(place, f"http://{NAME} {{\nrespond 404\n}}\n", options="admin off")}


class PublicFleet:
    """The three machines; use it as a context manager.

    :param form: the lines that they have: ``--to`` the first, or ``--peers``.
    :param front: one of :data:`FRONTS`.
    :ivar options: those that Certbot gets.
    """

    def __init__(self, orders: Orders, form: str, front: str) -> None:
        self.orders = orders
        self.form = form
        self.front = front
        self.options = ("--autowebroot-nodes", ",".join(ADDRESSES)) if front == BEHIND_BALANCER else ()
        self._networks: Dict[int, Network] = {}
        self._running: Dict[int, contextlib.ExitStack] = {}
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "PublicFleet":
        outside = self.orders.outside
        enter = self._open.enter_context
        enter(outside.machine(OWN_V4))
        for number, address in enumerate(ADDRESSES[1:], 1):
            network = self._networks[number] = enter(Network())
            network.connect("eth0", outside.router, f"node{number}")
            self._open.callback(outside.router.ip, f"link del node{number}")
            outside.router.ip(f"addr add {_gateway(address)}/30 dev node{number}")
            self.come_back(number)
            self.start(number)
        enter(self._renewing())
        if self.front == BEHIND_BALANCER:
            outside.resolve(NAME, BALANCER)
            enter(outside.running(balancer(self.orders.place / "balancer", *ADDRESSES, options="check inter 100ms")))
        else:
            outside.resolve(NAME, *ADDRESSES)
            outside.dns.rotating.append(NAME)
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        for number in list(self._running):
            self.stop(number)
        self._open.close()

    def start(self, number: int, lines: str = "") -> None:
        """Start the web server of a machine, with these lines or else with those that the command prints."""
        self._run(number, FORWARDING[SERVERS[self.form][number]](self._place(number), lines or self._lines(number)))

    def start_without_lines(self, number: int) -> None:
        """Start it, so that it answers 404."""
        self._run(number, _WITHOUT[SERVERS[self.form][number]](self._place(number)))

    def _run(self, number: int, program: Any) -> None:
        running = self._running[number] = contextlib.ExitStack()
        running.enter_context(self.orders.outside.running(program, self._networks[number]))

    def stop(self, number: int) -> None:
        """Stop the web server of a machine."""
        self._running.pop(number).close()

    def go_down(self, number: int) -> None:
        """Take a machine off the network: nothing answers there, not even that it is not there."""
        self._networks[number].ip("addr flush dev eth0")
        time.sleep(0.5)  # until the balancer knows

    def come_back(self, number: int) -> None:
        """Put a machine on the network."""
        self._networks[number].ip(f"addr add {ADDRESSES[number]}/30 dev eth0",
                                  f"route add default via {_gateway(ADDRESSES[number])}")

    def _renewing(self) -> Any:
        if self.form == "--peers":
            return nginx(self._place(0), self._lines(0))
        return Nginx(self._place(0), f"server {{ listen 80; root {self._shared(0)}; }}")

    def _lines(self, number: int) -> str:
        """What the command prints for a machine."""
        arguments = ["--to", OWN_V4] if self.form == "--to" else ["--peers", ",".join(ADDRESSES), "--directory",
                                                                  str(self._shared(number))]
        return subprocess.run([sys.executable, "-m", "certbot_autowebroot.cli", "snippet", SERVERS[self.form][number],
                               *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout

    def _place(self, number: int) -> Path:
        place = self.orders.place / f"machine{number}"
        place.mkdir(exist_ok=True)
        return place

    def _shared(self, number: int) -> Path:
        directory = self._place(number) / "shared"
        directory.mkdir(exist_ok=True)
        return directory


def _gateway(address: str) -> str:
    network, _, host = address.rpartition(".")
    return f"{network}.{int(host) - 1}"
