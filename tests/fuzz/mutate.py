"""Mutations of an input, as by a careless person, a torn disk, or an attacker who knows the code."""
import re
from random import Random
from typing import Callable
from typing import List
from typing import Sequence
from typing import Tuple

#: Longer inputs are cut: what grows without end finds only what one of half the size finds as well.
MAX_LENGTH = 16 * 1024

#: What is special to some parser: ends, escapes, variables, numbers, names of ours, and what is no text.
MAGIC = (b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n", b"\r\n", b"\t", b" ", b"\\", b"\"",
         b"'", b"\"\"\"", b"#", b"/*", b"*/", b"//", b"--[[", b"{", b"}", b"(", b")", b"[", b"]", b"<", b">", b"</",
         b";", b",", b"=", b"!", b"~", b"^", b"*", b"?", b"|", b"||", b"&&", b"+", b"-", b"%", b"$", b"${", b"%{",
         b"$1", b"%1", b"$0", b"\\1", b"..", b"/../", b"//", b"/", b".", b"@", b":", b"::", b"[::1]", b"unix:",
         b"unix:/x",
         b"%%", b"%% a\n", b"include main", b"0", b"-1", b"1", b"65536", b"2147483648", b"99999999999999999999",
         b"1e999", b"NaN", b"0x7f", "\u0663".encode(), "\u00b2".encode(), "\u0130".encode(), b"null", b"true",
         b"(a+)+$", b"(?:", b"(?<x>", b"[[:alpha:]]", b"a{1,99999}", b"\\p{L}", b"http://", b"https://[", b"a" * 300,
         b"9" * 5000, b"(" * 60, b"{" * 60, b"[" * 60, b"!" * 60, b"${" * 30, b"/x" * 200, b"\\" * 99)

_NUMBER = re.compile(rb"[0-9]+")
_NUMBERS = (b"0", b"1", b"2", b"9", b"10", b"80", b"255", b"256", b"301", b"65535", b"65536", b"4294967296", b"9" * 30)
_WORD = re.compile(rb"[^\s]+")

Words = Sequence[bytes]
Seeds = Sequence[bytes]
Change = Callable[[bytes, Random, Words, Seeds], bytes]


def mutated(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    """The input with one to eight changes.

    :param words: a dictionary.
    :param seeds: other inputs, of which pieces are taken.
    """
    for _ in range(min(random.randint(1, 8), random.randint(1, 8))):
        data = random.choice(_CHANGES)(data, random, words, seeds)[:MAX_LENGTH]
    return data


def _span(data: bytes, random: Random) -> Tuple[int, int]:
    """A piece, mostly a short one."""
    start = random.randint(0, len(data))
    return start, min(len(data), start + random.choice((1, 1, 2, 4, 16, 64, len(data))))


def _flip(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    if not data:
        return data
    position = random.randrange(len(data))
    return data[:position] + bytes((data[position] ^ 1 << random.randrange(8),)) + data[position + 1:]


def _insert_byte(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    position = random.randint(0, len(data))
    return data[:position] + bytes((random.randrange(256),)) + data[position:]


def _insert_word(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    position = random.randint(0, len(data))
    return data[:position] + random.choice(random.choice((MAGIC, words))) + data[position:]


def _replace_word(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    matches = list(_WORD.finditer(data))
    if not matches:
        return data
    word = random.choice(matches)
    return data[:word.start()] + random.choice(random.choice((MAGIC, words, words))) + data[word.end():]


def _replace_number(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    matches = list(_NUMBER.finditer(data))
    if not matches:
        return data
    number = random.choice(matches)
    return data[:number.start()] + random.choice(_NUMBERS) + data[number.end():]


def _delete(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    start, end = _span(data, random)
    return data[:start] + data[end:]


def _repeat(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    start, end = _span(data, random)
    return data[:start] + data[start:end] * random.choice((2, 2, 3, 10, 100)) + data[end:]


def _truncate(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    return data[:random.randint(0, len(data))]


def _splice(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    """The beginning of this input and the end of another."""
    other = random.choice(seeds)
    return data[:random.randint(0, len(data))] + other[random.randint(0, len(other)):]


def _graft(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    """Lines of another input."""
    lines, others = data.split(b"\n"), random.choice(seeds).split(b"\n")
    start = random.randrange(len(others))
    position = random.randint(0, len(lines))
    lines[position:position] = others[start:start + random.randint(1, 5)]
    return b"\n".join(lines)


def _lines(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    """Leave a line out, repeat it, or move it."""
    lines = data.split(b"\n")
    line = lines[random.randrange(len(lines))]
    if random.random() < 0.6:
        lines.remove(line)
    if random.random() < 0.6:
        lines.insert(random.randint(0, len(lines)), line)
    return b"\n".join(lines)


def _block(data: bytes, random: Random, words: Words, seeds: Seeds) -> bytes:
    """Repeat a block with its braces, behind or inside itself."""
    pairs = _pairs(data)
    if not pairs:
        return data
    start, end = random.choice(pairs)
    begin = max(data.rfind(mark, 0, start) for mark in (b";", b"}", b"\n", b"{")) + 1
    block = data[begin:end + 1]
    if random.random() < 0.5:
        return data[:end + 1] + block * random.choice((1, 1, 5)) + data[end + 1:]
    for _ in range(random.choice((1, 1, 2, 6))):
        data = data[:start + 1] + block + data[start + 1:]
    return data


def _pairs(data: bytes) -> List[Tuple[int, int]]:
    closes = {ord("}"): ord("{"), ord("]"): ord("["), ord(")"): ord("(")}
    blocks: List[Tuple[int, int]] = []
    opened: List[Tuple[int, int]] = []
    for position, byte in enumerate(data):
        if byte in closes.values():
            opened.append((byte, position))
        elif byte in closes and opened and opened[-1][0] == closes[byte]:
            blocks.append((opened.pop()[1], position))
    return blocks


_CHANGES: List[Change] = [_flip, _insert_byte, _insert_word, _insert_word, _replace_word, _replace_word,
                          _replace_number, _delete, _repeat, _truncate, _splice, _graft, _graft, _lines, _block, _block]
