"""HAProxy's configuration language: from files to sections. HAProxy Configuration Manual, chapter 2."""
import re
from dataclasses import dataclass
from dataclasses import field
from typing import Dict
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step

#: Section keywords, chapter 2.1 and the manual's own headings.
_SECTIONS = frozenset(("global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist",
                       "mailers", "cache", "program", "ring", "http-errors", "fcgi-app", "log-forward", "crt-store",
                       "traces", "log-profile", "acme"))

_MAX_SIZE = 16 * 1024 * 1024
#: Lines that all sections inherit together: ten thousand sites may have a hundred each.
_MAX_INHERITED = 2_000_000

#: The parts of a word, chapter 2.2: text in single or double quotes, an escaped character, anything else.
_WORD_PART = re.compile(r"""
    '(?P<strong>[^']*)'
  | "(?P<weak>(?:\\.|[^"\\])*)"
  | \\(?P<escaped>.)
  | (?P<plain> [^\s'"\\\#]+ )
""", re.VERBOSE | re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?:\[\*\])?(?:-(?P<default>[^}]*))?\}|(?P<bare>\w+))|\\(?P<escaped>.)")

#: Escaped characters; before any other character the backslash stays, as regular expressions need it.
_ESCAPES = {**{char: char for char in " #\\\"'$"}, "n": "\n", "r": "\r", "t": "\t"}


class ConfigError(Exception):
    """HAProxy would not start with this configuration, or the parser does not understand it."""


@dataclass(frozen=True)
class Line:
    """A line of a section, as words without quotes."""

    words: Tuple[str, ...]
    source: Source

    @property
    def step(self) -> Step:
        """The line as a step of a trail."""
        return Step(" ".join(self.words), self.source)


@dataclass
class Section:
    """A frontend, backend or listen section; the lines of its defaults come before its own."""

    kind: str
    name: str
    source: Source
    lines: List[Line] = field(default_factory=list)
    inherited: List[Line] = field(default_factory=list)

    def last(self, keyword: str) -> Tuple[str, ...]:
        """The arguments of the last line with a keyword; the section's own lines come after those of its defaults."""
        lines = [line for line in (*self.inherited, *self.lines) if line.words[0] == keyword]
        return lines[-1].words[1:] if lines else ()

    @property
    def step(self) -> Step:
        """The section as a step of a trail."""
        return Step(f"{self.kind} {self.name}", self.source)


@dataclass
class Config:
    """A parsed configuration.

    :ivar problems: the parts that the parser does not understand.
    :ivar inherited: the number of lines that the sections have from their defaults.
    """

    proxies: List[Section] = field(default_factory=list)
    problems: List[str] = field(default_factory=list)
    inherited: int = 0

    def backend(self, name: str) -> Optional[Section]:
        """The section of a backend name."""
        return next((s for s in self.proxies if s.name == name and s.kind in ("backend", "listen")), None)


def parse(files: Sequence[Tuple[str, bytes]], environment: Mapping[str, str]) -> Config:
    """Read several configuration files as one.

    :param files: path and content.
    :raises ConfigError: HAProxy would not start with them.
    """
    config = Config()
    variables = _Variables(environment)
    defaults: Dict[str, Section] = {}
    if sum(len(content) for _, content in files) > _MAX_SIZE:
        raise ConfigError("there is more than 16 MB of it")
    for path, content in files:
        section, skipping = Section("", "", Source(path)), 0
        for number, text in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), 1):
            source = Source(path, number)
            words = _words(text, variables, source)
            if not words:
                continue
            if words[0] in (".if", ".endif"):
                # 2.4 and up: a condition on the running binary, which the parser does not evaluate.
                skipping += 1 if words[0] == ".if" else -1
                if words[0] == ".if":
                    config.problems.append(f"what depends on {' '.join(words)} is not known ({source})")
            elif skipping > 0 or words[0].startswith("."):
                continue
            elif words[0] in _SECTIONS:
                section = _section(words, source, defaults, config)
            elif not section.kind:
                raise ConfigError(f"{words[0]} stands outside of every section ({source})")
            elif section.kind == "global" and words[0] in ("setenv", "presetenv"):
                name, value = (*words[1:], "", "")[:2]
                variables.set(name, value, even_if_set=words[0] == "setenv")
            else:
                section.lines.append(Line(words, source))
    return config


def _section(words: Tuple[str, ...], source: Source, defaults: Dict[str, Section], config: Config) -> Section:
    """A new section. Its defaults are those of ``from NAME``, else the last ones before it."""
    section = Section(words[0], words[1] if len(words) > 1 and words[1] != "from" else "", source)
    base = words[words.index("from") + 1:][:1] if "from" in words[1:] else ("",)
    inherited = defaults.get(base[0] if base else "")
    if section.kind == "defaults":
        if base != ("",) and inherited:
            _inherit(section, inherited, config)
        defaults[""] = defaults[section.name] = section
    elif section.kind in ("frontend", "backend", "listen"):
        if not section.name:
            raise ConfigError(f"{section.kind} has no name ({source})")
        if inherited:
            _inherit(section, inherited, config)
        config.proxies.append(section)
    return section


def _inherit(section: Section, defaults: Section, config: Config) -> None:
    section.inherited = defaults.inherited + defaults.lines
    config.inherited += len(section.inherited)
    if config.inherited > _MAX_INHERITED:
        raise ConfigError(f"the sections inherit more than {_MAX_INHERITED} lines ({section.source})")


class _Variables:
    """Environment variables. Those of a user may be hostile: a line can name one of 100 kB 40,000 times."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._left = _MAX_SIZE

    def set(self, name: str, value: str, even_if_set: bool) -> None:
        """Set one for the lines that follow, ``setenv`` and ``presetenv``."""
        if even_if_set or name not in self._environment:
            self._environment[name] = value

    def value(self, match: "re.Match[str]") -> str:
        """The replacement of a match of :data:`_VARIABLE`."""
        if match["escaped"] is not None:
            return _ESCAPES.get(match["escaped"], match[0])
        value = self._environment.get(match["braced"] or match["bare"], match["default"] or "")
        self._left -= len(value)
        if self._left < 0:
            raise ConfigError("the values of environment variables make more than 16 MB of it")
        return value


def _words(text: str, variables: _Variables, source: Source) -> Tuple[str, ...]:
    words: List[str] = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
        elif text[position] == "#":
            break
        else:
            word, position = _word(text, position, variables, source)
            words.append(word)
    return tuple(words)


def _word(text: str, position: int, variables: _Variables, source: Source) -> Tuple[str, int]:
    word = []
    while position < len(text) and not text[position].isspace() and text[position] != "#":
        match = _WORD_PART.match(text, position)
        if match is None:
            raise ConfigError(f"a quote has no end ({source})")
        if match["weak"] is not None:
            word.append(_VARIABLE.sub(variables.value, match["weak"]))
        else:
            escaped = match["escaped"]
            word.append((_ESCAPES.get(escaped, "\\" + escaped)) if escaped else match["strong"] or match["plain"] or "")
        position = match.end()
    return "".join(word), position
