"""One request in nginx's phases: server rewrite, location, rewrite, access (``access``), content (``handlers``).

Sources: development guide, "HTTP phases"; src/http/ngx_http_core_module.c.
"""
import functools
import re
from typing import Callable
from typing import List
from typing import Optional
from typing import Tuple

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers.common.numbers import number
from certbot_autowebroot.servers.nginx import access
from certbot_autowebroot.servers.nginx import handlers
from certbot_autowebroot.servers.nginx import rewrite
from certbot_autowebroot.servers.nginx.contexts import Context
from certbot_autowebroot.servers.nginx.contexts import Location
from certbot_autowebroot.servers.nginx.contexts import find_location
from certbot_autowebroot.servers.nginx.guesses import ContradictionError
from certbot_autowebroot.servers.nginx.guesses import EndOfRequest
from certbot_autowebroot.servers.nginx.guesses import Guesses
from certbot_autowebroot.servers.nginx.guesses import StatusError
from certbot_autowebroot.servers.nginx.index import Index
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.regexes import UnknowableError
from certbot_autowebroot.servers.nginx.state import State
from certbot_autowebroot.servers.nginx.values import Stat
from certbot_autowebroot.servers.nginx.variables import parts

#: NGX_HTTP_MAX_URI_CHANGES.
MAX_URI_CHANGES = 10

#: Handlers whose 404 an ``error_page`` replaces without ``*_intercept_errors``.
_INTERCEPTED = ("memcached", "redis")
Destinations = List[Destination]


