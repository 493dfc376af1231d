"""The file of a journal: JSON lines, locked by the run that writes them."""
import errno
import fcntl
import json
import logging
import os
import secrets
import stat
from typing import Any
from typing import Dict
from typing import Iterator
from typing import Optional

from certbot_autowebroot.responders.safe_directories import user

logger = logging.getLogger(__name__)

#: Bytes to read of a journal, which has a few hundred lines.
MAX_SIZE = 16 * 1024 * 1024


class JournalFile:
    """A journal on the disk, locked by this run while it is open."""

    def __init__(self, directory_fd: int, name: str, fd: int) -> None:
        self._directory_fd = directory_fd
        self._name = name
        self._fd = fd

    @classmethod
    def create(cls, directory: str) -> "JournalFile":
        """Create and lock a journal for this run."""
        os.makedirs(directory, 0o700, exist_ok=True)
        directory_fd = _open_own_directory(directory)
        try:
            while True:
                name = f"{os.getpid()}-{secrets.token_hex(8)}.jsonl"
                file = cls._lock(directory_fd, name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND)
                if file is not None:
                    return file
        finally:
            os.close(directory_fd)

    @classmethod
    def left_in(cls, directory: str) -> Iterator["JournalFile"]:
        """The journals of runs that have ended, locked."""
        try:
            directory_fd = _open_own_directory(directory)
        except FileNotFoundError:
            return
        try:
            for name in sorted(os.listdir(directory_fd)):
                if name.endswith(".jsonl"):
                    file = cls._lock(directory_fd, name, os.O_RDWR | os.O_APPEND)
                    if file is not None:
                        yield file
        finally:
            os.close(directory_fd)

    @classmethod
    def _lock(cls, directory_fd: int, name: str, flags: int) -> Optional["JournalFile"]:
        """Open and lock a journal; None if its run is alive, or the journal is gone."""
        try:
            fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=directory_fd)
        except FileNotFoundError:
            return None
        file = cls(os.dup(directory_fd), name, fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_nlink == 1:  # between open and flock, another run may have swept it
                return file
        except BlockingIOError:
            pass
        except OSError:
            file.close()
            raise
        file.close()
        return None

    def append(self, line: Dict[str, Any]) -> None:
        """Write one line; a reader gets all of it or none.

        :raises OSError: a full disk.
        """
        # A line feed before it too: the line before may be torn.
        text = b"\n" + json.dumps(line).encode("ascii") + b"\n"
        if os.write(self._fd, text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def read(self) -> bytes:
        """Its text."""
        with open(os.dup(self._fd), "rb") as file:
            file.seek(0)
            return file.read(MAX_SIZE)

    def discard(self) -> None:
        """Delete it."""
        try:
            os.unlink(self._name, dir_fd=self._directory_fd)
        except OSError as error:
            logger.debug("%s could not be removed: %s", self._name, error.strerror)

    def close(self) -> None:
        """Close it, which releases the lock."""
        for fd in (self._fd, self._directory_fd):
            os.close(fd)


def _open_own_directory(path: str) -> int:
    """Open the directory of journals, for its owner alone.

    :raises OSError: it is no directory, or another user's.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid():
            raise OSError(errno.EPERM, f"the directory belongs to {user(status.st_uid)}", path)
        if stat.S_IMODE(status.st_mode) != 0o700:
            os.fchmod(fd, 0o700)
    except OSError:
        os.close(fd)
        raise
    return fd
