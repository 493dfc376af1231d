"""Which TCP segments are caught, and what becomes of them: the rules of one nftables table. Pure.

A segment that asks for one of our tokens is copied to us and goes on as a RST, which closes the server's end of that
connection. The later segments of that connection are copied to us and dropped. All others pass as without us.
"""
import re
from typing import Dict
from typing import Iterable
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Tuple

#: What a request for a challenge begins with, RFC 8555 section 8.3, whatever its version of HTTP/1.
PREFIX = b"GET /.well-known/acme-challenge/"
#: A key of a set has room for 64 bytes: the token and the blank behind it.
MAX_TOKEN = 63
TOKEN = re.compile(f"[A-Za-z0-9_-]{{1,{MAX_TOKEN}}}")
#: How a table of ours is called.
TABLE = re.compile(r"certbot_autowebroot_\w+", re.ASCII)
#: The table outlives a killed run where the kernel knows no owner of tables: after so many minutes it does nothing.
LIFETIME = 10

#: After connection tracking (-200), so that the connection is known, and after DNAT (-100), so that the answer comes
#: from the server's own address and is translated back like the server's.
_PRIORITY = -90
#: A client that knows a token could forge its address, and have us send answers there.
_ANSWERS = "limit rate over 200/second burst 1000 packets"
_COPIES = "limit rate 2000/second burst 4000 packets"
#: A source port is used anew after minutes at the earliest; a SYN forgets its connection anyhow.
_CONNECTIONS = "flags dynamic,timeout; timeout 2m; size 4096"
_FAMILIES = {"connections4": ("ip saddr . tcp sport . ip daddr", "ipv4_addr . inet_service . ipv4_addr"),
             "connections6": ("ip6 saddr . tcp sport . ip6 daddr", "ipv6_addr . inet_service . ipv6_addr")}
#: haproxy.org, "The PROXY protocol", sections 2.1 and 2.2. A header of version 1 has 15 ("UNKNOWN") or 22 to 107 bytes;
#: one of version 2 has 16 and those that it gives: addresses, and what a balancer adds to them.
_PROXY_V1 = b"PROXY "
_PROXY_V1_SIZES = (15, *range(22, 108))
_LINE_END = b"\r\n"
_PROXY_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_PROXY_V2_SIZES = (0, *range(12, 97))
#: Data offsets of a TCP header, in words of 32 bits.
_DATA_OFFSETS = range(5, 16)


class Variant(NamedTuple):
    """What nft and the kernel can do.

    :ivar inner: match a segment's data by ``@ih`` (kernel 5.16), and have sets of such matches (nft 1.0.3); without
        it, a PROXY header and a request in one segment are not caught.
    :ivar owner: the table ends with its maker (kernel 5.12).
    """

    inner: bool
    owner: bool


#: The best first.
VARIANTS = (Variant(True, True), Variant(False, True), Variant(True, False), Variant(False, False))


def requested_token(data: bytes) -> str:
    """The token that a segment's data asks for; empty where it asks for none."""
    if data.startswith(_PROXY_V1):
        data = data.partition(b"\r\n")[2]
    elif data.startswith(_PROXY_V2):
        data = data[16 + int.from_bytes(data[14:16], "big"):]
    if not data.startswith(PREFIX):
        return ""
    return data[len(PREFIX):len(PREFIX) + MAX_TOKEN + 1].partition(b" ")[0].decode("ascii", "replace")


