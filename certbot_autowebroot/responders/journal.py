"""What we have put where, so that a run that is killed leaves nothing behind for long.

One file for each run, of JSON lines; whoever runs keeps it locked (flock), so what can be locked belongs to a run that
is over. What is about to be made is written down before, what it became (device and inode) after, so that a kill at
any moment leaves a line that says what to look for (``footprints.py``: and how it is known). The lines are not synced
to the disk: what a killed process has written the kernel still has. Only a power cut may lose the last of them.

When a line cannot be written (a full disk), nothing is made: Certbot would not be able to save its certificate a moment
later either, and the CA has not been asked yet.

The contents of challenges are not in it, only their hashes; and it is readable by its owner alone.
"""
import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import secrets
import stat
from collections import Counter
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Set

from certbot_autowebroot.responders.footprints import Footprint
from certbot_autowebroot.responders.footprints import find
from certbot_autowebroot.responders.footprints import parse
from certbot_autowebroot.responders.footprints import remove
from certbot_autowebroot.responders.safe_directories import Held
from certbot_autowebroot.responders.safe_directories import Key
from certbot_autowebroot.responders.safe_directories import Refused
from certbot_autowebroot.responders.safe_directories import user
from certbot_autowebroot.system.terminal import printable

logger = logging.getLogger(__name__)

#: A journal is a few hundred lines; what is larger is not one.
MAX_SIZE = 16 * 1024 * 1024
#: What rmdir(2) says of a directory that somebody uses.
_IN_USE = (errno.ENOTEMPTY, errno.EEXIST)


class JournalError(Exception):
    """The journal cannot be written. The text is a whole sentence for a person."""


class _Standing(NamedTuple):
    """A footprint of this run, and who uses it.

    The directory that it is in stays open, so that renaming does not hide it.
    """

    footprint: Footprint
    directory: Held
    users: Set[object]


