"""Answer by a file in another user's directory, which a web server serves."""
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

#: Another ACME client may make or remove the same directories at the same moment.
_ATTEMPTS = 10
#: RFC 8555 section 8.3. No other program uses files of such a name.
_CHALLENGE_PATH = re.compile(r".*/\.well-known/acme-challenge/[A-Za-z0-9_-]+")


@implementer(IResponder)
class WebrootResponder:
    """One file below one document root.

    :param view: the file system as the server sees it.
    :param place: the path at which the server opens the file.
    :param journal: the journal of this run, shared by all responders.
    """

    def __init__(self, view: View, place: route.Directory, journal: Journal) -> None:
        self._view = view
        self._place = place
        self._journal = journal
        self._step = ""

    def publish(self, content: bytes) -> None:
        """Write the file, and make missing directories between the document root and it.

        :raises PublishError: it cannot be written. All that the attempt has made is removed.
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
        """Remove the file, and each directory of this run that is no longer in use. Never raises."""
        self._journal.release(self)

    def _publish(self, content: bytes) -> None:
        *between, name = self._place.name.split("/")
        if name in ("", ".", "..") or ".." in between:
            raise UnsafePathError(f"{self._place} does not name a file below {self._place.root}. Nothing is put there.")
        is_challenge_path = bool(_CHALLENGE_PATH.fullmatch(str(self._place)))
        for attempt in range(_ATTEMPTS):
            self._step = f"The document root {self._place.root} cannot be used"
            walk = Walk(self._view)
            chain = walk.to(self._place.root)
            try:
                check_place(chain, is_challenge_path)
                for component in between:
                    if component not in ("", "."):
                        chain = self._enter(walk, chain, component)
                        check_place(chain, is_challenge_path)
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
        from certbot_autowebroot.responders import drafts  # late for speed; with our own rights, and not as the owner
        footprint = self._announce(here, name)
        self._make(footprint, here, os.mkdir, footprint.draft, 0o755)
        draft = _enter_made(walk, chain, footprint.draft)
        if draft.uid not in (footprint.uid, here.uid):  # the latter where the mount sets the owner (vfat)
            raise UnsafePathError(f"{draft.path} was replaced while it was made, by a directory of {user(draft.uid)}.")
        self._journal.confirm(footprint, draft.key)
        try:
            as_owner(here, drafts.give_name, footprint, here)
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
            fd = self._make(footprint, directory, os.open, name,
                            os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            self._use(directory, name, content)
            return
        try:
            status = os.fstat(fd)
            self._journal.confirm(footprint, (status.st_dev, status.st_ino))
            # As the owner: root would use the reserve of a full disk, and exceed the owner's quota.
            as_owner(directory, _write, fd, content)
        finally:
            os.close(fd)

    def _make(self, footprint: Footprint, directory: OpenDirectory, make: Callable[..., T], *args: Any) -> T:
        """Make a file or directory as the directory's owner. If that is refused, there is nothing to remove later."""
        try:
            return as_owner(directory, make, *args, dir_fd=directory.fd)
        except (PermissionError, FileExistsError):
            self._journal.forget(footprint)
            raise

    def _use(self, directory: OpenDirectory, name: str, content: bytes) -> None:
        """Use a file that exists already, if it has the right content."""
        status = os.lstat(name, dir_fd=directory.fd)
        is_ours = self._journal.share(self, (status.st_dev, status.st_ino))
        try:
            present = as_owner(directory, read_file, directory, name) if stat.S_ISREG(status.st_mode) else None
        except PermissionError:
            present = None  # perhaps a hard link to a file that the directory's owner may not read
        if present != content and is_ours:
            raise AlreadyPublishedError(directory.child(name))
        if present != content:
            raise PublishError(f"{directory.child(name)} exists already: {describe(status)}, with other content. "
                               "Please remove it.")
        logger.debug("%s exists already, with the right content", printable(directory.child(name)))

    def _announce(self, directory: OpenDirectory, name: str, content: Optional[bytes] = None) -> Footprint:
        owner = directory.uid if os.geteuid() == 0 else os.geteuid()
        return self._journal.announce(self, directory, name, owner, content)

    def _advice(self, error: Exception) -> str:
        code = getattr(error, "errno", None)
        reason = getattr(error, "strerror", None) or str(error)
        if code == errno.EROFS:
            return self._read_only(reason)
        if code in (errno.EACCES, errno.EPERM) and os.geteuid() != 0:
            return f"{reason}. You are {user(os.geteuid())}; root could."
        return f"{reason}."

    def _read_only(self, reason: str) -> str:
        """Mounts of its own and the host's root directory are a systemd unit's, ProtectSystem= of systemd.exec(5)."""
        if not os.path.samestat(os.fstat(self._view.root_fd), os.stat("/")):
            return f"{reason} (for the server that runs in a container)."
        unit = "Certbot's systemd unit" if self._view.is_host else "the systemd unit of the server"
        return f"{reason}. Where {unit} makes it so (ProtectSystem), add to it: ReadWritePaths={self._place.root}"


def _enter_made(walk: Walk, chain: Chain, name: str) -> OpenDirectory:
    """Enter a directory that was just made. The caller checks its owner."""
    try:
        return walk.enter_directory(chain, name)[-1]
    except NotADirectoryError:
        raise UnsafePathError(f"{chain[-1].child(name)} was replaced while it was made, in a directory of "
                              f"{user(chain[-1].uid)}.") from None


def _write(fd: int, content: bytes) -> None:
    while content:
        content = content[os.write(fd, content):]
