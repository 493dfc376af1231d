"""Any program that serves HTTP in the foreground, and directories whose files say where they lie."""
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Optional
from typing import Sequence
from typing import Type

from certbot_autowebroot import processes
from tests.lab.ports import fetch
from tests.lab.ports import wait_for_port

CHALLENGES = ".well-known/acme-challenge"


class Program:
    """One running program; use it as a context manager, or call :meth:`start` and :meth:`stop`.

    :param argv: what is run; it must stay in the foreground, or name itself in ``pid_file``.
    :param cwd: its working directory.
    :param executable: what is run under the name ``argv[0]``, where that is another.
    """

    def __init__(self, argv: Sequence[str], cwd: "os.PathLike[str]", *, address: str = "127.0.0.1", port: int = 80,
                 executable: Optional[str] = None) -> None:
        self.argv = list(argv)
        self.cwd = Path(cwd)
        self.address = address
        self.port = port
        self._executable = executable
        self._process: Optional[subprocess.Popen[bytes]] = None

    def __enter__(self) -> "Program":
        self.start()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def process(self) -> processes.Process:
        """The same as the plugin sees it."""
        found = processes.process(self.pid)
        assert found is not None
        return found

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(self.argv, cwd=self.cwd, executable=self._executable, stdout=log,
                                             stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        wait_for_port(self.address, self.port, self._process)

    def stop(self) -> None:
        """End it; nothing happens when it has ended."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.cwd.parent / f"{self.cwd.name}.log"

    def get(self, host: str, path: str) -> "tuple[int, str]":
        """Status and body of one request to it, without redirects."""
        status, body = fetch(self.address, self.port, host, path)
        return status, body.decode(errors="replace")


def plant(token: str, *directories: "os.PathLike[str]", below: str = CHALLENGES) -> None:
    """Put a challenge file into each directory; its body is the directory, so that an answer tells where it lay."""
    for directory in directories:
        folder = Path(directory) / below
        folder.mkdir(parents=True, exist_ok=True)
        (folder / token).write_text(os.fspath(directory))