class Journal:
    """The journal of one run, and what other runs have left.

    :param directory: of ours alone; made when first needed.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._file: Optional[_JournalFile] = None
        self._last = 0
        self._standing: Dict[int, _Standing] = {}
        self._by_key: Dict[Key, _Standing] = {}
        self._keeper: Optional[object] = None
        self._tables: Set[int] = set()

    @contextlib.contextmanager
    def keeping_directories(self, keeper: object) -> Iterator[None]:
        """Meanwhile, directories that are made have one more user: they stay until it releases them, or to the end.

        The token's file goes where the test file was, and to make a directory takes longer than all else there.
        """
        self._keeper = keeper
        try:
            yield
        finally:
            self._keeper = None
            self.release(keeper)

    def announce(self, user: object, directory: Held, name: str, uid: int,
                 content: Optional[bytes] = None) -> Footprint:
        """Write down what is about to be made: a directory, or a file with this content.

        :param user: whoever will release it.
        :param uid: whose it will be.
        :raises JournalError: it cannot be written down, so it must not be made.
        """
        self._last += 1
        users = {user}
        draft, sha256 = f".autowebroot-{secrets.token_hex(8)}", ""
        if content is not None:
            draft, sha256 = "", hashlib.sha256(content).hexdigest()
        elif self._keeper is not None:
            users.add(self._keeper)
        footprint = Footprint(self._last, directory.path, directory.key, name, draft, uid, sha256)
        self._write(vars(footprint))
        self._standing[footprint.number] = _Standing(footprint, directory, users)
        return footprint

    def confirm(self, footprint: Footprint, key: Key) -> None:
        """Write down what it became.

        :raises JournalError: it cannot be written down; this run knows it nevertheless.
        """
        footprint.made = key
        self._by_key[key] = self._standing[footprint.number]
        self._write({"number": footprint.number, "made": key})

    def share(self, user: object, key: Key) -> bool:
        """One more user of a file, if it is one of this run; whether it is.

        All members of an upstream group may have the same directory.
        """
        if key in self._by_key:
            self._by_key[key].users.add(user)
        return key in self._by_key

    def release(self, user: object) -> None:
        """Remove what nobody else uses, then every directory of ours that this leaves empty.

        Never raises, but for an exception from a signal handler; then it may be called again.
        """
        for standing in self._standing.values():
            standing.users.discard(user)
        inside = Counter(standing.footprint.parent for standing in self._standing.values())
        # The last made first: what is in a directory goes before it. A directory that is still in use is tried again
        # whenever something goes.
        for standing in reversed(list(self._standing.values())):
            footprint = standing.footprint
            if not standing.users and not (footprint.made and inside[footprint.made]):
                self._remove(standing)
                inside[footprint.parent] -= footprint.number not in self._standing
        self._discard_if_empty()

    def release_all(self) -> None:
        """Remove all that this run has made and not removed: it was interrupted, perhaps while it removed something.

        Never raises.
        """
        for standing in self._standing.values():
            standing.users.clear()
        self.release(None)

    def announce_table(self, name: str, network: int) -> int:
        """Write down that a table of nftables is about to be made; returns the number for :meth:`forget_table`.

        :param network: the number of its network namespace; 0 for our own.
        :raises JournalError: it cannot be written down, so the table must not be made.
        """
        self._last += 1
        self._write({"number": self._last, "table": name, "network": network})
        self._tables.add(self._last)
        return self._last

    def forget_table(self, number: int) -> None:
        """The table is gone. Never raises."""
        self._tables.discard(number)
        self._write_gone(number)
        self._discard_if_empty()

    def sweep(self) -> List[str]:
        """Remove what runs that are over have left behind.

        :returns: a sentence for each thing that was removed or could not be. Never raises.
        """
        said: Dict[str, None] = {}
        try:
            while True:
                news = [sentence for file in _JournalFile.left_in(self._directory) for sentence in _sweep(file)]
                if said.keys() >= set(news):
                    return list(said)
                said.update(dict.fromkeys(news))  # once more: what went may have kept a directory of another run's
        except OSError as error:
            return [*said, f"What earlier runs left behind could not be looked up in {self._directory}: "
                           f"{error.strerror}."]

    def take_back(self, footprint: Footprint) -> None:
        """Remove it now: it is not needed after all. Never raises."""
        self._remove(self._standing[footprint.number])

    def forget(self, footprint: Footprint) -> None:
        """It is gone, or it was somebody else who made it."""
        if footprint.made is not None:
            self._by_key.pop(footprint.made, None)
        self._standing.pop(footprint.number, None)
        self._write_gone(footprint.number)

    def _write_gone(self, number: int) -> None:
        try:
            self._write({"number": number, "gone": True})
        except JournalError as error:
            logger.debug("%s", error)  # the next run will look for it, and not find it

    def _discard_if_empty(self) -> None:
        if not self._standing and not self._tables and self._file is not None:
            # Forgotten before it is closed: the number of a closed descriptor is soon another's.
            file, self._file = self._file, None
            file.discard()
            file.close()

    def _remove(self, standing: _Standing) -> None:
        footprint = standing.footprint
        try:
            remove(footprint, standing.directory, by_content=footprint.made is None)
        except OSError as error:
            if error.errno not in _IN_USE:
                logger.warning("%s could not be removed: %s. The next run will try again.", error.filename or footprint,
                               error.strerror)
        else:
            self.forget(footprint)

    def _write(self, line: Dict[str, Any]) -> None:
        try:
            if self._file is None:
                self._file = _JournalFile.create(self._directory)
            self._file.append(line)
        except OSError as error:
            raise JournalError(f"The journal of what is put into web roots cannot be written in {self._directory}: "
                               f"{error.strerror}. Nothing is put there without it; please correct this.") from error


class _JournalFile:
    """A journal on the disk, locked by us for as long as it is open."""

    def __init__(self, directory_fd: int, name: str, fd: int) -> None:
        self._directory_fd = directory_fd
        self._name = name
        self._fd = fd

    @classmethod
    def create(cls, directory: str) -> "_JournalFile":
        """A journal for this run."""
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
    def left_in(cls, directory: str) -> Iterator["_JournalFile"]:
        """The journals of runs that are over."""
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
    def _lock(cls, directory_fd: int, name: str, flags: int) -> Optional["_JournalFile"]:
        """Open and lock a journal; None where its run lives, or it is gone."""
        try:
            fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=directory_fd)
        except FileNotFoundError:
            return None
        file = cls(os.dup(directory_fd), name, fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_nlink == 1:  # between open and flock another run may have swept it away
                return file
        except BlockingIOError:
            pass
        except OSError:
            file.close()
            raise
        file.close()
        return None

    def append(self, line: Dict[str, Any]) -> None:
        """Write one line, whole or not at all as far as its reader can tell."""
        # It starts with a line feed of its own, for the line before may be torn.
        text = b"\n" + json.dumps(line).encode("ascii") + b"\n"
        if os.write(self._fd, text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def read(self) -> bytes:
        """Its text."""
        with open(os.dup(self._fd), "rb") as file:
            file.seek(0)
            return file.read(MAX_SIZE)

    def discard(self) -> None:
        """Remove it from the disk."""
        try:
            os.unlink(self._name, dir_fd=self._directory_fd)
        except OSError as error:
            logger.debug("%s could not be removed: %s", self._name, error.strerror)

    def close(self) -> None:
        """Give the lock back."""
        for fd in (self._fd, self._directory_fd):
            os.close(fd)


def _open_own_directory(path: str) -> int:
    """:raises OSError: it is not a directory, or not ours alone to write in."""
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


def _sweep(file: _JournalFile) -> Iterator[str]:
    """Remove what one journal says, and the journal with the last of it."""
    gone = []
    try:
        text = file.read()
        footprints = parse(text)
        for footprint in footprints:
            try:
                removed = remove(footprint, find(footprint), by_content=True)
                if removed:
                    yield f"Removed {removed}, which an earlier run had left behind."
            except FileNotFoundError:
                pass
            except (OSError, Refused, ValueError) as error:
                if getattr(error, "errno", None) not in _IN_USE:
                    named, reason = str(getattr(error, "filename", "")), getattr(error, "strerror", None) or str(error)
                    what = named if named.startswith(str(footprint.path)) else footprint
                    yield f"{what}, which an earlier run left behind, could not be removed: {printable(reason)}"
                continue
            gone.append(footprint.number)
        tables = 0
        if b'"table"' in text:
            # Not imported before a killed run has left one.
            from certbot_autowebroot.responders.wire import leftovers
            from certbot_autowebroot.responders.wire.child import WireProcessError
            for table in leftovers.parse(text):
                tables += 1
                try:
                    if leftovers.remove(table):
                        yield f"Removed the nftables table {table.name}, which an earlier run had left behind."
                    gone.append(table.number)
                except (OSError, WireProcessError) as error:
                    yield (f"The nftables table {table.name}, which an earlier run left behind, could not be removed: "
                           f"{error}")
        if len(gone) == len(footprints) + tables:
            file.discard()
        else:
            for number in gone:
                file.append({"number": number, "gone": True})
    except OSError as error:
        # A full disk, mostly, that takes no note of what is gone: the next sweep will look for it, and not find it.
        logger.debug("a journal cannot be read or written: %s", error)
    finally:
        file.close()
