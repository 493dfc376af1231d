"""Where an nginx configuration sends a GET request: pure, a parsed configuration and a request in, destinations out.

Where the way depends on something that only the running server knows, such as a User-Agent, both ways are walked, and
a probe decides between their ends.
"""
from typing import Dict
from typing import FrozenSet
from typing import List
from typing import Sequence
from typing import Set
from typing import Tuple

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.nginx.index import Index
from certbot_autowebroot.servers.nginx.parser import Configuration
from certbot_autowebroot.servers.nginx.state import Guesses
from certbot_autowebroot.servers.nginx.stream import StreamWalk
from certbot_autowebroot.servers.nginx.walk import Walk

#: How many ways are walked where several things cannot be known. Lists of bad robots ask for dozens of them.
MAX_WALKS = 64


class Evaluator:
    """Answers questions about one configuration.

    :param configuration: as :func:`~certbot_autowebroot.servers.nginx.parser.parse` gives it.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._problems = [Step(problem.text, problem.source) for problem in configuration.problems]
        self._index = Index(configuration)
        self._stream = Index(configuration, "stream")

    def start_over(self) -> None:
        """Another order: what regular expressions have taken for the one before does not count."""
        self._index.regex_seconds = self._stream.regex_seconds = 0.0

    def destinations(self, request: Request) -> Sequence[Destination]:
        """Where the request goes; alternatives, the likeliest first, never empty."""
        found: Dict[Destination, Tuple[int, Destination]] = {}
        by_client: Set[FrozenSet[Destination]] = set()
        pending: List[Tuple[bool, ...]] = [()]
        walked = 0
        while pending and walked < MAX_WALKS:
            given = pending.pop(0)
            walked += 1
            guesses = Guesses(given)
            walk = self._walk(request, guesses)
            for end in walk:
                found.setdefault(end._replace(trail=()), (_rank(end, guesses), end))
            if guesses.of_client:
                by_client.add(frozenset(end._replace(trail=()) for end in walk))
            answers = tuple(guesses.answers)
            # Each question that this walk was the first to ask has another answer too.
            pending += [(*answers[:n], not answers[n]) for n in range(len(given), len(answers))[:MAX_WALKS]]
        ranked = sorted(found.values(), key=lambda pair: pair[0])
        ends = [end for rank, end in ranked if rank < _DEAD] or [end for _, end in ranked]
        if pending and ranked and ranked[0][0] >= _DEAD:
            return [Unknown("it depends on too many things that only the running server knows", ends[0].trail)]
        if len(by_client) > 1:
            ends = [end._replace(depends_on_client=True) if isinstance(end, (Directory, Upstream)) else end
                    for end in ends]
        return [self._with_problems(end) for end in ends] or [Unknown("every way contradicts itself")]

    def _walk(self, request: Request, guesses: Guesses) -> Sequence[Destination]:
        group = self._stream.listeners.at(request.endpoint)
        if group is not None:
            return StreamWalk(self._stream, request, guesses).ends(group)
        return Walk(self._index, request, guesses).ends()

    def _with_problems(self, end: Destination) -> Destination:
        """Where a part of the configuration could not be used, that may be the very part that decides."""
        if not self._problems:
            return end
        trail = (*self._problems[:3], *end.trail)
        if isinstance(end, DeadEnd):
            return Unknown(f"{end.reason}, as far as the configuration can be read", trail)
        return end._replace(trail=trail)


_DEAD = 2


def _rank(end: Destination, guesses: Guesses) -> int:
    """The order of alternatives; what cannot serve counts only where nothing can."""
    if isinstance(end, Unknown):
        return _DEAD
    if isinstance(end, DeadEnd):
        return _DEAD + 1
    # A redirect that needs our file to be here already is as good as any other only once it is.
    return 1 if guesses.present and not isinstance(end, Directory) else 0
