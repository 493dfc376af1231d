"""The parent's side of a process that answers on the wire: start it, ask it, end it."""
import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO
from typing import Any
from typing import Dict
from typing import cast

import certbot_autowebroot
from certbot_autowebroot.system.namespaces import Namespace

#: Seconds for one answer: a transaction of nftables takes some 10 ms, on a machine that is short of everything more.
_PATIENCE = 30.0
#: What Python runs: our own package, found behind the standard library.
_CODE = "import sys; sys.path.append(sys.argv[1]); from certbot_autowebroot.responders.wire.process import main; main()"
OWN_NETWORK = Namespace(0, 0)


class WireProcessError(OSError):
    """The process cannot do what it is asked, or has ended. The text is a clause for a person."""


class WireProcess:
    """One process, :mod:`certbot_autowebroot.responders.wire.process`, in one network namespace.

    It ends when this process ends, whatever ends it: its standard input is a pipe that only we hold.

    :param table: the table's name. It is among the arguments of the process, so the process can be found by it.
    :raises OSError: it cannot be started.
    :raises WireProcessError: the network namespace is gone.
    """

    def __init__(self, network: Namespace, table: str) -> None:
        descriptor = os.open(f"/proc/{network.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC) if network.number else -1
        try:
            if network.number and os.fstat(descriptor).st_ino != network.number:
                raise WireProcessError(f"the process {network.pid} has ended")
            # A session of its own: Ctrl-C is for us alone.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _CODE, str(Path(certbot_autowebroot.__file__).parents[1]), table,
                 str(descriptor)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
                pass_fds=[descriptor] if network.number else [], start_new_session=True)
        finally:
            if network.number:
                os.close(descriptor)
        self._input = cast(IO[bytes], self._process.stdin)
        self._output = cast(IO[bytes], self._process.stdout)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def ask(self, request: Dict[str, Any]) -> Dict[str, Any]:
        """Have it do something, and wait until that is done.

        :raises WireProcessError: it cannot be done.
        """
        try:
            self._input.write(json.dumps(request).encode("ascii") + b"\n")
        except OSError:
            pass  # it has ended, and its output says why
        line = self._line()
        try:
            answer: Dict[str, Any] = json.loads(line)
        except ValueError:
            last = line
            while line:
                last, line = line, self._line()
            raise WireProcessError(last.strip() or "its process has ended") from None
        if "error" in answer:
            raise WireProcessError(answer["error"])
        return answer

    def stop(self, wait: bool = False) -> Dict[str, int]:
        """Have it end, which takes it another second for its clients; returns its counts. Never raises.

        :param wait: until it has ended.
        """
        try:
            return self.ask({"end": True})
        except WireProcessError:
            return {}
        finally:
            self._let_go(wait)

    def _let_go(self, wait: bool) -> None:
        self._input.close()
        self._output.close()
        if wait:
            self._process.wait()
            return
        threading.Thread(target=self._process.wait, daemon=True, name="autowebroot wire").start()

    def _line(self) -> str:
        """One line of its answer; empty at the end."""
        descriptor = self._output.fileno()
        line = b""
        deadline = time.monotonic() + _PATIENCE
        while not line.endswith(b"\n"):
            if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self._process.kill()
                raise WireProcessError("its process does not answer")
            data = os.read(descriptor, 1 << 16)
            if not data:
                break
            line += data
        return line.decode("utf-8", "replace")
