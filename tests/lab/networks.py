"""Networks of their own, without a process in them; and what the machine must not see of the programs in them."""
import contextlib
import ctypes
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Iterator
from typing import Optional
from typing import Type

_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 2


class Network:
    """A network namespace; it goes, with all interfaces in it, when it is closed."""

    def __init__(self) -> None:
        with _keeping_the_thread_where_it_is():
            _call("unshare", _CLONE_NEWNET)
            self._fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.ip("link set lo up")

    def __enter__(self) -> "Network":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        os.close(self._fd)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread work in it, and the programs and threads that it starts meanwhile."""
        with _keeping_the_thread_where_it_is():
            _call("setns", self._fd, _CLONE_NEWNET)
            yield

    def ip(self, *commands: str) -> None:
        """Run commands of ip(8) in it."""
        with self.entered():
            subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)

    def nft(self, rules: str) -> None:
        """Replace all rules of its firewall, nft(8)."""
        with self.entered():
            subprocess.run(["nft", "-f", "-"], input="flush ruleset\n" + rules, text=True, check=True)

    def connect(self, interface: str, other: "Network", its_interface: str) -> None:
        """Lay a cable to another network."""
        self.ip(f"link add {interface} type veth peer name {its_interface} netns /proc/{os.getpid()}/fd/{other._fd}",
                f"link set {interface} up")
        other.ip(f"link set {its_interface} up")


@contextlib.contextmanager
def hidden(pid: int) -> Iterator[None]:
    """Hide a process from all that look for it below /proc, as another machine's are hidden.

    The plugin looks into other network namespaces, for they may be containers'.
    """
    with tempfile.TemporaryDirectory() as empty:
        _call("mount", empty.encode(), f"/proc/{pid}".encode(), None, _MS_BIND, None)
        try:
            yield
        finally:
            # The kernel has taken it away where the process has ended.
            ctypes.CDLL(None).umount2(f"/proc/{pid}".encode(), _MNT_DETACH)


@contextlib.contextmanager
def replaced(path: str, content: str) -> Iterator[Path]:
    """Mount a file with this content over a path, visible to us alone."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(content)
        file.flush()
        os.chmod(file.name, 0o644)
        target = os.path.realpath(path).encode()
        _call("mount", file.name.encode(), target, None, _MS_BIND, None)
        try:
            yield Path(path)
        finally:
            _call("umount2", target, _MNT_DETACH)


@contextlib.contextmanager
def _keeping_the_thread_where_it_is() -> Iterator[None]:
    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _call("setns", fd, _CLONE_NEWNET)
        os.close(fd)


def _call(function: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{function}: {os.strerror(code)}")
