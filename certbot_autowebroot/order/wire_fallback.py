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
from certbot_autowebroot.responders.wire.responder import WireResponder
from certbot_autowebroot.responders.wire.responder import Wires
from certbot_autowebroot.responders.wire.responder import catch_point
from certbot_autowebroot.responders.wire.responder import why_not
from certbot_autowebroot.route import Endpoint

logger = logging.getLogger(__name__)


class WireFallback:
    """The methods of an authenticator that :class:`.fallback.Fallbacks` calls.

    :param endpoints: the front endpoints of this host, by challenge (Certbot's).
    """

    def __init__(self, journal: Journal, endpoints: Mapping[Any, Sequence[Endpoint]]) -> None:
        self._endpoints = endpoints
        self._wires = Wires(journal)
        self._published: Dict[Any, List[WireResponder]] = {}

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
        endpoints = dict.fromkeys(endpoint for achall in achalls for endpoint in self._endpoints[achall])
        catch_points = {endpoint: catch_point(endpoint) for endpoint in endpoints}
        responses: List[Optional[challenges.ChallengeResponse]] = []
        reason = ""
        for achall in achalls:
            response, validation = achall.response_and_validation()
            responders = self._published.setdefault(achall, [])
            try:
                for where in dict.fromkeys(catch_points[endpoint] for endpoint in self._endpoints[achall]):
                    responders.append(WireResponder(self._wires, where, achall.chall.encode("token")))
                    responders[-1].publish(validation.encode("ascii"))
                responses.append(response)
            except PublishError as error:
                reason = str(error)
                logger.info("%s", reason)
                self._withdraw(achall)
                responses.append(None)
        if reason and not any(responses):
            raise errors.PluginError(reason)
        return responses

    def cleanup(self, achalls: Iterable[Any]) -> None:
        """Withdraw the tokens of these; the tables go with the last one. Never raises; may be called again."""
        for achall in achalls:
            self._withdraw(achall)
        if not self._published:
            self._wires.stop()

    def _withdraw(self, achall: Any) -> None:
        for responder in self._published.pop(achall, []):
            responder.withdraw()
