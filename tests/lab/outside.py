"""The world outside of a machine: a CA whose validations come from there, and what stands between it and the machine.

::

    outside                                              router                              machine
    198.51.100.1   CA and its name server                198.51.100.77 (NAT) -> 10.0.0.2     10.0.0.2 or 203.0.113.10
    198.51.100.53  the machine's name server   <------>  10.0.0.1, 203.0.113.1      <----->  2001:db8:a::10
    198.51.100.80  a CDN's edge                          2001:db8:a::1
    198.51.100.90  a balancer
    198.51.100.91  another machine

Each of the three is a network namespace; the CA, the edge and the balancer are programs that the machine cannot see.
All addresses are RFC 5737's and RFC 3849's, or private, and nothing leaves the lab.
"""
import contextlib
import http.server
import socket
import socketserver
import threading
from pathlib import Path
from types import TracebackType
from typing import Any
from typing import Iterator
from typing import Optional
from typing import Sequence
from typing import Type

from tests.lab.dns import DnsServer
from tests.lab.networks import Network
from tests.lab.networks import hidden
from tests.lab.networks import replaced
from tests.lab.pebble import Pebble

CA_V4 = "198.51.100.1"
NAME_SERVER = "198.51.100.53"
EDGE_V4, EDGE_V6 = "198.51.100.80", "2001:db8:f::80"
BALANCER = "198.51.100.90"
OTHER_V4, OTHER_V6 = "198.51.100.91", "2001:db8:f::91"
#: The router's public address, which it translates; and the machine's behind it.
NAT = "198.51.100.77"
PRIVATE = "10.0.0.2"
#: The machine's own public addresses.
OWN_V4, OWN_V6 = "203.0.113.10", "2001:db8:a::10"
#: Addresses at which nothing answers, not even that they are not there.
SILENT_V4, SILENT_V6 = "198.51.100.99", "2001:db8:f::99"

_NAT_RULES = """
table ip nat {{
    chain prerouting {{
        type nat hook prerouting priority dstnat
        {only_from_outside} ip daddr {nat} tcp dport {{ 80, 443 }} dnat to {private}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat
        oifname "wan" ip saddr 10.0.0.0/24 masquerade
        oifname "lan" ip saddr 10.0.0.0/24 masquerade
    }}
}}
table inet filter {{
    chain input {{
        type filter hook input priority filter
        {silence}
    }}
}}
"""


class Outside:
    """The CA, its name server and the router, for the tests of a module; use it as a context manager.

    :ivar dns: what the CA sees.
    :ivar inner_dns: what the machine sees; where nothing else is said, the same.
    """

    def __init__(self, directory: Path) -> None:
        self.network = Network()
        self.router = Network()
        self.dns = DnsServer(CA_V4)
        self.inner_dns = DnsServer(NAME_SERVER)
        self.ca = Pebble(directory, CA_V4)
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Outside":
        enter = self._open.enter_context
        enter(self.network)
        enter(self.router)
        self.network.connect("wan", self.router, "wan")
        self.network.ip(*(f"addr add {address}/24 dev wan" for address in (CA_V4, NAME_SERVER, EDGE_V4, BALANCER,
                                                                         OTHER_V4)),
                        *(f"addr add {address}/64 dev wan nodad" for address in ("2001:db8:f::1", EDGE_V6,
                                                                                  OTHER_V6)),
                        "route add default via 198.51.100.254", "route add ::/0 via 2001:db8:f::fe")
        self.router.ip("addr add 198.51.100.254/24 dev wan", f"addr add {NAT}/32 dev wan",
                       "addr add 2001:db8:f::fe/64 dev wan nodad", f"route add blackhole {SILENT_V4}",
                       f"route add blackhole {SILENT_V6}")
        # Where nobody answers a connection, nobody says so: the kernel would, for what has no neighbour.
        self.network.ip(*(f"neigh add {address} lladdr 02:00:00:00:00:99 dev wan"
                          for address in (SILENT_V4, SILENT_V6)))
        with self.router.entered():
            for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                Path("/proc/sys/net", setting).write_text("1")
        with self.network.entered():
            enter(self.dns)
            enter(self.inner_dns)
            enter(self.ca)
        enter(hidden(self.ca.pid))
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        self._open.close()

    def resolve(self, name: str, *addresses: str) -> None:
        """Set what a name resolves to, inside and outside; without an address, it exists and has none."""
        self.dns.resolve(name, *addresses)
        self.inner_dns.resolve(name, *addresses)

    @contextlib.contextmanager
    def machine(self, *addresses: str, hairpin: str = "works") -> Iterator[None]:
        """Be a machine with these addresses, until the end; names resolve as the inner name server says.

        :param addresses: of :data:`OWN_V4`, :data:`OWN_V6` and :data:`PRIVATE`.
        :param hairpin: what the machine gets that connects to :data:`NAT`: ``works``, ``refused``, ``silent``.
        """
        with contextlib.ExitStack() as stack:
            network = stack.enter_context(Network())
            network.connect("eth0", self.router, "lan")
            stack.callback(self.router.ip, "link del lan")  # the kernel would do it too, some time later
            self.router.ip("addr add 10.0.0.1/24 dev lan", "addr add 203.0.113.1/24 dev lan",
                           "addr add 2001:db8:a::1/64 dev lan nodad")
            for address in addresses:
                if ":" in address:
                    network.ip(f"addr add {address}/64 dev eth0 nodad", "route add ::/0 via 2001:db8:a::1")
                else:
                    gateway = address.rpartition(".")[0] + ".1"
                    network.ip(f"addr add {address}/24 dev eth0", f"route append default via {gateway}")
            self.router.nft(_NAT_RULES.format(
                nat=NAT, private=PRIVATE, only_from_outside="" if hairpin == "works" else 'iifname "wan"',
                silence=f'iifname "lan" ip daddr {NAT} drop' if hairpin == "silent" else ""))
            stack.enter_context(replaced("/etc/resolv.conf", f"nameserver {NAME_SERVER}\n"
                                                             "options timeout:1 attempts:1\n"))
            stack.enter_context(network.entered())
            try:
                yield
            finally:
                self.dns.forget()
                self.inner_dns.forget()

    @contextlib.contextmanager
    def running(self, program: Any, network: Optional[Network] = None) -> Iterator[Any]:
        """Run one of the lab's programs outside, or in another network, so that the machine does not see it."""
        with (network or self.network).entered():
            program.start()
        try:
            with hidden(program.pid):
                yield program
        finally:
            program.stop()

    @contextlib.contextmanager
    def other_machine(self, status: int = 404, body: str = "another machine's", server: str = "Other/1.0",
                      addresses: Sequence[str] = (OTHER_V4,)) -> Iterator[None]:
        """A machine that answers every request on port 80 with this."""
        with contextlib.ExitStack() as stack:
            with self.network.entered():
                servers = [stack.enter_context(_Other(address, status, body, server)) for address in addresses]
            for running in servers:
                threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
                stack.callback(running.shutdown)
            yield


class _Other(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: str, status: int, body: str, server: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.answer = status, body.encode(), server
        super().__init__((address, 80), _OtherHandler)


class _OtherHandler(http.server.BaseHTTPRequestHandler):
    server: _Other

    def do_GET(self) -> None:
        status, body, server = self.server.answer
        self.server_version, self.sys_version = server, ""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""
