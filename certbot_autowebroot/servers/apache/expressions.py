"""httpd's expressions, of ``<If>``, ``RewriteCond expr`` and ``Require expr``.

Source: "Expressions in Apache HTTP Server". What is not understood here is unknowable, never false.
"""
import re
from typing import Callable
from typing import Dict
from typing import List
from typing import Match
from typing import Optional

from certbot_autowebroot.servers.apache.directives import MAX_DEPTH
from certbot_autowebroot.servers.apache.directives import UnknowableError
from certbot_autowebroot.servers.common import regex

_TOKEN = re.compile(r"""\s*(?:
    (?P<string> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' )
  | (?P<regex> /(?:[^/\\]|\\.)*/[imsx]* | m(?P<mark>[#/|!%,;])(?:(?!(?P=mark)).)*(?P=mark)[imsx]* )
  | (?P<variable> %\{[^{}]*\} | \$\d )
  | (?P<operator> && | \|\| | == | != | <= | >= | =~ | !~ | = | < | > | ! | \( | \) | \{ | \} | , | \.
              | -[a-zA-Z]+ )
  | (?P<word> [A-Za-z_]\w* | \d+ )
  )""", re.VERBOSE | re.DOTALL)

#: The value of a variable, by name; and whether a path exists as a kind of file.
Variable = Callable[[str], str]
Exists = Callable[[str, str], bool]

_STRING_TESTS: Dict[str, Callable[[int], bool]] = {
    "==": lambda c: c == 0, "=": lambda c: c == 0, "!=": lambda c: c != 0, "<": lambda c: c < 0,
    "<=": lambda c: c <= 0, ">": lambda c: c > 0, ">=": lambda c: c >= 0}
_NUMBER_TESTS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def holds(text: str, variable: Variable, exists: Exists) -> bool:
    """Whether an expression is true.

    :raises UnknowableError: it is not understood, or asks for something that only the running server has.
    """
    parser = _Parser(text, variable, exists)
    value = parser.alternatives(0)
    if parser.peek():
        raise UnknowableError(f"the expression {text} is not understood")
    if value is None:
        raise parser.reason or UnknowableError(f"the expression {text}")
    return value


def interpolate(text: str, variable: Variable) -> str:
    """A string with ``%{…}`` replaced, as Redirect and Alias in a Location and SetHandler take it.

    :raises UnknowableError: as :func:`holds`.
    """
    parser = _Parser("", variable, lambda path, kind: False)
    return parser.string(text)()


