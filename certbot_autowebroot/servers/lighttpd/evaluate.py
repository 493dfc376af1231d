"""The destinations of a request in lighttpd's configuration. lighttpd wiki, "Docs"; each rule names its directive.

The order is lighttpd's: rewrite, then the modules for URLs in the order of server.modules, then the document root, then
aliases.
"""
import re
from dataclasses import replace
from typing import Callable
from typing import List
from typing import Match
from typing import Optional
from typing import Tuple

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Trail
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.route import host_of
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.assumptions import Assumptions
from certbot_autowebroot.servers.common.assumptions import alternatives
from certbot_autowebroot.servers.common.paths import file_at
from certbot_autowebroot.servers.lighttpd.conditions import Conditions
from certbot_autowebroot.servers.lighttpd.conditions import Pairs
from certbot_autowebroot.servers.lighttpd.conditions import Setting
from certbot_autowebroot.servers.lighttpd.conditions import port_of
from certbot_autowebroot.servers.lighttpd.conditions import setting_in
from certbot_autowebroot.servers.lighttpd.config import Config
from certbot_autowebroot.servers.lighttpd.config import Context
from certbot_autowebroot.servers.lighttpd.config import Value
from certbot_autowebroot.servers.lighttpd.config import text_of

#: "maximum number of url.rewrite-repeat", mod_rewrite.
_MAX_REWRITES = 100

#: mod_rewrite's directives, and whether they rewrite once.
_REWRITES = {"url.rewrite-once": True, "url.rewrite-final": True, "url.rewrite": True, "url.rewrite-repeat": False}


class _UnknowableError(Exception):
    """Only the running lighttpd knows a value; the text names it."""


def destinations(config: Config, request: Request, is_dir: Callable[[str], bool]) -> List[Destination]:
    """The destinations of a request; unreadable parts of the configuration come last, as unknown.

    :param is_dir: whether a path is a directory: a virtual host without one has a default.
    """
    results = alternatives(lambda assumptions: [_Run(config, request, is_dir, assumptions).destination()])
    return results + [Unknown(problem) for problem in config.problems]


