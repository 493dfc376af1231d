"""What the answers at a CA's endpoints mean for a name. *Pure*.

A positive answer at the CA's own address is proof. A negative one is a verdict only where nothing between this machine
and the answer differs from the CA's way: a router may not let its own network come back in, a balancer may refuse us
alone. A wasted validation costs twelve minutes, a false refusal the certificate.
"""
import enum
from typing import Collection
from typing import Dict
from typing import Iterable
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Tuple

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.front_endpoints import FrontEndpoints
from certbot_autowebroot.routing.front_endpoints import Kind
from certbot_autowebroot.routing.redirects import is_public


class Verdict(enum.Enum):
    """What is known of a name, the best first."""

    PROVEN = "proven"
    #: A file came back within this machine; the CA's own address does not answer from here.
    FROM_INSIDE = "proven from inside"
    UNPROVEN = "unproven"
    DEAD_END = "dead end"


_ORDER = list(Verdict)


def worst(states: Iterable[Verdict]) -> Verdict:
    """The worst of some states; :attr:`Verdict.DEAD_END` of none."""
    return max(states, key=_ORDER.index, default=Verdict.DEAD_END)


class Reply(NamedTuple):
    """What came back from an endpoint, after its redirects.

    :ivar is_ours: the body is that of a test file.
    :ivar is_mixed: a test file came back as well: several servers answer in turn.
    :ivar connected: there was a connection; without one, a CA turns to the next IP version.
    :ivar status: the HTTP status; 0 where the connection ended without one.
    :ivar server: the Server header.
    :ivar error: why there is no status; a phrase.
    """

    is_ours: bool = False
    connected: bool = True
    status: int = 0
    server: str = ""
    error: str = ""
    is_mixed: bool = False

    def __str__(self) -> str:
        if not self.status:
            return self.error
        return f"status {self.status}" + (f" of {self.server.strip()}" if self.server else "")


class Shown(NamedTuple):
    """What an endpoint of this machine has shown: proven, unproven or a dead end; and by which reply."""

    verdict: Verdict
    reply: Reply = Reply()


class Meaning(NamedTuple):
    """What a remote address means for a name; the sentence is empty where it is simply proven.

    :ivar is_other_server: another machine of the name answers there, which does not send challenges here.
    """

    verdict: Verdict
    sentence: str = ""
    is_other_server: bool = False


#: A limit of requests, a password, an allow-list, a page that wants to see a browser; a gateway whose member is down.
MAY_REFUSE_US_ALONE = (0, 401, 403, 407, 429, 502, 503, 504)
#: Cloudflare's documentation, "Cloudflare 5xx errors".
_UNUSABLE_ORIGIN = {521: "it refuses the connection", 522: "it does not answer", 523: "it cannot be reached",
                    524: "it answers too late", 525: "its TLS handshake fails", 526: "its certificate is not valid"}


def meaning(name: str, address: str, reply: Reply, inside: Optional[Shown], proven: Collection[int]) -> Meaning:
    """What the answer of one remote address means.

    :param inside: what the endpoints of this machine to which it may lead have shown; None where there are none.
    :param proven: the IP versions of the name's addresses that are proven to lead to this machine.
    """
    if reply.is_ours:
        return Meaning(Verdict.PROVEN)
    if reply.is_mixed:
        return Meaning(Verdict.DEAD_END, f"{name} resolves to {address}, where several servers answer in turn, and one "
                       f"of them has no file of ours ({reply}): each has to send challenges here", True)
    if not reply.connected and proven:
        # A CA that does not get a connection over IPv6 either turns to IPv4, but never to another address of a version.
        state = Verdict.UNPROVEN if Endpoint(address, 80).version in proven else Verdict.FROM_INSIDE
        return Meaning(state, f"{name} also resolves to {address}, which does not answer from here ({reply}); other "
                              "addresses of it lead here")
    if not reply.connected:
        state = Verdict.FROM_INSIDE if inside is None or inside.verdict is Verdict.PROVEN else inside.verdict
        return Meaning(state, f"{name} resolves to {address}, which does not answer from here ({reply}): port 80 there "
                              "must lead here")
    if reply.status in _UNUSABLE_ORIGIN:
        return Meaning(Verdict.DEAD_END, f"{name} resolves to {address}, a CDN that cannot use this machine "
                                       f"({reply}: {_UNUSABLE_ORIGIN[reply.status]})")
    is_dead_end = inside is not None and inside.verdict is Verdict.DEAD_END
    # Through a router that lets us come back in, it is our own server that answers.
    is_our_server = inside is not None and inside.reply == reply and bool(reply.status)
    if reply.status in MAY_REFUSE_US_ALONE and not (is_dead_end and is_our_server):
        return Meaning(Verdict.UNPROVEN, f"{name} resolves to {address}, which may refuse this machine alone ({reply})")
    if proven:
        return Meaning(Verdict.DEAD_END, f"{name} also resolves to {address}, where another server answers ({reply}); "
                                       "other addresses of it lead here", True)
    state = Verdict.DEAD_END if is_dead_end else Verdict.UNPROVEN
    return Meaning(state, f"{name} resolves to {address}, where another server answers ({reply}): port 80 there must "
                          "lead here")


