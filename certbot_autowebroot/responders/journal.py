"""Write-ahead log of published files, for clean-up after a crash.

Each run has one file of JSON lines, which it keeps locked by flock(2): a journal that can be locked belongs to a run
that has ended. A line is written before a file or directory is made, and another with its device and inode after that.
So a run that is killed at any moment has left a line about all that it has made; ``footprints.py`` finds and identifies
it. The lines are not synced to the disk: the kernel keeps the writes of a killed process, and only a power cut may lose
the last lines.

If a line cannot be written (a full disk), nothing is made. Certbot could not save its certificate either, and the CA
has not been asked yet.

The journal has the hash of a file's content, not the content, and only its owner can read it.
"""
import contextlib
import errno
import hashlib
import logging
import secrets
from collections import Counter
from typing import TYPE_CHECKING
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
from certbot_autowebroot.responders.journal_file import JournalFile
from certbot_autowebroot.responders.safe_directories import Key
from certbot_autowebroot.responders.safe_directories import OpenDirectory
from certbot_autowebroot.responders.safe_directories import UnsafePathError
from certbot_autowebroot.system.terminal import printable

if TYPE_CHECKING:
    from certbot_autowebroot.responders.wire.leftovers import Leftover

logger = logging.getLogger(__name__)

#: Errors of rmdir(2) for a directory in use.
_IN_USE = (errno.ENOTEMPTY, errno.EEXIST)


class JournalError(Exception):
    """The journal cannot be written. The text is a whole sentence for the user."""


class _Entry(NamedTuple):
    """A footprint of this run, and its users: it is removed when the last one releases it.

    The directory that it is in stays open, so that it is found after a rename.
    """

    footprint: Footprint
    directory: OpenDirectory
    users: Set[object]


