"""One request on its way through nginx's phases: server rewrite, location, rewrite, access, try_files, content.

Sources: development guide, "HTTP phases"; src/http/ngx_http_core_module.c.
"""
import functools
import re
from typing import Callable
from typing import List
from typing import Optional
from typing import Sequence

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.common.numbers import number
from certbot_autowebroot.servers.nginx import rewrite
from certbot_autowebroot.servers.nginx import upstreams
from certbot_autowebroot.servers.nginx.levels import Level
from certbot_autowebroot.servers.nginx.levels import Location
from certbot_autowebroot.servers.nginx.levels import find_location
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.regexes import Unknowable
from certbot_autowebroot.servers.nginx.state import Answer
from certbot_autowebroot.servers.nginx.state import Contradiction
from certbot_autowebroot.servers.nginx.state import State
from certbot_autowebroot.servers.nginx.state import Status
from certbot_autowebroot.servers.nginx.variables import parts

#: NGX_HTTP_MAX_URI_CHANGES.
MAX_URI_CHANGES = 10

#: Directives that make the content of a location; so does everything that ends in "_pass".
_CONTENT = frozenset({"stub_status", "empty_gif", "perl", "js_content", "echo"})
#: Of the echo module, those that only decorate what another directive makes.
_DECORATION = frozenset({"echo_before_body", "echo_after_body", "echo_status"})
#: What hands over its 404 to an ``error_page``; the others do where ``*_intercept_errors`` says so.
_INTERCEPTED = ("memcached", "redis")
#: What may refuse a request for reasons that no configuration file shows.
_GUARDS = ("rewrite_by_lua", "rewrite_by_lua_block", "rewrite_by_lua_file", "access_by_lua", "access_by_lua_block",
           "access_by_lua_file", "auth_request", "auth_jwt")

Ends = List[Destination]


