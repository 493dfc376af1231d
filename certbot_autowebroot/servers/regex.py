"""Regular expressions from a configuration: PCRE as far as Python has the same, and within a time limit.

A configuration may belong to somebody else, and ``(a+)+$`` keeps a backtracking matcher busy for years.
"""
import functools
import re
import signal
import threading
import time
import warnings
from types import FrameType
from typing import Callable
from typing import Match
from typing import NoReturn
from typing import Optional
from typing import Pattern

#: Seconds for one match; a pattern that means no harm takes microseconds.
TIME_LIMIT = 0.2

#: Characters that a URL or a host may grow to.
MAX_TEXT = 64 * 1024

#: Characters; nothing that a person writes is longer.
_MAX_PATTERN = 64 * 1024


class RegexError(Exception):
    """We cannot tell whether it matches: the text says why."""


class _Late(Exception):
    """The time is up."""


@functools.lru_cache(maxsize=65536)
def compiled(pattern: str, ignore_case: bool = False) -> "Pattern[str]":
    """The Python expression that means the same as a PCRE one.

    :raises RegexError: there is none.
    """
    if len(pattern) > _MAX_PATTERN:
        raise RegexError(f"the regular expression {pattern[:40]}… is too long")
    # pcre2syntax(3): (?<name>…) is Python's (?P<name>…), \z its \Z. POSIX classes it would silently take otherwise.
    if re.search(r"\[\[:|\\[QEKRXZ]|\(\?[|R&+]|\(\*", pattern):
        raise RegexError(f"the regular expression {pattern} says something that only PCRE understands")
    translated = re.sub(r"\(\?<(?![=!])", "(?P<", pattern)
    translated = re.sub(r"(\\.)", lambda m: {r"\z": r"\Z", r"\h": r"[ \t]"}.get(m[1], m[1]), translated, flags=re.S)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "Possible nested set": PCRE has none
            # Without UTF mode PCRE's \w and \d are ASCII.
            return re.compile(translated, re.ASCII | (re.IGNORECASE if ignore_case else 0))
    except (re.error, RecursionError, OverflowError, MemoryError) as error:
        raise RegexError(f"the regular expression {pattern[:80]} is not one that we understand: {error}") from error


def search(pattern: str, text: str, ignore_case: bool = False) -> "Optional[Match[str]]":
    """Search as PCRE would, anywhere in the text.

    :raises RegexError: it is not understood, or takes longer than :data:`TIME_LIMIT`.
    """
    expression = compiled(pattern, ignore_case)
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread gets signals, and only a signal stops a match.
        raise RegexError(f"the regular expression {pattern} can be tried in the main thread only")
    handler = signal.signal(signal.SIGALRM, _stop)
    started = time.monotonic()
    others = signal.setitimer(signal.ITIMER_REAL, TIME_LIMIT)
    try:
        try:
            return expression.search(text)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _Late:
        raise RegexError(f"the regular expression {pattern} takes too long on {text[:80]}") from None
    except (RecursionError, MemoryError) as error:
        raise RegexError(f"the regular expression {pattern[:80]} takes too much memory: {error}") from error
    finally:
        signal.signal(signal.SIGALRM, handler)
        if others[0]:
            signal.setitimer(signal.ITIMER_REAL, max(others[0] - (time.monotonic() - started), 0.001), others[1])


def substitute(pattern: str, expand: Callable[["Match[str]"], str], text: str, every: bool = True,
               ignore_case: bool = False) -> str:
    """Replace what matches, once or everywhere.

    :param expand: what takes the place of a match.
    :raises RegexError: as :func:`search`, and for a result of more than :data:`MAX_TEXT` characters.
    """
    done = ""
    while True:
        match = search(pattern, text, ignore_case)
        if match is None:
            return bounded(done + text)
        done = bounded(done + text[:match.start()] + expand(match))
        text = text[match.end():]
        if not every or match.end() == match.start():
            return bounded(done + text)


def groups_in(template: str, marker: str, match: "Match[str]") -> str:
    """A template with the groups of a match.

    :param marker: a regular expression that finds the number of a group in the template, as its own first group.
    """
    groups = [match[0], *match.groups("")]

    def value(found: "Match[str]") -> str:
        return groups[int(found[1])] if int(found[1]) < len(groups) else ""
    return re.sub(marker, value, template)


def bounded(text: str) -> str:
    """The text itself: doubling one forty times fills any memory.

    :raises RegexError: it is longer than :data:`MAX_TEXT`.
    """
    if len(text) > MAX_TEXT:
        raise RegexError(f"a text that begins with {text[:40]} has no end")
    return text


def _stop(number: int, frame: Optional[FrameType]) -> NoReturn:
    raise _Late
