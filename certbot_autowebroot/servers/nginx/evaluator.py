"""The destinations of a GET request in an nginx configuration. Pure: no file, no process.

Where the route depends on a value that only the running server knows, such as a User-Agent, the evaluator follows both
alternatives, and the probe decides between their destinations.
"""
from dataclasses import replace
from typing import Dict
from typing import FrozenSet
from typing import List
from typing import Optional
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
from certbot_autowebroot.servers.nginx.guesses import Guesses
from certbot_autowebroot.servers.nginx.index import Index
from certbot_autowebroot.servers.nginx.parser import Configuration
from certbot_autowebroot.servers.nginx.stream import StreamWalk
from certbot_autowebroot.servers.nginx.values import Stat
from certbot_autowebroot.servers.nginx.walk import Walk

#: Alternatives that the evaluator follows. Lists of bad robots ask for dozens of User-Agents.
MAX_WALKS = 64


class Evaluator:
    """The destinations of requests in one configuration.

    :ivar configuration: the parsed one.

    :param configuration: from :func:`~certbot_autowebroot.servers.nginx.parser.parse`.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self._problems = [Step(problem.text, problem.source) for problem in configuration.problems]
        self._index = Index(configuration)
        self._stream = Index(configuration, "stream")

    def start_over(self) -> None:
        """Reset the time limit of the regular expressions, for another order."""
        self._index.regex_seconds = self._stream.regex_seconds = 0.0

    def destinations(self, request: Request, stat: Optional[Stat] = None) -> Sequence[Destination]:
        """The destinations of the request, the likeliest alternative first, never empty.

        :param stat: answers ``if (-f PATH)``; without it both answers are alternatives.
        """
        ranks: Dict[Destination, Tuple[int, Destination]] = {}
        without_file: Set[Destination] = set()
        contradiction: Optional[DeadEnd] = None
        by_client: Set[FrozenSet[Destination]] = set()
        pending: List[Tuple[bool, ...]] = [()]
        walked = 0
        while pending and walked < MAX_WALKS:
            given = pending.pop(0)
            walked += 1
            guesses = Guesses(given)
            walk = self._walk(request, guesses, stat)
            contradiction = contradiction or guesses.contradiction
            for destination in walk:
                ranks.setdefault(replace(destination, trail=()), (_rank(destination, guesses), destination))
            if guesses.without_file:
                without_file.update(walk)
            if guesses.about_client:
                by_client.add(frozenset(replace(destination, trail=()) for destination in walk))
            answers = tuple(guesses.answers)
            # Each new question of this walk has another answer too.
            pending += [(*answers[:n], not answers[n]) for n in range(len(given), len(answers))[:MAX_WALKS]]
        ranked = sorted(ranks.values(), key=lambda pair: pair[0])
        alive = [destination for rank, destination in ranked if rank < _DEAD]
        dead = [destination for _, destination in ranked]
        # The challenge file will exist: what answers only where there is no file is not the reason.
        with_file = [destination for destination in dead if destination not in without_file]
        destinations = alive or with_file or dead
        if pending and ranked and ranked[0][0] >= _DEAD:
            return [Unknown("it depends on too many things that only the running server knows", destinations[0].trail)]
        if len(by_client) > 1:
            destinations = [replace(destination, depends_on_client=True)
                            if isinstance(destination, (Directory, Upstream)) else destination
                            for destination in destinations]
        if not destinations:
            destinations = [contradiction or Unknown("every alternative contradicts itself")]
        return list(map(self._with_problems, destinations))

    def _walk(self, request: Request, guesses: Guesses, stat: Optional[Stat]) -> Sequence[Destination]:
        group = self._stream.listeners.at(request.endpoint)
        if group is not None:
            return StreamWalk(self._stream, request, guesses).destinations(group)
        return Walk(self._index, request, guesses, stat).destinations()

    def _with_problems(self, destination: Destination) -> Destination:
        """A destination with the unusable parts of the configuration, one of which may decide."""
        if not self._problems:
            return destination
        trail = (*self._problems[:3], *destination.trail)
        if isinstance(destination, DeadEnd):
            return Unknown(f"{destination.reason}, as far as the configuration can be read", trail)
        return replace(destination, trail=trail)


_DEAD = 2


def _rank(destination: Destination, guesses: Guesses) -> int:
    """The order of alternatives; dead destinations count only where nothing else is left."""
    if isinstance(destination, Unknown):
        return _DEAD
    if isinstance(destination, DeadEnd):
        return _DEAD + 1
    # A redirect that needs our file comes after destinations that do not.
    return 1 if guesses.present and not isinstance(destination, Directory) else 0