class Walk(State):
    """Follows one request to its :meth:`destinations`."""

    _in_error_page = False

    def __init__(self, index: Index, request: Request, guesses: Guesses, stat: Optional[Stat] = None) -> None:
        super().__init__(index, request, guesses, stat)
        self._changes: List[Tuple[Optional[Source], int]] = []

    def destinations(self) -> Destinations:
        """The destinations of the request; several where each of several files would do."""
        return self._catch(self._accept)

    def _catch(self, phase: Callable[[], Destinations]) -> Destinations:
        """The destinations of a phase, or of what it raises."""
        try:
            return phase()
        except EndOfRequest as end:
            return [end.destination]
        except StatusError as status:
            return self._error_page(status)
        except ContradictionError:
            self.guesses.contradiction = self._contradiction()
            return []
        except UnknowableError as unknown:
            return [Unknown(f"only the running server knows {unknown}", tuple(self.trail))]

    def _contradiction(self) -> DeadEnd:
        """The dead end of rules that lead away from the file once it exists: their last test for it is the reason."""
        reason = "the rules stop leading to the file as soon as it exists"
        return DeadEnd(reason, (*self.trail, Step(reason, self.guesses.file_test)))

    def _accept(self) -> Destinations:
        request = self.request
        group = self.index.listeners.at(request.endpoint)
        if group is None:
            return [Unknown(f"the configuration has no server that listens on {request.endpoint}")]
        if group.default.setting("merge_slashes") != "off":
            self.uri = re.sub("//+", "/", self.uri)
        self.server, matched_name = group.find(self.host, self.matches)
        self.context = self.server
        if group.proxy_protocol and not request.endpoint.is_loopback:
            self.restricted = True
            self.trail.append(Step(f"{request.endpoint} expects a PROXY line first: nginx may refuse some clients"))
        name = matched_name or f"{self.server.first_name or '(without a name)'}, the default for {request.endpoint}"
        self.trail.append(Step(f"server {name}", self.server.directive.source))
        tls = group.tls or self.server.setting("ssl") == "on"
        if tls and request.scheme == "http":
            # nginx's own number; it sends 400.
            raise StatusError(497, f"{request.endpoint} speaks TLS only")
        if not tls and request.scheme == "https":
            return [DeadEnd(f"{request.endpoint} does not speak TLS", tuple(self.trail))]
        if tls:
            self._handshake()
        return self._server_rewrite()

    def _handshake(self) -> None:
        """The certificates, of the server and of the client."""
        for directive in self.server.nearest("ssl_reject_handshake")[-1:]:
            if directive.args[:1] == ("on",):
                step = Step(str(directive), directive.source)
                raise EndOfRequest(DeadEnd(f"{directive}: there is no certificate", (*self.trail, step)))
        for directive in self.server.nearest("ssl_verify_client")[-1:]:
            # The CA has none; a content delivery network in front has one.
            if directive.args[:1] == ("on",) and not self.guess(str(directive), directive.source, likely=False,
                                                               about_client=True):
                raise StatusError(496, str(directive), directive.source)

    def _server_rewrite(self) -> Destinations:
        """The phases from the server's rewrites on; an internal redirect starts here again."""
        self.context = self.server
        self.matches_location = True
        rewrite.run(self, self.server)
        return self._find_location()

    def _find_location(self) -> Destinations:
        while True:
            self.uri_changed = False
            self.context = self.server
            location, _ = find_location(self.server, self.uri, self.matches)
            if location is not None:
                self._enter(location)
            if not self.uri_changed:
                return self._content()
            self._count_change(self.uri_source)

    def _enter(self, location: Location) -> None:
        self.context = location
        self.trail.append(Step(str(location.directive), location.directive.source))
        if not self.internal and location.nearest("internal"):
            raise StatusError(404, "internal", location.nearest("internal")[0].source)
        for directive in location.own.get("limit_except", ()):
            if "GET" not in (method.upper() for method in directive.args):
                # For the excluded methods nginx runs this block's rewrites, not the location's.
                self.context = Context(directive, location)
        rewrite.run(self, self.context)

    def _count_change(self, source: Optional[Source]) -> None:
        """Count a change of the path, or an internal redirect; of a loop, the first line of it is the reason."""
        self._changes.append((source, len(self.trail)))
        if len(self._changes) > MAX_URI_CHANGES:
            sources = [one for one, _ in self._changes]
            first = next((one for one in sources if sources.count(one) > 1), source)
            rounds = [length for one, length in self._changes if one == first]
            del self.trail[rounds[min(1, len(rounds) - 1)]:]  # one round tells it all
            raise StatusError(500, "the rewrites or internal redirects go round in a loop", first)

    def _internal_redirect(self, target: str, directive: Directive) -> Destinations:
        """An internal redirect of a directive to a path, or to a named location."""
        self._count_change(directive.source)
        self.internal = True
        if not target.startswith("@"):
            self.uri, _, self.args = target.partition("?")
            self.original, self.uri_source = False, directive.source
            return self._server_rewrite()
        location = self.server.locations.named.get(target[1:])
        if location is None:
            raise StatusError(500, f"there is no location {target}", directive.source)
        self.uri_changed = False
        self._enter(location)
        if self.uri_changed:
            self._count_change(self.uri_source)
            return self._find_location()
        return self._content()

    def _internal_redirect_to_value(self, text: str, directive: Directive) -> Destinations:
        return self._internal_redirect(self.value(text), directive)

    def _error_page(self, status: StatusError) -> Destinations:
        """The destinations of an ``error_page``: the CA wants 200, so only ``=`` or a redirect helps."""
        trail = (*self.trail, status.step)
        dead: Destinations = [DeadEnd(f"{status.step.text}: status {status.status}", trail)]
        if self._in_error_page:
            return dead
        for directive in self.context.nearest("error_page"):
            *codes, target = directive.args or [""]
            response = next((code for code in codes if code.startswith("=")), None)
            if str(status.status) not in codes:
                continue
            self.trail += [status.step, Step(str(directive), directive.source)]
            if self.context.setting("recursive_error_pages") != "on":
                self._in_error_page = True
            if not target.startswith(("/", "@")):
                code = next((code for code in rewrite.REDIRECTS if response == f"={code}"), 302)
                step = Step(str(directive), directive.source)
                return self._catch(functools.partial(self._raise_redirect, target, code, step))
            destinations = self._catch(functools.partial(self._internal_redirect_to_value, target, directive))
            # Without "=" a file has the status of the error; a redirect has its own.
            if response not in ("=", "=200"):
                destinations = [end for end in destinations if isinstance(end, Redirect)] or dead
            # Where the page is dead too, the first refusal is the reason: without it nginx asks for no page.
            is_dead = destinations and all(isinstance(end, DeadEnd) for end in destinations)
            return dead if is_dead else destinations
        return dead

    def _raise_redirect(self, url: str, status: int, step: Step) -> Destinations:
        raise self.redirect(self.value(url), status, step)

    def _content(self) -> Destinations:
        access.run(self)
        tried = self.context.own.get("try_files")
        if tried and len(tried[-1].args) > 1:
            return self._try_files(tried[-1])
        return self._answer()

    def _try_files(self, directive: Directive) -> Destinations:
        """``try_files``: each file named after the token, once it exists; then the last parameter."""
        *candidates, last = directive.args
        so_far = [*self.trail, Step(str(directive), directive.source)]
        destinations: Destinations = []
        self.file()  # where that raises, nginx tries no file
        for candidate in candidates:
            self.trail = list(so_far)
            if candidate.endswith("/"):
                continue  # a directory
            if not handlers.find(self):
                destinations += self._catch(functools.partial(self._candidate, candidate))
            elif self._try_exists(candidate, directive):
                # nginx does not open the file: the handler still gets the request.
                return destinations + self._answer()
        self.trail = list(so_far)
        return destinations + self._catch(functools.partial(self._last_parameter, last, directive))

    def _candidate(self, text: str) -> Destinations:
        base = self.root()[0]
        value = self._parameter(text)
        directory = self.directory(base, base + value)
        if directory is None:
            return []
        # Later parameters matter only where this file does not exist.
        self.guesses.absent.add(str(directory))
        former = self.uri
        try:
            self.uri = self._uri_after(value)
            # A root with variables may change with the path.
            return [directory] if self.root()[0] == base else []
        finally:
            self.uri = former

    def _try_exists(self, text: str, directive: Directive) -> bool:
        base = self.root()[0]
        value = self._parameter(text)
        if self.request.token not in value.rpartition("/")[2] or not self.assume_file(base + value, directive.source):
            return False
        self.uri = self._uri_after(value)
        return True

    def _uri_after(self, value: str) -> str:
        """The path after a file exists; below an ``alias``, with the location's prefix again."""
        location = self.root()[2]
        return (self.uri[:len(location.name)] if location and not location.regex else "") + value

    def _parameter(self, text: str) -> str:
        """The value of a parameter, also the last; below an ``alias``, without the location's prefix."""
        value = self.value(text)
        location = self.root()[2]
        if location is None or location.regex or not any(part.variable or part.capture for part in parts(text)):
            return value
        prefix = self.uri[:len(location.name)]
        return value[len(prefix):] if value.startswith(prefix) else value

    def _last_parameter(self, last: str, directive: Directive) -> Destinations:
        if last.startswith("="):
            source = directive.source if self._keeps_token() else self.uri_source
            raise StatusError(max(number(last[1:]), 0) or 500, f"try_files … {last}", source)
        return self._internal_redirect(last if last.startswith("@") else self._parameter(last), directive)

    def _answer(self) -> Destinations:
        handler = handlers.find(self)
        if handler is not None:
            return self._handled(handler)
        base, path = self.file()
        directory = self.directory(base, path)
        if directory is None:
            reason = f"the server opens {path}, which is not named after the token"
            decider = self.root()[1] if self._keeps_token() else None
            source = decider.source if decider else self.uri_source
            # An error_page applies only where the file is missing.
            caught = any("404" in directive.args for directive in self.context.nearest("error_page"))
            if caught and self.guess(f"-e {path}", None, likely=path.endswith("/")):
                return [DeadEnd(reason, (*self.trail, Step(reason, source)))]
            raise StatusError(404, reason, source)
        return [directory]

    def _keeps_token(self) -> bool:
        """Whether the path may still lead to the file; if not, the line that changed it decides."""
        return self.request.token in self.uri.rpartition("/")[2]

    def _handled(self, handler: Directive) -> Destinations:
        """The destinations of a handler, and of an ``error_page`` for its 404 or for an upstream that is down."""
        step = Step(str(handler), handler.source)
        if handler.name == "proxy_pass" and handler.args:
            destinations: Destinations = self._catch(lambda: [handlers.pass_on(self, handler)])
        else:
            destinations = [DeadEnd(f"{handler.name} makes the content, no file", (*self.trail, step))]
        protocol = handler.name.removesuffix("_pass")
        intercepted = protocol in _INTERCEPTED or self.context.setting(f"{protocol}_intercept_errors") == "on"
        for status in [404] * intercepted + [502, 504] * (protocol != handler.name):
            if any(str(status) in page.args for page in self.context.nearest("error_page")):
                failed = StatusError(status, f"{handler} answers {status}", handler.source)
                instead: Destinations = [page for page in self._error_page(failed) if not isinstance(page, DeadEnd)]
                # An application answers 404 to a challenge.
                return instead + destinations if status == 404 else destinations + instead
        return destinations
