"""The line that a dead end names, held against the truth.

A dead end names its last step that has a line. That line is right if the real server answers the request for the
challenge differently without it: with another status, Location or body, or with the file. Both are asked while the
same files exist: those that our model names without the line.

Where the answer stays the same, a second line may refuse in the same way (``deny all`` in the location and in its
server). Then the line that our model names without the first goes as well, and so on. The first line is right if it
decides while the others are out: with it the server does not serve the file, without it the answer is another one.
(Halpern and Pearl call that an actual cause.)

Where a dead end says that it depends on what only the running server knows, the other answers have dead ends too:
the line of any of them is right.

A server block is named where nothing in it decides but its defaults. It stays, and gets the lines that would answer.
"""
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Counter
from typing import Dict
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Protocol
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Source

#: Lines that may refuse in the same way, one after the other.
MAX_LINES = 100


class RefusedError(Exception):
    """The real server refuses the configuration without a line.

    :ivar path: the file that it names.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Server(Protocol):
    """A running server whose files can be edited."""

    def evaluate(self, requests: Sequence[Request]) -> List[Sequence[Destination]]:
        """What our model says of requests, by the files as they are now."""

    def answer(self, request: Request, files: Sequence[str]) -> object:
        """What the running server answers while these challenge files exist."""

    def serves(self, answer: object) -> bool:
        """Whether an answer is a file, a redirect or a backend's, and no refusal."""

    def worlds(self, request: Request, destinations: Sequence[Destination]) -> List[Sequence[str]]:
        """The challenge files to ask with, for what our model says."""

    def reload(self) -> None:
        """Take over the edited files. Raises RefusedError; then the former configuration stays."""

    def without(self, lines: List[str], number: int) -> List[str]:
        """The lines of a file without one of them (its index), and without the block that it opens."""


class DeadName(NamedTuple):
    """A request, and the ends that it comes to: a dead end first."""

    request: Request
    ends: Sequence[Destination]

    @property
    def others(self) -> Sequence[Destination]:
        """The ends for other answers to a question that only the running server can answer."""
        guessed = any("taken as" in step.text or "unknown here" in step.text for step in self.ends[0].trail)
        return self.ends[1:] if guessed else ()


@dataclass
class _Case:
    """One dead end on its way: which lines go, and the answers with and without them, by the files that exist."""

    dead: DeadName
    lines: List[Source]
    keeps_first: bool = False
    ends: Sequence[Destination] = ()
    worlds: List[Sequence[str]] = field(default_factory=list)
    before: List[object] = field(default_factory=list)
    after: List[object] = field(default_factory=list)
    without_all: List[object] = field(default_factory=list)

    @property
    def out(self) -> List[Source]:
        return self.lines[1:] if self.keeps_first else self.lines


def named_line(end: Destination) -> Optional[Source]:
    """The line that a dead end names."""
    return next((step.source for step in reversed(end.trail) if step.source), None)


def wrong_lines(server: Server, dead_names: Sequence[DeadName], counts: "Counter[str]") -> List[str]:
    """One text for each dead end that names a wrong line, or none."""
    texts: List[str] = []
    waiting: List[_Case] = []
    for dead in dead_names:
        counts["named lines"] += 1
        line = named_line(dead.ends[0])
        if line:
            waiting.append(_Case(dead, [line]))
        else:
            texts.append(_text(dead, "it names no line"))
    while waiting:
        judged = [_judge(server, case, texts, counts) for case in _run(server, waiting, counts)]
        waiting = [case for case in judged if case]
    return texts


