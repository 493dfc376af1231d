"""Map a container path to the host path of its volume: read-only in the container, it is often writable on the host.

Linux, proc(5), ``mountinfo``: a mount shows the directory ``root`` of the file system ``device``.
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
    :ivar root: the directory of the file system that is mounted.
    :ivar point: the mount point.
    """

    device: str
    root: str
    point: str
    read_only: bool


def is_read_only(fd: int) -> bool:
    """Whether the mount of an open directory is read-only."""
    return bool(os.fstatvfs(fd).f_flag & os.ST_RDONLY)


def host_path(pid: int, path: str) -> Optional[str]:
    """A host path of the same directory as a path in a process's view, on a writable mount; None if there is none.

    It is a candidate: the caller has to compare device and inode.
    """
    mount = _mount_of(pid, path)
    if mount is None:
        return None
    path_on_device = posixpath.normpath(posixpath.join(mount.root, posixpath.relpath(path, mount.point)))
    for host_mount in _mounts("self"):
        if (host_mount.device == mount.device and not host_mount.read_only
                and _is_below(path_on_device, host_mount.root)):
            relative = posixpath.relpath(path_on_device, host_mount.root)
            candidate = posixpath.normpath(posixpath.join(host_mount.point, relative))
            if os.path.isdir(candidate):
                return candidate
    return None


def _mount_of(pid: int, path: str) -> Optional[Mount]:
    """The mount that a path is on: the one with the longest mount point above it, the last of these."""
    nearest: Optional[Mount] = None
    for mount in _mounts(str(pid)):
        if _is_below(path, mount.point) and (nearest is None or len(mount.point) >= len(nearest.point)):
            nearest = mount
    return nearest


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