class Walk(State):
    """Walks one request; :meth:`ends` says where it comes out."""

    _uri_changes = 0
    _in_error_page = False

    def ends(self) -> Ends:
        """The ends of this way; several where several files would do."""
        return self._ends_of(self._accept)

    def _ends_of(self, way: Callable[[], Ends]) -> Ends:
        try:
            return way()
        except Answer as answer:
            return [answer.destination]
        except Status as status:
            return self._error_page(status)
        except Contradiction:
            return []
        except Unknowable as unknown:
            return [Unknown(f"only the running server knows {unknown}", tuple(self.trail))]

    def _accept(self) -> Ends:
        request = self.request
        group = self.index.listeners.at(request.endpoint)
        if group is None:
            return [Unknown(f"the configuration has no server that listens on {request.endpoint}")]
        if group.default.setting("merge_slashes") != "off":
            self.uri = re.sub("//+", "/", self.uri)
        self.server, found_by = group.find(self.host, self.matches)
        self.level = self.server
        if group.proxy_protocol and not request.endpoint.is_loopback:
            self.guarded = True
            self.trail.append(Step(f"{request.endpoint} wants a PROXY line first: not everybody may come in"))
        name = found_by or f"{self.server.first_name or '(without a name)'}, the default for {request.endpoint}"
        self.trail.append(Step(f"server {name}", self.server.directive.source))
        tls = group.tls or self.server.setting("ssl") == "on"
        if tls and request.scheme == "http":
            # 497 is nginx's own number for it; it sends 400.
            raise Status(497, f"{request.endpoint} speaks TLS only")
        if not tls and request.scheme == "https":
            return [DeadEnd(f"{request.endpoint} does not speak TLS", tuple(self.trail))]
        if tls:
            self._shake_hands()
        return self._from_server()

    def _shake_hands(self) -> None:
        """What comes before the request itself: a certificate, of the server or of the client."""
        for directive in self.server.nearest("ssl_reject_handshake")[-1:]:
            if directive.args[:1] == ("on",):
                step = Step(str(directive), directive.source)
                raise Answer(DeadEnd(f"{directive}: there is no certificate", (*self.trail, step)))
        for directive in self.server.nearest("ssl_verify_client")[-1:]:
            # The CA has none; a content delivery network that it comes through has.
            if directive.args[:1] == ("on",) and not self.guess(str(directive), directive.source, likely=False,
                                                               of_client=True):
                raise Status(496, str(directive), directive.source)

    def _from_server(self) -> Ends:
        """From the server's own rewrites on; an internal redirect comes here again."""
        self.level = self.server
        self.matches_location = True
        rewrite.run(self, self.server)
        return self._from_location()

    def _from_location(self) -> Ends:
        while True:
            self.uri_changed = False
            self.level = self.server
            location, _ = find_location(self.server, self.uri, self.matches)
            if location is not None:
                self._enter(location)
            if not self.uri_changed:
                return self._content()
            self._count_change()

    def _enter(self, location: Location) -> None:
        self.level = location
        self.trail.append(Step(str(location.directive), location.directive.source))
        if not self.internal and location.nearest("internal"):
            raise Status(404, "internal", location.nearest("internal")[0].source)
        for directive in location.own.get("limit_except", ()):
            if "GET" not in (method.upper() for method in directive.args):
                # Rewrites of the location do not happen for the methods that this shuts out.
                self.level = Level(directive, location)
        rewrite.run(self, self.level)

    def _count_change(self) -> None:
        self._uri_changes += 1
        if self._uri_changes > MAX_URI_CHANGES:
            raise Status(500, "the rewrites or internal redirects go round in a loop")

    def _to(self, target: str) -> Ends:
        """An internal redirect to a path, or to a named location."""
        self._count_change()
        self.internal = True
        if not target.startswith("@"):
            self.uri, _, self.args = target.partition("?")
            self.original = False
            return self._from_server()
        location = self.server.locations.named.get(target[1:])
        if location is None:
            raise Status(500, f"there is no location {target}")
        self.uri_changed = False
        self._enter(location)
        if self.uri_changed:
            self._count_change()
            return self._from_location()
        return self._content()

    def _to_value(self, text: str) -> Ends:
        return self._to(self.value(text))

    def _error_page(self, status: Status) -> Ends:
        """What ``error_page`` makes of an error: the CA wants 200, so only ``=`` or a redirect helps."""
        trail = (*self.trail, status.step)
        dead: Ends = [DeadEnd(f"{status.step.text}: status {status.status}", trail)]
        if self._in_error_page:
            return dead
        for directive in self.level.nearest("error_page"):
            *codes, target = directive.args or [""]
            response = next((code for code in codes if code.startswith("=")), None)
            if str(status.status) not in codes:
                continue
            self.trail += [status.step, Step(str(directive), directive.source)]
            if self.level.setting("recursive_error_pages") != "on":
                self._in_error_page = True
            if not target.startswith(("/", "@")):
                code = next((code for code in rewrite.REDIRECTS if response == f"={code}"), 302)
                return self._ends_of(functools.partial(self._away, target, code, directive))
            ends = self._ends_of(functools.partial(self._to_value, target))
            # Without "=" a file would come with the status of the error; a redirect has its own.
            return ends if response in ("=", "=200") else [e for e in ends if isinstance(e, Redirect)] or dead
        return dead

    def _away(self, url: str, status: int, directive: Directive) -> Ends:
        raise self.redirect(self.value(url), status, Step(str(directive), directive.source))

    def _content(self) -> Ends:
        self._access()
        tried = self.level.own.get("try_files")
        if tried and len(tried[-1].args) > 1:
            return self._try_files(tried[-1])
        return self._answer()

    def _access(self) -> None:
        """``allow``, ``deny`` and what asks for credentials. What refuses some only is a warning, not an end."""
        refusal: Optional[Directive] = None
        some = False
        for rule in self.level.nearest("allow", "deny"):
            if rule.args[:1] == ("all",):
                refusal = rule if rule.name == "deny" else None
                break
            some = some or rule.name == "allow"
        auth = [directive for directive in self.level.nearest("auth_basic") if directive.args[:1] != ("off",)]
        guards = auth + [directive for name in _GUARDS for directive in self.level.nearest(name)
                         if directive.args[:1] != ("off",)]
        either = self.level.setting("satisfy") == "any"
        if refusal and not some and not (either and guards):
            raise Status(403, str(refusal), refusal.source)
        for guard in ([refusal] if refusal and some else []) + guards:
            self.guarded = True
            self.trail.append(Step(f"{guard}: not everybody may come in", guard.source))

    def _try_files(self, directive: Directive) -> Ends:
        """``try_files``: each file that is named after the token wins once it exists; then what comes last."""
        *candidates, last = directive.args
        so_far = [*self.trail, Step(str(directive), directive.source)]
        ends: Ends = []
        self.file()  # where that fails, nginx does not try
        for candidate in candidates:
            self.trail = list(so_far)
            if candidate.endswith("/"):
                continue  # a directory
            if not self._handler():
                ends += self._ends_of(functools.partial(self._candidate, candidate))
            elif self._is_found(candidate, directive):
                # It is not opened then: the handler gets the request all the same.
                return ends + self._answer()
        self.trail = list(so_far)
        return ends + self._ends_of(functools.partial(self._fall_back, last))

    def _candidate(self, text: str) -> Ends:
        base = self.root()[0]
        value = self._tried(text)
        found = self.directory(base, base + value)
        if found is None:
            return []
        # What comes later comes into play only where this file is not.
        self.guesses.absent.add(str(found))
        former = self.uri
        try:
            self.uri = self._after_trying(value)
            # By now the root may be another, where it is made of the path.
            return [found] if self.root()[0] == base else []
        finally:
            self.uri = former

    def _is_found(self, text: str, directive: Directive) -> bool:
        base = self.root()[0]
        value = self._tried(text)
        if self.request.token not in value.rpartition("/")[2] or not self.assume_file(base + value, directive.source):
            return False
        self.uri = self._after_trying(value)
        return True

    def _after_trying(self, value: str) -> str:
        """The path once a file is found; below an ``alias``, with the location's prefix again."""
        location = self.root()[2]
        return (self.uri[:len(location.name)] if location and not location.regex else "") + value

    def _tried(self, text: str) -> str:
        """The value of a parameter; below an ``alias``, the location's prefix is cut off, of the last one too."""
        value = self.value(text)
        location = self.root()[2]
        if location is None or location.regex or not any(part.variable or part.capture for part in parts(text)):
            return value
        prefix = self.uri[:len(location.name)]
        return value[len(prefix):] if value.startswith(prefix) else value

    def _fall_back(self, last: str) -> Ends:
        if last.startswith("="):
            raise Status(max(number(last[1:]), 0) or 500, f"try_files … {last}")
        return self._to(last if last.startswith("@") else self._tried(last))

    def _handler(self) -> Optional[Directive]:
        """What makes the content here, None for files. An ``if`` goes on with the handler of its location."""
        level: Optional[Level] = self.level
        while level is not None:
            found = [directive for directive in level.block if _is_handler(directive.name)]
            if found or isinstance(level, Location) or level is self.server:
                return found[-1] if found else None
            level = level.parent
        return None

    def _answer(self) -> Ends:
        handler = self._handler()
        if handler is not None:
            return self._made_by(handler)
        base, path = self.file()
        found = self.directory(base, path)
        if found is None:
            reason = f"the server opens {path}, which is not named after the token"
            # Only where it is missing, an error_page gets its turn.
            caught = any("404" in directive.args for directive in self.level.nearest("error_page"))
            if caught and self.guess(f"-e {path}", None, likely=path.endswith("/")):
                return [DeadEnd(reason, tuple(self.trail))]
            raise Status(404, reason)
        return [found]

    def _made_by(self, handler: Directive) -> Ends:
        """What a handler makes; and what an ``error_page`` makes of it where the handler has nothing, or is down."""
        step = Step(str(handler), handler.source)
        if handler.name == "proxy_pass" and handler.args:
            ends: Ends = self._ends_of(lambda: [self._pass_on(handler)])
        else:
            ends = [DeadEnd(f"{handler.name} makes the content, no file", (*self.trail, step))]
        protocol = handler.name.removesuffix("_pass")
        intercepted = protocol in _INTERCEPTED or self.level.setting(f"{protocol}_intercept_errors") == "on"
        for status in [404] * intercepted + [502, 504] * (protocol != handler.name):
            if any(str(status) in page.args for page in self.level.nearest("error_page")):
                failed = Status(status, f"{handler} answers {status}", handler.source)
                instead: Ends = [end for end in self._error_page(failed) if not isinstance(end, DeadEnd)]
                # An application knows no challenge, and answers 404.
                return instead + ends if status == 404 else ends + instead
        return ends

    def _pass_on(self, directive: Directive) -> Destination:
        text = directive.args[0]
        step = Step(str(directive), directive.source)
        target = upstreams.target(self.value(text))
        if target is None:
            return Unknown(f"{text} is not a URL", (*self.trail, step))
        if target.uri and any(part.variable or part.capture for part in parts(text)):
            path = target.uri
        elif not target.uri:
            path = self.request.path if self.original else self.uri
        else:
            location = self.level
            while not isinstance(location, Location) and location.parent is not None:
                location = location.parent
            prefix = location.name if isinstance(location, Location) and self.matches_location else ""
            path = (target.uri if self.matches_location else "") + self.uri[len(prefix):]
        self.assign("proxy_host", "localhost" if target.host.startswith("unix:") else target.host)
        headers: Sequence[Directive] = [header for header in self.level.nearest("proxy_set_header")
                                        if len(header.args) == 2 and header.args[0].lower() == "host"]
        host = upstreams.without_port(self.value(headers[-1].args[1] if headers else "$proxy_host"))
        members = upstreams.members(target.host, target.scheme, self.index.groups)
        if not members:
            return DeadEnd(f"the upstream {target.host} has no member that is up", (*self.trail, step))
        return Upstream(members, host, path.partition("?")[0], target.scheme, trail=(*self.trail, step),
                        depends_on_client=self.guarded)


def _is_handler(name: str) -> bool:
    if name.startswith("echo_"):
        return name not in _DECORATION
    return name in _CONTENT or name.endswith("_pass") or name.startswith("content_by_lua")
