"""Where the file of a name may lie: where its requests lead, and where a server or the kernel shows it afterwards."""
import logging
import os
import socket
import time
from typing import Callable
from typing import Dict
from typing import List
from typing import Optional
from typing import Set

from certbot_autowebroot.order import evidence
from certbot_autowebroot.order import proof
from certbot_autowebroot.order.inquiry import Inquiry
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.inquiry import place_of
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Route
from certbot_autowebroot.routing.follow import follow
from certbot_autowebroot.routing.host import Host

logger = logging.getLogger(__name__)

#: Seconds in which programs have to show that they serve the directories which are only guessed. A user's may listen on
#: a thousand ports, and answer on each a moment before it would be given up.
MAX_GUESSING = 30.0


class Search:
    """The search for the places of an order's names, in one attempt.

    :param begin: makes the inquiry about a name: its front doors, and what is hinted at.
    """

    def __init__(self, machine: Host, begin: Callable[[str], Inquiry]) -> None:
        self._machine = machine
        self._begin = begin
        self._silent: Set[Endpoint] = set()
        self._guessing = 0.0

    def follow(self, name: str) -> Inquiry:
        """Inquire about a name from the beginning: follow its requests, and collect the places where they end."""
        inquiry = self._begin(name)
        inquiry.routes = routes(inquiry, self._machine)
        for door, found in inquiry.routes.items():
            for route in found:
                logger.debug("%s at %s: %s", inquiry.name, door, route)
                place = place_of(route)
                if place and not self._is_bare_guess(route) and not self._is_hinted_at(place, inquiry):
                    inquiry.add_place(place)
        return inquiry

    def told_by_a_log(self, failed: Inquiry) -> Optional[Inquiry]:
        """Inquire again where a server wrote down that it looked for the test file in a place that we did not think of.

        It does where the configuration was edited and not reloaded. The next test file has a name of its own: caches
        remember the miss.
        """
        last_hops = {route.hops[-1] for found in failed.routes.values() for route in found if route.hops}
        looked = [Place(directory, hop.program) for hop in last_hops for directory in self._machine.missed(hop)]
        places = [place for place in looked if place.key not in {known.key for known in failed.places}
                  and not self._is_hinted_at(place, failed)]
        if not places:
            return None
        inquiry = Inquiry(failed.name, failed.doors)
        inquiry.routes = routes(inquiry, self._machine)
        inquiry.places = [place.for_token(failed.token, inquiry.token) for place in (*places, *failed.places)]
        return inquiry

    def forwarded(self, failed: Inquiry) -> Optional[Inquiry]:
        """Inquire again where the kernel takes connections away from those who listen at the doors."""
        held = [door for door, found in failed.routes.items() if found[0].hops]
        # Each door is asked, for each that is forwarded has to be followed.
        return self.follow(failed.name) if [door for door in held if self._machine.detect_port_forward(door)] else None

    def _is_hinted_at(self, place: Place, inquiry: Inquiry) -> bool:
        """Whether a hint is the same file: of two contents, only one can lie there."""
        if not isinstance(place.end, Directory) or str(place.end) not in {
                str(known.end) for known in inquiry.places if known.program is None}:
            return False
        try:
            theirs = self._machine.view_of(place.program).stat(place.end.root)
            return theirs is not None and os.path.samestat(theirs, os.stat(place.end.root))
        except OSError:
            return False

    def _is_bare_guess(self, route: Route) -> bool:
        """A directory that no configuration names, and that its program was not seen to serve."""
        if not isinstance(route.end, Directory) or not route.end.guessed:
            return False
        endpoint = route.hops[-1].request.endpoint
        if endpoint in self._silent or self._guessing > MAX_GUESSING:
            return True
        started = time.monotonic()
        try:
            return not evidence.is_served(route.end, route.hops[-1], self._machine.view_of(route.program),
                                          proof.MAX_ASKED if route.branch else 1, MAX_GUESSING - self._guessing)
        except socket.timeout:
            # Each further file, of each directory and name, would be waited for as long: minutes for a few names.
            self._silent.add(endpoint)
            return True
        except OSError:  # the program has ended
            return True
        finally:
            self._guessing += time.monotonic() - started


def routes(inquiry: Inquiry, machine: Host) -> Dict[Endpoint, List[Route]]:
    """Where the requests of a name go, by door."""
    return {door: follow(inquiry.request(door, inquiry.token), machine) for door in inquiry.doors.endpoints}
