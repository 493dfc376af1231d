"""Open a path below a directory that stands for the root, by openat2(2). Linux 5.6 and later."""
import ctypes
import errno
import functools
import os
import sys

#: Attempts at a path with ``..`` in it: a user who renames directories in a loop gets the kernel to refuse it each
#: time.
_MAX_ATTEMPTS = 1000

_SYS_OPENAT2 = 437  # the same number on every architecture: Linux, include/uapi/asm-generic/unistd.h
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10


class _OpenHow(ctypes.Structure):
    """struct open_how of openat2(2)."""

    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def open_in_root(root_fd: int, path: str, flags: int) -> int:
    """Open a path inside a root directory: absolute links and ``..`` do not lead out of it.

    :returns: a descriptor.
    :raises OSError: as openat2(2); ENOSYS on another system and on an older kernel.
    """
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOSYS, "another process's view of the file system is Linux only", path)
    libc = _libc()
    how = _OpenHow(flags, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    for _ in range(_MAX_ATTEMPTS):
        fd: int = libc.syscall(_SYS_OPENAT2, root_fd, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        # EAGAIN: something was renamed while the kernel resolved a "..", openat2(2).
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code), path)
