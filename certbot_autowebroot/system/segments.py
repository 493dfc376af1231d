"""TCP segments as bytes: read one, and make the one that the receiver of it would send next. Pure.

RFC 791 and RFC 8200 (IP), RFC 9293 (TCP), RFC 7323 (timestamps).
"""
import socket
import struct
from typing import NamedTuple
from typing import Optional
from typing import Tuple

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

_TCP = struct.Struct("!HHIIBBHHH")
_IPV4 = struct.Struct("!BBHHHBBH")
_IPV6 = struct.Struct("!IHBB")
_DONT_FRAGMENT = 0x4000
_TTL = 64
_WINDOW = 501
_TIMESTAMPS = 8
#: Extension headers that may stand before TCP: hop-by-hop options, routing, destination options.
_EXTENSIONS = {0, 43, 60}


class Segment(NamedTuple):
    """One TCP segment with the addresses of its packet.

    :ivar source: the packed address of its sender; so the receiver's, ``destination``.
    :ivar payload: what was captured of it, perhaps less than ``size`` bytes.
    :ivar timestamps: TSval and TSecr, RFC 7323 section 3.2; None where it has none.
    """

    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int
    flags: int
    payload: bytes
    size: int
    timestamps: Optional[Tuple[int, int]] = None

    @property
    def family(self) -> int:
        """``AF_INET`` or ``AF_INET6``."""
        return socket.AF_INET if len(self.source) == 4 else socket.AF_INET6


def parse(packet: bytes) -> Segment:
    """Read an IP packet.

    :raises ValueError: it is not TCP, or too short.
    """
    try:
        return _parse(packet)
    except (IndexError, struct.error) as error:
        raise ValueError(f"not a TCP segment: {error}") from error


def _parse(packet: bytes) -> Segment:
    if packet[0] >> 4 == 6:
        end, offset, protocol = 40 + struct.unpack_from("!H", packet, 4)[0], 40, packet[6]
        while protocol in _EXTENSIONS:
            protocol, offset = packet[offset], offset + 8 + 8 * packet[offset + 1]
        source, destination = packet[8:24], packet[24:40]
    else:
        end, offset, protocol = struct.unpack_from("!H", packet, 2)[0], 4 * (packet[0] & 15), packet[9]
        source, destination = packet[12:16], packet[16:20]
    source_port, destination_port, sequence, acknowledgement, words, flags, *_ = _TCP.unpack_from(packet, offset)
    start = offset + (words >> 4) * 4
    if protocol != socket.IPPROTO_TCP or not offset + _TCP.size <= start <= min(end, len(packet)):
        raise ValueError("not a TCP segment")
    return Segment(source, destination, source_port, destination_port, sequence, acknowledgement, flags,
                   packet[start:end], end - start, _timestamps(packet[offset + _TCP.size:start]))


def _timestamps(options: bytes) -> Optional[Tuple[int, int]]:
    while options and options[0] != 0:
        length = 1 if options[0] == 1 else options[1] if len(options) > 1 else 0
        if options[0] == _TIMESTAMPS and length == 10 and len(options) >= length:
            value, echo = struct.unpack_from("!II", options, 2)
            return value, echo
        if length < 1:
            break
        options = options[length:]
    return None


def reply(segment: Segment, flags: int, payload: bytes = b"") -> bytes:
    """The packet that the receiver of a segment sends next, as far as the segment itself tells.

    No state is needed: the sender has written down what it has received, and acknowledged is all that it has sent.
    """
    acknowledged = (segment.sequence + segment.size + (segment.flags & FIN)) & 0xFFFFFFFF
    options = b""
    if segment.timestamps is not None:
        # Not a clock of ours: what the sender saw last from its peer, so that PAWS lets it pass (RFC 7323, section 5).
        value, echo = segment.timestamps
        options = struct.pack("!BBBBII", 1, 1, _TIMESTAMPS, 10, echo, value)
    header = _TCP.pack(segment.destination_port, segment.source_port, segment.acknowledgement, acknowledged,
                       (_TCP.size + len(options)) // 4 << 4, flags, _WINDOW, 0, 0)
    tcp = header + options + payload
    addresses = segment.destination + segment.source
    pseudo = addresses + (struct.pack("!HH", socket.IPPROTO_TCP, len(tcp)) if segment.family == socket.AF_INET
                          else struct.pack("!II", len(tcp), socket.IPPROTO_TCP))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    if segment.family == socket.AF_INET6:
        return _IPV6.pack(6 << 28, len(tcp), socket.IPPROTO_TCP, _TTL) + addresses + tcp
    # The kernel fills in the checksum of an IPv4 header, raw(7).
    return _IPV4.pack(0x45, 0, 20 + len(tcp), 0, _DONT_FRAGMENT, _TTL, socket.IPPROTO_TCP, 0) + addresses + tcp


def checksum(data: bytes) -> int:
    """The Internet checksum, RFC 1071; 0 over data that holds its own."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
