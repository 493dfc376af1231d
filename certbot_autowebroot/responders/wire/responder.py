"""Answer on the wire: catch the segments that ask for a token before they reach the server that holds the port.

One process for each network namespace does the work for all tokens of an order, :mod:`.process`. It ends with us.
"""
import functools
import logging
import os
import sys
import time
from typing import Any
from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Set

from zope.interface import implementer

from certbot_autowebroot.interfaces import IResponder
from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.journal import JournalError
from certbot_autowebroot.responders.wire.child import OWN_NETWORK
from certbot_autowebroot.responders.wire.child import WireProcess
from certbot_autowebroot.responders.wire.child import WireProcessError
from certbot_autowebroot.responders.wire.rules import MAX_TOKEN
from certbot_autowebroot.responders.wire.rules import TOKEN
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.system import namespaces
from certbot_autowebroot.system.namespaces import Namespace

logger = logging.getLogger(__name__)


class CatchPoint(NamedTuple):
    """Where segments are caught.

    :ivar network: the network namespace of the program that accepts the connections.
    :ivar port: its port there.
    """

    network: Namespace
    port: int

    def __str__(self) -> str:
        return f"port {self.port}" + (f" in the network of process {self.network.pid}" if self.network.number else "")


class Report(NamedTuple):
    """What came of one table.

    :ivar seconds: for which it stood.
    :ivar answered: requests, those that a client has sent again included.
    :ivar acknowledged: later segments of their connections.
    """

    where: CatchPoint
    seconds: float
    answered: int
    acknowledged: int


def catch_point(endpoint: Endpoint) -> CatchPoint:
    """Where the connections to an endpoint of this machine really end: behind a port forward, in a container.

    There all addresses are translated already. One connection is made to find out.
    """
    others = namespaces.others()
    acceptor = namespaces.acceptor(endpoint.host, endpoint.port, others)
    if acceptor is None:
        return CatchPoint(OWN_NETWORK, endpoint.port)  # the proof decides
    return CatchPoint(others.get(acceptor.namespace, OWN_NETWORK), acceptor.port)


@functools.cache
def why_not(network: Namespace = OWN_NETWORK) -> str:
    """Why this machine cannot answer on the wire in a network; empty where it can. Nothing is changed.

    :returns: a clause for a person.
    """
    if sys.platform != "linux":
        return "only Linux has nftables"
    try:
        process = WireProcess(network, "certbot_autowebroot_trial")
    except OSError as error:
        return str(error)
    try:
        process.ask({"open": True})
        return ""
    except WireProcessError as error:
        return str(error)
    finally:
        process.stop(wait=True)


class Wires:
    """The processes of one order, shared by all its :class:`WireResponder`.

    :ivar reports: what came of each table, once it is gone.
    """

    def __init__(self, journal: Journal) -> None:
        self.reports: List[Report] = []
        self._journal = journal
        self._tables: Dict[int, _Table] = {}

    def publish(self, user: object, where: CatchPoint, token: str, content: bytes) -> None:
        """Answer requests for a token, unless they are answered already.

        :param user: is given to :meth:`withdraw`.
        :raises PublishError: it cannot be done.
        """
        if not TOKEN.fullmatch(token):
            raise PublishError(f"A token of more than {MAX_TOKEN} characters, or with others than the CA's own, cannot "
                               "be answered on the wire")
        try:
            if where.network.number not in self._tables:
                self._tables[where.network.number] = _Table(self._journal, where)
            self._tables[where.network.number].publish(user, where, token, content.decode("ascii"))
        except OSError as error:
            raise PublishError(f"Nothing can be answered on the wire at {where}: {error}") from error
        except JournalError as error:
            raise PublishError(str(error)) from error

    def withdraw(self, user: object) -> None:
        """Answer no longer for a user. Never raises; may be called again."""
        for number, table in list(self._tables.items()):
            table.withdraw(user)
            if not table.is_used:
                self._tables.pop(number).stop(self.reports)

    def stop(self) -> None:
        """Remove all tables. Never raises; may be called again."""
        while self._tables:
            self._tables.popitem()[1].stop(self.reports)


@implementer(IResponder)
class WireResponder:
    """Answers one token at one place, for as long as another server holds the port.

    :param wires: those of this order.
    """

    def __init__(self, wires: Wires, where: CatchPoint, token: str) -> None:
        self._wires = wires
        self._where = where
        self._token = token

    def publish(self, content: bytes) -> None:
        """Answer requests for the token from now on.

        :raises PublishError: it cannot be done.
        """
        self._wires.publish(self, self._where, self._token, content)

    def withdraw(self) -> None:
        """Let them reach the server again. Never raises."""
        self._wires.withdraw(self)


class _Table:
    """One table, its process, and the users of each token."""

    def __init__(self, journal: Journal, where: CatchPoint) -> None:
        self._journal = journal
        self._where = where
        self._users: Dict[str, Set[object]] = {}
        self._name = f"certbot_autowebroot_{os.getpid()}_{os.urandom(4).hex()}"
        self._process = WireProcess(where.network, self._name)
        self._number = 0
        try:
            self._process.ask({"open": True})
            self._number = journal.announce_table(self._name, where.network.number)
            self._log(self._process.ask({"install": [where.port]}))
        except BaseException:
            self._end()
            raise
        self._ports = {where.port}
        self._installed = time.monotonic()
        logger.info("Answering on the wire: the nftables table inet %s catches requests for our tokens at %s.",
                    self._name, where)

    @property
    def is_used(self) -> bool:
        return bool(self._users)

    def publish(self, user: object, where: CatchPoint, token: str, content: str) -> None:
        if where.port not in self._ports:
            self._log(self._process.ask({"port": where.port}))
            self._ports.add(where.port)
        if token not in self._users:
            self._log(self._process.ask({"token": token, "content": content}))
        self._users.setdefault(token, set()).add(user)

    def withdraw(self, user: object) -> None:
        for token, users in list(self._users.items()):
            users.discard(user)
            if not users:
                del self._users[token]
                try:
                    self._process.ask({"withdraw": token})
                except WireProcessError as error:
                    logger.debug("%s: %s", self._name, error)

    def stop(self, reports: List[Report]) -> None:
        counts = self._end()
        report = Report(self._where, time.monotonic() - self._installed, counts.get("answered", 0),
                        counts.get("acknowledged", 0))
        reports.append(report)
        logger.info("Answering on the wire has ended after %s seconds: %s requests answered, %s other segments "
                    "acknowledged. The table inet %s goes.", round(report.seconds, 1), report.answered,
                    report.acknowledged, self._name)

    def _end(self) -> Dict[str, Any]:
        counts = self._process.stop()
        if self._number:
            self._journal.forget_table(self._number)
        return counts

    def _log(self, answer: Dict[str, Any]) -> None:
        logger.debug("nft: %s", "\n".join(answer["commands"]))
