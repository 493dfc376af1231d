"""Which certificate the servers on 443 really show for the names of lineages.

A renewed certificate that nobody has reloaded the server for is the second half of the same outage.
"""
import socket
from typing import Dict
from typing import List
from typing import Sequence
from typing import Tuple

from certbot import util

from certbot_autowebroot.order.progress import HANDSHAKES
from certbot_autowebroot.order.progress import Progress
from certbot_autowebroot.renewals.forecast import Served
from certbot_autowebroot.renewals.forecast import Shown
from certbot_autowebroot.renewals.lineages import Certificate
from certbot_autowebroot.renewals.lineages import Lineage
from certbot_autowebroot.renewals.lineages import earlier_certificates
from certbot_autowebroot.renewals.lineages import parse_certificate
from certbot_autowebroot.route import CA_PORTS
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing import probe
from certbot_autowebroot.routing.front_endpoints import front_endpoints
from certbot_autowebroot.routing.host import ThisMachine
from certbot_autowebroot.system import threads

_TIMEOUT = 5.0
#: What OpenSSL says of a server that answers in plain text, by its version.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")
#: And of an alert (RFC 8446, 6.2): nginx with ``ssl_reject_handshake`` and HAProxy with ``strict-sni`` do not recognise
#: a name; Caddy speaks of an internal error.
_REFUSALS = ("UNRECOGNIZED_NAME", "_ALERT_")
#: What is asked of whom.
Question = Tuple[str, Endpoint]


def served(lineages: Sequence[Lineage], progress: Progress) -> Dict[str, List[Served]]:
    """What is shown for each name at each of its front endpoints, by the path of the lineage's renewal configuration.

    For a name that does not resolve to addresses of this machine, the endpoints where somebody listens.
    """
    machine = ThisMachine()
    having = [lineage for lineage in lineages if lineage.certificate]
    names = {lineage.conf: [name for name in lineage.certificate.names if not util.is_wildcard_domain(name)]
             for lineage in having if lineage.certificate}
    machine.resolve({name for found in names.values() for name in found})
    asked = {lineage.conf: [(name, endpoint) for name in names[lineage.conf]
                            for endpoint in _doors(name, lineage.address, machine)] for lineage in having}
    answers = _ask_all(list(dict.fromkeys(question for found in asked.values() for question in found)), progress)
    return {lineage.conf: [_compared(lineage, answers[question]) for question in asked[lineage.conf]]
            for lineage in having}


def questions(names: Sequence[str], machine: ThisMachine) -> List[Question]:
    """Each name at each endpoint where it is served."""
    machine.resolve(names)
    return [(name, endpoint) for name in dict.fromkeys(names) for endpoint in _doors(name, "", machine)]


def seen(lineage: Lineage, asked: Sequence[Question], times: int) -> List[Served]:
    """What is shown to each question: the current certificate only where it is so many times in a row.

    Old workers may answer beside new ones for a while; several servers may share a port.
    """
    def look(question: Question) -> Served:
        for _ in range(times):
            answer = _compared(lineage, _ask(question))
            if answer.shown is not Shown.CURRENT:
                break
        return answer
    return list(threads.each(look, asked))


def _doors(name: str, address: str, machine: ThisMachine) -> List[Endpoint]:
    endpoints = front_endpoints(name, machine, CA_PORTS["https"], address)
    if endpoints.certain:
        return list(endpoints.endpoints)
    return [endpoint for endpoint in endpoints.endpoints if machine.holders(endpoint)] or list(endpoints.endpoints[:1])


def _ask_all(questions: Sequence[Question], progress: Progress) -> Dict[Question, Served]:
    found = {}
    for number, (question, answer) in enumerate(zip(questions, threads.each(_ask, questions))):
        progress(HANDSHAKES, number, len(questions))
        found[question] = answer
    return found


def _ask(question: Question, key: str = "") -> Served:
    name, endpoint = question
    try:
        shown = parse_certificate(probe.certificate_of(endpoint, name, _TIMEOUT, key))
        return Served(name, endpoint, Shown.OTHER, shown)
    except ConnectionRefusedError:
        return Served(name, endpoint, Shown.NOBODY)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        refused = any(word in reason for word in _REFUSALS)
        return Served(name, endpoint, Shown.NONE, error=_in_words(error, reason, refused), refused=refused)


def _in_words(error: Exception, reason: str, refused: bool) -> str:
    if isinstance(error, socket.timeout):
        return f"it did not answer in {_TIMEOUT:.0f} s"
    if reason in _NO_TLS:
        return "it does not speak TLS"
    return f"it has none for this name ({reason})" if refused else reason


def _compared(lineage: Lineage, answer: Served) -> Served:
    seen, current = answer.certificate, lineage.certificate
    if seen is None or current is None:
        return answer
    if current.key and seen.key not in ("", current.key):
        # A server may have two lineages for a name, one for each kind of key.
        seen = _ask((answer.name, answer.endpoint), current.key).certificate or seen
    if seen.fingerprint == current.fingerprint:
        return Served(answer.name, answer.endpoint, Shown.CURRENT, seen)
    if _is_renewed_by(seen, current) or seen.fingerprint in earlier_certificates(lineage):
        return Served(answer.name, answer.endpoint, Shown.STALE, seen)
    return Served(answer.name, answer.endpoint, Shown.OTHER, seen)


def _is_renewed_by(shown: Certificate, current: Certificate) -> bool:
    """For the same names and older, though it is not among the lineage's: it was deleted and made anew."""
    return set(shown.names) == set(current.names) and shown.not_before < current.not_before
