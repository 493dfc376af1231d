"""Which segments the rules catch, without a kernel: the raw matches of the text, evaluated here."""
import re
import struct
from typing import Dict
from typing import List
from typing import Set
from typing import Tuple

import pytest

from certbot_autowebroot.responders.wire.rules import VARIANTS
from certbot_autowebroot.responders.wire.rules import Rules
from certbot_autowebroot.responders.wire.rules import Variant
from certbot_autowebroot.responders.wire.rules import requested_token

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
REQUEST = f"GET /.well-known/acme-challenge/{TOKEN} HTTP/1.1\r\nHost: www.sample.com\r\n\r\n".encode()
BEST, WITHOUT_INNER = VARIANTS[0], Variant(False, True)
V2 = b"\r\n\r\n\0\r\nQUIT\n"


def rules(variant: Variant = BEST, tracked: bool = False) -> Rules:
    return Rules("certbot_autowebroot_1", 5, "what it is", variant, tracked)


class Table:
    """As much of nft as is needed to see what a segment's data is taken for."""

    def __init__(self) -> None:
        self.chains: Dict[str, List[str]] = {}
        self.sets: Dict[str, Set[bytes]] = {}

    def run(self, commands: List[str]) -> None:
        for command in commands:
            verb, what, _, _, *words = command.split()
            name, rule = "".join(words[:1]), " ".join(words[1:])
            if what == "chain":
                self.chains[name] = [] if verb == "flush" else self.chains.get(name, [])
            elif what == "rule":
                self.chains[name].append(rule)
            elif what == "element":
                key = b"".join(bytes.fromhex(number) for number in re.findall("0x([0-9a-f]+)", command))
                self.sets.setdefault(name, set())
                self.sets[name] = self.sets[name] | {key} if verb == "add" else self.sets[name] - {key}

    def catches(self, data: bytes, words: int = 5, chain: str = "inspect") -> bool:
        """Whether a segment with this data, and a TCP header of so many words, is one of ours."""
        if chain == "ours":
            return True
        base = {"ih": data, "th": bytes(words * 4) + data}
        for rule in self.chains.get(chain, []):
            header = re.search(r"tcp doff (\d+)", rule)
            if not re.search("@[it]h", rule) or (header and int(header[1]) != words):
                continue
            values = re.findall(r"@(\w+),(\d+),(\d+) 0x(\w+)", rule)
            keys = re.findall(r"((?:@ih,\d+,\d+(?: \. )?)+) @(tokens\d+)", rule)
            if all(_field(base[name], int(offset), int(bits)) == bytes.fromhex(value)
                   for name, offset, bits, value in values) and all(self._has(name, key, base) for key, name in keys):
                return self.catches(data, words, rule.rpartition("goto ")[2])
        return False

    def _has(self, name: str, key: str, base: Dict[str, bytes]) -> bool:
        fields = re.findall(r"@(\w+),(\d+),(\d+)", key)
        return b"".join(_field(base[of], int(offset), int(bits)) for of, offset, bits in fields) in self.sets[name]


