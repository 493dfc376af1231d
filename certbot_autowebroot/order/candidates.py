"""Where the file of an identifier may lie: where its requests end, and what a server's log or the kernel adds."""
import logging
import os
import secrets
import socket
from types import MappingProxyType
from typing import Dict
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Set

from certbot_autowebroot.order import proof
from certbot_autowebroot.order.hints import Hint
from certbot_autowebroot.order.inquiry import Candidates
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.inquiry import place_of
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Route
from certbot_autowebroot.routing.front_endpoints import front_endpoints
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.system import limits

logger = logging.getLogger(__name__)

#: Seconds in which programs have to show that they serve guessed directories. A user's program may listen on a thousand
#: ports, and answer on each just before its request times out.
MAX_GUESSING = 30.0


class OrderOptions(NamedTuple):
    """The user's options for one order.

    :ivar port: the port that the CA's port 80 leads to (``--http-01-port``).
    :ivar address: the only local address that counts (``--http-01-address``); empty for all.
    :ivar hints: directories that are tried first, by identifier.
    :ivar refuse_unproven: an unproven identifier is an error.
    :ivar resolver: the only name server to ask (``--autowebroot-resolver``); empty for the host's own.
    :ivar nodes: the machines that must each return the test file (``--autowebroot-nodes``).
    """

    port: int
    address: str = ""
    hints: Mapping[str, Sequence[Hint]] = MappingProxyType({})
    refuse_unproven: bool = False
    resolver: str = ""
    nodes: Sequence[str] = ()


class CandidateFinder:
    """Finds the candidates of an order's identifiers, in one attempt."""

    def __init__(self, host: Host, options: OrderOptions) -> None:
        self._host = host
        self._options = options
        self._silent: Set[Endpoint] = set()
        self._guessing = limits.Waiting(MAX_GUESSING)

    def from_hints(self, identifier: str) -> Candidates:
        """The directories that the hints name; no request is followed."""
        front = front_endpoints(self._host.resolution(identifier), self._host, self._options.port,
                                self._options.address, self._options.nodes)
        hints = self._options.hints.get(identifier, ())
        return Candidates(identifier, front, secrets.token_urlsafe(32)).with_places(hint.place() for hint in hints)

    def with_routes(self, identifier: str) -> Candidates:
        """The hints, and where the requests may end; no place is taken from the routes."""
        candidates = self.from_hints(identifier)
        return candidates._replace(routes=routes(candidates, self._host))

    def from_routes(self, identifier: str) -> Candidates:
        """The hints, and the places where the requests may end."""
        candidates = self.with_routes(identifier)
        for endpoint, of_endpoint in candidates.routes.items():
            for route in of_endpoint:
                logger.debug("%s at %s: %s", identifier, endpoint, route)
                place = candidates.place_of(route)
                if place and not self._is_unverified_guess(route) and not self._is_hint(place, candidates):
                    candidates = candidates.with_places([place])
        return candidates

    def from_error_log(self, failed: Candidates) -> Optional[Candidates]:
        """The places that are missing from the candidates, and where a server's error log says that it looked.

        A server's log has another place where its configuration was edited and not reloaded. The next test file has a
        name of its own: caches remember that the last one was missing.
        """
        last_hops = {route.hops[-1] for of_endpoint in failed.routes.values() for route in of_endpoint if route.hops}
        logged = [place_of(directory, hop.program, failed.token)
                  for hop in last_hops for directory in self._host.missed(hop)]
        known = {place.key for place in failed.places}
        new = [place for place in logged if place and place.key not in known and not self._is_hint(place, failed)]
        if not new:
            return None
        again = Candidates(failed.identifier, failed.front, secrets.token_urlsafe(32))
        return again._replace(routes=routes(again, self._host)).with_places([*new, *failed.places])

    def from_port_forward(self, failed: Candidates) -> Optional[Candidates]:
        """The candidates anew, where the kernel diverts connections from the programs at the front endpoints."""
        held = [endpoint for endpoint, of_endpoint in failed.routes.items() if of_endpoint[0].hops]
        # Each endpoint is checked, for each forward has to be followed.
        diverted = [endpoint for endpoint in held if self._host.detect_port_forward(endpoint)]
        return self.from_routes(failed.identifier) if diverted else None

    def _is_hint(self, place: Place, candidates: Candidates) -> bool:
        """Whether a hint is the same file: of two contents, only one can lie there."""
        hinted = {str(known.end) for known in candidates.places if known.program is None}
        if not isinstance(place.end, Directory) or str(place.end) not in hinted:
            return False
        try:
            theirs = self._host.view_of(place.program).stat(place.end.root)
            return theirs is not None and os.path.samestat(theirs, os.stat(place.end.root))
        except OSError:
            return False

    def _is_unverified_guess(self, route: Route) -> bool:
        """Whether a route ends in a directory that no configuration names, and that its program does not serve."""
        if not isinstance(route.end, Directory) or not route.end.guessed:
            return False
        endpoint = route.hops[-1].request.endpoint
        if endpoint in self._silent or self._guessing.left < 0:
            return True
        from certbot_autowebroot.order import guessed_roots  # late for speed: most programs have a configuration
        try:
            with self._guessing:
                return not guessed_roots.is_served(route.end, route.hops[-1], self._host.view_of(route.program),
                                                   proof.MAX_REQUESTS if route.branch else 1, self._guessing.left)
        except socket.timeout:
            # Each further file, of each directory and name, would take as long: minutes for a few names.
            self._silent.add(endpoint)
            return True
        except OSError:  # the program has ended
            return True


def routes(candidates: Candidates, host: Host) -> Dict[Endpoint, List[Route]]:
    """Follow the requests of an identifier from each front endpoint."""
    from certbot_autowebroot.routing.follow import follow  # late for speed: a remembered directory needs no route
    return {endpoint: follow(candidates.request(endpoint), host) for endpoint in candidates.front.endpoints}