class _Parser:
    def __init__(self, text: str, variable: Variable, exists: Exists) -> None:
        self.text = text
        self.variable = variable
        self.exists = exists
        self.match: Optional[Match[str]] = None
        #: Why a part of it cannot be known; the whole may be known all the same.
        self.reason: Optional[UnknowableError] = None
        self.tokens: List[tuple[str, str]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if not match:
                raise UnknowableError(f"the expression {text} is not understood")
            kind = next(name for name in ("string", "regex", "variable", "operator", "word") if match.group(name))
            self.tokens.append((kind, match.group(kind)))
            position = match.end()
        self.index = 0

    def peek(self) -> str:
        return self.tokens[self.index][1] if self.index < len(self.tokens) else ""

    def kind(self) -> str:
        return self.tokens[self.index][0] if self.index < len(self.tokens) else ""

    def next(self) -> str:
        if self.index >= len(self.tokens):
            raise UnknowableError(f"the expression {self.text} is not understood")
        self.index += 1
        return self.tokens[self.index - 1][1]

    def alternatives(self, depth: int) -> Optional[bool]:
        value = self._all(depth)
        while self.peek() == "||":
            self.next()
            other = self._all(depth)
            value = True if True in (value, other) else None if None in (value, other) else False
        return value

    def _all(self, depth: int) -> Optional[bool]:
        value = self._one(depth)
        while self.peek() == "&&":
            self.next()
            other = self._one(depth)
            value = False if False in (value, other) else None if None in (value, other) else True
        return value

    def _one(self, depth: int) -> Optional[bool]:
        if depth > MAX_DEPTH:
            raise UnknowableError(f"the expression {self.text} is nested too deep")
        piece = self.peek()
        if piece == "!":
            self.next()
            value = self._one(depth + 1)
            return None if value is None else not value
        if piece == "(":
            self.next()
            value = self.alternatives(depth + 1)
            if self.next() != ")":
                raise UnknowableError(f"the expression {self.text} is not understood")
            return value
        if piece.lower() in ("true", "false") and self.kind() == "word":
            return self.next().lower() == "true"
        if re.match(r"-[a-zA-Z]$", piece) and self.kind() == "operator":
            self.next()
            return self._guarded(self._unary, piece[1])
        return self._guarded(self._comparison, "")

    def _guarded(self, judge: Callable[[str], bool], operator: str) -> Optional[bool]:
        """Judge, where a word that cannot be known makes only this part unknown."""
        try:
            return judge(operator)
        except _UnknownWordError as error:
            self.reason = error
            return None

    def _unary(self, operator: str) -> bool:
        word = self._word()
        value = word()
        if operator == "n":
            return bool(value)
        if operator == "z":
            return not value
        if operator == "T":
            return value.lower() not in ("", "0", "off", "false", "no")
        if operator in "defFLhsx":
            return self.exists(value, operator)
        raise _UnknownWordError(f"-{operator} in the expression {self.text}")

    def _comparison(self, _operator: str) -> bool:
        left = self._word()
        operator = self.next().lstrip("-")
        if operator in ("=~", "!~"):
            if self.kind() != "regex":
                raise UnknowableError(f"the expression {self.text} is not understood")
            piece = self.next()
            start = 2 if piece.startswith("m") else 1
            end = piece.rindex(piece[start - 1])
            match = regex.search(piece[start:end], left(), "i" in piece[end:])
            if match:
                self.match = match
            return (match is not None) == (operator == "=~")
        if operator == "in":
            return self._in_list(left)
        right = self._word()
        one, two = left(), right()
        if operator in _NUMBER_TESTS:
            numbers = [int(m.group()) if m else 0 for m in (re.match(r"\s*-?[0-9]{1,18}", w) for w in (one, two))]
            return _STRING_TESTS[_NUMBER_TESTS[operator]](numbers[0] - numbers[1])
        if operator in _STRING_TESTS:
            return _STRING_TESTS[operator]((one > two) - (one < two))
        raise _UnknownWordError(f"-{operator} in the expression {self.text}")

    def _in_list(self, left: Callable[[], str]) -> bool:
        if self.next() != "{":
            raise UnknowableError(f"the expression {self.text} is not understood")
        words = [self._word()]
        while self.peek() == ",":
            self.next()
            words.append(self._word())
        if self.next() != "}":
            raise UnknowableError(f"the expression {self.text} is not understood")
        return left() in [word() for word in words]

    def _word(self, depth: int = 0) -> Callable[[], str]:
        """A word, evaluated when it is needed: the rest must be read even where its value is hidden."""
        if depth > MAX_DEPTH:
            raise UnknowableError(f"the expression {self.text[:80]} is nested too deep")
        kind, piece = self.kind(), self.next()
        if kind == "string":
            part = self.string(re.sub(r"\\(.)", r"\1", piece[1:-1]))
        elif kind == "variable" or (kind == "word" and piece.isdigit()):
            part = self.string(piece)
        elif kind == "word" and self.peek() == "(":
            self.next()
            argument = self._word(depth + 1)
            if self.next() != ")":
                raise UnknowableError(f"the expression {self.text} is not understood")
            part = self._function(piece, argument)
        else:
            raise UnknowableError(f"the expression {self.text} is not understood")
        if self.peek() == ".":
            self.next()
            rest = self._word(depth + 1)
            return lambda: part() + rest()
        return part

    def _function(self, name: str, argument: Callable[[], str]) -> Callable[[], str]:
        def call() -> str:
            if name == "tolower":
                return argument().lower()
            if name == "toupper":
                return argument().upper()
            if name in ("req", "http", "reqenv", "env"):
                return self._value(("HTTP:" if name in ("req", "http") else "ENV:") + argument())
            raise _UnknownWordError(f"{name}() in the expression {self.text}")
        return call

    def string(self, text: str) -> Callable[[], str]:
        def replace(match: Match[str]) -> str:
            if match.group(2):
                number = int(match.group(2))
                found = self.match
                return (found.group(number) or "") if found and number <= found.re.groups else ""
            name = match.group(1)
            function, _, rest = name.partition(":")
            if function.lower() in ("tolower", "toupper", "req", "http", "reqenv", "env") and rest:
                return self._function(function.lower(), lambda: rest)()
            return self._value(name)
        return lambda: re.sub(r"%\{([^{}]*)\}|\$(\d)", replace, text)

    def _value(self, name: str) -> str:
        try:
            return self.variable(name)
        except UnknowableError as error:
            raise _UnknownWordError(str(error)) from error


class _UnknownWordError(UnknowableError):
    """The value of one word cannot be known."""
