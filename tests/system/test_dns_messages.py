"""DNS answers as bytes: what RFC 1035 says, and what somebody who is no friend sends."""
import struct

import pytest

from certbot_autowebroot.system.dns_messages import AAAA
from certbot_autowebroot.system.dns_messages import CNAME
from certbot_autowebroot.system.dns_messages import MAX_ADDRESSES
from certbot_autowebroot.system.dns_messages import MAX_CNAMES
from certbot_autowebroot.system.dns_messages import A
from certbot_autowebroot.system.dns_messages import Answer
from certbot_autowebroot.system.dns_messages import Outcome
from certbot_autowebroot.system.dns_messages import WrongAnswerError
from certbot_autowebroot.system.dns_messages import parse
from certbot_autowebroot.system.dns_messages import query
from tests.lab.dns import encoded
from tests.lab.dns import record

NAME = "www.sample.com"
#: Where the question of an answer stands.
POINTER = b"\xc0\x0c"


def answer(*records: bytes, flags: int = 0x8180, name: str = NAME, kind: int = A) -> bytes:
    return (struct.pack("!6H", 7, flags, 1, len(records), 0, 0) + encoded(name) + struct.pack("!2H", kind, 1)
            + b"".join(records))


def read(message: bytes, kind: int = A) -> Answer:
    return parse(message, NAME, kind, 7)


def address(last: int, name: str = NAME) -> bytes:
    return record(name, A, bytes((192, 0, 2, last)))


def test_query_is_as_rfc_1035_writes_it() -> None:
    """The header asks for recursion, and one question follows."""
    assert query("a.bc", AAAA, 0x1234) == (b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\1a\2bc\0\0\x1c\0\1")


@pytest.mark.parametrize("name", ["", "a..b", "a" * 64 + ".com", "x." * 130 + "com", "n\u00e4me.com"])
def test_query_refuses_what_is_no_name(name: str) -> None:
    """Empty and long labels, long names; names are A-labels."""
    with pytest.raises(ValueError):
        query(name, A, 1)


def test_addresses_keep_the_order_received() -> None:
    """A CA takes the first."""
    assert read(answer(address(9), address(1), address(5))).addresses == ("192.0.2.9", "192.0.2.1", "192.0.2.5")


def test_aaaa_record() -> None:
    """RFC 3596."""
    message = answer(record(NAME, AAAA, bytes(15) + b"\1"), kind=AAAA)
    assert read(message, AAAA).addresses == ("::1",)


def test_compressed_owner_and_other_case() -> None:
    """Names are compared without case, RFC 4343, and mostly come compressed."""
    records = POINTER + address(1)[len(encoded(NAME)):]
    assert read(answer(records, name="WWW.Sample.com")).addresses == ("192.0.2.1",)


def test_aliases_are_followed_within_the_answer() -> None:
    """In whichever order the records come; what belongs to no alias of the name does not count."""
    records = [address(1, "b.net"), record("a.net", CNAME, encoded("b.net")), address(66, "other.net"),
               record(NAME, CNAME, encoded("a.net"))]
    assert read(answer(*records)).addresses == ("192.0.2.1",)


@pytest.mark.parametrize(("message", "outcome"), [
    (answer(), Outcome.NO_DATA),
    (answer(flags=0x8183), Outcome.NO_SUCH_NAME),
    (answer(record(NAME, CNAME, encoded("a.net")), flags=0x8183), Outcome.NO_SUCH_NAME),
    (answer(record(NAME, CNAME, encoded("a.net"))), Outcome.NO_DATA),
    (answer(flags=0x8182), Outcome.FAILED),
    (answer(flags=0x8185), Outcome.FAILED),
    (struct.pack("!6H", 7, 0x8181, 0, 0, 0, 0), Outcome.FAILED),
    (answer(flags=0x8100), Outcome.FAILED),
    (answer(flags=0x8500), Outcome.NO_DATA),
], ids=["no data", "NXDOMAIN", "alias of nothing", "alias without data", "SERVFAIL", "REFUSED", "FORMERR", "referral",
        "authoritative"])
def test_outcome(message: bytes, outcome: Outcome) -> None:
    """No such name, no address, and no answer are three things."""
    assert read(message) == Answer(outcome)


def test_truncated_answer_says_so() -> None:
    """RFC 2181 section 9: what is in it is ignored."""
    assert read(answer(address(1), flags=0x8380)) == Answer(Outcome.FAILED, is_truncated=True)


@pytest.mark.parametrize("message", [
    b"", answer()[:20], answer(address(1))[:-1], answer(address(1))[:-5],
    answer(name="other.com"), answer(kind=AAAA), answer(flags=0x0180), answer(flags=0x9180),
    b"\0\x08" + answer()[2:], struct.pack("!6H", 7, 0x8180, 0, 0, 0, 0),
    struct.pack("!6H", 7, 0x8180, 1, 0, 0, 0) + POINTER + struct.pack("!2H", 1, 1),
    answer(b"\xc0\xff" + address(1)[len(encoded(NAME)):]), answer(b"\x80" + address(1)),
    answer(record(NAME, CNAME, b"\xc0\x2c")), answer(b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 600),
], ids=["empty", "cut in the question", "cut in data", "cut in a record", "another name", "another type", "a query",
        "another opcode", "another id", "no question", "pointer to itself", "pointer forward", "label kind",
        "alias to itself", "long name"])
def test_wrong_answer(message: bytes) -> None:
    """What answers another question, and what cannot be read."""
    with pytest.raises(WrongAnswerError):
        read(message)


def test_counts_are_bounded() -> None:
    """Addresses, aliases in a circle or in a long row, and a count of records that lies."""
    assert len(read(answer(*[address(n % 256) for n in range(400)])).addresses) == MAX_ADDRESSES
    circle = [record(NAME, CNAME, encoded("a.net")), record("a.net", CNAME, encoded(NAME))]
    assert read(answer(*circle)).outcome is Outcome.NO_DATA
    row = [record(NAME if n == 0 else f"n{n}.net", CNAME, encoded(f"n{n + 1}.net")) for n in range(MAX_CNAMES + 1)]
    assert read(answer(*row, address(1, f"n{MAX_CNAMES + 1}.net"))).outcome is Outcome.NO_DATA
    with pytest.raises(WrongAnswerError):
        read(answer(address(1)).replace(struct.pack("!2H", 1, 1), struct.pack("!2H", 1, 0xFFFF), 1))
