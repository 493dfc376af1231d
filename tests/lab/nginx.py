"""Debian's nginx, a master with the usual title and one worker; it writes below one directory only."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import Optional
from typing import Sequence
from typing import Type

#: The modules of Debian's packages: unpacked by tools/setup.sh, or installed.
_UNPACKED = Path(sys.prefix) / "nginx-modules" / "usr"
MODULES = (_UNPACKED if _UNPACKED.is_dir() else Path("/usr")) / "lib" / "nginx" / "modules"
#: For the module of Lua, which loads lua-resty-core; the default directories are the last.
_LUA_PATH = f"{_UNPACKED}/share/lua/5.1/?.lua;;"

_FRAME = """\
daemon off;
user {user};
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log notice;
{main}
events {{ worker_connections 256; }}
http {{
    access_log {dir}/access.log;
    client_body_temp_path {dir}/temp/body;
    proxy_temp_path {dir}/temp/proxy;
    fastcgi_temp_path {dir}/temp/fastcgi;
    uwsgi_temp_path {dir}/temp/uwsgi;
    scgi_temp_path {dir}/temp/scgi;
    server_names_hash_bucket_size 128;
    server_names_hash_max_size 4096;
    keepalive_timeout 0;
"""


def environment() -> Dict[str, str]:
    """The environment in which nginx finds the files of its modules."""
    return {**os.environ, **({"LUA_PATH": _LUA_PATH} if _UNPACKED.is_dir() else {})}


@contextlib.contextmanager
def public_directory() -> Iterator[Path]:
    """A fresh directory that every user may enter: pytest's tmp_path is below one of mode 0700, shut to www-data."""
    path = Path(tempfile.mkdtemp(prefix="nginx-lab-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


class Nginx:
    """One running nginx; use it as a context manager, or call :meth:`start` and :meth:`stop`.

    :ivar directory: prefix (``-p``), and where configuration, logs, pid and temporary files lie.
    :ivar conf: path of the main configuration file; edit it and :meth:`reload`, or leave it edited.

    :param config: the content of ``http { }``; ``{dir}`` becomes the directory.
    :param main: lines outside of it, such as ``load_module``.
    :param user: the user of the worker. ``www-data`` needs a :func:`public_directory`.
    """

    def __init__(self, directory: "os.PathLike[str]", config: str, *, main: str = "", user: str = "root") -> None:
        self.directory = Path(directory)
        self.conf = self.directory / "nginx.conf"
        self.error_log = self.directory / "error.log"
        self.access_log = self.directory / "access.log"
        self._main = main
        self._user = user
        self._process: Optional[subprocess.Popen[bytes]] = None
        (self.directory / "temp").mkdir(parents=True, exist_ok=True)
        self.configure(config)

    def __enter__(self) -> "Nginx":
        self.start()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The master's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def workers(self) -> Sequence[int]:
        """The process ids of the workers; a child that has just been forked still has the master's title."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
            children = [int(pid) for pid in file.read().split()]
        return [pid for pid in children if _title(pid).startswith(b"nginx: worker")]

    def configure(self, config: str) -> None:
        """Write the configuration; it takes effect with the next :meth:`start` or :meth:`reload`."""
        frame = _FRAME.format(user=self._user, dir=self.directory, main=self._main)
        self.conf.write_text(frame + config.replace("{dir}", str(self.directory)) + "\n}\n", encoding="utf-8")

    def write(self, name: str, text: str) -> Path:
        """Add a file below the directory, with the directories that lead there."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{dir}", str(self.directory)), encoding="utf-8")
        return path

    def start(self, command: Sequence[str] = ()) -> None:
        """Start it and wait until it listens.

        :param command: another command line than the usual one with ``-p``, ``-c`` and ``-e``.
        """
        usual = ["nginx", "-p", str(self.directory), "-c", str(self.conf), "-e", str(self.error_log)]
        logged = self._log()
        self._process = subprocess.Popen(list(command) or usual, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                         env=environment())
        try:
            # The master forks its first worker after it has opened every listening socket.
            self._wait(lambda: bool(self.workers), logged)
        except AssertionError:
            self.stop()
            raise

    def reload(self) -> None:
        """Take over the edited configuration and wait until the old worker has gone.

        :raises AssertionError: nginx refuses the configuration (and goes on with the old one); the text is its own.
        """
        old = set(self.workers)
        logged = self._log()
        os.kill(self.pid, signal.SIGHUP)
        self._wait(lambda: bool(self.workers) and old.isdisjoint(self.workers), logged)

    def stop(self) -> None:
        """Stop it; more than once is fine."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _log(self) -> str:
        return self.error_log.read_text(encoding="utf-8", errors="replace") if self.error_log.exists() else ""

    def _wait(self, done: Callable[[], bool], logged: str, seconds: float = 15.0) -> None:
        assert self._process is not None
        deadline = time.monotonic() + seconds
        while self._process.poll() is not None or not done():
            errors = [line for line in self._log()[len(logged):].splitlines() if "[emerg]" in line]
            if errors or self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("nginx did not come up: " + "; ".join(errors))
            time.sleep(0.005)


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