def _field(data: bytes, offset: int, bits: int) -> bytes:
    return data[offset // 8:(offset + bits) // 8]


def table(variant: Variant, *tokens: str) -> Tuple[Table, Rules]:
    made, text = Table(), rules(variant)
    made.run(text.install([80]))
    for token in tokens:
        made.run(text.add_token(token))
    return made, text


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_our_token_is_caught(variant: Variant) -> None:
    """Ours, whole, and the blank behind it; behind a TCP header of any length."""
    made, text = table(variant, TOKEN)
    for words in range(5, 16):
        assert made.catches(REQUEST, words)
    for other in (REQUEST.replace(b"GET", b"PUT"), REQUEST.replace(b"oA HTTP", b"oB HTTP"), b"",
                  REQUEST.replace(b"oA HTTP", b"oA?x HTTP"), REQUEST.replace(b"oA HTTP", b"oAA HTTP"),
                  REQUEST.replace(b"/acme", b"/Acme"), b"x" + REQUEST, REQUEST[:REQUEST.index(b" HTTP")]):
        assert not made.catches(other), other
        assert requested_token(other) != TOKEN or other.endswith(TOKEN.encode())
    made.run(text.remove_tokens([TOKEN]))
    assert not made.catches(REQUEST)


@pytest.mark.parametrize("variant", VARIANTS)
def test_tokens_come_and_go(variant: Variant) -> None:
    """A CA's tokens may be of different lengths, and each goes alone."""
    tokens = [TOKEN, TOKEN[::-1], "short-token-of-22-char", "x" * 63, "y" * 32]
    made, text = table(variant, *tokens)
    while tokens:
        made.run(text.remove_tokens([tokens.pop(0)]))
        for token in (TOKEN, TOKEN[::-1], "short-token-of-22-char", "x" * 63, "y" * 32):
            assert made.catches(REQUEST.replace(TOKEN.encode(), token.encode())) == (token in tokens)


PROXY_HEADERS = [
    b"PROXY UNKNOWN\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 198.51.100.222 203.0.113.100 65535 80\r\n",
    b"PROXY TCP6 ::1 ::2 3 4\r\n",
    b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
    V2 + b"\x20\0\0\0",  # the balancer's own health check
    V2 + b"\x21\x11" + struct.pack("!H", 12) + bytes(12),
    V2 + b"\x21\x21" + struct.pack("!H", 36) + bytes(36),
    V2 + b"\x21\x11" + struct.pack("!H", 15 + 25) + bytes(40),  # with what Amazon's balancers add
    V2 + b"\x21\x21" + struct.pack("!H", 36 + 7) + bytes(43),  # with a checksum
]


@pytest.mark.parametrize("header", PROXY_HEADERS, ids=range(len(PROXY_HEADERS)))
def test_request_behind_a_proxy_header(header: bytes) -> None:
    """In one segment; the kernel's rules and the program that answers agree about where the request begins."""
    made, _ = table(BEST, TOKEN)
    assert made.catches(header + REQUEST)
    assert requested_token(header + REQUEST) == TOKEN
    assert not made.catches(header + REQUEST.replace(b"oA HTTP", b"oB HTTP"))
    assert not made.catches(header)
    assert not made.catches(header[:-1] + b"x" + REQUEST) or header.startswith(V2)


def test_no_tracking_where_there_is_none() -> None:
    """A ct expression would switch connection tracking on, for all."""
    for variant in VARIANTS:
        assert " ct " not in " ; ".join(rules(variant).install([80]))
        tracked = rules(variant, tracked=True).install([80])
        assert [command.split()[4] for command in tracked if " hook " in command] == ["arriving", "forwarded", "local"]


def test_every_connection_is_remembered_before_it_is_answered() -> None:
    """Where the set has no room, the rule ends before its goto, and the request reaches the server."""
    made, _ = table(BEST, TOKEN)
    assert made.chains["ours"] == [
        "limit rate over 200/second burst 1000 packets return",
        "add @connections4 { ip saddr . tcp sport . ip daddr } goto answer",
        "add @connections6 { ip6 saddr . tcp sport . ip6 daddr } goto answer"]
    assert made.chains["answer"] == ["log group 5 tcp flags set rst accept"]


def test_table_without_an_owner_expires() -> None:
    """Its port is an element that the kernel removes, unless it is renewed: an element added twice keeps its time."""
    text = rules(Variant(True, False))
    assert "add element inet certbot_autowebroot_1 ports { 80 timeout 10m }" in text.install([80])
    assert text.renew_ports([80]) == ["delete element inet certbot_autowebroot_1 ports { 80 }",
                                      "add element inet certbot_autowebroot_1 ports { 80 timeout 10m }"]


def test_a_comment_says_what_the_table_is() -> None:
    """On the table, or on a rule where the kernel may know no comments of tables."""
    for variant in VARIANTS:
        assert any('comment "what it is"' in command for command in rules(variant).install([80]))


def test_hooks_come_last() -> None:
    """No packet meets half a table where commands are not one transaction."""
    for variant in VARIANTS:
        commands = rules(variant, tracked=True).install([80])
        assert all(word in ("chain", "rule") for word in (command.split()[1] for command in commands[-6:]))
        assert [" hook " in command for command in commands[-6:]] == [True, False] * 3


@pytest.mark.parametrize("data, token", [
    (REQUEST, TOKEN), (b"", ""), (b"GET / HTTP/1.1\r\n\r\n", ""), (b"PROXY ", ""), (V2, ""),
    (V2 + b"\x20\0\xff\xff", ""), (b"GET /.well-known/acme-challenge/", ""),
    (b"GET /.well-known/acme-challenge/\xff\xfe x", "\ufffd\ufffd")])
def test_requested_token(data: bytes, token: str) -> None:
    """Nothing that may come raises."""
    assert requested_token(data) == token
