"""Give a directory that was made under a draft name its final name, by renameat2(2).

A module of its own, which is imported only to make a directory: ctypes takes two milliseconds.
"""
import ctypes
import errno
import os

from certbot_autowebroot.responders.footprints import Footprint
from certbot_autowebroot.responders.safe_directories import OpenDirectory

#: include/uapi/linux/fs.h.
_RENAME_NOREPLACE = 1


def give_name(footprint: Footprint, directory: OpenDirectory) -> None:
    """Rename a directory from its draft name to its final name. Call it as the owner of the directory that it is in.

    :raises FileExistsError: the name exists. Without renameat2(2) (macOS, NFS), an empty directory that another process
        makes at this moment is replaced.
    """
    code = _rename_new(directory.fd, footprint.draft, footprint.name)
    if code in (errno.ENOSYS, errno.EINVAL):
        try:
            os.lstat(footprint.name, dir_fd=directory.fd)
        except FileNotFoundError:
            os.rename(footprint.draft, footprint.name, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
            return
        code = errno.EEXIST
    if code:
        raise OSError(code, os.strerror(code), str(footprint))


def _rename_new(directory_fd: int, old: str, new: str) -> int:
    """0, or the error's errno."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return errno.ENOSYS
    failed = renameat2(directory_fd, os.fsencode(old), directory_fd, os.fsencode(new), _RENAME_NOREPLACE)
    return ctypes.get_errno() if failed else 0
