"""Regular expressions from a configuration: the part of PCRE that Python shares, with a time limit.

Another user may write the configuration, and ``(a+)+$`` keeps a backtracking matcher busy for years.
"""
import functools
import re
import signal
import threading
import warnings
from types import FrameType
from typing import Callable
from typing import List
from typing import Match
from typing import NoReturn
from typing import Optional
from typing import Pattern

#: Seconds of CPU time for one match; an ordinary one takes microseconds. Python's engine checks for signals while it
#: matches, so a timer can stop it.
TIME_LIMIT = 0.1

#: Characters of a URL or a host after substitutions.
MAX_TEXT = 64 * 1024

#: Characters; no person writes a longer one.
_MAX_PATTERN = 64 * 1024


class RegexError(Exception):
    """It is unknown whether it matches; the text is the reason."""


class RegexTimeoutError(RegexError):
    """The match took longer than :data:`TIME_LIMIT`."""


class _TimerError(Exception):
    """The timer has stopped the match."""


_PIECE = re.compile(r"""
      (?P<escape> \\ (?: [1-9](?![0-9]) | x[0-9A-Fa-f]{2} | [dDwWsSbBAtrnfa] | z | [^A-Za-z0-9] ) )
    | (?P<set> \[ \^? \]? (?: \[: \^? [a-z]+ :\] | \\ (?: x[0-9A-Fa-f]{2} | [dDwWsSbtrnfa] | [^A-Za-z0-9] )
                              | [^\]\\] )* \] )
    | (?P<group> \( (?: (?! [?*] ) | \? (?: [:=!] | <[=!] ) | \? P?< (?P<name> [A-Za-z_][A-Za-z_0-9]* ) >
                       | \? ' (?P<quoted> [A-Za-z_][A-Za-z_0-9]* ) ' ) )
    | (?P<quantifier> (?: [*+?] | \{ [0-9]+ (?: , [0-9]* )? \} ) \?? (?! \+ ) )
    | (?P<brace> \{ (?! [0-9]+ (?: , [0-9]* )? \} ) | \} )
    | (?P<plain> [^\\\[({}*+?] )
    """, re.VERBOSE | re.DOTALL)

#: POSIX classes inside [ ], in ASCII, as PCRE has them without UCP.
_POSIX = {"alpha": "A-Za-z", "digit": "0-9", "alnum": "A-Za-z0-9", "upper": "A-Z", "lower": "a-z", "space": r"\s",
          "word": r"\w", "xdigit": "0-9A-Fa-f", "punct": r"!-/:-@\[-`{-~", "blank": r" \t"}
_POSIX_CLASS = re.compile(r"\[:([a-z]+):\]")


@functools.lru_cache(maxsize=65536)
def compiled(pattern: str, ignore_case: bool = False) -> "Pattern[str]":
    """The Python expression with the meaning of a PCRE one.

    :raises RegexError: there is none.
    """
    if len(pattern) > _MAX_PATTERN:
        raise RegexError(f"the regular expression {pattern[:40]}… is too long")
    flags = re.ASCII | (re.IGNORECASE if ignore_case else 0)  # without UTF mode PCRE's \w and \d are ASCII
    if pattern.startswith("(?i)"):
        pattern, flags = pattern[len("(?i)"):], flags | re.IGNORECASE
    translated = _translate(pattern)
    if translated is None:
        raise RegexError(f"the regular expression {pattern[:80]} says something that only PCRE understands")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "Possible nested set": Python may one day read it otherwise
            return re.compile(translated, flags)
    except (re.error, RecursionError, OverflowError, MemoryError) as error:
        raise RegexError(f"the regular expression {pattern[:80]} is not one that we understand: {error}") from error


def _translate(text: str) -> Optional[str]:
    """The Python expression with exactly the same meaning; None where there is none."""
    pieces: List[str] = []
    position = 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None:
            return None
        position = piece.end()
        kind, piece_text = piece.lastgroup, piece[0]
        if kind == "escape" and piece_text == r"\z":
            piece_text = r"\Z"
        elif kind == "set":
            known = all(name in _POSIX for name in _POSIX_CLASS.findall(piece_text))
            if not known or "[:^" in piece_text:
                return None
            piece_text = piece_text[0] + _POSIX_CLASS.sub(lambda match: _POSIX[match[1]], piece_text[1:])
        elif kind == "group" and (piece["name"] or piece["quoted"]):
            piece_text = f"(?P<{piece['name'] or piece['quoted']}>"
        elif kind == "brace":
            piece_text = "\\" + piece_text
        pieces.append(piece_text)
    return "".join(pieces)


def search(pattern: str, text: str, ignore_case: bool = False) -> "Optional[Match[str]]":
    """Search anywhere in the text, as PCRE does.

    :raises RegexError: Python does not have it, or it takes longer than :data:`TIME_LIMIT`.
    """
    expression = compiled(pattern, ignore_case)
    if threading.current_thread() is not threading.main_thread():
        # Only a signal stops a match, and only the main thread gets signals.
        raise RegexError(f"the regular expression {pattern} can be tried in the main thread only")
    handler = signal.signal(signal.SIGVTALRM, _stop)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, TIME_LIMIT)
        try:
            return expression.search(text)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except _TimerError:
        raise RegexTimeoutError(f"the regular expression {pattern[:80]} takes too long on {text[:80]}") from None
    except (RecursionError, MemoryError) as error:
        raise RegexError(f"the regular expression {pattern[:80]} takes too much memory: {error}") from error
    finally:
        signal.signal(signal.SIGVTALRM, handler)


def substitute(pattern: str, expand: Callable[["Match[str]"], str], text: str, every: bool = True,
               ignore_case: bool = False) -> str:
    """Replace the first match or every match.

    :param expand: returns the replacement of a match.
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

    :param marker: a regular expression for references in the template; its first group is the number.
    """
    groups = [match[0], *match.groups("")]

    def value(reference: "Match[str]") -> str:
        number = int(reference[1])
        return groups[number] if number < len(groups) else ""
    return re.sub(marker, value, template)


def bounded(text: str) -> str:
    """The text itself. A text that is doubled forty times fills any memory.

    :raises RegexError: it is longer than :data:`MAX_TEXT`.
    """
    if len(text) > MAX_TEXT:
        raise RegexError(f"a text that begins with {text[:40]} has no end")
    return text


def _stop(number: int, frame: Optional[FrameType]) -> NoReturn:
    raise _TimerError
