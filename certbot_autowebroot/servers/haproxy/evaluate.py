"""The destinations of a request in HAProxy's configuration. HAProxy Configuration Manual, chapters 4 and 5.

The order: the frontend's ``tcp-request`` and ``http-request`` rules, its ``redirect`` rules, ``use_backend``,
``default_backend``; then the same rules of the backend, and its servers.
"""
import re
from typing import Callable
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.route import host_of
from certbot_autowebroot.servers.common.assumptions import Assumptions
from certbot_autowebroot.servers.common.assumptions import alternatives
from certbot_autowebroot.servers.common.regex import RegexError
from certbot_autowebroot.servers.haproxy import addresses
from certbot_autowebroot.servers.haproxy.acl import Conditions
from certbot_autowebroot.servers.haproxy.config import Config
from certbot_autowebroot.servers.haproxy.config import ConfigError
from certbot_autowebroot.servers.haproxy.config import Line
from certbot_autowebroot.servers.haproxy.config import Section
from certbot_autowebroot.servers.haproxy.matching import UnknowableError
from certbot_autowebroot.servers.haproxy.samples import State

#: Actions after which HAProxy asks no server.
_REFUSALS = {"deny": "denied", "tarpit": "kept waiting and denied", "reject": "rejected", "silent-drop": "dropped",
             "auth": "asked for a password", "return": "answered by HAProxy itself, not from a file",
             "use-service": "answered by HAProxy itself, not from a file"}


def destinations(config: Config, request: Request, files: Callable[[str], Sequence[str]]) -> List[Destination]:
    """The destinations of a request; unreadable parts of the configuration come last, as unknown.

    :param files: reads the lines of a file of a condition or a map; raises OSError.
    """
    frontends = addresses.frontends(config, request.endpoint)
    results: List[Destination] = [
        destination for frontend, secure in frontends
        for destination in alternatives(lambda assumptions, frontend=frontend, secure=secure:  # type: ignore[misc]
                                        _Run(config, request, frontend, secure, assumptions, files).destinations())]
    if not frontends:
        results.append(Unknown(f"no bind line of HAProxy's configuration names {request.endpoint}"))
    return results + [Unknown(problem) for problem in config.problems]


