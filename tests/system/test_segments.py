"""Segments as bytes: what is read from one, and the one that its receiver sends next."""
import random
import socket
import struct
from typing import Optional
from typing import Tuple

import pytest

from certbot_autowebroot.system import segments
from certbot_autowebroot.system.segments import ACK
from certbot_autowebroot.system.segments import FIN
from certbot_autowebroot.system.segments import PSH
from certbot_autowebroot.system.segments import Segment

V4 = socket.inet_aton("198.51.100.7"), socket.inet_aton("203.0.113.10")
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7"), socket.inet_pton(socket.AF_INET6, "2001:db8::10")


def packet(addresses: Tuple[bytes, bytes] = V4, data: bytes = b"GET / HTTP/1.1\r\n", flags: int = PSH | ACK,
           sequence: int = 1000, options: bytes = b"", extensions: bytes = b"") -> bytes:
    """A packet as a client sends it, built here from the RFCs' pictures alone."""
    tcp = struct.pack("!HHIIBBHHH", 40000, 80, sequence, 2000, (20 + len(options)) // 4 << 4, flags, 500, 0, 0)
    body = extensions + tcp + options + data
    if len(addresses[0]) == 16:
        return struct.pack("!IHBB", 6 << 28, len(body), 60 if extensions else 6, 64) + b"".join(addresses) + body
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, 6, 0) + b"".join(addresses) + body


def timestamps(value: int, echo: int) -> bytes:
    return b"\1\1\x08\x0a" + struct.pack("!II", value, echo)


@pytest.mark.parametrize("addresses", [V4, V6])
def test_parse(addresses: Tuple[bytes, bytes]) -> None:
    """Addresses, ports, numbers, flags and data."""
    assert segments.parse(packet(addresses)) == Segment(*addresses, 40000, 80, 1000, 2000, PSH | ACK,
                                                        b"GET / HTTP/1.1\r\n", 16)


@pytest.mark.parametrize("options, expected", [
    (timestamps(7, 9), (7, 9)), (b"\x02\x04\x05\xb4" + timestamps(7, 9), (7, 9)), (b"", None),
    (b"\x05\x0a" + bytes(8) + b"\1\1", None), (b"\0\0\0\0", None), (b"\x03\0\0\0", None), (b"\x08\x0a\0\0", None)])
def test_timestamps(options: bytes, expected: Optional[Tuple[int, int]]) -> None:
    """Behind other options, absent, or cut off."""
    assert segments.parse(packet(options=options)).timestamps == expected


def test_extension_headers_are_skipped() -> None:
    """An IPv6 packet with destination options before TCP."""
    assert segments.parse(packet(V6, extensions=b"\x06\0" + bytes(6))).payload == b"GET / HTTP/1.1\r\n"


def test_padding_is_no_payload() -> None:
    """Ethernet fills a short packet up; a long one may be captured in part."""
    assert segments.parse(packet(data=b"") + bytes(6)).size == 0
    cut = segments.parse(packet(data=bytes(3000))[:2000])
    assert (cut.size, len(cut.payload)) == (3000, 1960)


@pytest.mark.parametrize("addresses", [V4, V6])
@pytest.mark.parametrize("payload", [b"", b"even", b"odd"])
@pytest.mark.parametrize("options", [b"", timestamps(7, 9)])
def test_reply(addresses: Tuple[bytes, bytes], payload: bytes, options: bytes) -> None:
    """The other way round, all data acknowledged, the peer's clock, and a checksum that is right."""
    segment = segments.parse(packet(addresses, options=options))
    made = segments.reply(segment, PSH | ACK | FIN, payload)
    answer = segments.parse(made)
    assert answer == Segment(addresses[1], addresses[0], 80, 40000, 2000, 1016, PSH | ACK | FIN, payload, len(payload),
                             (9, 7) if options else None)
    tcp = made[40 if len(addresses[0]) == 16 else 20:]
    pseudo = addresses[1] + addresses[0] + struct.pack("!II", len(tcp), socket.IPPROTO_TCP)
    assert segments.checksum(pseudo + tcp) == 0


def test_reply_acknowledges_a_fin_and_wraps_around() -> None:
    """A FIN counts as one byte; sequence numbers begin again at 0."""
    segment = segments.parse(packet(sequence=0xFFFFFFFE, data=b"abcd", flags=FIN | ACK))
    assert segments.parse(segments.reply(segment, ACK)).acknowledgement == 3


def test_anything_else_is_a_value_error() -> None:
    """Cut at each byte, of another protocol, or random."""
    whole = packet(options=timestamps(1, 2))
    for size in range(52):
        with pytest.raises(ValueError, match="not a TCP segment"):
            segments.parse(whole[:size])
    with pytest.raises(ValueError, match="not a TCP segment"):
        segments.parse(whole[:9] + b"\x11" + whole[10:])
    chance = random.Random(15)  # noqa: S311
    for _ in range(5000):
        garbage = bytearray(whole)
        for _ in range(chance.randrange(1, 9)):
            garbage[chance.randrange(len(garbage))] = chance.randrange(256)
        try:
            segments.reply(segments.parse(bytes(garbage)), ACK)
        except ValueError:
            pass