class Rules:
    """The commands for one table. Each list is one transaction.

    :ivar table: its name.
    :param group: where copies go, :class:`certbot_autowebroot.system.nflog.Nflog`.
    :param comment: says what the table is.
    :param tracked: connections are tracked here. One ``ct`` expression would switch tracking on, so there is none
        where they are not; then there is no NAT either.
    """

    def __init__(self, table: str, group: int, comment: str, variant: Variant, tracked: bool) -> None:
        self.table = table
        self._group = group
        self._comment = comment
        self._variant = variant
        self._tracked = tracked
        self._tokens: Dict[str, None] = {}
        self._lengths: List[int] = []

    def install(self, ports: Iterable[int]) -> List[str]:
        """Make the table, which catches nothing yet."""
        comment = f" comment \"{self._comment}\""
        if self._variant.owner:
            commands = [f"add table inet {self.table} {{{comment}; flags owner; }}",
                        self._add("set", "ports { type inet_service; }")]
            comment = ""
        else:
            commands = [f"add table inet {self.table}", self._add("set", "ports { type inet_service; flags timeout; }")]
        commands += [self._add("set", f"{name} {{ type {kind}; {_CONNECTIONS}; }}")
                     for name, (_, kind) in _FAMILIES.items()]
        commands += [self._add("chain", name)
                     for name in ("inspect", "opened", "known", "ours", "answer", *self._token_chains)]
        commands += [self._add("rule", rule) for rule in (*self._inspect(), *self._ours())]
        commands += self.add_ports(ports)
        for chain, hook, condition in self._hooks():
            commands += [self._add("chain", f"{chain} {{ type filter hook {hook} priority {_PRIORITY}; }}"),
                         self._add("rule", f"{chain} {condition} tcp flags & rst == 0 jump inspect{comment}")]
        return commands

    def add_ports(self, ports: Iterable[int]) -> List[str]:
        """Catch what comes to these ports."""
        life = "" if self._variant.owner else f" timeout {LIFETIME}m"
        return [self._add("element", f"ports {{ {port}{life} }}") for port in ports]

    def renew_ports(self, ports: Iterable[int]) -> List[str]:
        """Let the ports live for another :data:`LIFETIME`: an element that is added again keeps its time."""
        ports = list(ports)
        return [f"delete element inet {self.table} ports {{ {port} }}" for port in ports] + self.add_ports(ports)

    def add_token(self, token: str) -> List[str]:
        """Catch what asks for one more token."""
        self._tokens[token] = None
        if not self._variant.inner:
            return list(self._token_rules([token]))
        commands: List[str] = []
        if len(token) not in self._lengths:
            self._lengths.append(len(token))
            commands += self._token_set(len(token))
        return [*commands, self._add("element", self._element(token))]

    def remove_tokens(self, tokens: Iterable[str]) -> List[str]:
        """Catch no more what asks for these tokens."""
        tokens = list(tokens)
        for token in tokens:
            del self._tokens[token]
        if self._variant.inner:
            return [f"delete element inet {self.table} {self._element(token)}" for token in tokens]
        # nft deletes a rule by its handle alone, which is not known here.
        return [f"flush chain inet {self.table} {chain}" for chain in self._token_chains] + list(
            self._token_rules(self._tokens))

    @property
    def _token_chains(self) -> List[str]:
        if self._variant.inner:
            return ["token", "proxy_v1", "proxy_v2"]
        return [f"token{words}" for words in _DATA_OFFSETS]

    def _add(self, what: str, text: str) -> str:
        name, _, rest = text.partition(" ")
        return f"add {what} inet {self.table} {name} {rest}".rstrip()

    def _hooks(self) -> Iterator[Tuple[str, str, str]]:
        yield "arriving", "prerouting", "tcp dport @ports"
        if self._tracked:
            forwarded = "ct status dnat ct original proto-dst @ports"
            yield "forwarded", "prerouting", f"tcp dport != @ports {forwarded}"
            yield "local", "output", f"meta l4proto tcp {forwarded}"  # from this machine itself into a container

    def _inspect(self) -> Iterator[str]:
        yield "inspect tcp flags & (syn | ack) == syn goto opened"
        for name, (key, _) in _FAMILIES.items():
            yield f"opened delete @{name} {{ {key} }}"  # its source port is used anew
            yield f"inspect {key} @{name} goto known"
        if self._variant.inner:
            yield f"inspect {_equals('ih', 0, PREFIX)} goto token"
            yield f"inspect {_equals('ih', 0, _PROXY_V1)} goto proxy_v1"
            yield f"inspect {_equals('ih', 0, _PROXY_V2)} goto proxy_v2"
        else:
            for words in _DATA_OFFSETS:
                yield f"inspect tcp doff {words} {_equals('th', words * 4, PREFIX)} goto token{words}"

    def _ours(self) -> Iterator[str]:
        yield f"ours {_ANSWERS} return"
        state = "ct state established,untracked " if self._tracked else ""
        for name, (key, _) in _FAMILIES.items():
            # Where the set is full, the rule ends before its goto, and the request reaches the server.
            yield f"ours {state}add @{name} {{ {key} }} goto answer"
        yield f"answer log group {self._group} tcp flags set rst accept"  # the kernel corrects the checksum
        yield f"known {_COPIES} log group {self._group}"
        yield "known drop"

    def _token_set(self, length: int) -> Iterator[str]:
        yield self._add("set", f"tokens{length} {{ typeof {_key(0, length + 1)}; }}")
        yield self._add("rule", f"token {_key(len(PREFIX), length + 1)} @tokens{length} goto ours")
        for size in _PROXY_V1_SIZES:
            yield self._add("rule", f"proxy_v1 {_equals('ih', size - 2, _LINE_END)} {_behind(size, length)}")
        for size in _PROXY_V2_SIZES:
            announced = _equals("ih", 14, size.to_bytes(2, "big"))
            yield self._add("rule", f"proxy_v2 {announced} {_behind(16 + size, length)}")

    def _token_rules(self, tokens: Iterable[str]) -> Iterator[str]:
        for words in _DATA_OFFSETS:
            for token in tokens:
                data = token.encode("ascii") + b" "
                yield self._add("rule", f"token{words} {_equals('th', words * 4 + len(PREFIX), data)} goto ours")

    def _element(self, token: str) -> str:
        data = token.encode("ascii") + b" "
        return f"tokens{len(token)} {{ {' . '.join(_number(chunk) for _, chunk in _chunks(data))} }}"


def _behind(size: int, length: int) -> str:
    """A request for a token of this length, behind so many bytes of a PROXY header."""
    return f"{_equals('ih', size, PREFIX)} {_key(size + len(PREFIX), length + 1)} @tokens{length} goto ours"


def _equals(base: str, offset: int, data: bytes) -> str:
    """Data of any length at a byte, as expressions of at most 128 bits: nft 1.0.6 calls more an overflow."""
    return " ".join(f"@{base},{(offset + at) * 8},{len(chunk) * 8} {_number(chunk)}" for at, chunk in _chunks(data))


def _key(offset: int, length: int) -> str:
    """The same as the key of a set."""
    return " . ".join(f"@ih,{(offset + at) * 8},{len(chunk) * 8}" for at, chunk in _chunks(bytes(length)))


def _chunks(data: bytes) -> Iterator[Tuple[int, bytes]]:
    return ((at, data[at:at + 16]) for at in range(0, len(data), 16))


def _number(data: bytes) -> str:
    return f"0x{data.hex()}"
