"""Whether the user of a server may enter a directory: modes and access control lists, acl(5)."""
import os
import pwd
import stat
import struct
import sys
from typing import Iterator
from typing import NamedTuple
from typing import Optional
from typing import Tuple

from certbot_autowebroot.system import processes
from certbot_autowebroot.system.identity import Rights
from certbot_autowebroot.system.identity import users_of

_ACL = "system.posix_acl_access"
#: include/uapi/linux/posix_acl_xattr.h: a version of four bytes, then the entries.
_ENTRY = struct.Struct("<HHI")
_USER, _GROUP_OBJECT, _GROUP, _MASK = 0x02, 0x04, 0x08, 0x10
_ENTER = 1


class ClosedDirectory(NamedTuple):
    """A directory that a user may not enter.

    :ivar user: the name, or the number where it has none.
    :ivar mode: the permission bits.
    """

    path: str
    user: str
    mode: int


def closed_directory(pid: int, path: str) -> Optional[ClosedDirectory]:
    """The first directory above a path that the user of a server may not enter; None where all are open.

    :param pid: the program that holds the port; its children often have another user.
    """
    try:
        program = processes.process(pid)
        if program is None or program.view.is_contained:
            return None  # the path is one of a container
        rights = _worker_rights(pid)
        for directory in _directories(os.path.realpath(path)):
            if rights.uid != 0 and not _may_enter(directory, rights):
                return ClosedDirectory(directory, _name(rights.uid), stat.S_IMODE(os.stat(directory).st_mode))
    except OSError:  # it has ended, or the path is not visible to this user
        pass
    return None


def _worker_rights(pid: int) -> Rights:
    """The rights of a worker: of a child that is not root's, or of the program itself."""
    children = [users_of(child)[1] for child in processes.children_of(pid)]
    return next((rights for rights in children if rights.uid != 0), None) or users_of(pid)[1]


def _directories(path: str) -> Iterator[str]:
    """The directories above a path, from the root on, as far as they exist."""
    parts = path.split("/")[1:-1]
    for number in range(len(parts) + 1):
        directory = "/" + "/".join(parts[:number])
        if not os.path.isdir(directory):
            return
        yield directory


def _may_enter(directory: str, rights: Rights) -> bool:
    """The algorithm of acl(5), "ACCESS CHECK ALGORITHM"; the mode where there is no list."""
    status = os.stat(directory)
    owner, group, others = (status.st_mode >> shift & 7 for shift in (6, 3, 0))
    if rights.uid == status.st_uid:
        return bool(owner & _ENTER)
    groups = {rights.gid, *rights.groups}
    entries = _entries(directory)
    if not entries:
        return bool((group if status.st_gid in groups else others) & _ENTER)
    mask = next((bits for tag, bits, _ in entries if tag == _MASK), 7)
    for tag, bits, number in entries:
        if tag == _USER and number == rights.uid:
            return bool(bits & mask & _ENTER)
    of_groups = [bits & mask for tag, bits, number in entries
                 if (tag == _GROUP and number in groups) or (tag == _GROUP_OBJECT and status.st_gid in groups)]
    return any(bits & _ENTER for bits in of_groups) if of_groups else bool(others & _ENTER)


def _entries(directory: str) -> Tuple[Tuple[int, int, int], ...]:
    """Tag, permissions and number of each entry of an access control list; none where there is no list."""
    if sys.platform != "linux":
        return ()
    try:
        return tuple(_ENTRY.iter_unpack(os.getxattr(directory, _ACL)[4:]))
    except OSError:  # there is no list, or the file system has none
        return ()


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
