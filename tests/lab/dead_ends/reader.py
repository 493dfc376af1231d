"""A person who does what is printed for a name, literally: reads file and line, edits, runs the commands."""
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Callable
from typing import Dict
from typing import List
from typing import Tuple

from tests.lab.nginx import environment

#: No file has so many lines.
_END = 10 ** 9
_PLACE = r"(?P<file>/[^\s:]+):(?P<line>\d+)"
#: Where lines belong. The first that matches counts.
_WHERE = {kind: re.compile(pattern) for kind, pattern in {
    "new file": rf"into a new file that {_PLACE} includes \((?P<pattern>\S+)\)",
    "frontend": rf"into (?:frontend|listen) \S+ at {_PLACE}, the first before all other http-request lines and the "
                "second before all other use_backend lines",
    "block": rf"into (?:the server block|the block of .*) at {_PLACE}",
    "section": rf"into the <VirtualHost> at {_PLACE}",
    "before": rf"before {_PLACE}, outside of any section",
    "behind": rf"behind {_PLACE}",
    "instead": rf"in place of {_PLACE}",
    "top": r"into (?P<file>/[^\s:]+), as its first lines?",
    "end": r"at the end of (?P<file>/[^\s:]+)",
}.items()}

#: What begins a list, and what has to be found out first: a server that is reloaded already.
_NO_REMEDIES = ("one of these", "see whether ")

#: What follows lines of configuration.
_AFTER_LINES = r"then: |and these, once|and put |and take |but "


def _lines_at(text: str) -> List[str]:
    """The lines of configuration with which a text begins."""
    lines = re.match(rf"(?:(?! *(?:{_AFTER_LINES})).*\n)+", text)
    assert lines, text
    return textwrap.dedent(lines[0]).splitlines()