class _Run(Conditions):
    """One evaluation of one request under given assumptions."""

    def __init__(self, config: Config, request: Request, is_dir: Callable[[str], bool],
                 assumptions: Assumptions) -> None:
        super().__init__(config, request, assumptions)
        self.is_dir = is_dir
        self.steps: List[Step] = []
        self.once_done = False
        self.modules: List[str] = []

    def destination(self) -> Destination:
        try:
            self.modules = [name for name in self.setting("server.modules").strings if name.startswith("mod_")]
            for _ in range(_MAX_REWRITES):
                if not self.rewritten():
                    break
            else:
                return DeadEnd("url.rewrite-repeat has no end", tuple(self.steps))
            for module in sorted(self.modules, key=_order):
                destination: Optional[Destination] = getattr(self, f"_{module}", _nothing)()
                if destination is not None:
                    return destination
            file = self.file()
            return replace(file, depends_on_client=True) if isinstance(file, Directory) and self.password() else file
        except (regex.RegexError, _UnknowableError) as error:
            return Unknown(str(error), tuple(self.steps))

    def trail(self, setting: Setting) -> Trail:
        contexts: List[Step] = []
        context: Optional[Context] = setting.context
        while context is not None and context.parent is not None:
            contexts.insert(0, Step(str(context), context.source))
            context = context.parent
        return (*self.steps, *contexts, setting.step)

    def rewritten(self) -> bool:
        """mod_rewrite: whether it changed the URL, and so runs again. After a rewrite-once it does not."""
        if "mod_rewrite" not in self.modules or self.once_done:
            return False
        for setting, once in self.rewrite_rules():
            new = self.first_match(setting)
            if new is None:
                continue
            self.once_done = once or not new
            if new:
                self.steps.extend(self.trail(setting)[len(self.steps):])
                self.target = new
            return bool(new)
        return False

    def rewrite_rules(self) -> List[Tuple[Setting, bool]]:
        """The rules of the last context that has any, of all kinds; rewrite-once comes first."""
        rules: List[Tuple[Setting, bool]] = []
        for context in self.config.contexts:
            here = [key for key in _REWRITES if key in context.settings]
            if here and self.holds(context):
                rules = [(setting_in(key, context), _REWRITES[key]) for key in here]
        return rules

    def first_match(self, setting: Setting) -> Optional[str]:
        """The replacement of the first rule that matches the whole URL; empty where the rule keeps the URL."""
        for pattern, replacement in setting.pairs:
            match = regex.search(pattern, self.target)
            if match:
                return self.replaced(text_of(replacement), match, setting.context)
        return None

    def replaced(self, text: str, match: "Match[str]", context: Optional[Context]) -> str:
        while context is not None and context.operator != "=~":
            context = context.parent
        outer = self.captures.get(context) if context else None
        host, _, query = self.request.host_header, *self.target.partition("?")[1:]
        variables = {"url.scheme": self.request.scheme, "url.authority": host, "url.path": self.path,
                     "url.query": query, "url.port": str(self.request.endpoint.port),
                     "qsa": f"?{query}" if query else ""}

        def value(reference: "Match[str]") -> str:
            kind, digit, name = reference["kind"], reference["digit"], reference["name"]
            if name is not None:
                if name not in variables:
                    raise _UnknowableError(f"only lighttpd knows {reference[0]}")
                return variables[name]
            if digit is None:
                return kind
            groups = match if kind == "$" else outer
            return _group(groups, int(digit))
        return re.sub(r"(?P<kind>[$%])(?:\{(?P<name>[^}]*)\}|(?P<digit>[0-9])|(?P=kind))", value, text)

    def _mod_access(self) -> Optional[Destination]:
        """url.access-deny: suffixes of refused paths; url.access-allow: suffixes of the only allowed paths."""
        allow, deny = self.setting("url.access-allow"), self.setting("url.access-deny")
        if allow.pairs and not self.path.endswith(tuple(allow.strings)):
            return DeadEnd("access is denied", self.trail(allow))
        if not allow.pairs and deny.pairs and self.path.endswith(tuple(deny.strings)):
            return DeadEnd("access is denied", self.trail(deny))
        return None

    def _mod_redirect(self) -> Optional[Destination]:
        setting = self.setting("url.redirect")
        url = self.first_match(setting)
        if not url:
            return None
        status = self.setting("url.redirect-code").value
        return Redirect(url, status if isinstance(status, int) else 301, self.trail(setting))

    def _mod_proxy(self) -> Optional[Destination]:
        setting = self.setting("proxy.server")
        hosts = self.backend(setting)
        if hosts is None:
            return None
        members = []
        for _, host in hosts:
            options = dict(host) if isinstance(host, tuple) else {}
            name = text_of(options.get("host", options.get("socket", "")))
            unix = name.startswith("/")
            members.append(Endpoint(f"unix:{name}", 0) if unix else Endpoint(name, port_of(options.get("port", 80))))
        header = dict(self.setting("proxy.header").pairs)
        host = _mapped(header.get("map-host-request"), self.request.host_header, lambda old, key: key in ("-", old),
                       lambda old, key, new: self.request.host_header if new == "-" else new)
        path = _mapped(header.get("map-urlpath"), self.path, str.startswith, lambda old, key, new: new + old[len(key):])
        return Upstream(tuple(members), host_of(host), path, trail=self.trail(setting))

    def _mod_fastcgi(self, key: str = "fastcgi.server") -> Optional[Destination]:
        setting = self.setting(key)
        if self.backend(setting) is None:
            return None
        return DeadEnd("a program answers, not a file", self.trail(setting))

    def _mod_scgi(self) -> Optional[Destination]:
        return self._mod_fastcgi("scgi.server")

    def _mod_ajp13(self) -> Optional[Destination]:
        return self._mod_fastcgi("ajp13.server")

    def _mod_cgi(self) -> Optional[Destination]:
        return self._mod_fastcgi("cgi.assign")

    def _mod_magnet(self) -> Optional[Destination]:
        for key in ("magnet.attract-raw-url-to", "magnet.attract-physical-path-to", "magnet.attract-response-start-to"):
            setting = self.setting(key)
            if setting.value:
                return Unknown("a Lua script decides", self.trail(setting))
        return None

    def _mod_vhostdb(self) -> Optional[Destination]:
        setting = self.setting("vhostdb.backend")
        return Unknown("a database names the document root", self.trail(setting)) if setting.value else None

    def backend(self, setting: Setting) -> Optional[Pairs]:
        """The hosts of the first key that is a prefix (``/x``) or suffix (``.x``) of the path; "" fits all."""
        for key, hosts in setting.pairs:
            if self.path.startswith(key) if key.startswith("/") else self.path.endswith(key):
                return hosts if isinstance(hosts, tuple) else ()
        return None

    def password(self) -> bool:
        """mod_auth: whether auth.require asks for a password."""
        required = self.setting("auth.require").pairs if "mod_auth" in self.modules else ()
        return any(self.path.startswith(prefix) for prefix, _ in required)

    def file(self) -> Destination:
        setting = self.setting("server.document-root")
        root = text_of(setting.value)
        for module in self.modules:
            vhost = {"mod_simple_vhost": self.simple_vhost, "mod_evhost": self.evhost}.get(module, _nothing)()
            if vhost is not None:
                root, setting = vhost
        aliases = self.setting("alias.url")
        for prefix, target in aliases.pairs if "mod_alias" in self.modules else ():
            if self.path.startswith(prefix):
                return file_at(text_of(target), self.path[len(prefix):], self.request, self.trail(aliases))
        if not root.startswith("/"):
            return DeadEnd("the document root is not an absolute path: lighttpd answers 500", self.trail(setting))
        return file_at(root, "/" + self.path, self.request, self.trail(setting))

    def simple_vhost(self) -> Optional[Tuple[str, Setting]]:
        """mod_simple_vhost: server-root + host + document-root, else the default-host's, else nothing."""
        setting = self.setting("simple-vhost.server-root")
        if not setting.value:
            return None
        below = text_of(self.setting("simple-vhost.document-root").value)
        for host in (self.request.host_header, text_of(self.setting("simple-vhost.default-host").value)):
            root = f"{text_of(setting.value).rstrip('/')}/{host}/{below.lstrip('/')}"
            if host and self.is_dir(root):
                return root, setting
        return None

    def evhost(self) -> Optional[Tuple[str, Setting]]:
        """mod_evhost: %0 is domain and top level, %1 the top level, %2 the next, %_ all of it, %{2.1} a character."""
        setting = self.setting("evhost.path-pattern")
        if not setting.value:
            return None
        labels = self.request.host.split(".")[::-1]
        parts = {"_": self.request.host, "0": ".".join(labels[1::-1]),
                 **{str(n): label for n, label in enumerate(labels, 1)}}

        def value(match: "Match[str]") -> str:
            if match[0] == "%%":
                return "%"
            part = parts.get(match["part"] or match["part2"], "")
            number = int(match["character"] or 0)
            return part[number - 1:number] if number else part
        root = re.sub(r"%(?:%|(?P<part>[_0-9])|\{(?P<part2>[0-9])(?:\.(?P<character>[0-9]{1,4}))?\})", value,
                      text_of(setting.value))
        return (root, setting) if self.is_dir(root) else None


def _nothing() -> None:
    return None


def _order(module: str) -> int:
    """Backends come after all other modules, wherever server.modules has them, and programs last."""
    return 2 if module == "mod_cgi" else module in ("mod_proxy", "mod_fastcgi", "mod_scgi", "mod_ajp13")


def _group(match: "Optional[Match[str]]", number: int) -> str:
    if match is None or number > (match.re.groups):
        return ""
    return match[number] or ""


def _mapped(table: Optional[Value], old: str, applies: Callable[[str, str], bool],
            new_one: Callable[[str, str, str], str]) -> str:
    """proxy.header: the first key that applies is replaced."""
    for key, new in table if isinstance(table, tuple) else ():
        if applies(old, key):
            return new_one(old, key, text_of(new))
    return old
