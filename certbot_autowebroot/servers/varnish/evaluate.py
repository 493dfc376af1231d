"""The backend that Varnish asks, with Host and path: ``vcl_recv`` and ``vcl_backend_fetch``, vcl(7)."""
import re
from typing import List
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.route import host_of
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.assumptions import Assumptions
from certbot_autowebroot.servers.common.assumptions import alternatives
from certbot_autowebroot.servers.varnish.expressions import Expressions
from certbot_autowebroot.servers.varnish.expressions import UnknowableError
from certbot_autowebroot.servers.varnish.expressions import is_group
from certbot_autowebroot.servers.varnish.expressions import name_of
from certbot_autowebroot.servers.varnish.expressions import split
from certbot_autowebroot.servers.varnish.expressions import text_of
from certbot_autowebroot.servers.varnish.vcl import Backend
from certbot_autowebroot.servers.varnish.vcl import Statement
from certbot_autowebroot.servers.varnish.vcl import Tokens
from certbot_autowebroot.servers.varnish.vcl import Vcl

#: Actions of ``return`` that lead to a backend.
_GOES_ON = frozenset(("hash", "pass", "pipe", "lookup", "fetch", "deliver", "hit", "miss"))

_MAX_CALLS = 50


class _EndOfRequest(Exception):
    """Varnish answers here; not an error."""

    def __init__(self, destination: Destination) -> None:
        super().__init__()
        self.destination = destination


class _Return(Exception):
    """The subroutine returns."""


def destinations(vcl: Vcl, request: Request) -> List[Destination]:
    """The destinations of a request in a VCL."""
    return alternatives(lambda assumptions: [_Run(vcl, request, assumptions).destination()])


class _Run(Expressions):
    """One evaluation of one request under given assumptions."""

    def __init__(self, vcl: Vcl, request: Request, assumptions: Assumptions) -> None:
        super().__init__(vcl, request, assumptions)
        self.steps: List[Step] = []
        self.calls = 0

    def destination(self) -> Destination:
        try:
            for subroutine in ("vcl_recv", "vcl_backend_fetch"):
                try:
                    self.run(self.vcl.subroutines.get(subroutine, ()))
                except _Return:
                    pass
            return self.upstream()
        except _EndOfRequest as ended:
            return ended.destination
        except (UnknowableError, regex.RegexError) as error:
            reason = f"only the running Varnish knows {error}" if isinstance(error, UnknowableError) else str(error)
            return Unknown(reason, tuple(self.steps))

    def upstream(self) -> Destination:
        backends = self.values.get("req.backend_hint")
        members = [backend for backend in backends if backend.host] if isinstance(backends, tuple) else []
        if not members:
            return DeadEnd("Varnish has no backend for it: 503", tuple(self.steps))
        host, url = host_of(str(self.values["req.http.host"])), str(self.values["req.url"])
        steps = [Step(f"backend {backend.name}", backend.source) for backend in members]
        return Upstream(tuple(map(_endpoint, members)), host, url.partition("?")[0],
                        proxy_protocol=any(backend.proxy_header for backend in members), trail=(*self.steps, *steps))

    def run(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            words = statement.words
            if statement.kind == "if":
                holds = self.holds(words)
                if holds:
                    self.steps.append(Step(str(statement), statement.source))
                self.run(statement.body if holds else statement.otherwise)
            elif statement.kind == "set" and len(words) > 2:
                self.assign(statement, name_of(words[0].text), words[1].text, words[2:])
            elif statement.kind == "unset" and words:
                self.values.pop(name_of(words[0].text), None)
            elif statement.kind == "call" and words:
                self.call_subroutine(words[0].text)
            elif statement.kind == "return":
                self.return_action(statement)

    def call_subroutine(self, name: str) -> None:
        self.calls += 1
        if self.calls > _MAX_CALLS:
            raise UnknowableError("a subroutine that calls itself")
        self.run(self.vcl.subroutines.get(name, ()))

    def assign(self, statement: Statement, name: str, operator: str, words: Tokens) -> None:
        try:
            value = self.value(words)
            if operator == "+=":
                value = regex.bounded(text_of(self.values.get(name, "")) + text_of(value))
            self.values[name] = value
        except UnknowableError:
            # Where only the running server knows the backend, each declared one is an alternative.
            backend = next((backend for backend in self.vcl.backends.values() if name == "req.backend_hint"
                            and self.assumptions.holds(f"{statement} is {backend.name}", True)), None)
            if backend is not None:
                self.values[name] = (backend,)
            elif name in ("req.url", "req.http.host", "req.backend_hint", "resp.http.location"):
                self.steps.append(Step(str(statement), statement.source))
                raise
            else:
                # A header that decides nothing here, or is not known either where it decides.
                self.values.pop(name, None)
        if name in ("req.url", "req.http.host", "req.backend_hint"):
            self.steps.append(Step(str(statement), statement.source))

    def return_action(self, statement: Statement) -> None:
        words = [token for token in statement.words if token.text not in ("(", ")") or token.kind == "string"]
        action = words[0].text if words else ""
        trail = (*self.steps, Step(str(statement), statement.source))
        if not words or action in _GOES_ON:
            raise _Return
        if action in ("synth", "error"):
            raise _EndOfRequest(self.synthetic(statement, trail))
        if action == "vcl":
            self.steps.append(trail[-1])
            raise UnknowableError(f"the VCL {words[1].text if len(words) > 1 else ''}")
        raise _EndOfRequest(DeadEnd(f"Varnish answers itself: {action}", trail))

    def synthetic(self, statement: Statement, trail: Tuple[Step, ...]) -> Destination:
        """``return (synth(status, reason))`` runs ``vcl_synth``, which may set a redirect."""
        inner = statement.words[1:-1] if is_group(statement.words) else statement.words
        arguments = split(inner[2:-1], ",")
        status = self.value(arguments[0]) if arguments and arguments[0] else 503
        self.values["resp.status"] = status
        self.values["resp.reason"] = self.value(arguments[1]) if len(arguments) > 1 else ""
        self.steps = list(trail)
        try:
            self.call_subroutine("vcl_synth")
        except _Return:
            pass
        if "resp.status" not in self.values:
            raise UnknowableError("resp.status")
        location, status = self.values.get("resp.http.location"), self.values["resp.status"]
        if location and status in (301, 302, 303, 307, 308):
            return Redirect(text_of(location), int(text_of(status)), tuple(self.steps))
        return DeadEnd(f"Varnish answers itself with status {status}", tuple(self.steps))

def _endpoint(backend: Backend) -> Endpoint:
    if backend.host.startswith("/"):
        return Endpoint(f"unix:{backend.host}", 0)
    port = {"http": "80", "https": "443"}.get(backend.port, backend.port)
    return Endpoint(backend.host.strip("[]"), int(port) if re.fullmatch("[0-9]{1,5}", port) else 0)
