"""Footprints: files and directories that a run has made. Their record in the journal, how to find and remove them.

A run may be killed after it has made a file and before it has recorded the inode. Times do not identify a file: clocks
are set, hosts are suspended, file servers have clocks of their own. So until the inode is recorded, a random name does:
a file's name contains the token, and a directory has a draft name first, and is then renamed. Both are made in the
directory in which they stay, which gives them their SELinux label.
"""
import dataclasses
import errno
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List
from typing import Optional

from certbot_autowebroot.responders.safe_directories import Key
from certbot_autowebroot.responders.safe_directories import OpenDirectory
from certbot_autowebroot.responders.safe_directories import UnsafePathError
from certbot_autowebroot.responders.safe_directories import Walk
from certbot_autowebroot.responders.safe_directories import as_owner
from certbot_autowebroot.responders.safe_directories import read_file
from certbot_autowebroot.system.terminal import printable
from certbot_autowebroot.system.views import View


@dataclass(eq=False, repr=False)
class Footprint:
    """One directory or file that a run has made, or was about to make.

    :ivar number: identifies it in the journal; higher than the number of the directory that it is in.
    :ivar path: the directory that it is in, a path in the view of that time.
    :ivar parent: device and inode of that directory.
    :ivar draft: a directory's name until its inode is recorded; empty for a file.
    :ivar uid: the intended owner.
    :ivar sha256: the hash of a file's content, hexadecimal; empty for a directory.
    :ivar made: its own device and inode; None until recorded.
    """

    number: int
    path: str
    parent: Key
    name: str
    draft: str
    uid: int
    sha256: str
    made: Optional[Key] = None

    def __str__(self) -> str:
        return printable(os.path.join(self.path, self.name))

    @property
    def names(self) -> List[str]:
        """The names that it may have now."""
        if not self.draft:
            return [self.name]
        return [self.draft] if self.made is None else [self.name, self.draft]

    def is_like(self, status: os.stat_result) -> bool:
        """Whether a file or directory by one of these names may be this footprint, by its status."""
        if stat.S_IFMT(status.st_mode) != (stat.S_IFREG if self.sha256 else stat.S_IFDIR):
            return False
        if self.made is not None:
            return (status.st_dev, status.st_ino) == self.made
        return status.st_uid == self.uid


def parse(text: bytes) -> List[Footprint]:
    """The footprints in a journal's text that are not marked as gone, the last one first."""
    footprints: Dict[int, Footprint] = {}
    for line in text.split(b"\n"):
        try:
            fields = json.loads(line)
            number = fields["number"]
            if "gone" in fields:
                del footprints[number]
            elif "made" in fields and "name" not in fields:
                footprints[number].made = _key(fields["made"])
            else:
                footprints[number] = _footprint(fields)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            pass  # torn by a kill or a full disk
    return sorted(footprints.values(), key=lambda footprint: footprint.number, reverse=True)


def _footprint(fields: Dict[str, Any]) -> Footprint:
    """:raises ValueError, TypeError, KeyError: it is no footprint."""
    footprint = Footprint(**{**fields, "parent": _key(fields["parent"]), "made": None})
    for field in dataclasses.fields(Footprint):
        value = getattr(footprint, field.name)
        if field.type in (int, str) and not isinstance(value, field.type):
            raise TypeError(f"{field.name} is {value!r}")
    names = footprint.name + footprint.draft
    if not footprint.path.startswith("/") or not footprint.name or "/" in names or "\0" in footprint.path + names:
        raise ValueError(f"{footprint} is no path")
    if bool(footprint.draft) == bool(footprint.sha256):
        raise ValueError(f"{footprint} is neither a file nor a directory")
    return footprint


def _key(value: Any) -> Key:
    device, inode = value
    return int(device), int(inode)


def remove(footprint: Footprint, directory: OpenDirectory, by_content: bool) -> str:
    """Remove a footprint from the directory that it is in, if it is still there and unchanged.

    :param by_content: compare a file's content as well. After the run, its inode may have been reused.
    :returns: the path of the removed file or directory, printable; empty if it did not exist.
    :raises OSError: it cannot be removed; its path is the error's ``filename``. ENOTEMPTY for a directory in use.
    """
    def act(name: str) -> bool:
        status = os.lstat(name, dir_fd=directory.fd)
        if not footprint.is_like(status):
            return False
        if not footprint.sha256:
            os.rmdir(name, dir_fd=directory.fd)
        elif by_content and not _has_content(footprint, directory):
            return False
        else:
            os.unlink(name, dir_fd=directory.fd)
        return True

    for name in footprint.names:
        try:
            if as_owner(directory, act, name):
                return printable(os.path.join(footprint.path, name))
        except FileNotFoundError:
            pass
        except OSError as error:
            error.filename = printable(os.path.join(footprint.path, name))
            raise
    return ""


def _has_content(footprint: Footprint, directory: OpenDirectory) -> bool:
    """Whether a file has the recorded content, or none: a run may be killed before it writes."""
    content = read_file(directory, footprint.name)
    return content == b"" or (content is not None and hashlib.sha256(content).hexdigest() == footprint.sha256)


def find(footprint: Footprint) -> OpenDirectory:
    """The directory that a footprint is in, in any view.

    :raises FileNotFoundError: no view has it now.
    """
    failure: Exception = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), footprint.path)
    for view in _views():
        try:
            directory = Walk(view).to(footprint.path)[-1]
        except FileNotFoundError:
            continue
        except (OSError, UnsafePathError) as error:
            failure = error
            continue
        if directory.key == footprint.parent:
            return directory
    raise failure


def _views() -> Iterator[View]:
    """The host's view, then every other view of a process."""
    yield View.of_host()
    from certbot_autowebroot.system.processes import all_pids  # late for speed: seldom needed
    seen = set()
    for pid in all_pids():
        try:
            view = View.of_process(pid)
            status = os.fstat(view.root_fd)
            name = (os.stat(f"/proc/{pid}/ns/mnt").st_ino, status.st_dev, status.st_ino)
        except OSError:
            continue
        if not view.is_host and name not in seen:
            seen.add(name)
            yield view
