"""A host made of plain tables, for tests of the pure modules."""
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Dict
from typing import List
from typing import Sequence

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Request
from certbot_autowebroot.routing.front_endpoints import CAEndpoint
from certbot_autowebroot.routing.front_endpoints import FrontEndpoints
from certbot_autowebroot.routing.front_endpoints import Kind
from certbot_autowebroot.system.dns import Records
from certbot_autowebroot.system.dns import Resolution
from certbot_autowebroot.system.dns_messages import Outcome
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.views import View

FRONT = Endpoint("203.0.113.10", 80)
TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"


def request(host: str = "www.sample.com", endpoint: Endpoint = FRONT) -> Request:
    return Request(host, CHALLENGE_PATH + TOKEN, TOKEN, endpoint)


def resolution(name: str, *addresses: str, outcome: Outcome = Outcome.NO_DATA, **more: Any) -> Resolution:
    """The resolution of a name: these addresses, or without any this outcome."""
    v6 = tuple(address for address in addresses if ":" in address)
    v4 = tuple(address for address in addresses if ":" not in address)
    return Resolution(name, Records(v6, Outcome.ADDRESSES if v6 else outcome),
                      Records(v4, Outcome.ADDRESSES if v4 else outcome))._replace(**more)


def front(*endpoints: Endpoint, kind: Kind = Kind.LOCAL, name: str = "www.sample.com") -> FrontEndpoints:
    """Front endpoints of one kind."""
    return FrontEndpoints(name, tuple(CAEndpoint(endpoint, kind) for endpoint in endpoints))


@dataclass
class Holder:
    """A program with one answer to all requests."""

    answers: Sequence[Destination]
    program: Program = field(default_factory=lambda: Program("nginx", 42))
    asked: List[Request] = field(default_factory=list)

    def ask(self, request: Request) -> Sequence[Destination]:
        self.asked.append(request)
        return self.answers


@dataclass
class TableMachine:
    """The holders of endpoints, the addresses of names, and the local addresses."""

    held: Dict[Endpoint, List[Holder]] = field(default_factory=dict)
    names: Dict[str, List[str]] = field(default_factory=dict)
    local: List[str] = field(default_factory=lambda: ["127.0.0.1", FRONT.host])

    def holders(self, endpoint: Endpoint) -> Sequence[Holder]:
        return self.held.get(endpoint, [])

    def addresses(self, host: str) -> Sequence[str]:
        return self.names.get(host, [host] if host[0].isdigit() or ":" in host else [])

    def is_here(self, address: str) -> bool:
        return address in self.local

    def reach(self, member: Endpoint, origin: Endpoint) -> Sequence[Endpoint]:
        return [member] if member.is_unix else [Endpoint(a, member.port) for a in self.addresses(member.host)
                                                if self.is_here(a)]

    def local_addresses(self) -> List[str]:
        return self.local


def process_of(executable: str, *arguments: str) -> Process:
    """A process of a program, as data; it has our view of the file system."""
    found = Process(pid=4711, parent=1, start_time=7, name=executable, argv=(executable, *arguments),
                    exe=PathInView(f"/usr/bin/{executable}"), cwd=PathInView("/"), uid=0)
    found.__dict__["view"] = View.of_host()
    return found
