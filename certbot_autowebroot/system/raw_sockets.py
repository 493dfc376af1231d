"""Send packets that are made by ourselves, raw(7), ip(7), ipv6(7). Linux."""
import contextlib
import socket
import struct
from typing import Dict

_IP_FREEBIND = 15
_IPV6_FREEBIND = 78
_IP_PKTINFO = 8
_SO_MARK = 36


class RawSockets:
    """One socket for each family, of the network namespace that they are made in.

    :raises OSError: raw sockets are not permitted.
    """

    def __init__(self) -> None:
        self._sockets: Dict[int, socket.socket] = {}
        try:
            self._open(socket.AF_INET, socket.IPPROTO_IP, _IP_FREEBIND)
            with contextlib.suppress(OSError):  # a machine without IPv6
                self._open(socket.AF_INET6, socket.IPPROTO_IPV6, _IPV6_FREEBIND)
        except BaseException:
            self.close()
            raise

    def send(self, packet: bytes, source: bytes, destination: bytes, mark: int) -> None:
        """Send a packet, by the route that a socket of the source address would have.

        :param packet: from its IP header on.
        :param source: the packed address that is its sender's; it need not be one of this machine.
        :param mark: for the rules of policy routing, ip-rule(8).
        :raises OSError: there is no route, or a firewall forbids it.
        """
        family = socket.AF_INET if len(source) == 4 else socket.AF_INET6
        sender = self._sockets[family]
        sender.setsockopt(socket.SOL_SOCKET, _SO_MARK, mark)
        control = ((socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("=i4s4x", 0, source)) if family == socket.AF_INET
                   else (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("=16si", source, 0)))
        sender.sendmsg([packet], [control], 0, (socket.inet_ntop(family, destination), 0))

    def close(self) -> None:
        """Close both."""
        for opened in self._sockets.values():
            opened.close()

    def _open(self, family: int, level: int, freebind: int) -> None:
        self._sockets[family] = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._sockets[family].setsockopt(level, freebind, 1)
