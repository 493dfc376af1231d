"""Copies of packets from the kernel: the ``log group`` statement of nftables, netlink family NETLINK_NETFILTER. Linux.

The numbers are those of include/uapi/linux/netfilter/nfnetlink_log.h.
"""
import contextlib
import errno
import os
import random
import socket
import struct
from typing import Iterator
from typing import NamedTuple

from certbot_autowebroot.system.netlink import ATTRIBUTE
from certbot_autowebroot.system.netlink import HEADER
from certbot_autowebroot.system.netlink import attributes

_NETLINK_NETFILTER = 12
_SUBSYSTEM = 4 << 8
_PACKET = _SUBSYSTEM | 0
_CONFIG = _SUBSYSTEM | 1
_REQUEST_ACK = 0x1 | 0x4
_SOL_NETLINK, _NO_ENOBUFS = 270, 5
_SO_RCVBUFFORCE = 33
#: Attributes of a configuration, and the command to bind a group.
_COMMAND, _MODE, _TIMEOUT, _THRESHOLD = 1, 2, 4, 5
_BIND = 1
_COPY_PACKET = 2
#: Attributes of a packet.
_MARK, _PAYLOAD = 2, 9
_FAMILY = struct.Struct(">BBH")  # struct nfgenmsg: its third field is the group
_BUFFER = 1 << 22


class Packet(NamedTuple):
    """A packet from its IP header on, and its mark (fwmark)."""

    data: bytes
    mark: int


class Nflog:
    """A group that packets are logged to, of the network namespace that this is made in.

    :ivar group: its number; random, for another program may have any.
    :raises OSError: there is no NFLOG here, or it is not permitted.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(getattr(socket, "AF_NETLINK", -1), socket.SOCK_RAW, _NETLINK_NETFILTER)
        try:
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _NO_ENOBUFS, 1)
            self.group = self._bind()
            with contextlib.suppress(PermissionError):  # in a user namespace: the default has to do
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
            # One message for each packet, at once: the default is a hundred packets, or a second.
            self._configure(_attribute(_MODE, struct.pack(">IBx", 0xFFFF, _COPY_PACKET))
                            + _attribute(_THRESHOLD, struct.pack(">I", 1))
                            + _attribute(_TIMEOUT, struct.pack(">I", 1)))
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    def packets(self) -> Iterator[Packet]:
        """The packets that have come; waits for one where there is none."""
        data = self._socket.recv(1 << 18)
        while len(data) >= HEADER.size:
            length, kind, _, _, _ = HEADER.unpack_from(data)
            if length < HEADER.size:
                return
            if kind == _PACKET:
                values = attributes(data[HEADER.size + _FAMILY.size:length])
                if _PAYLOAD in values:
                    yield Packet(values[_PAYLOAD], int.from_bytes(values.get(_MARK, b""), "big"))
            data = data[(length + 3) & ~3:]

    def close(self) -> None:
        """Give the group back."""
        self._socket.close()

    def _bind(self) -> int:
        while True:
            self.group = random.randrange(1 << 14, 1 << 16)  # noqa: S311 - only to be another than a neighbour's
            try:
                self._configure(_attribute(_COMMAND, bytes([_BIND])))
                return self.group
            except OSError as error:
                if error.errno != errno.EBUSY:  # another program has it
                    raise

    def _configure(self, settings: bytes) -> None:
        body = _FAMILY.pack(socket.AF_UNSPEC, 0, self.group) + settings
        self._socket.send(HEADER.pack(HEADER.size + len(body), _CONFIG, _REQUEST_ACK, 1, 0) + body)
        code = -struct.unpack_from("=i", self._socket.recv(1 << 16), HEADER.size)[0]  # struct nlmsgerr
        if code:
            raise OSError(code, os.strerror(code))


def _attribute(kind: int, data: bytes) -> bytes:
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(data), kind) + data + bytes(-len(data) % 4)
