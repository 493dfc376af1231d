"""lighttpd's configuration language: from files to contexts. lighttpd wiki, "Configuration: File Syntax".

A context is one condition with its settings; the first has no condition. Contexts have the order of their first
appearance. Where two contexts apply, the setting of the later one wins, wherever it is in the file.
"""
import posixpath
import re
from dataclasses import dataclass
from dataclasses import field
from typing import Callable
from typing import Dict
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Union

from certbot_autowebroot.route import Source

#: A string, a number, or an array; an element of a list has an empty key.
Value = Union[str, int, Tuple[Tuple[str, "Value"], ...]]

_TOKENS = re.compile(r"""
    (?P<space> [ \t\r\n]+ | \#[^\n]* )
  | (?P<string> "(?: \\" | [^"] )*" )
  | (?P<operator> => | =~ | =\^ | =\$ | == | != | !~ | \+= | := | [=+(){}\[\],] )
  | (?P<word> \$?[A-Za-z0-9_.-]+ )
""", re.VERBOSE)

_MAX_INCLUDES = 10_000
_MAX_DEPTH = 16
#: Characters and elements of all sums.
_MAX_COPIED = 20_000_000
_MAX_SIZE = 16 * 1024 * 1024

#: The scripts of Debian's default configuration, and the relevant part of their output.
_DEBIAN_SCRIPTS = {
    "/usr/share/lighttpd/create-mime.conf.pl": "",
    "/usr/share/lighttpd/use-ipv6.pl": '$SERVER["socket"] == "[::]:{0}" {{ }}',
    "/usr/share/lighttpd/include-conf-enabled.pl": 'include "/etc/lighttpd/conf-enabled/*.conf"',
}
#: A command in which a shell would only expand patterns.
_CAT = re.compile(r"(/bin/)?cat( /[\w./*?\[\]-]+)+")


class ConfigError(Exception):
    """lighttpd would not start with this configuration, or the parser does not understand it."""

    def __init__(self, reason: str, source: Source) -> None:
        super().__init__(f"{reason} ({source})")


