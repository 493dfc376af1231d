"""Where an answer on the wire can reach the CA's requests for a name, and whether this machine can give one."""
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.route import Endpoint


def obstacle(outcome: Outcome) -> str:
    """Why there is no segment to catch for a name: no program accepts connections; a clause, or empty."""
    for group in outcome.front.groups:
        answers = [outcome.proof.answers.get(endpoint) for endpoint in group]
        if all(answer is not None and not answer.connected for answer in answers):
            error = next(answer.error for answer in answers if answer)
            return f"no program accepts connections at {' or '.join(map(str, group))} ({error})"
    return ""


def can_answer(outcome: Outcome, endpoint: Endpoint) -> bool:
    """Whether the wire can answer at a front endpoint where a name fails: asked before it is proposed to a person.

    A dry run shows that the kernel, nft and the rights suffice.
    """
    answer = outcome.proof.answers.get(endpoint)
    if answer is None or not answer.connected:
        return False
    if not all(_leads_here(outcome, remote) for remote in outcome.front.remote):
        return False
    # Only a failing name has to pay for it.
    from certbot_autowebroot.responders.wire.child import OWN_NETWORK
    from certbot_autowebroot.responders.wire.responder import catch_point
    from certbot_autowebroot.responders.wire.responder import why_not
    hops = [hop for route in outcome.routes.get(endpoint, ()) for hop in route.hops]
    is_contained = any(hop.request.endpoint.namespace for hop in hops)
    return not why_not(catch_point(endpoint).network if is_contained else OWN_NETWORK)


def is_possible_here() -> bool:
    """Whether a dry run succeeds in this machine's own network."""
    from certbot_autowebroot.responders.wire import responder
    return not responder.why_not()


def _leads_here(outcome: Outcome, remote: Endpoint) -> bool:
    """Whether a remote address may lead to port 80 of this machine: no other server answers there, and no edge."""
    theirs = outcome.proof.answers.get(remote)
    if theirs is None or not theirs.connected:
        return theirs is not None
    ours = [outcome.proof.answers.get(endpoint) for endpoint in outcome.front.endpoints]
    return any((answer.status, answer.server, answer.redirects) == (theirs.status, theirs.server, theirs.redirects)
               for answer in ours if answer)
