"""Our own parser of the configuration files: for a container, a broken configuration, and .htaccess.

Like httpd it evaluates Include, Define, Macro and the conditional sections in the order of the files. It reports a part
that it cannot read and goes on, for the running server could read it once.
"""
import os
import re
from typing import Dict
from typing import Iterator
from typing import List
from typing import Optional
from typing import Set
from typing import Tuple

from certbot_autowebroot.route import Source
from certbot_autowebroot.servers.apache import invocation
from certbot_autowebroot.servers.apache.directives import MAX_DEPTH
from certbot_autowebroot.servers.apache.directives import ConfigurationError
from certbot_autowebroot.servers.apache.directives import ConfigurationTree
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import split_words
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.views import View

#: Lines of all files; ten thousand virtual hosts have 200,000. Macros that use macros double them with each step.
MAX_LINES = 500_000
MAX_INCLUDE_DEPTH = 20
#: Characters in place of variables and arguments of macros, in all files; and in place of one.
MAX_REPLACED = 16 * 1024 * 1024
MAX_VALUE = 64 * 1024
MAX_PROBLEMS = 20

#: Compiled into every known build, and so without a LoadModule line.
_BUILT_IN = {"core_module", "so_module", "http_module", "unixd_module", "version_module", "log_config_module",
             "logio_module", "watchdog_module"}
_CONDITIONS = frozenset({"ifdefine", "ifmodule", "ifversion", "iffile", "ifdirective", "ifsection"})
#: httpd ignores text after the last ">"; people write comments there.
_OPEN = re.compile(r"<\s*([A-Za-z]\w*)(.*)>[^>]*$", re.DOTALL)

#: File, number and text of a line, continuation lines joined.
Line = Tuple[str, int, str]


