"""Answer on the wire where no directory and no free port is found: our own fallback, used like a plugin of Certbot.

The proof is that of all fallbacks: what is published is fetched through the front endpoints before the CA is asked.
"""
import logging
from typing import Any
from typing import Dict
from typing import Iterable
from typing import List
from typing import Mapping
from typing import Optional
from typing import Sequence
from typing import Type

from acme import challenges
from certbot import errors

from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.wire.responder import CatchPoint
from certbot_autowebroot.responders.wire.responder import Report
from certbot_autowebroot.responders.wire.responder import WireResponder
from certbot_autowebroot.responders.wire.responder import Wires
from certbot_autowebroot.responders.wire.responder import catch_point
from certbot_autowebroot.responders.wire.responder import why_not
from certbot_autowebroot.route import Endpoint

logger = logging.getLogger(__name__)


class WireAnswers:
    """What is published on the wire for some names, by any key."""

    def __init__(self, journal: Journal) -> None:
        self._wires = Wires(journal)
        self._catch_points: Dict[Endpoint, CatchPoint] = {}
        self._published: Dict[Any, List[WireResponder]] = {}

    def publish(self, key: Any, endpoints: Iterable[Endpoint], token: str, content: bytes) -> None:
        """Answer requests for a token where the connections to these front endpoints end.

        :raises PublishError: it cannot be done; nothing is left of it.
        """
        responders = self._published.setdefault(key, [])
        try:
            for where in dict.fromkeys(map(self._catch_point, endpoints)):
                responders.append(WireResponder(self._wires, where, token))
                responders[-1].publish(content)
        except PublishError:
            self.withdraw(key)
            raise

    def withdraw(self, key: Any) -> None:
        """Answer no longer for a key; the tables go with the last one. Never raises; may be called again."""
        for responder in self._published.pop(key, []):
            responder.withdraw()
        if not self._published:
            self._wires.stop()

    def stop(self) -> List[Report]:
        """Remove all tables; what came of them. Never raises."""
        self._published.clear()
        self._wires.stop()
        return self._wires.reports

    def _catch_point(self, endpoint: Endpoint) -> CatchPoint:
        if endpoint not in self._catch_points:
            self._catch_points[endpoint] = catch_point(endpoint)
        return self._catch_points[endpoint]


class WireFallback:
    """The methods of an authenticator that :class:`.fallback.Fallbacks` calls.

    :param endpoints: the front endpoints of this host, by challenge (Certbot's).
    """

    def __init__(self, journal: Journal, endpoints: Mapping[Any, Sequence[Endpoint]]) -> None:
        self._endpoints = endpoints
        self._answers = WireAnswers(journal)

    def get_chall_pref(self, identifier: str) -> Iterable[Type[challenges.Challenge]]:
        """Only http-01."""
        return [challenges.HTTP01]

    def prepare(self) -> None:
        """Find out by a dry run whether the kernel, nft and the rights suffice.

        :raises errors.PluginError: they do not.
        """
        reason = why_not()
        if reason:
            raise errors.PluginError(reason)

    def perform(self, achalls: Sequence[Any]) -> List[Optional[challenges.ChallengeResponse]]:
        """Publish the tokens where the connections to the front endpoints end.

        :returns: a response for each challenge; None where its token could not be published.
        :raises errors.PluginError: no token could be published.
        """
        responses: List[Optional[challenges.ChallengeResponse]] = []
        reason = ""
        for achall in achalls:
            response, validation = achall.response_and_validation()
            try:
                self._answers.publish(achall, self._endpoints[achall], achall.chall.encode("token"),
                                      validation.encode("ascii"))
                responses.append(response)
            except PublishError as error:
                reason = str(error)
                logger.info("%s", reason)
                responses.append(None)
        if reason and not any(responses):
            raise errors.PluginError(reason)
        return responses

    def cleanup(self, achalls: Iterable[Any]) -> None:
        """Withdraw the tokens of these; the tables go with the last one. Never raises; may be called again."""
        for achall in achalls:
            self._answers.withdraw(achall)