@dataclass(eq=False)
class Context:
    """The settings that apply where a condition and all conditions around it hold.

    :ivar subject: the compared variable, such as ``$HTTP["host"]``; empty in the first context and in a bare ``else``.
    :ivar previous: the branch before this ``else``, whose condition must be false.
    """

    subject: str = ""
    operator: str = ""
    operand: str = ""
    source: Optional[Source] = None
    parent: Optional["Context"] = None
    previous: Optional["Context"] = None
    settings: Dict[str, Tuple[Value, Source]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f'{self.subject} {self.operator} "{self.operand}"' if self.subject else "else"


@dataclass
class Config:
    """A parsed configuration.

    :ivar problems: the parts that cannot be read, or are the output of a command.
    """

    contexts: List[Context] = field(default_factory=lambda: [Context()])
    problems: List[str] = field(default_factory=list)


@dataclass
class Files:
    """The parser's access to the file system, with functions of :class:`certbot_autowebroot.system.views.View`."""

    read: Callable[[str], bytes]
    glob: Callable[[str], Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)


def parse(path: str, files: Files) -> Config:
    """Read a main configuration file and all that it includes.

    :raises ConfigError: lighttpd would not start with it.
    :raises OSError: the main file cannot be read.
    """
    reader = _Reader(files, posixpath.dirname(path))
    reader.file(path, reader.config.contexts[0], 0)
    return reader.config


class _Reader:
    def __init__(self, files: Files, directory: str) -> None:
        self.config = Config()
        self.known: Dict[Tuple[int, int, str], Context] = {}
        self.files = files
        self.directory = directory
        self.includes = 0
        self.copied = 0
        self.size = 0

    def file(self, path: str, context: Context, depth: int) -> None:
        content = self.files.read(path)
        self.includes += 1
        self.size += len(content)
        if self.size > _MAX_SIZE:
            raise ConfigError("there is more than 16 MB of it", Source(path))
        if depth > _MAX_DEPTH or self.includes > _MAX_INCLUDES:
            raise ConfigError("the includes have no end", Source(path))
        self.text(content.decode("utf-8", "surrogateescape"), path, context, depth)

    def text(self, text: str, path: str, context: Context, depth: int) -> None:
        try:
            _Parser(self, text, path, depth).block(context, "")
        except RecursionError:
            raise ConfigError("the nesting has no end", Source(path)) from None

    def include(self, pattern: str, context: Context, depth: int, source: Source) -> None:
        pattern = posixpath.join(self.directory, pattern)
        paths = self.files.glob(pattern)
        if not paths and not any(c in pattern for c in "*?["):
            self.config.problems.append(f"{pattern} cannot be read ({source})")
        for path in paths:
            try:
                self.file(path, context, depth + 1)
            except OSError as error:
                self.config.problems.append(f"{path} cannot be read: {error.strerror} ({source})")

    def shell(self, command: str, context: Context, depth: int, source: Source) -> None:
        script, _, argument = command.partition(" ")
        if _CAT.fullmatch(command):
            # The way to include a pattern before lighttpd 1.4.45.
            for pattern in argument.split():
                self.include(pattern, context, depth, source)
        elif script in _DEBIAN_SCRIPTS:
            self.text(_DEBIAN_SCRIPTS[script].format(argument.strip()), script, context, depth + 1)
        else:
            self.config.problems.append(f"what include_shell \"{command}\" printed is not known ({source})")


class _Parser:
    """One file."""

    def __init__(self, reader: _Reader, text: str, path: str, depth: int) -> None:
        self.reader = reader
        self.path = path
        self.depth = depth
        self.tokens = self._tokenize(text)
        self.position = 0

    def _tokenize(self, text: str) -> List[Tuple[str, str, int]]:
        tokens, offset, line = [], 0, 1
        while offset < len(text):
            match = _TOKENS.match(text, offset)
            if match is None:
                raise ConfigError(f"unexpected {text[offset:offset + 10]!r}", Source(self.path, line))
            if match.lastgroup != "space":
                tokens.append((str(match.lastgroup), match[0], line))
            line += match[0].count("\n")
            offset = match.end()
        tokens.append(("end", "", line))
        return tokens

    @property
    def source(self) -> Source:
        return Source(self.path, self.tokens[self.position][2])

    def peek(self) -> str:
        return self.tokens[self.position][1]

    def next(self, expected: str = "") -> Tuple[str, str]:
        kind, text, _ = self.tokens[self.position]
        if kind == "end" or (expected and text != expected):
            raise ConfigError(f"{expected or 'more'} expected, not {text or 'the end'}", self.source)
        self.position += 1
        return kind, text

    def block(self, context: Context, end: str) -> None:
        """Statements up to the end token, which is consumed; an empty one is the end of the file."""
        previous: Optional[Context] = None
        while self.peek() != end or (not end and self.tokens[self.position][0] != "end"):
            source = self.source
            kind, word = self.next()
            following, previous = previous, None
            if word.startswith("$"):
                previous = self.condition(word, context, None, source)
            elif re.fullmatch("else|elsif|elseif|elif", word) and following is not None:
                previous = self.otherwise(context, following, source)
            elif word == "global" and self.peek() == "{":
                self.next("{")
                self.block(self.reader.config.contexts[0], "}")
            elif word in ("include", "include_shell"):
                value = self.expression(context)
                if not isinstance(value, str):
                    raise ConfigError(f"{word} wants a string", source)
                run = self.reader.include if word == "include" else self.reader.shell
                run(value, context, self.depth, source)
            elif kind == "word":
                self.assignment(word, context, source)
            else:
                raise ConfigError(f"unexpected {word}", source)
        if end:
            self.next(end)

    def condition(self, word: str, context: Context, previous: Optional[Context], source: Source) -> Context:
        self.next("[")
        subject = f'{word}["{_unquoted(self.next()[1])}"]'
        self.next("]")
        operator = self.next()[1]
        if operator not in ("==", "!=", "=~", "!~", "=^", "=$"):
            raise ConfigError(f"unexpected {operator}", source)
        operand = self.expression(context)
        return self.branch(Context(subject, operator, text_of(operand), source, context, previous))

    def otherwise(self, context: Context, previous: Context, source: Source) -> Context:
        if self.peek() == "if":
            self.next()
        if self.peek().startswith("$"):
            return self.condition(self.next()[1], context, previous, source)
        return self.branch(Context("", "", "", source, context, previous))

    def branch(self, new: Context) -> Context:
        """The block of a condition. The same condition in the same place again is the same context."""
        place = (id(new.parent), id(new.previous), str(new))
        context = self.reader.known.setdefault(place, new)
        if context is new:
            self.reader.config.contexts.append(new)
        self.next("{")
        self.block(context, "}")
        return context

    def assignment(self, key: str, context: Context, source: Source) -> None:
        operator = self.next()[1]
        value = self.expression(context)
        if operator == "+=":
            old = _lookup(key, context)
            value = value if old is None else self.sum(old, value, source)
        elif operator not in ("=", ":="):
            raise ConfigError(f"unexpected {operator}", source)
        context.settings[key] = value, source

    def expression(self, context: Context) -> Value:
        value = self.value(context)
        while self.peek() == "+":
            source = self.source
            self.next()
            value = self.sum(value, self.value(context), source)
        return value

    def sum(self, left: Value, right: Value, source: Source) -> Value:
        if isinstance(left, int) and isinstance(right, int):
            return left + right
        if isinstance(left, tuple) != isinstance(right, tuple):
            raise ConfigError("an array and a string cannot be added", source)
        # x = x + x, forty times, fills any memory.
        self.reader.copied += len(left) + len(right) if isinstance(left, tuple) and isinstance(right, tuple) else len(
            str(left) + str(right))
        if self.reader.copied > _MAX_COPIED:
            raise ConfigError("the sums have no end", source)
        if not isinstance(left, tuple) or not isinstance(right, tuple):
            return str(left) + str(right)
        keys = {key for key, _ in right if key}
        return tuple(pair for pair in left if pair[0] not in keys) + right

    def value(self, context: Context) -> Value:
        source = self.source
        kind, text = self.next()
        if kind == "string":
            return _unquoted(text)
        if text == "(":
            return self.array(context)
        if kind != "word":
            raise ConfigError(f"unexpected {text}", source)
        if text.isdigit():
            return int(text[:20])
        if text.startswith("env."):
            return self.reader.files.environment.get(text[4:], "")
        variable = _lookup(text, context)
        if variable is None:
            raise ConfigError(f"{text} has no value", source)
        return variable

    def array(self, context: Context) -> Value:
        values: Dict[Union[str, int], Value] = {}
        while self.peek() != ")":
            value = self.expression(context)
            key: Union[str, int] = len(values)
            if self.peek() == "=>":
                self.next()
                key, value = text_of(value), self.expression(context)
            values[key] = value
            if self.peek() == ",":
                self.next()
        self.next(")")
        return tuple(("" if isinstance(key, int) else key, value) for key, value in values.items())


def text_of(value: Value) -> str:
    """A string or a number as text; nothing for an array."""
    return "" if isinstance(value, tuple) else str(value)


def _lookup(key: str, context: Optional[Context]) -> Optional[Value]:
    while context is not None:
        if key in context.settings:
            return context.settings[key][0]
        context = context.parent
    return None


def _unquoted(text: str) -> str:
    return text[1:-1].replace('\\"', '"') if text.startswith('"') else text
