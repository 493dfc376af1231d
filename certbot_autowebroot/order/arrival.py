"""Whether what another authenticator has published arrives where the CA comes in. *Pure*."""
import ipaddress
from typing import Mapping

from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing import ca_verdict
from certbot_autowebroot.routing.ca_verdict import Judgement
from certbot_autowebroot.routing.ca_verdict import Reply
from certbot_autowebroot.routing.ca_verdict import Shown
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.routing.front_endpoints import Kind
from certbot_autowebroot.routing.probe import Answer
from certbot_autowebroot.routing.redirects import is_public


def judge(outcome: Outcome, mismatches: Mapping[Endpoint, Answer], token: str) -> Judgement:
    """What the CA would get, where the front endpoints of this host serve it.

    :param outcome: before anything was published.
    :param mismatches: the answers of the remote endpoints that do not serve it.
    :param token: the one that was requested.
    """
    before = {(answer.status, answer.server) for endpoint, answer in outcome.proof.answers.items()
              if endpoint in outcome.front.endpoints and answer.status}
    for endpoint, answer in mismatches.items():
        if answer.request.scheme == "https" and answer.request.path == CHALLENGE_PATH + token:
            return _dead_end(f"{endpoint}, where the CA comes in, redirects it to TLS, and nothing of it comes to port "
                             "80 of this machine")
        if (answer.status, answer.server) in before or _is_unaffected(outcome, endpoint, answer):
            return _dead_end(f"{endpoint}, where the CA comes in, answers as before ({answer}): what answers there "
                             "asks this machine at another port, by TLS perhaps, or another machine")
    replies = {endpoint: _reply(mismatches[endpoint]) if endpoint in mismatches else Reply(is_ours=True)
               for endpoint in outcome.front.remote}
    return ca_verdict.judge(outcome.front, dict.fromkeys(outcome.front.endpoints, Shown(Verdict.PROVEN)), replies)


def _is_unaffected(outcome: Outcome, endpoint: Endpoint, answer: Answer) -> bool:
    """Whether a remote address answers this machine, and so the CA, as before: a CDN that asks us by TLS for all.

    A private network is behind a router, which may show a page of its own to this machine alone.
    """
    before = outcome.proof.answers.get(endpoint)
    versions = {one.version for one in outcome.front.every
                if one.kind is Kind.GUESSED and is_public(one.endpoint.host)}
    return (before is not None and (before.status, before.server) == (answer.status, answer.server)
            and answer.status not in ca_verdict.MAY_REFUSE_US_ALONE
            and ipaddress.ip_address(endpoint.host).version in versions)


def _dead_end(sentence: str) -> Judgement:
    return Judgement(Verdict.DEAD_END, (sentence,))


def _reply(answer: Answer) -> Reply:
    return Reply(connected=answer.connected, status=answer.status, server=answer.server, error=answer.error)
