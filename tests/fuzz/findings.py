"""Run a target on one input, and record inputs that it fails on."""
import re
import traceback
from dataclasses import dataclass
from typing import Callable
from typing import Optional

from certbot_autowebroot.system import limits
from tests.fuzz.targets import Target

#: Seconds of CPU time for one input: all its matches of regular expressions, all routes, all hops. Far more than any
#: takes (0.2 s): this holds that the work has a bound, on a slow machine too.
TIME_LIMIT = 3.0
#: Tries to make an input smaller.
MAX_TRIES = 2000


@dataclass(frozen=True)
class Finding:
    """An input that a target does not stand.

    :ivar kind: what happens where, without the values: two inputs with the same kind have the same cause.
    """

    target: str
    kind: str
    data: bytes
    details: str

    def __str__(self) -> str:
        return f"{self.target}: {self.kind}\n{self.data!r}\n{self.details}"


def tried(target: Target, data: bytes, seconds: float = TIME_LIMIT) -> Optional[Finding]:
    """Run a target; None if it returns in time."""
    try:
        with limits.cpu_time(seconds):
            target.run(data)
    except Exception as error:
        return Finding(target.name, _kind(error), data, "".join(traceback.format_exception(
            type(error), error, error.__traceback__))[-4000:])
    return None


def _kind(error: Exception) -> str:
    """The exception and the innermost line of the package; after a time limit, only that."""
    if isinstance(error, limits.TimeLimitError):
        return "took too long"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if "certbot_autowebroot" in frame.filename or "fuzz" in frame.filename]
    where = frames[-1]
    return f"{type(error).__name__} in {re.sub('^.*/', '', where.filename)}:{where.lineno} {where.name}"


def minimised(finding: Finding, target: Target, max_tries: int = MAX_TRIES) -> Finding:
    """A smaller input with the same finding: pieces are left out while it stays, large ones first."""
    tries = 0

    def still(data: bytes) -> Optional[Finding]:
        nonlocal tries
        tries += 1
        result = tried(target, data)
        return result if result and result.kind == finding.kind else None

    size = max(1, len(finding.data) // 2)
    while tries < max_tries:
        position = 0
        smaller = False
        while position < len(finding.data) and tries < max_tries:
            result = still(finding.data[:position] + finding.data[position + size:])
            if result:
                finding, smaller = result, True
            else:
                position += size
        if not smaller and size == 1:
            break
        if not smaller:
            size = max(1, size // 2)
    return finding


def unwrapped(run: Callable[[bytes], None], name: str = "made up") -> Target:
    """A target outside of :data:`~tests.fuzz.targets.TARGETS`."""
    return Target(name, run)
