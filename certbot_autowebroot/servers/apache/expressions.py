"""Expressions of ``<If>``, ``RewriteCond expr`` and ``Require expr``.

Source: "Expressions in Apache HTTP Server". An expression with unknown syntax is unknowable, never false.
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

_COMPARISONS: Dict[str, Callable[[int], bool]] = {
    "==": lambda c: c == 0, "=": lambda c: c == 0, "!=": lambda c: c != 0, "<": lambda c: c < 0,
    "<=": lambda c: c <= 0, ">": lambda c: c > 0, ">=": lambda c: c >= 0}
_NUMBER_TESTS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def holds(text: str, variable: Variable, exists: Exists) -> bool:
    """Whether an expression is true.

    :raises UnknowableError: it has unknown syntax, or needs a value of the running server.
    """
    parser = _Parser(text, variable, exists)
    value = parser.disjunction(0)
    if parser.peek():
        raise parser.syntax_error()
    if value is None:
        raise parser.reason or UnknowableError(f"the expression {text}")
    return value


def compare_numbers(operator: str, one: str, two: str) -> bool:
    """The comparison by ``eq``, ``ne``, ``lt``, ``le``, ``gt`` or ``ge``; a text without a number is 0, as in C."""
    match, other = (re.match(r"\s*-?[0-9]{1,18}", text) for text in (one, two))
    difference = (int(match.group()) if match else 0) - (int(other.group()) if other else 0)
    return _COMPARISONS[_NUMBER_TESTS[operator]](difference)


def interpolate(text: str, variable: Variable) -> str:
    """Replace ``%{…}`` in an argument of SetHandler, or of Redirect and Alias inside a Location.

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
        #: The reason why a part is unknown; the value of the whole may be known even so.
        self.reason: Optional[UnknowableError] = None
        self.tokens: List[tuple[str, str]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if not match:
                raise self.syntax_error()
            kind = next(name for name in ("string", "regex", "variable", "operator", "word") if match.group(name))
            self.tokens.append((kind, match.group(kind)))
            position = match.end()
        self.index = 0

    def syntax_error(self) -> UnknowableError:
        return UnknowableError(f"the expression {self.text} is not understood")

    def peek(self) -> str:
        return self.tokens[self.index][1] if self.index < len(self.tokens) else ""

    def kind(self) -> str:
        return self.tokens[self.index][0] if self.index < len(self.tokens) else ""

    def next(self) -> str:
        if self.index >= len(self.tokens):
            raise self.syntax_error()
        self.index += 1
        return self.tokens[self.index - 1][1]

    def _expect(self, symbol: str) -> None:
        if self.next() != symbol:
            raise self.syntax_error()

    def disjunction(self, depth: int) -> Optional[bool]:
        value = self._conjunction(depth)
        while self.peek() == "||":
            self.next()
            other = self._conjunction(depth)
            value = True if True in (value, other) else None if None in (value, other) else False
        return value

    def _conjunction(self, depth: int) -> Optional[bool]:
        value = self._term(depth)
        while self.peek() == "&&":
            self.next()
            other = self._term(depth)
            value = False if False in (value, other) else None if None in (value, other) else True
        return value

    def _term(self, depth: int) -> Optional[bool]:
        if depth > MAX_DEPTH:
            raise UnknowableError(f"the expression {self.text} is nested too deep")
        symbol = self.peek()
        if symbol == "!":
            self.next()
            value = self._term(depth + 1)
            return None if value is None else not value
        if symbol == "(":
            self.next()
            value = self.disjunction(depth + 1)
            self._expect(")")
            return value
        if symbol.lower() in ("true", "false") and self.kind() == "word":
            return self.next().lower() == "true"
        if re.match(r"-[a-zA-Z]$", symbol) and self.kind() == "operator":
            self.next()
            return self._guarded(self._unary, symbol[1])
        return self._guarded(self._comparison, "")

    def _guarded(self, judge: Callable[[str], bool], operator: str) -> Optional[bool]:
        """Judge a part; None where it has a word with an unknown value."""
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
                raise self.syntax_error()
            symbol = self.next()
            start = 2 if symbol.startswith("m") else 1
            end = symbol.rindex(symbol[start - 1])
            match = regex.search(symbol[start:end], left(), "i" in symbol[end:])
            if match:
                self.match = match
            return (match is not None) == (operator == "=~")
        if operator == "in":
            return self._in_list(left)
        right = self._word()
        one, two = left(), right()
        if operator in _NUMBER_TESTS:
            return compare_numbers(operator, one, two)
        if operator in _COMPARISONS:
            return _COMPARISONS[operator]((one > two) - (one < two))
        raise _UnknownWordError(f"-{operator} in the expression {self.text}")

    def _in_list(self, left: Callable[[], str]) -> bool:
        self._expect("{")
        words = [self._word()]
        while self.peek() == ",":
            self.next()
            words.append(self._word())
        self._expect("}")
        return left() in [word() for word in words]

    def _word(self, depth: int = 0) -> Callable[[], str]:
        """A word as a function: the parser reads on even where the value of the word is unknown."""
        if depth > MAX_DEPTH:
            raise UnknowableError(f"the expression {self.text[:80]} is nested too deep")
        kind, symbol = self.kind(), self.next()
        if kind == "string":
            part = self.string(re.sub(r"\\(.)", r"\1", symbol[1:-1]))
        elif kind == "variable" or (kind == "word" and symbol.isdigit()):
            part = self.string(symbol)
        elif kind == "word" and self.peek() == "(":
            self.next()
            argument = self._word(depth + 1)
            self._expect(")")
            part = self._function(symbol, argument)
        else:
            raise self.syntax_error()
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
                return (self.match.group(number) or "") if self.match and number <= self.match.re.groups else ""
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
    """One word of an expression has an unknown value."""
