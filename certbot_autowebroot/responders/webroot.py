"""Answering from a file in a directory that belongs to somebody else and is served by somebody else's server."""
import errno
import logging
import os
import re
import stat
from typing import Any
from typing import Callable
from typing import Optional
from typing import TypeVar

from zope.interface import implementer

from certbot_autowebroot import route
from certbot_autowebroot.interfaces import IResponder
from certbot_autowebroot.responders import AlreadyPublishedError
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.footprints import Footprint
from certbot_autowebroot.responders.footprints import give_name
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.journal import JournalError
from certbot_autowebroot.responders.safe_directories import Chain
from certbot_autowebroot.responders.safe_directories import OpenDirectory
from certbot_autowebroot.responders.safe_directories import UnsafePathError
from certbot_autowebroot.responders.safe_directories import Walk
from certbot_autowebroot.responders.safe_directories import as_owner
from certbot_autowebroot.responders.safe_directories import check_place
from certbot_autowebroot.responders.safe_directories import describe
from certbot_autowebroot.responders.safe_directories import read_file
from certbot_autowebroot.responders.safe_directories import user
from certbot_autowebroot.system.terminal import printable
from certbot_autowebroot.system.views import View

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Another client may make, or take away, the same directories in the same moment.
_ATTEMPTS = 10
#: RFC 8555 section 8.3: nothing on a machine takes a file of such a name for its own.
_USUAL = re.compile(r".*/\.well-known/acme-challenge/[A-Za-z0-9_-]+")


@implementer(IResponder)
class WebrootResponder:
    """One file below one document root.

    :param view: the file system as the server sees it.
    :param place: where the server looks for the file.
    :param journal: that of this run, the same for all of its responders.
    """

    def __init__(self, view: View, place: route.Directory, journal: Journal) -> None:
        self._view = view
        self._place = place
        self._journal = journal
        self._step = ""

    def publish(self, content: bytes) -> None:
        """Put the file there, with the directories that lack between the document root and it.

        :raises PublishError: it cannot be put there; nothing of the attempt is left.
        """
        try:
            self._publish(content)
        except (UnsafePathError, JournalError) as error:
            self.withdraw()
            raise PublishError(str(error)) from error
        except (OSError, ValueError) as error:
            self.withdraw()
            raise PublishError(f"{self._step}: {self._advice(error)}") from error
        except BaseException:
            self.withdraw()
            raise

    def withdraw(self) -> None:
        """Remove the file, and each directory of ours that nobody needs any more. Never raises."""
        self._journal.release(self)

    def _publish(self, content: bytes) -> None:
        *between, name = self._place.name.split("/")
        if name in ("", ".", "..") or ".." in between:
            raise UnsafePathError(f"{self._place} does not name a file below {self._place.root}. Nothing is put there.")
        usual = bool(_USUAL.fullmatch(str(self._place)))
        for attempt in range(_ATTEMPTS):
            self._step = f"The document root {self._place.root} cannot be used"
            walk = Walk(self._view)
            chain = walk.to(self._place.root)
            try:
                check_place(chain, usual)
                for component in between:
                    if component not in ("", "."):
                        chain = self._enter(walk, chain, component)
                        check_place(chain, usual)
                self._create(chain[-1], name, content)
                return
            except FileNotFoundError:
                self.withdraw()
                if attempt == _ATTEMPTS - 1:
                    raise

    def _enter(self, walk: Walk, chain: Chain, name: str) -> Chain:
        here = chain[-1]
        self._step = f"{here.child(name)} cannot be entered"
        try:
            return walk.enter(chain, name)
        except FileNotFoundError:
            pass
        self._step = f"The directory {here.child(name)} cannot be made"
        footprint = self._announce(here, name)
        self._made(footprint, here, os.mkdir, footprint.draft, 0o755)
        draft = _enter_made(walk, chain, footprint.draft)
        if draft.uid not in (footprint.uid, here.uid):  # the latter where the mount says whose everything is (vfat)
            raise UnsafePathError(f"{draft.path} was replaced while it was made, by a directory of {user(draft.uid)}.")
        self._journal.confirm(footprint, draft.key)
        try:
            as_owner(here, give_name, footprint, here)
        except FileExistsError:
            self._journal.take_back(footprint)
            return walk.enter(chain, name)
        made = _enter_made(walk, chain, name)
        if made.key != draft.key:
            raise UnsafePathError(f"{made.path} was replaced while it was made, by a directory of {user(made.uid)}.")
        return (*chain, made)

    def _create(self, directory: OpenDirectory, name: str, content: bytes) -> None:
        self._step = f"The file {directory.child(name)} cannot be written"
        footprint = self._announce(directory, name, content)
        try:
            fd = self._made(footprint, directory, os.open, name,
                            os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            self._use(directory, name, content)
            return
        try:
            status = os.fstat(fd)
            self._journal.confirm(footprint, (status.st_dev, status.st_ino))
            # As the owner too: root would write into the reserve of a full disk and beyond the owner's quota.
            as_owner(directory, _write, fd, content)
        finally:
            os.close(fd)

    def _made(self, footprint: Footprint, directory: OpenDirectory, make: Callable[..., T], *args: Any) -> T:
        """Make it, as the directory's owner. What he may not make is not there to be removed, or to be looked for."""
        try:
            return as_owner(directory, make, *args, dir_fd=directory.fd)
        except (PermissionError, FileExistsError):
            self._journal.forget(footprint)
            raise

    def _use(self, directory: OpenDirectory, name: str, content: bytes) -> None:
        """Make do with what is there already, if it says the same."""
        status = os.lstat(name, dir_fd=directory.fd)
        is_ours = self._journal.share(self, (status.st_dev, status.st_ino))
        try:
            there = as_owner(directory, read_file, directory, name) if stat.S_ISREG(status.st_mode) else None
        except PermissionError:
            there = None  # a hard link, perhaps, to what the directory's owner may not read
        if there != content and is_ours:
            raise AlreadyPublishedError(directory.child(name))
        if there != content:
            raise PublishError(f"{directory.child(name)} exists already: {describe(status)}, and not with the content "
                               "that is needed. Please remove it.")
        logger.debug("%s is there already, with the right content", printable(directory.child(name)))

    def _announce(self, directory: OpenDirectory, name: str, content: Optional[bytes] = None) -> Footprint:
        owner = directory.uid if os.geteuid() == 0 else os.geteuid()
        return self._journal.announce(self, directory, name, owner, content)

    def _advice(self, error: Exception) -> str:
        code = getattr(error, "errno", None)
        reason = getattr(error, "strerror", None) or str(error)
        if code == errno.EROFS and not self._view.is_host:
            return f"{reason} (for the server that runs in a container)."
        if code in (errno.EACCES, errno.EPERM) and os.geteuid() != 0:
            return f"{reason}. You are {user(os.geteuid())}; root could."
        return f"{reason}."


def _enter_made(walk: Walk, chain: Chain, name: str) -> OpenDirectory:
    """A directory that we have just made; whose it is, is for the caller to judge."""
    try:
        return walk.enter_directory(chain, name)[-1]
    except NotADirectoryError:
        raise UnsafePathError(f"{chain[-1].child(name)} was replaced while it was made, in a directory of "
                              f"{user(chain[-1].uid)}.") from None


def _write(fd: int, content: bytes) -> None:
    while content:
        content = content[os.write(fd, content):]
