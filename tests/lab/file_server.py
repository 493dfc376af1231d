"""Directories of a file server that machines mount as by NFS: exports(5).

The kernel of these tests has no NFS. For ``root_squash`` a mount has a mapping of users without root, mount_setattr(2):
as with NFS, root of that machine makes nothing, reads what others may read, and every other user is that user.
"""
import contextlib
import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator
from typing import List

#: include/uapi/asm-generic/unistd.h, and include/uapi/linux/mount.h and fcntl.h.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH, _AT_EMPTY_PATH, _AT_FDCWD = 1, 4, 0x1000, -100
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_IDMAP = 1, 0x00100000


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


@contextlib.contextmanager
def _users_without_root() -> Iterator[int]:
    """A user namespace in which each user but root has its number."""
    with subprocess.Popen(["unshare", "--user", "sleep", "infinity"]) as process:
        try:
            while os.stat(f"/proc/{process.pid}/ns/user").st_ino == os.stat("/proc/self/ns/user").st_ino:
                pass
            for kind in ("uid", "gid"):
                Path(f"/proc/{process.pid}/{kind}_map").write_text("1 1 65535\n")
            yield os.open(f"/proc/{process.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            process.kill()


def mount(source: Path, enter: List[str], target: str, options: str) -> None:
    """Mount a directory on a machine.

    :param enter: the beginning of a command that runs on the machine.
    :param options: as in exports(5).
    """
    words = options.split(",")
    with _users_without_root() as users:
        fd = _call(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), _OPEN_TREE_CLONE)
        flags = (_MOUNT_ATTR_RDONLY if "ro" in words else 0) | (0 if "no_root_squash" in words else _MOUNT_ATTR_IDMAP)
        attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, users)  # struct mount_attr
        _call(_MOUNT_SETATTR, fd, b"", _AT_EMPTY_PATH, ctypes.byref(attributes), ctypes.sizeof(attributes))
    subprocess.run([*enter, sys.executable, __file__, str(fd), target], pass_fds=[fd], check=True)
    os.close(fd)


def options_for(exports: str, directory: str, address: str) -> str:
    """The options with which exports(5) gives a directory to a machine."""
    line = next(line for line in exports.splitlines() if line.startswith(f"{directory} "))
    return next(match[2] for match in re.finditer(r"(\S+)\((.*?)\)", line)
                if address.startswith(match[1].rpartition(".")[0] if "/" in match[1] else match[1]))


if __name__ == "__main__":
    os.makedirs(sys.argv[2], exist_ok=True)
    _call(_MOVE_MOUNT, int(sys.argv[1]), b"", _AT_FDCWD, os.fsencode(sys.argv[2]), _MOVE_MOUNT_F_EMPTY_PATH)
