"""Run nft(8): a table that lives as long as a child process, or commands one after the other. Linux.

The host's own program is used, for its library knows the kernel's messages; in a container's network it works as well.
"""
import os
import select
import subprocess
import time
from typing import IO
from typing import Iterable
from typing import List
from typing import cast

#: Seconds for one transaction: each waits until no packet is in the old rules any more.
_PATIENCE = 20.0
#: A command that does nothing: its answer says that those before it are done.
_MARKER = "describe tcp dport"
_ANSWER = b"datatype inet_service"
#: No file of root's is read or written: with a home, an interactive nft keeps its commands in ``~/.nft.history``.
_ENVIRONMENT = {"HOME": "/dev/null", "LC_ALL": "C", "PATH": "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"}


class NftError(Exception):
    """nft, or the kernel, refuses the commands. The text is its own first line."""


def program() -> str:
    """The path of nft; empty where it is not installed."""
    # Not the user's PATH: this runs as root, and cron's has no sbin.
    return next((path for path in (os.path.join(directory, "nft") for directory in _ENVIRONMENT["PATH"].split(":"))
                 if os.access(path, os.X_OK)), "")


def run(commands: Iterable[str], *options: str) -> None:
    """Run commands in one transaction: all of them, or none.

    :param options: ``--check``: the kernel judges them, and none takes effect.
    :raises NftError: they are refused.
    """
    try:
        done = subprocess.run([program(), *options, "-f", "-"], input="\n".join([*commands, ""]), env=_ENVIRONMENT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NftError(str(error)) from error
    if done.returncode:
        raise NftError(_first_line(done.stdout))


def delete_table(name: str) -> bool:
    """Delete a table of the family ``inet``; whether there was one.

    :raises NftError: it cannot be deleted.
    """
    try:
        run([f"delete table inet {name}"])
        return True
    except NftError as error:
        if "No such file" in str(error):
            return False
        raise


class OwnerProcess:
    """An interactive nft. A table that it makes with ``flags owner`` (kernel 5.12) ends with it, and it ends with us.

    The kernel removes such a table when its maker's netlink socket is closed, and no other program can change it, not
    even ``nft flush ruleset``. nft ends at the end of its input: our pipe, which the kernel closes when we end.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen([program(), "-i"], env=_ENVIRONMENT, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self._input = cast(IO[bytes], self._process.stdin)
        self._output = cast(IO[bytes], self._process.stdout)

    def fileno(self) -> int:
        """The descriptor to wait on for :meth:`has_ended`."""
        return self._output.fileno()

    def has_ended(self) -> bool:
        """Whether the process has ended; to be called when the descriptor is readable, and not within :meth:`run`."""
        return not os.read(self.fileno(), 1 << 16)

    def run(self, commands: Iterable[str]) -> None:
        """As :func:`run`."""
        try:
            self._input.write(f"{'; '.join(commands)}\n{_MARKER}\n".encode("ascii"))
        except OSError as error:
            raise NftError("nft has ended") from error
        answer = self._answer()
        if "Error" in answer:
            raise NftError(_first_line(answer))

    def close(self) -> None:
        """End it, and the table with it."""
        self._process.kill()
        self._process.wait()
        self._input.close()
        self._output.close()

    def _answer(self) -> str:
        answer = b""
        deadline = time.monotonic() + _PATIENCE
        while not (_ANSWER in answer and answer.endswith(b"\n")):
            if not select.select([self], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise NftError("nft does not answer")
            data = os.read(self.fileno(), 1 << 16)
            if not data:
                raise NftError(_first_line(answer.decode(errors="replace")) or "nft has ended")
            answer += data
        return answer.decode(errors="replace")


def _first_line(text: str) -> str:
    lines: List[str] = [line for line in text.splitlines() if "Error" in line] or text.splitlines()
    return lines[0].strip() if lines else ""
