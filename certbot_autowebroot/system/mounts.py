"""The same directory by another road: a volume that is read-only in a container is often writable on the host.

Linux, proc(5), ``mountinfo``: the device and the root of a mount say which part of which file system it shows.
"""
import os
import posixpath
import re
from typing import Iterator
from typing import NamedTuple
from typing import Optional

_OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One line of mountinfo.

    :ivar device: major:minor of the file system.
    :ivar root: which directory of the file system is mounted.
    :ivar point: where.
    """

    device: str
    root: str
    point: str
    read_only: bool


def is_read_only(fd: int) -> bool:
    """Whether the mount of an open directory takes no writes."""
    return bool(os.fstatvfs(fd).f_flag & os.ST_RDONLY)


def host_path(pid: int, path: str) -> Optional[str]:
    """A path of ours that shows the same directory as a path in a process's view, on a mount that takes writes.

    What is found is a candidate like every other: whoever uses it compares device and inode.
    """
    theirs = _mount_of(pid, path)
    if theirs is None:
        return None
    inside = posixpath.normpath(posixpath.join(theirs.root, posixpath.relpath(path, theirs.point)))
    for ours in _mounts("self"):
        if ours.device == theirs.device and not ours.read_only and _is_below(inside, ours.root):
            found = posixpath.normpath(posixpath.join(ours.point, posixpath.relpath(inside, ours.root)))
            if os.path.isdir(found):
                return found
    return None


def _mount_of(pid: int, path: str) -> Optional[Mount]:
    """The mount that a path is on: the one with the longest point above it, the last of these."""
    found: Optional[Mount] = None
    for mount in _mounts(str(pid)):
        if _is_below(path, mount.point) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def _mounts(pid: str) -> Iterator[Mount]:
    try:
        # The kernel leaves a carriage return in the name of a mount point as it is.
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape",
                  newline="\n") as file:
            for line in file:
                fields = line.split(" ")
                yield Mount(fields[2], _unescaped(fields[3]), _unescaped(fields[4]), "ro" in fields[5].split(","))
    except OSError:  # the process has ended
        return


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
