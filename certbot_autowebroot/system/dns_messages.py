"""DNS queries and answers as bytes: RFC 1035 section 4, AAAA of RFC 3596. *Pure*.

An answer is what an attacker likes to write: a compression pointer leads back only, and every count has a bound.
"""
import enum
import ipaddress
import struct
from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Tuple

#: Records of an answer that are read; an answer over TCP has room for 4,000.
MAX_RECORDS = 500
#: Addresses of one family that are kept.
MAX_ADDRESSES = 32
#: Aliases that are followed; unbound follows 11, BIND 16.
MAX_CNAMES = 16
#: RFC 1035 section 2.3.4.
_MAX_NAME = 255
_MAX_LABEL = 63

_HEADER = struct.Struct("!6H")
_QUESTION = struct.Struct("!2H")
_RECORD = struct.Struct("!2HIH")
_RESPONSE, _OPCODE, _AUTHORITATIVE, _TRUNCATED = 0x8000, 0x7800, 0x0400, 0x0200
_RECURSION_DESIRED, _RECURSION_AVAILABLE, _RCODE = 0x0100, 0x0080, 0x000F
_NO_ERROR, _NAME_ERROR = 0, 3
_IN = 1
#: Types of records.
A, CNAME, AAAA = 1, 5, 28


class Outcome(enum.Enum):
    """What a question for the addresses of one family came to."""

    ADDRESSES = "addresses"
    #: The name exists, and has no record of this type.
    NO_DATA = "no-data"
    #: NXDOMAIN, RFC 8020.
    NO_SUCH_NAME = "no-such-name"
    #: The name servers answer, but not this question: SERVFAIL, REFUSED.
    FAILED = "failed"
    #: None of them answers.
    NO_ANSWER = "silent"

    @property
    def is_final(self) -> bool:
        """Whether another name server would say the same."""
        return self in (Outcome.ADDRESSES, Outcome.NO_DATA, Outcome.NO_SUCH_NAME)


class Answer(NamedTuple):
    """One answer to one question.

    :ivar addresses: in the order received: a CA takes the first.
    :ivar is_truncated: ask again over TCP; RFC 2181 section 9 has the rest ignored.
    """

    outcome: Outcome
    addresses: Tuple[str, ...] = ()
    is_truncated: bool = False


class WrongAnswerError(ValueError):
    """The bytes are no answer to this question; the text says which part of them is wrong."""


def query(name: str, record_type: int, number: int) -> bytes:
    """Write a recursive query.

    :param record_type: :data:`A` or :data:`AAAA`.
    :param number: the ID, 16 bits.
    :raises ValueError: this is no DNS name.
    """
    return _HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0) + _encode(name) + _QUESTION.pack(record_type, _IN)


def parse(message: bytes, name: str, record_type: int, number: int) -> Answer:
    """Read the answer to a query.

    :raises WrongAnswerError: it answers something else, or cannot be read.
    """
    try:
        return _parse(message, name, record_type, number)
    except (struct.error, IndexError):
        raise WrongAnswerError("length") from None


def _parse(message: bytes, name: str, record_type: int, number: int) -> Answer:
    received, flags, questions, records, _, _ = _HEADER.unpack_from(message)
    if received != number or not flags & _RESPONSE or flags & _OPCODE:
        raise WrongAnswerError("header")
    code = flags & _RCODE
    if not questions and code not in (_NO_ERROR, _NAME_ERROR):
        return Answer(Outcome.FAILED)  # FORMERR and the like may repeat no question
    owner, offset = _name(message, _HEADER.size)
    if questions != 1 or owner != _key(name) or _QUESTION.unpack_from(message, offset) != (record_type, _IN):
        raise WrongAnswerError("question")
    if flags & _TRUNCATED:
        return Answer(Outcome.FAILED, is_truncated=True)
    if code:
        return Answer(Outcome.NO_SUCH_NAME if code == _NAME_ERROR else Outcome.FAILED)
    addresses = _addresses(message, offset + _QUESTION.size, min(records, MAX_RECORDS), owner, record_type)
    if addresses:
        return Answer(Outcome.ADDRESSES, tuple(addresses[:MAX_ADDRESSES]))
    # A server that does not resolve for us refers us to others instead; glibc goes on with the next one too.
    is_referral = not records and not flags & (_AUTHORITATIVE | _RECURSION_AVAILABLE)
    return Answer(Outcome.FAILED if is_referral else Outcome.NO_DATA)


def _addresses(message: bytes, offset: int, records: int, owner: bytes, record_type: int) -> List[str]:
    """The addresses of a name in the answer section, through the aliases in it."""
    size = 4 if record_type == A else 16
    aliases: Dict[bytes, bytes] = {}
    found: Dict[bytes, List[str]] = {}
    for _ in range(records):
        record_owner, offset = _name(message, offset)
        kind, network, _, length = _RECORD.unpack_from(message, offset)
        offset += _RECORD.size
        data = message[offset:offset + length]
        if len(data) < length:
            raise WrongAnswerError("length")
        if kind == CNAME and network == _IN:
            aliases.setdefault(record_owner, _name(message, offset)[0])
        elif kind == record_type and network == _IN and length == size:
            found.setdefault(record_owner, []).append(str(ipaddress.ip_address(data)))
        offset += length
    for _ in range(MAX_CNAMES):
        if owner in found or owner not in aliases:
            break
        owner = aliases[owner]
    return list(dict.fromkeys(found.get(owner, [])))


def _encode(name: str) -> bytes:
    labels = name.rstrip(".").encode("ascii").split(b".")
    if not all(0 < len(label) <= _MAX_LABEL for label in labels):
        raise ValueError(name)
    encoded = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(encoded) > _MAX_NAME:
        raise ValueError(name)
    return encoded


def _key(name: str) -> bytes:
    """A name as :func:`_name` returns it: case does not count, RFC 4343."""
    return _encode(name).lower()


def _name(message: bytes, offset: int) -> Tuple[bytes, int]:
    """The name at an offset, uncompressed and in lower case, and the offset behind it.

    :raises WrongAnswerError: it is longer than a name can be, or its pointers lead in a circle.
    """
    labels: List[bytes] = []
    length, end, limit = 0, 0, offset
    while True:
        size = message[offset]
        if size >= 0xC0:
            end = end or offset + 2
            offset = (size & 0x3F) << 8 | message[offset + 1]
            # RFC 1035 section 4.1.4: a "prior occurrence"; so a chain of pointers comes to an end.
            if offset >= limit:
                raise WrongAnswerError("pointer")
            limit = offset
            continue
        if size > _MAX_LABEL:
            raise WrongAnswerError("label")
        length += 1 + size
        if length > _MAX_NAME:
            raise WrongAnswerError("name")
        label = message[offset:offset + 1 + size]
        if len(label) < 1 + size:
            raise WrongAnswerError("length")
        labels.append(label)
        offset += 1 + size
        if not size:
            return b"".join(labels).lower(), end or offset
