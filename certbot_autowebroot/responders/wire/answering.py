"""Catch the segments that ask for our tokens, and answer them: in one network namespace, as root. Linux.

No state is kept of a connection: each answer is made from the segment that asks for it, so a client that loses one and
asks again is answered again.
"""
import contextlib
import errno
import os
import select
import socket
import time
from typing import Any
from typing import Dict
from typing import List
from typing import Optional

from certbot_autowebroot.responders.wire.rules import LIFETIME
from certbot_autowebroot.responders.wire.rules import VARIANTS
from certbot_autowebroot.responders.wire.rules import Rules
from certbot_autowebroot.responders.wire.rules import Variant
from certbot_autowebroot.responders.wire.rules import requested_token
from certbot_autowebroot.system import nftables
from certbot_autowebroot.system import segments
from certbot_autowebroot.system.nflog import Nflog
from certbot_autowebroot.system.nflog import Packet
from certbot_autowebroot.system.raw_sockets import RawSockets

#: Seconds after which the ports of a table without an owner get another :data:`LIFETIME`.
_RENEWAL = LIFETIME * 60 / 3
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}  # include/uapi/linux/capability.h
_NOT_PERMITTED = (errno.EPERM, errno.EACCES)
_HEADER = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\nContent-Length: {}\r\n\r\n"


class WireError(Exception):
    """Nothing can be answered on the wire here. The text is a clause for a person."""


class Wire:
    """The table, the copies that it makes, and the answers.

    :param table: the name of the table.
    :ivar answered: requests that were answered, repeated ones included.
    :ivar acknowledged: later segments of their connections.
    :raises WireError: it cannot be done here; nothing is changed.
    """

    def __init__(self, table: str) -> None:
        self.answered = self.acknowledged = 0
        self._contents: Dict[str, bytes] = {}
        self._ports: List[int] = []
        self._nft: Optional[nftables.OwnerProcess] = None
        self._renewed = time.monotonic()
        _check_rights()
        with contextlib.ExitStack() as stack:
            self._nflog = _permitted(Nflog, "NFLOG (the kernel's module nfnetlink_log)")
            stack.callback(self._nflog.close)
            self._raw = _permitted(RawSockets, "raw sockets")
            stack.callback(self._raw.close)
            tracked = _tracks_connections()
            self._variant = _best_variant(tracked)
            self._sockets = stack.pop_all()
        comment = f"certbot-autowebroot, process {os.getpid()}: answers ACME http-01 challenges"
        self._rules = Rules(table, self._nflog.group, comment, self._variant, tracked)

    @property
    def has_owner(self) -> bool:
        """Whether the table ends with this process in every case."""
        return self._variant.owner

    def install(self, ports: List[int]) -> List[str]:
        """Make the table, which catches nothing yet; returns the commands that have made it.

        :raises nftables.NftError: nft or the kernel refuses them.
        """
        if self.has_owner:
            self._nft = nftables.OwnerProcess()
        self._ports = list(ports)
        return self._run(self._rules.install(ports))

    def add_port(self, port: int) -> List[str]:
        """Answer at one more port; as :meth:`install`."""
        self._ports.append(port)
        return self._run(self._rules.add_ports([port]))

    def add_token(self, token: str, content: str) -> List[str]:
        """Answer requests for one more token; as :meth:`install`."""
        self._contents[token] = content.encode("ascii")
        return self._run(self._rules.add_token(token))

    def remove_tokens(self, tokens: List[str]) -> List[str]:
        """Let requests for tokens reach the server again; as :meth:`install`.

        A connection that was answered is answered again, for its client may not have had the answer.
        """
        return self._run(self._rules.remove_tokens(tokens))

    def serve(self, until: float, interrupt: int = -1) -> None:
        """Answer what comes.

        :param until: when to stop, in the seconds of :func:`time.monotonic`.
        :param interrupt: a descriptor: stop as soon as something can be read from it.
        :raises nftables.NftError: nft has ended, and the table with it.
        """
        sources = [source for source in (self._nflog, self._nft, interrupt) if source not in (None, -1)]
        while True:
            wait = max(0.0, until - time.monotonic())
            ready = select.select(sources, [], [], min(wait, _RENEWAL))[0]
            if self._nft is not None and self._nft in ready and self._nft.has_ended():
                raise nftables.NftError("nft has ended")
            if self._nflog in ready:
                for packet in self._nflog.packets():
                    self._handle(packet)
            self._renew()
            if interrupt in ready or wait == 0:
                return

    def close(self) -> None:
        """Remove the table, if it was installed. May be called again."""
        if self._nft is not None:
            self._nft.close()
            self._nft = None
        elif self._ports:
            nftables.delete_table(self._rules.table)
        self._ports.clear()
        self._sockets.close()

    def _run(self, commands: List[str]) -> List[str]:
        if self._nft is not None:
            self._nft.run(commands)
        else:
            nftables.run(commands)
        return commands

    def _renew(self) -> None:
        if self._ports and not self.has_owner and time.monotonic() > self._renewed + _RENEWAL:
            self._renewed = time.monotonic()
            self._run(self._rules.renew_ports(self._ports))

    def _handle(self, packet: Packet) -> None:
        try:
            segment = segments.parse(packet.data)
            answer = self._answer_to(segment)
            if answer:
                self._raw.send(answer, segment.destination, segment.source, packet.mark)
        except (ValueError, OSError):
            pass  # not to be answered now: the client sends it again

    def _answer_to(self, segment: segments.Segment) -> bytes:
        content = self._contents.get(requested_token(segment.payload))
        if content is not None:
            self.answered += 1
            data = _HEADER.format(len(content)).encode("ascii") + content
            return segments.reply(segment, segments.PSH | segments.ACK | segments.FIN, data)
        if segment.size or segment.flags & segments.FIN:
            self.acknowledged += 1
            return segments.reply(segment, segments.ACK)
        return b""


def _check_rights() -> None:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        effective = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    missing = [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]
    if missing:
        raise WireError(f"it needs root, or in a container {' and '.join(missing)}")
    if not nftables.program():
        raise WireError("the program nft is not installed (package nftables)")


def _permitted(make: Any, name: str) -> Any:
    try:
        return make()
    except OSError as error:
        if error.errno in _NOT_PERMITTED:
            raise WireError(f"{name}: not permitted here (SELinux, seccomp or a user namespace)") from error
        raise WireError(f"{name}: {error.strerror}") from error


def _tracks_connections() -> bool:
    """Whether the kernel tracks connections in this network namespace.

    A machine at rest has none to count, so a datagram to ourselves makes one.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as discard:
            discard.sendto(b"", ("127.0.0.1", 9))
    except OSError:
        pass  # the loopback interface is down, or a firewall forbids it
    try:
        with open("/proc/sys/net/netfilter/nf_conntrack_count", encoding="ascii") as file:
            return int(file.read()) > 0
    except (OSError, ValueError):
        return False


def _best_variant(tracked: bool) -> Variant:
    """The first variant that nft and the kernel accept."""
    refusal = ""
    for variant in VARIANTS:
        rules = Rules("certbot_autowebroot_check", 1, "nothing", variant, tracked)
        try:
            nftables.run([*rules.install([80]), *rules.add_token("A" * 43)], "--check")
            return variant
        except nftables.NftError as error:
            refusal = str(error)
    raise WireError(f"nft, or the kernel, lacks a part: {refusal}")
