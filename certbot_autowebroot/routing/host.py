"""Snapshot of this host, as :func:`certbot_autowebroot.routing.follow.follow` asks for it; cached for one attempt.

Make a new one to look again.
"""
import functools
from typing import TYPE_CHECKING
from typing import Iterable
from typing import Optional
from typing import Sequence

from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import Program
from certbot_autowebroot.routing.follow import Holder
from certbot_autowebroot.system import threads
from certbot_autowebroot.system.addresses import Addresses
from certbot_autowebroot.system.views import View

if TYPE_CHECKING:
    from certbot_autowebroot.routing.listening import Endpoints


class Host:
    """What the kernel, the resolver and the web servers' configurations say now."""

    def __init__(self) -> None:
        self._addresses = Addresses()

    @functools.cached_property
    def _endpoints(self) -> "Endpoints":
        # Most renewals need none of it: the directory of last time is proven before anybody asks who listens.
        from certbot_autowebroot.routing.listening import Endpoints
        return Endpoints(self._addresses)

    def addresses(self, host: str) -> Sequence[str]:
        """What the system's resolver says; the address itself for an address."""
        return self._addresses.of(host)

    def resolve(self, hosts: Iterable[str]) -> None:
        """Look up the addresses of many names at once, for whoever asks for them one by one."""
        list(threads.each(self.addresses, list(hosts)))

    def local_addresses(self) -> Sequence[str]:
        """All addresses of this machine."""
        return self._addresses.local()

    def is_here(self, address: str) -> bool:
        """Whether this machine has the address."""
        return self._addresses.is_here(address)

    def view_of(self, program: Optional[Program]) -> View:
        """The file system as a program sees it; our own for none, and for one that is not visible.

        :raises OSError: the process has ended, or its root is not ours to see.
        """
        return self._endpoints.view_of(program) if program else View.of_host()

    def holders(self, endpoint: Endpoint) -> Sequence[Holder]:
        """Everyone who would accept a connection there."""
        return self._endpoints.holders(endpoint)

    def reach(self, member: Endpoint, origin: Endpoint) -> Sequence[Endpoint]:
        """The endpoints of this machine that a program at ``origin`` reaches by a member's host."""
        return self._endpoints.reach(member, origin)

    def missed(self, hop: Hop) -> Sequence[Directory]:
        """Where the program at a hop looked for a file in vain, as far as it writes that down."""
        return self._endpoints.missed(hop)

    def detect_port_forward(self, endpoint: Endpoint) -> bool:
        """Whether the kernel takes connections away from whoever listens there; then they are followed."""
        return self._endpoints.detect_port_forward(endpoint)
