"""A private network namespace for each test process: every run has its own port 80.

The mounts are private too: the name server of a test is 127.0.0.1 (pebble-challtestsrv), and the host's
/etc/resolv.conf stays as it is.
"""
import atexit
import ctypes
import os
import subprocess
import tempfile

#: The public addresses of the tests: documentation addresses, RFC 5737 and RFC 3849.
PUBLIC_V4 = "203.0.113.10"
PUBLIC_V6 = "2001:db8::10"
#: A second address of the same host.
OTHER_V4 = "203.0.113.11"

_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_MS_REC_PRIVATE = 0x4000 | 0x40000
_MS_BIND = 0x1000


def enter_private_namespace() -> None:
    """Give this process and all its later children a private network and private mounts. Needs root."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET))
    _check(libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None))
    for command in ("link set lo up", f"addr add {PUBLIC_V4}/32 dev lo", f"addr add {OTHER_V4}/32 dev lo",
                    f"-6 addr add {PUBLIC_V6}/128 dev lo nodad"):
        subprocess.run(["ip", *command.split()], check=True)
    _replace("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    _replace("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")


def _replace(path: str, content: str) -> None:
    """Mount a file with this content over a path, for this process and its children only."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd, name = tempfile.mkstemp()
    with os.fdopen(fd, "w") as file:
        file.write(content)
    os.chmod(name, 0o644)
    _check(libc.mount(name.encode(), os.path.realpath(path).encode(), None, _MS_BIND, None))
    atexit.register(os.unlink, name)  # not before: a container mounts another file over it


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
