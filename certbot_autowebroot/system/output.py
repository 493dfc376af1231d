"""What a child process prints, bounded: its program may be a stranger's."""
import contextlib
import fcntl
import os
import selectors
import signal
import subprocess
import time
from typing import Generator

#: Linux: how much may wait to be read, fcntl(2); by default 64 KiB, and at most this without privileges.
_F_SETPIPE_SZ = 1031
_PIPE = 1 << 20
#: httpd writes each word for itself: half a million of them for ten thousand virtual hosts, and as many reads where
#: each is waited for. After so many small pieces they are let gather for so many seconds.
_SMALL = 4096
_MANY = 32
_GATHERING = 0.005


class OutputLimitError(Exception):
    """It printed too much, or took too long; the text is a phrase."""


def read(child: "subprocess.Popen[bytes]", seconds: float, max_size: int) -> bytes:
    """All that a child prints until its end, in one piece; as :func:`chunks`."""
    return b"".join(chunks(child, seconds, max_size))


def chunks(child: "subprocess.Popen[bytes]", seconds: float, max_size: int) -> Generator[bytes, None, None]:
    """What a child prints, as it comes, until its end; then its ``returncode`` is known.

    A program may print without end, or do nothing. It may also end and leave its output open in a child of its own,
    which no kill of ours need reach: nothing is read to the end without a limit.

    :param child: in a session of its own. Where it has not ended then, or nobody reads on, it is killed with all that
        are in that.
    :raises OutputLimitError: it did not end in so many seconds, or printed more than that.
    """
    assert child.stdout is not None  # noqa: S101 - what PIPE promises, said to mypy
    left, small = max_size, 0
    deadline = time.monotonic() + seconds
    with contextlib.suppress(OSError):  # another Unix, or it is not allowed
        fcntl.fcntl(child.stdout, _F_SETPIPE_SZ, _PIPE)
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
                    time.sleep(_GATHERING)
        child.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise OutputLimitError(f"did not end in {seconds:.0f} s") from None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        child.stdout.close()
