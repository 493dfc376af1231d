"""Snapshot of this host, as :func:`certbot_autowebroot.routing.follow.follow` asks for it; cached for one attempt.

For a second attempt, make a new one.
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
    from certbot_autowebroot.routing.listening import ListeningPrograms


class Host:
    """The state of the kernel, the resolver and the web servers' configurations at this moment."""

    def __init__(self) -> None:
        self._addresses = Addresses()

    @functools.cached_property
    def _programs(self) -> "ListeningPrograms":
        # Late for speed: most renewals prove the directory of last time, and ask for no program.
        from certbot_autowebroot.routing.listening import ListeningPrograms
        return ListeningPrograms(self._addresses)

    def addresses(self, host: str) -> Sequence[str]:
        """The addresses of a name by the system's resolver; an address itself."""
        return self._addresses.of(host)

    def resolve(self, hosts: Iterable[str]) -> None:
        """Look up the addresses of many names at once, so that :meth:`addresses` has them cached."""
        list(threads.each(self.addresses, list(hosts)))

    def local_addresses(self) -> Sequence[str]:
        """All addresses of this host."""
        return self._addresses.local()

    def is_here(self, address: str) -> bool:
        """Whether this host has the address."""
        return self._addresses.is_here(address)

    def view_of(self, program: Optional[Program]) -> View:
        """The file system as a program sees it; the host's own for None and for a program that is not visible.

        :raises OSError: the process has ended, or its root directory is not visible to this user.
        """
        return self._programs.view_of(program) if program else View.of_host()

    def holders(self, endpoint: Endpoint) -> Sequence[Holder]:
        """The programs that accept connections there."""
        return self._programs.holders(endpoint)

    def reach(self, member: Endpoint, origin: Endpoint) -> Sequence[Endpoint]:
        """The local endpoints to which a program at ``origin`` connects for an upstream member."""
        return self._programs.reach(member, origin)

    def missed(self, hop: Hop) -> Sequence[Directory]:
        """The places where the program at a hop did not find a file, if it logs them."""
        return self._programs.missed(hop)

    def detect_port_forward(self, endpoint: Endpoint) -> bool:
        """Whether the kernel forwards connections past the listener there; then :meth:`holders` follows the forward."""
        return self._programs.detect_port_forward(endpoint)
