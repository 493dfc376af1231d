"""Debian's Apache httpd with a configuration and a directory of its own.

Nothing is written outside that directory, and Debian's own /etc/apache2 is not read.
"""
import os
import pathlib
import signal
import subprocess
import time
from typing import Callable
from typing import List
from typing import Optional
from typing import Sequence
from typing import Set

PROGRAM = "/usr/sbin/apache2"
MODULES = "/usr/lib/apache2/modules"

#: Modules for the test configurations; without mod_info, as in every distribution's default.
DEFAULT_MODULES = ("mpm_event", "authz_core", "authz_host", "alias", "dir", "headers", "macro", "mime", "proxy",
                   "proxy_http", "proxy_balancer", "proxy_fcgi", "lbmethod_byrequests", "slotmem_shm", "rewrite",
                   "setenvif", "ssl", "vhost_alias")

_BASE = """\
ServerRoot {dir}
DefaultRuntimeDir {dir}/run
PidFile {dir}/run/httpd.pid
ErrorLog {dir}/logs/error.log
Mutex file:{dir}/run default
User www-data
Group www-data
StartServers 1
MinSpareThreads 1
ThreadsPerChild 16
MaxRequestWorkers 32
AcceptFilter http none
AcceptFilter https none
<IfModule mod_mime.c>
TypesConfig /dev/null
</IfModule>
"""

#: httpd logs this at each start and reload once its workers accept. It binds long before, even when it is about to
#: give up: an open port says nothing.
_READY = "resuming normal operations"


def make_world_readable(directory: pathlib.Path) -> None:
    """Let all users enter a directory: the workers are www-data, and only root may enter pytest's tmp_path."""
    for parent in (directory, *directory.parents):
        mode = parent.stat().st_mode & 0o7777
        if mode & 0o055 != 0o055 and os.stat(parent).st_uid == os.geteuid() and parent != pathlib.Path("/"):
            parent.chmod(mode | 0o055)


class Apache:
    """One running httpd, in the foreground, with several workers as in production (mpm_event).

    ``{dir}`` in the configuration stands for the directory. The configuration says where to listen.
    """

    def __init__(self, directory: pathlib.Path, configuration: str, modules: Sequence[str] = DEFAULT_MODULES,
                 arguments: Sequence[str] = ()) -> None:
        self.directory = directory
        self.file = directory / "apache2.conf"
        self.modules = modules
        self.arguments = arguments
        self._process: Optional[subprocess.Popen[bytes]] = None
        for name in ("run", "logs"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        make_world_readable(directory)
        self.write(configuration)

    def write(self, configuration: str) -> None:
        """Write a configuration; the running server keeps the old one until :meth:`reload`."""
        loads = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in self.modules)
        self.file.write_text((loads + _BASE + configuration).replace("{dir}", str(self.directory)))

    @property
    def argv(self) -> List[str]:
        """The command line."""
        return [PROGRAM, "-f", str(self.file), "-DFOREGROUND", *self.arguments]

    @property
    def pid(self) -> int:
        """The parent process, which holds the listening sockets and runs as root."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def workers(self) -> Set[int]:
        """The child processes."""
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return {int(pid) for pid in children.split()}

    @property
    def log(self) -> str:
        """The error log so far."""
        file = self.directory / "logs" / "error.log"
        return file.read_text() if file.exists() else ""

    def start(self) -> "Apache":
        """Start, and wait until it accepts; standard error goes to logs/stderr."""
        starts = self.log.count(_READY)
        with open(self.directory / "logs" / "stderr", "wb") as stderr:
            self._process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
        try:
            self._wait(lambda: self.log.count(_READY) > starts)
        except AssertionError:
            self.stop()
            raise
        return self

    def reload(self) -> None:
        """Graceful restart; returns when the old workers are gone and the new ones accept."""
        before = self.workers
        starts = self.log.count(_READY)
        os.kill(self.pid, signal.SIGUSR1)
        self._wait(lambda: self.log.count(_READY) > starts and not self.workers & before)

    def _wait(self, ready: Callable[[], bool]) -> None:
        assert self._process is not None, "not started"
        deadline = time.monotonic() + 60  # ten thousand virtual hosts with TLS take 20
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                stderr = (self.directory / "logs" / "stderr").read_text()
                raise AssertionError(f"httpd is not ready, status {self._process.poll()}\n{stderr}\n{self.log[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop at once; a second call does nothing."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def __enter__(self) -> "Apache":
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()
