"""Removes from Python what other Unixes lack, and changes calls to their semantics. Python imports it from PYTHONPATH.

The semantics are those of the manual pages: bind(2) of FreeBSD and macOS, setgroups(2) of macOS.
"""
import os
import socket
import sys
from typing import Any
from typing import List
from typing import Sequence

sys.platform = "freebsd13"
os.__all__.remove("O_PATH")
delattr(os, "O_PATH")
socket.__all__.remove("AF_NETLINK")
delattr(socket, "AF_NETLINK")

_MAX_GROUPS = 16
_bind = socket.socket.bind
_setgroups = os.setgroups


def bind(self: socket.socket, address: Any) -> None:
    """With SO_REUSEADDR, a single address can be bound beside a listener on all addresses, and takes its connections.

    Linux allows that with SO_REUSEPORT on both sides.
    """
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("", "0.0.0.0", "::"):
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, self.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
    _bind(self, address)


def getgroups() -> List[int]:
    """On macOS, root is in more groups than can be set."""
    return list(range(_MAX_GROUPS + 4))


def setgroups(groups: Sequence[int]) -> None:
    """Python refuses more than NGROUPS_MAX groups there."""
    if len(groups) > _MAX_GROUPS:
        raise ValueError("too many groups")
    _setgroups(groups)


def sysconf(name: str) -> int:
    """The one name that is asked for."""
    return {"SC_NGROUPS_MAX": _MAX_GROUPS}[name]


setattr(socket.socket, "bind", bind)  # noqa: B010 - mypy knows that it is a method
os.getgroups = getgroups
os.setgroups = setgroups
setattr(os, "sysconf", sysconf)  # noqa: B010 - mypy knows that it takes a number too
