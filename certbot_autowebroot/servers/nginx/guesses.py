"""What a walk through nginx's phases assumes, and how it ends."""
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Set

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step


class EndOfRequest(Exception):
    """nginx answers here; not an error."""

    def __init__(self, destination: Destination) -> None:
        super().__init__(destination)
        self.destination = destination


class StatusError(Exception):
    """nginx answers with an error status, unless an ``error_page`` applies."""

    def __init__(self, status: int, reason: str, source: Optional[Source] = None) -> None:
        super().__init__(status)
        self.status = status
        self.step = Step(reason, source)


class ContradictionError(Exception):
    """The assumptions need the same file to exist and not to exist."""


class Guesses:
    """Assumed answers to questions that only the running server can answer.

    :param given: the answers to the first questions; later ones get the likely answer.
    :ivar answers: all answers, in the order of the questions.
    :ivar present: paths assumed to exist, among them those of our own file.
    :ivar absent: paths assumed not to exist.
    :ivar without_file: whether the challenge file is assumed to be absent where a rule tests for it.
    :ivar file_test: the line of the last test for the challenge file.
    :ivar contradiction: the dead end of the rules that contradict themselves.
    :ivar about_client: whether a question is about the client: the server may answer our probe and the CA differently.
    """

    def __init__(self, given: Sequence[bool]) -> None:
        self._given = given
        self._known: Dict[str, bool] = {}
        self.answers: List[bool] = []
        self.present: Set[str] = set()
        self.absent: Set[str] = set()
        self.without_file = False
        self.file_test: Optional[Source] = None
        self.contradiction: Optional[DeadEnd] = None
        self.about_client = False

    def answer(self, question: str, likely: bool) -> bool:
        """The answer to a question, the same each time."""
        if question not in self._known:
            number = len(self.answers)
            self._known[question] = self._given[number] if number < len(self._given) else likely
            self.answers.append(self._known[question])
        return self._known[question]

    def contradicts(self, path: str) -> bool:
        """Whether our file at this path contradicts an assumption."""
        return path in self.absent or not self.present <= {path}
