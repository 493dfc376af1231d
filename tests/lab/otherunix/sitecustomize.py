"""Takes away from Python what other Unixes lack, and gives it their ways. From PYTHONPATH, each Python imports it.

Their ways are those of their manual pages: bind(2) of FreeBSD and macOS, setgroups(2) of macOS.
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
    """With SO_REUSEADDR, a single address can be had beside a listener on all addresses: its connections are stolen.

    Linux allows that with SO_REUSEPORT on both sides.
    """
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("", "0.0.0.0", "::"):
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, self.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
    _bind(self, address)


def getgroups() -> List[int]:
    """On macOS, root is in more groups than can be set."""
    return list(range(_MAX_GROUPS + 4))


def setgroups(groups: Sequence[int]) -> None:
    """As Python refuses it there, by NGROUPS_MAX."""
    if len(groups) > _MAX_GROUPS:
        raise ValueError("too many groups")
    _setgroups(groups)


def sysconf(name: str) -> int:
    """The names that macOS has, as far as anybody asks."""
    return {"SC_NGROUPS_MAX": _MAX_GROUPS}[name]


setattr(socket.socket, "bind", bind)  # noqa: B010 - mypy knows that it is a method
os.getgroups = getgroups
os.setgroups = setgroups
setattr(os, "sysconf", sysconf)  # noqa: B010 - mypy knows that it takes a number too