def _judge(server: Server, case: _Case, texts: List[str], counts: "Counter[str]") -> Optional[_Case]:
    """The case with which to go on; None where this one is decided."""
    if case.keeps_first:
        counts["one of several lines"] += 1
        decides = any(one != other and not server.serves(other) for one, other in zip(case.without_all, case.after))
        return None if decides else _wrong(
            case, f"the others alone decide: {_names(case.lines[1:])}; {case.before} with all, {case.after} with the "
                  f"first alone, {case.without_all} with none", texts)
    if case.before != case.after:
        case.keeps_first = True
        case.without_all = case.after
        return case if len(case.lines) > 1 else None
    following = named_line(case.ends[0]) if isinstance(case.ends[0], DeadEnd) else None
    if following is None or following in case.lines or len(case.lines) == MAX_LINES:
        return _wrong(case, f"without {_names(case.lines)} the server answers {case.after} all the same, "
                            f"and we say {case.ends[0]}", texts)
    case.lines.append(following)
    return case


def _wrong(case: _Case, what: str, texts: List[str]) -> Optional[_Case]:
    """A case of the next possible line; without one, this one is wrong for good."""
    for number, end in enumerate(case.dead.others, 1):
        line = named_line(end)
        if line and line != case.lines[0]:
            return _Case(DeadName(case.dead.request, case.dead.ends[number:]), [line])
    texts.append(_text(case.dead, what))
    return None


def _run(server: Server, cases: Sequence[_Case], counts: "Counter[str]") -> List[_Case]:
    """Ask the server with and without the lines; the cases whose configuration it accepts."""
    groups = _groups(cases)
    for group in groups:
        with _edited(server, group):
            for case, ends in zip(group, server.evaluate([case.dead.request for case in group])):
                case.ends = ends
                if not case.keeps_first:
                    case.worlds = server.worlds(case.dead.request, ends)
    for case in cases:
        case.before = _answers(server, case)
    accepted: List[_Case] = []
    for group in groups:
        with _edited(server, group):
            try:
                if _needs_reload(group):
                    server.reload()
            except RefusedError as error:
                counts["refused without the line"] += 1
                bad = [case for case in group if any(line.file == error.path for line in case.out)] or group
                again = [case for case in group if case not in bad]
                groups += [again] if again else []
                continue
            for case in group:
                case.after = _answers(server, case)
            accepted += group
    if any(map(_needs_reload, groups)):
        server.reload()
    return accepted


def _needs_reload(cases: Sequence[_Case]) -> bool:
    """Whether a file is edited that httpd does not read at each request."""
    return any(not line.file.endswith(".htaccess") for case in cases for line in case.out)


def _answers(server: Server, case: _Case) -> List[object]:
    return [server.answer(case.dead.request, files) for files in case.worlds]


def _groups(cases: Sequence[_Case]) -> List[List[_Case]]:
    """Cases that can be run together: each file is edited in one way, and a file for all sites alone."""
    groups: List[Tuple[Dict[str, List[Source]], List[_Case]]] = []
    for case in cases:
        edits: Dict[str, List[Source]] = {}
        for line in case.out:
            edits.setdefault(line.file, []).append(line)
        for former, group in groups:
            if former == edits or (all(former.get(file, lines) == lines for file, lines in edits.items())
                                   and all(map(_is_of_one_site, (*former, *edits)))):
                former.update(edits)
                group.append(case)
                break
        else:
            groups.append((edits, [case]))
    return [group for _, group in groups]


def _is_of_one_site(file: str) -> bool:
    return "/sites/" in file or file.endswith(".htaccess")


@contextmanager
def _edited(server: Server, cases: Sequence[_Case]) -> Iterator[None]:
    """The files without the lines of these cases."""
    files: Dict[str, str] = {}
    try:
        for line in {line for case in cases for line in case.out}:
            path = Path(line.file)
            files.setdefault(line.file, path.read_text())
            path.write_text("\n".join(server.without(path.read_text().split("\n"), line.line - 1)))
        yield
    finally:
        for file, text in files.items():
            Path(file).write_text(text)


def _names(lines: Sequence[Source]) -> str:
    return ", ".join(map(str, lines))


def _text(dead: DeadName, what: str) -> str:
    end = dead.ends[0]
    trail = " > ".join(map(str, end.trail))
    reason = getattr(end, "reason", end)
    return f"{dead.request.url} at {dead.request.endpoint}:\n  we say {reason}\n  by {trail}\n  {what}"
