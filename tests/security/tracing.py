"""Run a function in a child process under strace, which counts its system calls and injects faults."""
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Callable
from typing import Dict
from typing import List
from typing import Sequence

from tests.lab import children

#: Calls that change something outside of the process.
CHANGING = ("mkdir", "mkdirat", "open", "openat", "write", "rename", "renameat", "renameat2", "unlink", "unlinkat",
            "rmdir", "fchmod", "flock")

#: A call that no program makes: it separates the calls before it from those after it.
_MARK = "/phase"


@dataclass(frozen=True)
class Call:
    """One system call: the ``number``-th by this name in its process, after so many marks."""

    name: str
    number: int
    phase: int
    text: str


@dataclass(frozen=True)
class Traced:
    """The child's wait(2) status and its calls."""

    status: int
    calls: List[Call]


def mark() -> None:
    """Begin a new phase."""
    os.access(_MARK, os.F_OK)


def run(act: Callable[[], None], inject: Sequence[str] = (), names: Sequence[str] = ()) -> Traced:
    """Run a function in a child with strace's ``-e inject=`` expressions; trace the calls by these names, or all."""
    read_end, write_end = os.pipe()
    ready, is_ready = os.pipe()

    def wait_and_act() -> None:
        os.close(write_end)
        os.write(is_ready, b"x")
        os.read(read_end, 1)
        act()

    child = children.start(wait_and_act)
    os.close(read_end)
    os.read(ready, 1)  # else, on a busy machine, what fork(2) itself calls in the child is traced sometimes
    os.close(ready)
    os.close(is_ready)
    trace = ",".join((*names, "access", "faccessat", "faccessat2")) if names else "all"
    with tempfile.NamedTemporaryFile("r") as log:
        strace = subprocess.Popen(
            ["strace", "-q", "-s", "300", "-o", log.name, "-e", "signal=none", "-e", f"trace={trace}",
             *(word for expression in inject for word in ("-e", f"inject={expression}")), "-p", str(child)],
            stderr=subprocess.PIPE)
        _wait_until_traced(child, strace)
        os.write(write_end, b"x")
        os.close(write_end)
        _, status = os.waitpid(child, 0)
        strace.communicate()
        return Traced(status, _parse(log.read()))


def _wait_until_traced(pid: int, strace: "subprocess.Popen[bytes]") -> None:
    while True:
        with open(f"/proc/{pid}/status") as file:
            # Attached, and seen in its read: an attached process that has not been started again is in "t".
            text = file.read()
        if f"TracerPid:\t{strace.pid}\n" in text and "State:\tS" in text:
            return
        if strace.poll() is not None:
            raise AssertionError(f"strace ended with {strace.returncode}")


def _parse(log: str) -> List[Call]:
    calls = []
    phase = 0
    numbers: Dict[str, int] = {}
    for line in log.splitlines():
        match = re.match(r"(\w+)\((.*)", line)
        if not match:
            continue
        name, text = match.groups()
        numbers[name] = numbers.get(name, 0) + 1
        if f'"{_MARK}"' in text:
            phase += 1
            continue
        calls.append(Call(name, numbers[name], phase, text))
    return calls
