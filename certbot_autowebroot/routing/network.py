"""The network as the CA sees it: each name at the addresses that DNS gives it, none of them this host's own."""
from typing import Sequence

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.follow import Holder
from certbot_autowebroot.routing.host import Host


class Network:
    """A :class:`~certbot_autowebroot.routing.follow.Machine` for a probe that goes where the CA goes."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def addresses(self, host: str) -> Sequence[str]:
        """The addresses of a name; the first is the one that the CA takes, and it has no second for a redirect."""
        return self._host.addresses(host)

    def local_addresses(self) -> Sequence[str]:
        """None: no address is special to the CA."""
        return ()

    def is_here(self, address: str) -> bool:
        """Every address is one that the CA connects to."""
        return True

    def holders(self, endpoint: Endpoint) -> Sequence[Holder]:
        """No program is visible from there."""
        return ()

    def reach(self, member: Endpoint, origin: Endpoint) -> Sequence[Endpoint]:
        """No upstream is visible from there."""
        return ()