def meaning_of_node(name: str, address: str, reply: Reply) -> Meaning:
    """What the answer of a node means: the balancer may send the CA there, whatever the others answer."""
    if reply.is_ours:
        return Meaning(Verdict.PROVEN)
    if not reply.connected:
        return Meaning(Verdict.UNPROVEN, f"the node {address} does not answer for {name} ({reply})")
    return Meaning(Verdict.DEAD_END, f"the node {address} does not send the challenges of {name} here ({reply})", True)


class Judgement(NamedTuple):
    """What all endpoints of a name mean together, and what is to be said of its addresses.

    :ivar other_servers: the remote endpoints where another machine of the name does not send challenges here.
    """

    verdict: Verdict
    sentences: Tuple[str, ...] = ()
    other_servers: Tuple[Endpoint, ...] = ()


def judge(front: FrontEndpoints, shown: Mapping[Endpoint, Shown], replies: Mapping[Endpoint, Reply]) -> Judgement:
    """Put together what the endpoints of a name have shown.

    Each address has to be answered: records rotate, and a CA that connects does not turn to the other IP version. Of
    the guessed endpoints of one version, one is enough, for one of them is the one; they do not count where the CA's
    own address is proven.

    :param shown: what each local and each guessed endpoint has shown.
    :param replies: what came back from each remote one.
    """
    local = {endpoint: shown[endpoint].verdict for endpoint in front.of_kind(Kind.LOCAL)}
    sentences = list(front.notes)
    for endpoint in local:
        if local[endpoint] is Verdict.PROVEN and not is_public(endpoint.host):
            local[endpoint] = Verdict.FROM_INSIDE
            sentences.append(f"{front.name} resolves to {endpoint.host} from here, which no public CA can reach: port "
                             "80 of its public address must lead here")
    proven = {endpoint.version for endpoint in local if local[endpoint] is Verdict.PROVEN}
    proven |= {endpoint.version for endpoint in front.of_kind(Kind.REMOTE) if replies[endpoint].is_ours}
    inside = _inside(front, shown)
    states = list(local.values())
    remote = {endpoint: meaning(front.name, endpoint.host, replies[endpoint], _behind(endpoint, inside, bool(local)),
                                proven) for endpoint in front.of_kind(Kind.REMOTE)}
    states += [found.verdict for found in remote.values()]
    if not states:
        # The name does not resolve here: the CA may come by every IP version, and it is not known by which it does.
        states = [Verdict.FROM_INSIDE if one.verdict is Verdict.PROVEN else one.verdict for one in inside.values()]
    nodes = {endpoint: meaning_of_node(front.name, endpoint.host, replies[endpoint])
             for endpoint in front.of_kind(Kind.NODE)}
    states += [found.verdict for found in nodes.values()]
    others = {**remote, **nodes}
    sentences += [found.sentence for found in others.values() if found.sentence]
    other_servers = [endpoint for endpoint, found in others.items() if found.is_other_server]
    if any(endpoint in nodes for endpoint in other_servers):
        # A balancer that leads to one of the nodes is none of them.
        other_servers = [endpoint for endpoint in other_servers if endpoint in nodes or not replies[endpoint].is_mixed]
    return Judgement(worst(states), tuple(sentences), tuple(other_servers))


def _inside(front: FrontEndpoints, shown: Mapping[Endpoint, Shown]) -> Dict[int, Shown]:
    """The best of what the guessed endpoints of each IP version have shown."""
    best: Dict[int, Shown] = {}
    for endpoint in front.of_kind(Kind.GUESSED):
        version = endpoint.version
        if version not in best or _ORDER.index(shown[endpoint].verdict) < _ORDER.index(best[version].verdict):
            best[version] = shown[endpoint]
    return best


def _behind(remote: Endpoint, inside: Mapping[int, Shown], has_local: bool) -> Optional[Shown]:
    """What the endpoints show that a remote address may lead to: those of its IP version, or else of the other.

    A name's own local address of the other version is none of them: the CA comes there by itself.
    """
    version = remote.version
    if version in inside or has_local:
        return inside.get(version)
    return max(inside.values(), key=lambda one: _ORDER.index(one.verdict), default=None)