class Journal:
    """The journal of one run, and the clean-up after earlier runs.

    :param directory: the directory of all journals; made when first needed.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._file: Optional[JournalFile] = None
        self._last = 0
        self._entries: Dict[int, _Entry] = {}
        self._by_key: Dict[Key, _Entry] = {}
        self._keeper: Optional[object] = None
        self._tables: Set[int] = set()

    @contextlib.contextmanager
    def keeping_directories(self, keeper: object) -> Iterator[None]:
        """In the block, directories that are made have ``keeper`` as one more user, until the end of the block.

        The token's file goes to the place of the test file, and to make the directories takes longest.
        """
        self._keeper = keeper
        try:
            yield
        finally:
            self._keeper = None
            self.release(keeper)

    def announce(self, user: object, directory: OpenDirectory, name: str, uid: int,
                 content: Optional[bytes] = None) -> Footprint:
        """Record that a directory, or a file with this content, is about to be made.

        :param user: its user, for :meth:`release`.
        :param uid: its owner.
        :raises JournalError: it cannot be recorded, so it must not be made.
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
        self._entries[footprint.number] = _Entry(footprint, directory, users)
        return footprint

    def confirm(self, footprint: Footprint, key: Key) -> None:
        """Record the device and inode of a footprint.

        :raises JournalError: it cannot be recorded; this run remembers it nevertheless.
        """
        footprint.made = key
        self._by_key[key] = self._entries[footprint.number]
        self._write({"number": footprint.number, "made": key})

    def share(self, user: object, key: Key) -> bool:
        """Add a user to a file of this run. False if no file of this run has this key.

        All members of an upstream group may have the same document root.
        """
        if key in self._by_key:
            self._by_key[key].users.add(user)
        return key in self._by_key

    def release(self, user: object) -> None:
        """Remove each footprint without other users, and each directory of this run that becomes empty.

        Never raises, except for an exception from a signal handler; then it may be called again.
        """
        for entry in self._entries.values():
            entry.users.discard(user)
        inside = Counter(entry.footprint.parent for entry in self._entries.values())
        # The last one first: files go before their directory. A directory in use is tried again at each release.
        for entry in reversed(list(self._entries.values())):
            footprint = entry.footprint
            if not entry.users and not (footprint.made and inside[footprint.made]):
                self._remove(entry)
                inside[footprint.parent] -= footprint.number not in self._entries
        self._discard_if_empty()

    def release_all(self) -> None:
        """Remove all footprints of this run, after an interruption. Never raises."""
        for entry in self._entries.values():
            entry.users.clear()
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
        """Remove what earlier runs have left behind. Never raises.

        :returns: a sentence for each file or directory that was removed, or could not be.
        """
        sentences: Dict[str, None] = {}
        try:
            while True:
                new = [sentence for file in JournalFile.left_in(self._directory) for sentence in _sweep(file)]
                if sentences.keys() >= set(new):
                    return list(sentences)
                # Again: a removed file of one run may have been the last in a directory of another run.
                sentences.update(dict.fromkeys(new))
        except OSError as error:
            return [*sentences, f"What earlier runs left behind could not be looked up in {self._directory}: "
                                f"{error.strerror}."]

    def take_back(self, footprint: Footprint) -> None:
        """Remove a footprint at once. Never raises."""
        self._remove(self._entries[footprint.number])

    def forget(self, footprint: Footprint) -> None:
        """Record that a footprint is gone, or was never made."""
        if footprint.made is not None:
            self._by_key.pop(footprint.made, None)
        self._entries.pop(footprint.number, None)
        self._write_gone(footprint.number)

    def _write_gone(self, number: int) -> None:
        try:
            self._write({"number": number, "gone": True})
        except JournalError as error:
            logger.debug("%s", error)  # the next run will search for it in vain

    def _discard_if_empty(self) -> None:
        if not self._entries and not self._tables and self._file is not None:
            # Reset before it is closed: the number of a closed descriptor is soon reused.
            file, self._file = self._file, None
            file.discard()
            file.close()

    def _remove(self, entry: _Entry) -> None:
        footprint = entry.footprint
        try:
            remove(footprint, entry.directory, by_content=footprint.made is None)
        except OSError as error:
            if error.errno not in _IN_USE:
                logger.warning("%s could not be removed: %s. The next run will try again.", error.filename or footprint,
                               error.strerror)
        else:
            self.forget(footprint)

    def _write(self, line: Dict[str, Any]) -> None:
        try:
            if self._file is None:
                self._file = JournalFile.create(self._directory)
            self._file.append(line)
        except OSError as error:
            raise JournalError(f"The journal of what is put into web roots cannot be written in {self._directory}: "
                               f"{error.strerror}. Nothing is put there without it; please correct this.") from error


def _sweep(file: JournalFile) -> Iterator[str]:
    """Remove the footprints of one journal, and the journal after the last one."""
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
            except (OSError, UnsafePathError, ValueError) as error:
                if getattr(error, "errno", None) not in _IN_USE:
                    named, reason = str(getattr(error, "filename", "")), getattr(error, "strerror", None) or str(error)
                    what = named if named.startswith(str(footprint.path)) else footprint
                    yield f"{what}, which an earlier run left behind, could not be removed: {printable(reason)}"
                continue
            gone.append(footprint.number)
        tables = _tables_in(text)
        yield from _remove_tables(tables, gone)
        if len(gone) == len(footprints) + len(tables):
            file.discard()
        else:
            for number in gone:
                file.append({"number": number, "gone": True})
    except OSError as error:
        # Mostly a full disk, so that removals are not recorded: the next sweep will search for them in vain.
        logger.debug("a journal cannot be read or written: %s", error)
    finally:
        file.close()


def _tables_in(text: bytes) -> "List[Leftover]":
    if b'"table"' not in text:
        return []
    from certbot_autowebroot.responders.wire import leftovers  # only after a killed run
    return leftovers.parse(text)


def _remove_tables(tables: "List[Leftover]", gone: List[int]) -> Iterator[str]:
    """Remove nftables tables; appends the numbers of those that are gone."""
    for table in tables:
        from certbot_autowebroot.responders.wire import leftovers
        try:
            if leftovers.remove(table):
                yield f"Removed the nftables table {table.name}, which an earlier run had left behind."
            gone.append(table.number)
        except OSError as error:
            yield f"The nftables table {table.name}, which an earlier run left behind, could not be removed: {error}"