class _Run:
    """One evaluation of one request in one frontend under given assumptions."""

    def __init__(self, config: Config, request: Request, frontend: Section, secure: bool, assumptions: Assumptions,
                 files: Callable[[str], Sequence[str]]) -> None:
        self.config = config
        self.frontend = frontend
        self.state = State(request, request.host_header, request.path, request.query, secure, assumptions, files,
                           frontend.name)
        self.steps: List[Step] = []

    def destinations(self) -> Sequence[Destination]:
        try:
            return self.through(self.frontend)
        except (UnknowableError, RegexError, ConfigError) as error:
            reason = f"only the running HAProxy knows {error}" if isinstance(error, UnknowableError) else str(error)
            return [Unknown(reason, tuple(self.steps))]
        except OSError as error:
            return [Unknown(f"{error.filename} cannot be read: {error.strerror}", tuple(self.steps))]

    def through(self, section: Section) -> Sequence[Destination]:
        """The destinations of the request in a frontend or listen section."""
        mode = "" if _is_http(section) else " (mode tcp)"
        self.steps.append(Step(section.step.text + mode, section.source))
        end = self.rules(section)
        if end is not None:
            return [end]
        backend = self.chosen(section)
        if backend is None:
            return [DeadEnd("HAProxy has no backend for it: 503", tuple(self.steps))]
        if backend is not section:
            self.steps.append(backend.step)
            end = self.rules(backend)
            if end is not None:
                return [end]
        return self.servers(backend)

    def rules(self, section: Section) -> Optional[Destination]:
        """The rules that may end or change the request, in their order."""
        lines = [*section.inherited, *section.lines]
        conditions = Conditions(lines)
        for line in lines:
            words = line.words
            if words[:2] in (("tcp-request", "connection"), ("tcp-request", "content"), ("tcp-request", "session")):
                end = self.action(line, words[2:], conditions)
            elif words[0] == "monitor-uri" and words[1:2] == (self.state.path,):
                end = DeadEnd("HAProxy answers itself", (*self.steps, line.step))
            else:
                continue
            if end is not None:
                return end
        if not _is_http(section):
            return None
        for line in (*(line for line in lines if line.words[0] == "http-request"),
                     *(line for line in lines if line.words[0] == "redirect")):
            words = line.words[1:] if line.words[0] == "http-request" else line.words
            if words[:1] == ("allow",) and conditions.hold(words[1:], self.state):
                # "no further rules are evaluated" in this section; HAProxy still evaluates those of the backend.
                return None
            end = self.action(line, words, conditions)
            if end is not None:
                return end
        return None

    def action(self, line: Line, words: Tuple[str, ...], conditions: Conditions) -> Optional[Destination]:
        words, condition = _split(words)
        if not words or (words[0] not in _ACTIONS and words[0].partition("(")[0] not in _ACTIONS):
            if words and words[0].startswith(("lua.", "send-spoe")) and conditions.hold(condition, self.state):
                self.steps.append(line.step)
                raise UnknowableError(words[0])
            return None
        if not conditions.hold(condition, self.state):
            return None
        trail = (*self.steps, line.step)
        name = words[0]
        if name == "redirect":
            return self.redirect(words[1:], trail)
        if name in _REFUSALS:
            return DeadEnd(f"the request is {_REFUSALS[name]}", trail)
        self.steps.append(line.step)
        self.change(name, words[1:])
        return None

    def change(self, name: str, words: Tuple[str, ...]) -> None:
        """Actions that change the request for later rules; chapter 4.2, "http-request"."""
        state = self.state
        if name.startswith("set-var("):
            state.variables[name[len("set-var("):].rstrip(")").split(",")[0]] = state.sample("".join(words))
        elif name.startswith("set-var-fmt(") and words:
            state.variables[name[len("set-var-fmt("):].rstrip(")").split(",")[0]] = state.formatted(words[0])
        elif name == "set-path" and words:
            state.path = state.formatted(words[0])
        elif name == "set-query" and words:
            state.query = state.formatted(words[0])
        elif name in ("set-pathq", "set-uri") and words:
            uri = re.sub(r"^https?://[^/]*", "", state.formatted(words[0]))
            state.path, _, state.query = uri.partition("?")
        elif name == "replace-path" and len(words) > 1:
            state.path = state.substituted(words[0], words[1], state.path)
        elif name in ("replace-pathq", "replace-uri") and len(words) > 1:
            uri = state.substituted(words[0], words[1], state.pathq)
            state.path, _, state.query = uri.partition("?")
        elif len(words) > 1 and words[0].lower() == "host":
            if name == "set-header":
                state.host = state.formatted(words[1])
            elif name in ("replace-header", "replace-value") and len(words) > 2:
                state.host = state.substituted(words[1], state.formatted(words[2]), state.host)

    def redirect(self, words: Tuple[str, ...], trail: Tuple[Step, ...]) -> Destination:
        """``location``, ``prefix`` or ``scheme``, with ``code`` and ``drop-query``; chapter 4.2, "redirect"."""
        options = dict(zip(words, words[1:]))
        state = self.state
        query = "" if "drop-query" in words or not state.query else f"?{state.query}"
        path = state.path + ("/" if "append-slash" in words and not state.path.endswith("/") else "")
        code = options.get("code", "302")
        if "location" in options:
            url = state.formatted(options["location"])
        elif "prefix" in options:
            prefix = state.formatted(options["prefix"])
            url = ("" if prefix == "/" else prefix) + path + query
        elif "scheme" in options:
            url = f"{state.formatted(options['scheme'])}://{state.host}{path}{query}"
        else:
            raise ConfigError(f"a redirect without a target: {' '.join(words)}")
        return Redirect(url, int(code) if re.fullmatch("30[12378]", code) else 302, trail)

    def chosen(self, section: Section) -> Optional[Section]:
        """The backend of the first ``use_backend`` that applies, else the default one."""
        lines = [*section.inherited, *section.lines]
        conditions = Conditions(lines)
        for line in lines:
            words, condition = _split(line.words)
            if words[:1] == ("use_backend",) and len(words) > 1 and conditions.hold(condition, self.state):
                self.steps.append(line.step)
                backend = self.named_backend(words[1])
                if backend is not None:
                    return backend
                # A name from a map or a header need not exist: then HAProxy takes the default, and no further rule.
                break
        return self.default_backend(section)

    def named_backend(self, text: str) -> Optional[Section]:
        """The backend with this name. Where only the running server knows it, each declared one is an alternative."""
        try:
            return self.config.backend(self.state.formatted(text))
        except UnknowableError:
            for section in self.config.proxies:
                if section.kind == "backend" and self.state.assumptions.holds(f"{text} is {section.name}", True):
                    return section
            raise

    def default_backend(self, section: Section) -> Optional[Section]:
        """The backend of ``default_backend``; a listen section is its own backend."""
        name = section.last("default_backend")[:1]
        backend = self.config.backend(name[0]) if name else None
        return backend or (section if section.kind == "listen" else None)

    def servers(self, backend: Section) -> Sequence[Destination]:
        """All servers of a backend; backup servers only where there are no others."""
        lines = [*backend.inherited, *backend.lines]
        conditions = Conditions(lines)
        defaults: Tuple[str, ...] = ()
        servers: List[Tuple[str, Line, Tuple[str, ...]]] = []
        wanted = ""
        for line in lines:
            words, condition = _split(line.words)
            keyword = words[0] if words else ""
            if keyword == "default-server":
                defaults += words[1:]
            elif keyword == "server" and len(words) > 2:
                servers.append((words[1], line, (words[2], *defaults, *words[3:])))
            elif keyword == "server-template" and len(words) > 3:
                servers.append((words[1], line, (words[3], *defaults, *words[4:])))
            elif keyword == "dispatch" and len(words) > 1:
                servers.append(("", line, words[1:]))
            elif keyword == "use-server" and len(words) > 1 and not wanted and conditions.hold(condition, self.state):
                wanted = self.state.formatted(words[1])
        working = [server for server in servers if not _has(server[2], "disabled", "enabled")]
        working = ([server for server in working if server[0] == wanted]
                   or [server for server in working if not _has(server[2], "backup", "non-backup")] or working)
        if not working:
            return [DeadEnd("HAProxy's backend has no server: 503", tuple(self.steps))]
        upstreams: List[Destination] = []
        for proxied in (False, True):
            members = [(line, words) for _, line, words in working if _wants_proxy_line(words) == proxied]
            if members:
                upstreams.append(self.upstream(backend, members, proxied))
        return upstreams

    def upstream(self, backend: Section, members: Sequence[Tuple[Line, Tuple[str, ...]]], proxied: bool) -> Destination:
        state = self.state
        trail = (*self.steps, *(line.step for line, _ in members))
        if any("fcgi" in words for _, words in members):
            return DeadEnd("a FastCGI program answers, not a file", trail)
        endpoints = tuple(addresses.server_endpoint(words[0], state.request.endpoint) for _, words in members)
        secure = all(_has(words, "ssl", "no-ssl") for _, words in members)
        if _is_http(backend) and _is_http(self.frontend):
            return Upstream(endpoints, host_of(state.host), state.path, "https" if secure else "http", proxied, trail)
        request = state.request
        scheme = "https" if secure else "http" if state.secure else request.scheme
        return Upstream(endpoints, request.host, request.path, scheme, proxied, trail)


_ACTIONS = frozenset((*_REFUSALS, "redirect", "set-var", "set-var-fmt", "set-path", "set-query", "set-pathq", "set-uri",
                      "replace-path", "replace-pathq", "replace-uri", "set-header", "replace-header", "replace-value"))


def _is_http(section: Section) -> bool:
    return section.last("mode")[:1] == ("http",)


def _split(words: Tuple[str, ...]) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """A rule, and its condition from ``if`` or ``unless`` on."""
    for number, word in enumerate(words):
        if word in ("if", "unless"):
            return words[:number], words[number:]
    return words, ()


def _has(words: Sequence[str], option: str, opposite: str) -> bool:
    """Whether the last of an option and its opposite is the option."""
    options = [word for word in words if word in (option, opposite)]
    return options[-1:] == [option]


def _wants_proxy_line(words: Sequence[str]) -> bool:
    options = [word for word in words if re.fullmatch(r"(no-)?send-proxy(-v2(-ssl(-cn)?)?)?", word)]
    return bool(options) and not options[-1].startswith("no-")
