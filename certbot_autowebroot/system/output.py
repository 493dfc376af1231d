"""Read the output of a child process within limits: its program may be another user's."""
import contextlib
import fcntl
import os
import selectors
import signal
import subprocess
import time
from typing import Generator

#: Linux: the capacity of a pipe in bytes, fcntl(2); by default 64 KiB, and at most 1 MiB without privileges.
_F_SETPIPE_SZ = 1031
_PIPE_SIZE = 1 << 20
#: httpd writes each word by itself: half a million for ten thousand virtual hosts, and as many reads. After _MANY
#: chunks below _SMALL bytes, each read waits _DELAY seconds for more.
_SMALL = 4096
_MANY = 32
_DELAY = 0.005


class OutputLimitError(Exception):
    """The child printed too much or ran too long; the text is a phrase."""


def read(child: "subprocess.Popen[bytes]", seconds: float, max_size: int) -> bytes:
    """The whole output of a child; as :func:`chunks`."""
    return b"".join(chunks(child, seconds, max_size))


def chunks(child: "subprocess.Popen[bytes]", seconds: float, max_size: int) -> Generator[bytes, None, None]:
    """The output of a child, chunk by chunk, until its end; its ``returncode`` is set then.

    A program may print without end, or hang. It may also end while a child of its own, in another session, keeps its
    output open. So every read has a limit.

    :param child: started in a session of its own. If it has not ended, or the caller stops reading, the whole session
        is killed.
    :raises OutputLimitError: it did not end in so many seconds, or printed more than ``max_size`` bytes.
    """
    assert child.stdout is not None  # noqa: S101 - for the type checker: it was started with PIPE
    left, small = max_size, 0
    deadline = time.monotonic() + seconds
    with contextlib.suppress(OSError):  # another Unix, or not permitted
        fcntl.fcntl(child.stdout, _F_SETPIPE_SZ, _PIPE_SIZE)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise OutputLimitError(f"did not end in {seconds:.0f} s")
                chunk = os.read(child.stdout.fileno(), 1 << 20)
                if not chunk:
                    break
                left -= len(chunk)
                if left < 0:
                    raise OutputLimitError(f"printed more than {max_size} bytes")
                yield chunk
                small += len(chunk) < _SMALL
                if small > _MANY:
                    time.sleep(_DELAY)
        child.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise OutputLimitError(f"did not end in {seconds:.0f} s") from None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        child.stdout.close()
