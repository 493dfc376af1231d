"""Whether what another authenticator has published arrives where the CA comes in. *Pure*."""
from typing import Mapping

from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing import ca_verdict
from certbot_autowebroot.routing.ca_verdict import Reply
from certbot_autowebroot.routing.ca_verdict import Shown
from certbot_autowebroot.routing.ca_verdict import Verdict
from certbot_autowebroot.routing.probe import Answer


def obstacle(outcome: Outcome, mismatches: Mapping[Endpoint, Answer], token: str, refuse_unproven: bool) -> str:
    """Why the CA would get something else, although the front endpoints of this host serve it; a clause, or empty.

    :param outcome: before anything was published.
    :param mismatches: the answers of the remote endpoints that do not serve it.
    :param token: the one that was requested.
    """
    before = {(answer.status, answer.server) for endpoint, answer in outcome.proof.answers.items()
              if endpoint in outcome.front.endpoints and answer.status}
    for endpoint, answer in mismatches.items():
        if answer.request.scheme == "https" and answer.request.path == CHALLENGE_PATH + token:
            return (f"{endpoint}, where the CA comes in, redirects it to TLS, and nothing of it comes to port 80 of "
                    "this machine")
        if (answer.status, answer.server) in before:
            return (f"{endpoint}, where the CA comes in, answers as before ({answer}): what answers there asks this "
                    "machine at another port, by TLS perhaps, or another machine")
    replies = {endpoint: _reply(mismatches[endpoint]) if endpoint in mismatches else Reply(is_ours=True)
               for endpoint in outcome.front.remote}
    judgement = ca_verdict.judge(outcome.front, dict.fromkeys(outcome.front.endpoints, Shown(Verdict.PROVEN)), replies)
    if judgement.verdict is Verdict.DEAD_END or (judgement.verdict is Verdict.UNPROVEN and refuse_unproven):
        return "; ".join(judgement.sentences)
    return ""


def _reply(answer: Answer) -> Reply:
    return Reply(connected=answer.connected, status=answer.status, server=answer.server, error=answer.error)