class Parser:
    """Reads files in one view of the file system, and collects definitions and modules."""

    def __init__(self, view: View, server_root: str, environment: Dict[str, str]) -> None:
        self.view = view
        self.server_root = server_root
        self.environment = environment
        self.defines: Dict[str, str] = {}
        self.modules: Set[str] = set(_BUILT_IN)
        #: Parts that were not readable or not understood, as sentences.
        self.problems: List[str] = []
        self._macros: Dict[str, Tuple[List[str], List[Line]]] = {}
        self._macros_in_use: List[str] = []
        self._lines = 0
        self._replaced = 0

    def file(self, path: str, depth: int = 0) -> Tuple[Directive, ...]:
        """The directives of a file; none, and a problem, where it is not readable.

        :raises ConfigurationError: it is too large, or the includes loop.
        """
        try:
            content = self.view.read(path)
        except (OSError, ValueError) as error:
            self._report(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")
            return ()
        return self.text(os.fsdecode(content), path, depth)

    def text(self, text: str, file: str, depth: int = 0) -> Tuple[Directive, ...]:
        """The directives of a text."""
        return self._block(_lines(text, file), "", depth, 0)

    def _block(self, lines: Iterator[Line], until: str, depth: int, nesting: int) -> Tuple[Directive, ...]:
        if nesting > MAX_DEPTH:
            raise ConfigurationError("sections are nested too deep")
        directives: List[Directive] = []
        for file, number, text in lines:
            self._lines += 1
            if self._lines > MAX_LINES:
                raise ConfigurationError(f"{file}: the configuration has more than {MAX_LINES} lines")
            source = Source(file, number)
            if text.startswith("</"):
                if text[2:].rstrip(">").strip().lower() == until:
                    return tuple(directives)
                self._report(f"{source}: {text} closes a section that is not open")
                continue
            opening = _OPEN.match(text)
            if opening:
                spelling, arguments = opening.group(1), self._resolve(opening.group(2).strip())
                name = spelling.lower()
                if name == "macro":
                    self._define_macro(arguments, list(_until(lines, "macro")))
                elif name in _CONDITIONS:
                    if self._holds(name, arguments):
                        directives += self._block(lines, name, depth, nesting + 1)
                    else:
                        for _ in _until(lines, name):
                            pass
                else:
                    directives.append(Directive(name, spelling, arguments, *source,
                                                self._block(lines, name, depth, nesting + 1), True))
                continue
            spelling = text.split(None, 1)[0]
            directive = Directive(spelling.lower(), spelling, self._resolve(text[len(spelling):].strip()), *source)
            directives += self._directive(directive, depth, nesting)
        if until and until not in _CONDITIONS:  # httpd accepts a condition without an end
            self._report(f"<{until}> is not closed")
        return tuple(directives)

    def _directive(self, directive: Directive, depth: int, nesting: int) -> Tuple[Directive, ...]:
        """The directives in its place: itself, those that it includes, or none where it only guides the parser."""
        name, words = directive.name, directive.words
        if name in ("include", "includeoptional") and words:
            return self._include(directive, words[0], depth, name == "includeoptional")
        if name == "use" and words:
            return self._use(directive, words, depth, nesting)
        if name == "define" and words:
            self.defines[words[0]] = words[1] if len(words) > 1 else ""
        elif name == "undefine" and words:
            self.defines.pop(words[0], None)
        elif name == "serverroot" and words:
            self.server_root = words[0]
        elif name == "loadmodule" and words:
            self.modules.add(words[0])
            self.modules.add(re.sub(r"\.so$", ".c", os.path.basename(words[-1])))
        else:
            return (directive,)
        return ()

    def _include(self, directive: Directive, path: str, depth: int, optional: bool) -> Tuple[Directive, ...]:
        if depth >= MAX_INCLUDE_DEPTH:
            raise ConfigurationError(f"{directive.source}: files include each other without end")
        pattern = os.path.join(self.server_root, path)
        directives: List[Directive] = []
        try:
            matches = self.view.glob(pattern)
        except OSError as error:
            self._report(f"{directive.source}: {path}: {error.strerror}")
            return ()
        if not matches and not optional and not any(char in path for char in "*?["):
            self._report(f"{directive.source}: {path} does not exist")
        for match in matches:
            for file in files_below(self.view, match, depth):
                directives += self.file(file, depth + 1)
        return tuple(directives)

    def _define_macro(self, arguments: str, body: List[Line]) -> None:
        words = split_words(arguments)
        if words:
            self._macros[words[0].lower()] = (words[1:], body)

    def _use(self, directive: Directive, words: List[str], depth: int, nesting: int) -> Tuple[Directive, ...]:
        name = words[0].lower()
        macro = self._macros.get(name)
        if macro is None or name in self._macros_in_use:
            self._report(f"{directive.source}: {'no' if macro is None else 'recursive use of'} macro {words[0]}")
            return ()
        # The longest name first: $name may be the beginning of another name.
        values = sorted(zip(macro[0], words[1:]), key=lambda pair: -len(pair[0]))
        names = re.compile("|".join(re.escape(name) for name, _ in values) or r"(?!)")
        replaced = [(file, number, names.sub(lambda match: self._counted(dict(values)[match.group()]), text))
                    for file, number, text in macro[1]]
        self._macros_in_use.append(name)
        try:
            return self._block(iter(replaced), "", depth, nesting + 1)
        finally:
            self._macros_in_use.pop()

    def _resolve(self, text: str) -> str:
        """Replace ``${NAME}`` by its definition, else by the environment variable; an unknown name stays."""
        def value(match: "re.Match[str]") -> str:
            name = match.group(1)
            return self._counted(self.defines.get(name, self.environment.get(name, match.group())))
        return re.sub(r"\$\{([^{}]*)\}", value, text) if "${" in text else text

    def _counted(self, text: str) -> str:
        """Count the text in place of a variable: forty lines ``Define A ${A}${A}`` fill any memory."""
        self._replaced += len(text)
        if len(text) > MAX_VALUE or self._replaced > MAX_REPLACED:
            raise ConfigurationError("the values of variables have no end")
        return text

    def _holds(self, name: str, arguments: str) -> bool:
        words = split_words(arguments)
        wanted = words[0] if words else ""
        negated = wanted.startswith("!")
        wanted = wanted[1:] if negated else wanted
        if name == "ifdefine":
            return (wanted in self.defines) != negated
        if name == "ifmodule":
            return self._is_loaded(wanted) != negated
        if name == "iffile":
            return (self.view.stat(os.path.join(self.server_root, wanted)) is not None) != negated
        if name == "ifversion":
            return _version_holds(words) != negated
        # <IfDirective> and <IfSection> are newer than every directive that matters here.
        return not negated

    def _is_loaded(self, name: str) -> bool:
        identifier = re.sub(r"^mod_(\w+)\.c$", r"\1_module", name)
        mpm = re.sub(r"^(prefork|worker|event)\.c$", r"mpm_\1_module", name)
        return bool({name, identifier, mpm} & self.modules)

    def _report(self, text: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)


def read(process: Process, view: Optional[View] = None) -> ConfigurationTree:
    """The configuration of a running httpd, from the files as the process sees them.

    :param view: the process's view where it records the files; by default the plain view.
    :raises ConfigurationError: it is empty or too large.
    """
    options = invocation.options(process.argv)
    root, file = invocation.main_file(process)
    if not file or not (root or file.startswith("/")):
        raise ConfigurationError(f"{process.name} does not say where its configuration is")
    parser = Parser(view or process.view, root or "/", process.environment)
    for value in options["D"]:
        parser.defines[value] = ""
    directives = parser.text("\n".join(options["C"]), "-C")
    directives += parser.file(os.path.join(root, file))
    directives += parser.text("\n".join(options["c"]), "-c")
    if not directives:
        raise ConfigurationError("; ".join(parser.problems) or f"{file} is empty")
    modules = frozenset(module for module in parser.modules if module.endswith("_module"))
    return ConfigurationTree(directives, parser.server_root, "", modules, problems=tuple(parser.problems))


def files_below(view: View, path: str, depth: int = 0) -> Iterator[str]:
    """The path itself, or every file below a directory."""
    if not view.is_dir(path):
        yield path
    elif depth < MAX_INCLUDE_DEPTH:
        for name in view.list_dir(path):
            yield from files_below(view, os.path.join(path, name), depth + 1)


def _lines(text: str, file: str) -> Iterator[Line]:
    """The lines without empty ones and comments; a backslash at the end continues a line, even a comment."""
    joined = ""
    number, end = 0, -1
    while end < len(text):  # line by line: a list of the lines takes ten times the size of the file
        number, start = number + 1, end + 1
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end].rstrip("\r")
        if line.endswith("\\"):
            joined += line[:-1]
            continue
        stripped = (joined + line).strip()
        if stripped and not stripped.startswith("#"):
            yield file, number, stripped
        joined = ""


def _until(lines: Iterator[Line], name: str) -> Iterator[Line]:
    """The lines before the end of a section; sections of the same name may nest."""
    depth = 1
    for line in lines:
        text = line[2].lower()
        if re.match(rf"<\s*{name}\b", text):
            depth += 1
        elif re.match(rf"</\s*{name}\s*>", text):
            depth -= 1
            if depth == 0:
                return
        yield line


def _version_holds(words: List[str]) -> bool:
    """``<IfVersion>`` for any 2.4: the patch number is not known, and configurations test for 2.2 and 2.4."""
    operator, version = (words[0], words[1]) if len(words) > 1 else ("=", words[0] if words else "")
    numbers = re.findall(r"[0-9]{1,9}", version)[:2]
    wanted = tuple(int(number) for number in numbers)
    own = (2, 4)[:len(wanted)]
    return {">=": own >= wanted, ">": own > wanted, "<": own < wanted, "<=": own <= wanted}.get(
        operator.lstrip("!"), own == wanted)