class Reader:
    """Follows what is printed for several names, then edits each file from its end: so no number of a line changes.

    Of the edits on one line, what changes the line comes before what is put into it, and that before what is put above.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._edits: List[Tuple[Path, int, int, Callable[[List[str]], None]]] = []
        self._commands: Dict[str, None] = {}
        self._lines: Dict[str, List[str]] = {}

    def follow(self, name: str, said: str) -> None:
        """Read the first remedy for a name, and note what it asks for.

        :raises AssertionError: it cannot be followed.
        """
        match = re.search(r"(?s) [Ww]hat to do: (.*)", said)
        assert match, "no advice"
        advice = re.split(r"(?m)^ *- ", match[1])
        chosen = next((one for one in advice if not one.startswith(_NO_REMEDIES)), "")
        assert chosen, "no remedy"
        first, _, rest = chosen.partition("\n")
        lines = re.match(r"for good, put (?:these lines|this line) (.*):$", first)
        same = re.match(r"put the lines for (\S+) (.*)\.$", first)
        command = re.search(r"(?:: |^)((?:install -d|setfacl|chown -h|chmod) [^,]*?)(?:, or .*|\.)?$", first)
        if lines:
            self._lines[name] = _lines_at(rest)
            self._put(self._lines[name], lines[1], rest)
        elif same:
            self._put(self._lines[same[1]], same[2], rest)
        elif command:
            self._commands[command[1]] = None
        elif re.match("the lines above, .*, are for this name too|give Certbot the option", first):
            return
        else:
            slash = re.match(rf"put a slash behind (\S+) in the redirect \(.* \({_PLACE}\)\)", first)
            assert slash, f"what to do? {first}"
            self._change(Path(slash["file"]), int(slash["line"]),
                         lambda line: re.sub(rf"{re.escape(slash[1])}\b(?!/)", f"{slash[1]}/", line))

    def edit(self) -> None:
        """Edit the files."""
        by_line = sorted(self._edits, key=lambda edit: edit[:3], reverse=True)
        for path in {path for path, *_ in by_line}:
            text = path.read_text().splitlines() if path.exists() else []
            for file, _, _, change in by_line:
                if file == path:
                    change(text)
            path.write_text("\n".join([*text, ""]))

    def run_commands(self) -> None:
        """Run what was printed to make directories, to give rights, and to test the configuration."""
        for command in self._commands:
            done = subprocess.run(command, shell=True, cwd=self._directory, env=environment(), text=True,  # noqa: S602
                                  capture_output=True, check=False)
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def _put(self, lines: List[str], where: str, rest: str) -> None:
        matches = ((kind, pattern.search(where)) for kind, pattern in _WHERE.items())
        kind, match = next(((kind, match) for kind, match in matches if match), ("", None))
        assert match, f"where? {where}"
        values = match.groupdict()
        file, number = Path(values["file"]), int(values.get("line") or 0)
        if kind == "new file":
            self._at(Path(values["pattern"].replace("*", "autowebroot")), 0, lines)
        elif kind == "block":
            self._inside(file, number, lines, r"\{")
        elif kind == "section":
            self._inside(file, number, lines, r">\s*$")
        elif kind == "frontend":
            self._inside(file, number, lines, "$")
        elif kind == "instead":
            self._change(file, number, lambda _: "\n".join(lines))
        else:
            self._at(file, {"before": number, "behind": number + 1, "top": 1, "end": _END}[kind], lines)
        location = re.search(rf"in place of its location at {_PLACE}", where) if kind == "block" else None
        if location:
            self._without_block(Path(location["file"]), int(location["line"]))
        self._rest(file, lines, rest)

    def _rest(self, file: Path, lines: List[str], rest: str) -> None:
        """What follows the lines: more lines, what to change besides, and commands."""
        _, more, below = rest.partition("and these, once, at the end of the file:\n")
        if more:
            self._at(file, _END, _lines_at(below))
        for new, old, source, line in re.findall(r'put "(.*?)" in place of "(.*?) \((/\S+):(\d+)\)"', rest):
            self._change(Path(source), int(line), lambda text, old=old, new=new: text.replace(old, new))  # type: ignore[misc]
        for source, line in re.findall(r"and take out the same at (/\S+):(\d+): ", rest):
            self._without_lines(Path(source), int(line), len(lines))
        for source, line, section in re.findall(
                r'and put ".*" \((/\S+):(\d+)\), which is taken first, into a section (<If ".*">) \.\.\. </If>', rest):
            self._change(Path(source), int(line), lambda text, section=section: f"{section}\n{text}\n</If>")  # type: ignore[misc]
        then = re.search(r"(?m)^ *then: (.*)\.$", rest)
        for command in re.split(r", (?:and )?", then[1]) if then else ():
            command = re.sub(r" \(.*\)$", "", command)
            if not command.startswith(("reload ", "restart ", "run Certbot")):
                self._commands[command] = None

    def _at(self, file: Path, line: int, lines: List[str]) -> None:
        def change(text: List[str]) -> None:
            start = min(max(line - 1, 0), len(text))
            text[start:start] = lines
        self._edits.append((file, line, 0, change))

    def _change(self, file: Path, line: int, new: Callable[[str], str]) -> None:
        def change(text: List[str]) -> None:
            text[line - 1] = new(text[line - 1])
        self._edits.append((file, line, 2, change))

    def _inside(self, file: Path, line: int, lines: List[str], opening: str) -> None:
        """As the first lines of the section that begins on a line; its brace may be on the next."""
        def change(text: List[str]) -> None:
            number, match = next((number, match) for number in range(line - 1, len(text))
                                 for match in [re.search(opening, text[number])] if match)
            text[number:number + 1] = [text[number][:match.end()], *lines, text[number][match.end():]]
        self._edits.append((file, line, 1, change))

    def _without_lines(self, file: Path, line: int, number: int) -> None:
        def change(text: List[str]) -> None:
            text[line - 1:line - 1 + number] = []
        self._edits.append((file, line, 2, change))

    def _without_block(self, file: Path, line: int) -> None:
        """Take a block out, to the brace that closes it."""
        def change(text: List[str]) -> None:
            start = re.search(r"\blocation\b", text[line - 1])
            assert start
            rest = "\n".join([text[line - 1][start.start():], *text[line:]])
            depth, end = 0, 0
            for match in re.finditer(r"[{}]", rest):
                depth += 1 if match[0] == "{" else -1
                end = match.end()
                if depth == 0:
                    break
            text[line - 1:] = [text[line - 1][:start.start()], *rest[end:].split("\n")]
        self._edits.append((file, line, 2, change))

