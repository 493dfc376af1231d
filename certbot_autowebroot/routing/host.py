"""Snapshot of this host, as :func:`certbot_autowebroot.routing.follow.follow` asks for it; cached for one attempt.

For a second attempt, make a new one.
"""
import functools
from typing import TYPE_CHECKING
from typing import Dict
from typing import Iterable
from typing import Optional
from typing import Sequence

from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Hop
from certbot_autowebroot.route import Program
from certbot_autowebroot.system import dns
from certbot_autowebroot.system.addresses import Addresses
from certbot_autowebroot.system.addresses import has_route
from certbot_autowebroot.system.dns import Resolution
from certbot_autowebroot.system.views import View

if TYPE_CHECKING:
    from certbot_autowebroot.routing.follow import Holder
    from certbot_autowebroot.routing.listening import ListeningPrograms


class Host:
    """The state of the kernel, the resolver and the web servers' configurations at this moment."""

    def __init__(self, resolver: str = "") -> None:
        """:param resolver: the only name server to ask (``--autowebroot-resolver``); empty for the host's own."""
        self._addresses = Addresses()
        self._resolver = resolver
        self._resolutions: Dict[str, Resolution] = {}

    @functools.cached_property
    def _programs(self) -> "ListeningPrograms":
        # Late for speed: most renewals prove the directory of last time, and ask for no program.
        from certbot_autowebroot.routing.listening import ListeningPrograms
        return ListeningPrograms(self._addresses)

    def resolution(self, name: str) -> Resolution:
        """The addresses that a CA sees for a name, and what this host alone knows of it."""
        if name not in self._resolutions:
            self.resolve([name])
        return self._resolutions[name]

    def addresses(self, host: str) -> Sequence[str]:
        """The addresses that a CA sees for a name; an address itself."""
        return self.resolution(host).addresses

    def reachable_addresses(self, name: str) -> Sequence[str]:
        """Of the addresses that a CA sees, those that this host has a route to."""
        return [address for address in self.addresses(name) if has_route(address)]

    def resolve(self, names: Iterable[str]) -> None:
        """Look up many names at once, so that :meth:`resolution` has them cached; each once."""
        self._resolutions.update(dns.resolve([name for name in names if name not in self._resolutions], self._resolver))

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

    def holders(self, endpoint: Endpoint) -> "Sequence[Holder]":
        """The programs that accept connections there."""
        return self._programs.holders(endpoint)

    def reach(self, member: Endpoint, origin: Endpoint) -> Sequence[Endpoint]:
        """The local endpoints to which a program at ``origin`` connects for an upstream member."""
        return self._programs.reach(member, origin)

    def missed(self, hop: Hop) -> Sequence[Directory]:
        """The places where the program at a hop did not find a file, if it logs them."""
        return self._programs.missed(hop)

    def logged_error(self, hop: Hop) -> str:
        """The latest line that the program at a hop has logged of its request; empty where it has logged none."""
        return self._programs.logged_error(hop)

    def detect_port_forward(self, endpoint: Endpoint) -> bool:
        """Whether the kernel forwards connections past the listener there; then :meth:`holders` follows the forward."""
        return self._programs.detect_port_forward(endpoint)
