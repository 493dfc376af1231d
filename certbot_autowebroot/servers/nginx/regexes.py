"""The regular expressions of a configuration: PCRE in, Python's ``re`` out, and never for longer than a moment.

A configuration is untrusted input here (a container's, a customer's), and ``(a+)+$`` takes for ever in both engines.
Python's engine looks for signals while it matches, so a timer of our own CPU time ends what takes too long. Anything
that ``re`` would understand differently, or not at all, is an :class:`Unknowable` and not a guess.
"""
import functools
import re
import signal
import threading
import warnings
from typing import Any
from typing import List
from typing import Match
from typing import Optional
from typing import Pattern

#: Seconds of CPU time for one match. An honest one takes microseconds.
TIME_LIMIT = 0.1


class Unknowable(Exception):
    """Something that only the running server knows. The text says what."""


class _TookTooLong(Exception):
    """The timer went off."""


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


class Regex:
    """One regular expression of the configuration.

    :param text: as PCRE reads it.
    :param ignore_case: ``~*`` instead of ``~``.
    """

    def __init__(self, text: str, ignore_case: bool = False) -> None:
        self.text = text
        self._ignore_case = ignore_case
        self._too_slow = False

    def search(self, subject: str) -> Optional[Match[str]]:
        """Match it anywhere in the subject, as PCRE does.

        :raises Unknowable: it cannot be translated, or takes too long.
        """
        pattern = _compiled(self.text, self._ignore_case)
        if pattern is None:
            raise Unknowable(f"the regular expression {self.text}")
        if self._too_slow:
            raise Unknowable(f"the regular expression {self.text} takes too long")
        if threading.current_thread() is not threading.main_thread():
            raise Unknowable(f"the regular expression {self.text}: only the main thread can limit its time")
        previous = signal.signal(signal.SIGVTALRM, _raise)
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, TIME_LIMIT)
            try:
                return pattern.search(subject)
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except _TookTooLong:
            self._too_slow = True
            raise Unknowable(f"the regular expression {self.text} takes too long") from None
        finally:
            signal.signal(signal.SIGVTALRM, previous)


@functools.lru_cache(maxsize=20_000)
def _compiled(text: str, ignore_case: bool) -> Optional[Pattern[str]]:
    """Python's expression; None where Python cannot say what PCRE would."""
    flags = re.ASCII | (re.IGNORECASE if ignore_case else 0)
    if text.startswith("(?i)"):
        text = text[4:]
        flags |= re.IGNORECASE
    translated = _translate(text)
    if translated is None:
        return None
    try:
        with warnings.catch_warnings():
            # "Possible nested set": only a warning that Python may one day read it otherwise.
            warnings.simplefilter("ignore")
            return re.compile(translated, flags)
    except (re.error, OverflowError, RecursionError):
        return None


def _raise(number: int, frame: Any) -> None:
    raise _TookTooLong


def _translate(text: str) -> Optional[str]:
    """The same expression for Python; None where there is none that means the same in every detail."""
    pieces: List[str] = []
    position = 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None:
            return None
        position = piece.end()
        kind, found = piece.lastgroup, piece[0]
        if kind == "escape" and found == r"\z":
            found = r"\Z"
        elif kind == "set":
            known = all(name in _POSIX for name in _POSIX_CLASS.findall(found))
            if not known or "[:^" in found:
                return None
            found = found[0] + _POSIX_CLASS.sub(lambda match: _POSIX[match[1]], found[1:])
        elif kind == "group" and (piece["name"] or piece["quoted"]):
            found = f"(?P<{piece['name'] or piece['quoted']}>"
        elif kind == "brace":
            found = "\\" + found
        pieces.append(found)
    return "".join(pieces)
