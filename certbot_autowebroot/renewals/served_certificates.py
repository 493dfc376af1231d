"""Which certificate the servers on port 443 show, for the names of lineages or for given ones.

A certificate that was renewed, and a server that was not reloaded, are the second half of the same outage.
"""
import socket
from typing import Dict
from typing import List
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.order.progress import HANDSHAKES
from certbot_autowebroot.order.progress import Progress
from certbot_autowebroot.renewals.forecast import Served
from certbot_autowebroot.renewals.forecast import Shown
from certbot_autowebroot.renewals.lineages import Certificate
from certbot_autowebroot.renewals.lineages import Lineage
from certbot_autowebroot.renewals.lineages import earlier_certificates
from certbot_autowebroot.renewals.lineages import is_wildcard
from certbot_autowebroot.renewals.lineages import other_owner
from certbot_autowebroot.renewals.lineages import parse_certificate
from certbot_autowebroot.renewals.visitors import NameCertificates
from certbot_autowebroot.route import CA_PORTS
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.front_endpoints import Kind
from certbot_autowebroot.routing.front_endpoints import front_endpoints
from certbot_autowebroot.routing.host import Host
from certbot_autowebroot.system import threads
from certbot_autowebroot.system import tls

#: Seconds for one handshake.
TIMEOUT = 5.0
#: That limit, in words.
LIMIT = f"at most {TIMEOUT:.0f} s for each handshake"
#: OpenSSL's reasons for a server that answers in plain text, by its version.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")
#: And for an alert (RFC 8446 section 6.2): nginx with ``ssl_reject_handshake`` and HAProxy with ``strict-sni`` send
#: unrecognized_name, Caddy sends internal_error.
_REFUSALS = ("UNRECOGNIZED_NAME", "_ALERT_")
#: A name, and the endpoint that is asked for its certificate.
Question = Tuple[str, Endpoint]


def served(lineages: Sequence[Lineage], host: Host, progress: Progress) -> Dict[str, List[Served]]:
    """What is shown for each name at each of its front endpoints, by the path of the lineage's renewal configuration.

    For a name that does not resolve to addresses of this machine: at the endpoints where a program listens.
    """
    having = [lineage for lineage in lineages if lineage.certificate]
    names = {lineage.conf: [name for name in lineage.certificate.names if not is_wildcard(name)]
             for lineage in having if lineage.certificate}
    host.resolve({name for of_lineage in names.values() for name in of_lineage})
    asked = {lineage.conf: [(name, endpoint) for name in names[lineage.conf]
                            for endpoint in _endpoints(name, lineage.address, host)] for lineage in having}
    every = dict.fromkeys(question for questions in asked.values() for question in questions)
    answers = _ask_all(list(every), progress)
    return {lineage.conf: [_compared(lineage, answers[question]) for question in asked[lineage.conf]]
            for lineage in having}


def shown(names: Sequence[str], addresses: Sequence[str], progress: Progress) -> List[NameCertificates]:
    """What is shown for each name: at each of these addresses, or else at each endpoint of this machine."""
    asked = [(name, Endpoint(address, CA_PORTS["https"])) for name in dict.fromkeys(names) for address in addresses] \
        or questions(names, Host())
    answers = _ask_all(asked, progress)
    return [NameCertificates(name, tuple(answers[question] for question in asked if question[0] == name))
            for name in dict.fromkeys(names)]


def questions(names: Sequence[str], host: Host) -> List[Question]:
    """Each name at each endpoint where it is served."""
    host.resolve(names)
    return [(name, endpoint) for name in dict.fromkeys(names) for endpoint in _endpoints(name, "", host)]


def seen(lineage: Lineage, asked: Sequence[Question], times: int) -> List[Served]:
    """What each endpoint shows: the current certificate only where it does so many times in a row.

    Old workers may answer beside new ones for a while, and several servers may share a port.
    """
    def ask(question: Question) -> Served:
        for _ in range(times):
            answer = _compared(lineage, _ask(question))
            if answer.shown is not Shown.CURRENT:
                break
        return answer
    return list(threads.each(ask, asked))


def _endpoints(name: str, address: str, host: Host) -> List[Endpoint]:
    front = front_endpoints(host.resolution(name), host, CA_PORTS["https"], address)
    guessed = front.of_kind(Kind.GUESSED)
    return front.of_kind(Kind.LOCAL) or [endpoint for endpoint in guessed if host.holders(endpoint)] or guessed[:1]


def _ask_all(questions: Sequence[Question], progress: Progress) -> Dict[Question, Served]:
    answers = {}
    answering = threads.each(_ask, questions)
    for number, question in enumerate(questions):
        progress(HANDSHAKES, number, len(questions))
        answers[question] = next(answering)
    return answers


def _ask(question: Question, key: str = "") -> Served:
    name, endpoint = question
    try:
        return Served(name, endpoint, Shown.OTHER, parse_certificate(tls.certificate_of(endpoint, name, TIMEOUT, key)))
    except ConnectionRefusedError:
        return Served(name, endpoint, Shown.NO_LISTENER)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        refused = any(word in reason for word in _REFUSALS)
        return Served(name, endpoint, Shown.NO_CERTIFICATE, error=_in_words(error, reason, refused), refused=refused)


def _in_words(error: Exception, reason: str, refused: bool) -> str:
    if isinstance(error, socket.timeout):
        return f"it did not answer in {TIMEOUT:.0f} s"
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
    if seen.fingerprint in earlier_certificates(lineage):
        return Served(answer.name, answer.endpoint, Shown.STALE, seen)
    other = other_owner(seen, lineage) if set(seen.names) == set(current.names) else ""
    is_stale = not other and _is_renewed_by(seen, current)
    return Served(answer.name, answer.endpoint, Shown.STALE if is_stale else Shown.OTHER, seen, other_lineage=other)


def _is_renewed_by(shown: Certificate, current: Certificate) -> bool:
    """Whether it is older and for the same names, though none of the lineage's: the lineage was made anew."""
    return set(shown.names) == set(current.names) and shown.not_before < current.not_before
