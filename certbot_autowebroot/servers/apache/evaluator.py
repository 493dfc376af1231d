"""Where httpd sends a request: its phases, in its order.

Source: "Request Processing in the Apache HTTP Server 2.x" and the modules' manual pages. The phases: the virtual host,
URL to file name (mod_rewrite, mod_proxy, mod_alias, mod_vhost_alias, core), access, the per-directory rewriting, the
handler. Whether a file exists can be part of a condition, so the request is followed once for each answer, and what
contradicts itself falls away: a file that a rule would refuse once it exists is a dead end.
"""
import os
import posixpath
import re
from dataclasses import replace
from typing import Dict
from typing import List
from typing import Optional
from typing import Protocol
from typing import Sequence
from typing import Tuple
from typing import Union
from urllib.parse import urlsplit

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Trail
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers import regex
from certbot_autowebroot.servers.apache import access
from certbot_autowebroot.servers.apache import expressions
from certbot_autowebroot.servers.apache import mapping
from certbot_autowebroot.servers.apache import rewrite
from certbot_autowebroot.servers.apache import sections
from certbot_autowebroot.servers.apache.configuration import Configuration
from certbot_autowebroot.servers.apache.configuration import Site
from certbot_autowebroot.servers.apache.configuration import is_on
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import Unknowable
from certbot_autowebroot.servers.apache.htaccess import Refused
from certbot_autowebroot.servers.apache.sections import Scope

#: "LimitInternalRecursion 10".
MAX_INTERNAL_REDIRECTS = 10
#: Answers to conditions that are tried together at most.
MAX_ALTERNATIVES = 32

_REWRITE = ("rewriteengine", "rewriterule", "rewritecond", "rewriteoptions", "rewritebase", "rewritemap")
_PORTS = {"http": 80, "https": 443, "h2": 443, "h2c": 80, "ws": 80, "wss": 443}
_SCHEMES = {"h2c": "http", "h2": "https", "ws": "http", "wss": "https"}
#: Handlers that a module must be there for; without it httpd just serves the file.
_HANDLER_MODULES = {"cgi-script": ("cgi", "cgid"), "server-status": ("status",), "server-info": ("info",),
                    "balancer-manager": ("proxy_balancer",), "send-as-is": ("asis",), "type-map": ("negotiation",),
                    "imap-file": ("imagemap",), "fcgid-script": ("fcgid",), "wsgi-script": ("wsgi",),
                    "lua-script": ("lua",), "perl-script": ("perl",), "ldap-status": ("ldap",)}


class Files(Protocol):
    """What the evaluation may ask of the file system; :class:`certbot_autowebroot.views.View` can."""

    def is_file(self, path: str) -> bool:
        """Whether the path leads to a regular file."""

    def is_dir(self, path: str) -> bool:
        """Whether the path leads to a directory."""


class HtaccessReader(Protocol):
    """Reads the .htaccess of a directory."""

    def __call__(self, directory: str, above: Sequence[Directive]) -> Optional[Sequence[Directive]]:
        """Its directives; None where there is none. Raises Unknowable."""


#: A question that a rule asks (a file's path, or a directive) and the answer that is tried.
Answers = Dict[str, bool]


def evaluate(configuration: Configuration, request: Request, files: Files,
             htaccess: HtaccessReader) -> List[Destination]:
    """Where a request goes; alternatives, the likeliest first, at least one."""
    good: List[Destination] = []
    others: List[Destination] = []
    contradictions: List[Destination] = []
    pending: List[Answers] = [{}]
    tried = 0
    while pending and tried < MAX_ALTERNATIVES:
        tried += 1
        run = _Run(configuration, request, files, htaccess, pending.pop())
        destination = run.destination()
        pending += run.untried
        if not run.is_consistent(destination):
            contradictions.append(_refused(destination))
        elif isinstance(destination, Directory) or (not run.is_certain and not isinstance(destination, DeadEnd)):
            good.append(destination)
        else:
            others.append(destination)
    # A front controller takes over only where there is no file: there will be one.
    return _distinct(good or others or contradictions[:1])


def _distinct(destinations: Sequence[Destination]) -> List[Destination]:
    seen: Dict[Destination, Destination] = {}
    for destination in destinations:
        seen.setdefault(replace(destination, trail=()), destination)
    return list(seen.values())


def _refused(destination: Destination) -> Destination:
    """What a contradiction comes to: the file is not what answers, and nothing else does while it is not there."""
    if isinstance(destination, (DeadEnd, Unknown)):
        return destination
    return DeadEnd("the rules stop leading to the file as soon as it exists", destination.trail)


class _Run:
    """One request, under one set of answers."""

    def __init__(self, configuration: Configuration, request: Request, files: Files, htaccess: HtaccessReader,
                 answers: Answers) -> None:
        self.configuration = configuration
        self.request = request
        self.files = files
        self.read_htaccess = htaccess
        self.answers = answers
        self.assumed_files: List[str] = []
        self.untried: List[Answers] = []
        self.is_certain = True
        self.trail: List[Step] = []
        self.depends_on_client = False
        self.env: Dict[str, str] = {}
        self.query = request.query
        self.uri = ""
        self.ended = False
        self.site: Site = configuration.site(configuration.main)
        self.scopes: List[Scope] = []

    # The answers that are tried.

    def ask(self, question: str) -> bool:
        """The answer to a question that only a try can settle: yes first, no the next time."""
        if question not in self.answers:
            if len(self.untried) < MAX_ALTERNATIVES:
                self.untried.append({**self.answers, question: False})
            self.answers[question] = True
        return self.answers[question]

    def is_consistent(self, destination: Destination) -> bool:
        """Whether the files that were taken to exist are just the one that is served."""
        served = os.path.normpath(str(destination)) if isinstance(destination, Directory) else ""
        return all(self.answers[path] == (path == served) for path in self.assumed_files)

    # What mod_rewrite's conditions and expressions look at (rewrite.Surroundings).

    def variable(self, name: str, filename: str) -> str:
        """The value of ``%{name}``."""
        name = name.strip()
        function, _, rest = name.partition(":")
        if rest and function.upper() in ("HTTP", "ENV"):
            return self._header(rest) if function.upper() == "HTTP" else self._environment(rest)
        upper = name.upper()
        if upper.startswith("HTTP_") and upper not in ("HTTP_HOST",):
            return self._header(upper[5:].replace("_", "-"))
        request = self.request
        path, query = request.path, f"?{request.query}" if request.query else ""
        values = {
            "HTTP_HOST": request.host, "REQUEST_URI": self.uri, "REQUEST_METHOD": "GET",
            "HTTPS": "on" if request.scheme == "https" else "off", "REQUEST_SCHEME": request.scheme,
            "SERVER_NAME": self.server_name, "SERVER_PORT": str(self.server_port), "SERVER_ADDR": request.endpoint.host,
            "SERVER_PROTOCOL": "HTTP/1.1", "QUERY_STRING": self.query, "PATH_INFO": "", "REMOTE_USER": "",
            "AUTH_TYPE": "", "REMOTE_IDENT": "", "DOCUMENT_ROOT": self.site.document_root_as_said,
            "CONTEXT_DOCUMENT_ROOT": self.site.document_root_as_said,
            "REQUEST_FILENAME": filename, "SCRIPT_FILENAME": filename, "IS_SUBREQ": "false",
            "THE_REQUEST": f"GET {mapping.quoted(path)}{query} HTTP/1.1",
            "CONTEXT_PREFIX": "", "SCRIPT_GROUP": "", "HANDLER": "",
        }
        if upper in values:
            return values[upper]
        raise Unknowable(f"%{{{name}}} is known to the running server only")

    def _header(self, name: str) -> str:
        name = name.lower()
        if name == "host":
            return self.request.host
        if name in ("cookie", "referer", "authorization", "range", "upgrade", "origin", "x-requested-with",
                    "content-type", "content-length", "if-modified-since", "if-none-match"):
            return ""  # no CA sends it
        if name.startswith(("x-", "cf-", "front-end-", "forwarded")) and self.request.endpoint.host not in (
                "127.0.0.1", "::1") and not self.request.endpoint.is_unix:
            return ""  # a proxy would say it; the CA has come straight to us
        raise Unknowable(f"the header {name} is known to the running server only")

    def _environment(self, name: str) -> str:
        value = self.env.get(name, "")
        if value is _HIDDEN:
            raise Unknowable(f"the environment variable {name} hangs on what only the running server knows")
        return value

    def exists(self, path: str, kind: str) -> bool:
        """Whether a path is a file or a directory; for a path with the token it is a question."""
        if kind in "FU":
            if self.request.token not in path:
                raise Unknowable(f"-{kind} asks the server itself for {path}")
            kind = "f"
        if self.request.token in path:
            if kind in "dhlLx":
                return False
            path = os.path.normpath(path)
            if path not in self.assumed_files:
                self.assumed_files.append(path)
            return self.ask(path)
        if kind in "hlLx":
            raise Unknowable(f"whether {path} is a link or a program")
        if not path.startswith("/"):
            return False
        if kind == "e":
            return self.files.is_file(path) or self.files.is_dir(path)
        return self.files.is_dir(path) if kind == "d" else self.files.is_file(path)

    def expression(self, text: str, filename: str) -> bool:
        """Whether an expression holds."""
        return expressions.holds(text, lambda name: self.variable(name, filename), self.exists)

    def look_up(self, name: str, key: str) -> Optional[str]:
        """The value of a key in a RewriteMap."""
        directive = next((d for d in self.site.all("rewritemap") if d.words[:1] == [name]), None)
        source = directive.words[1] if directive and len(directive.words) > 1 else ""
        if source == "int:tolower":
            return key.lower()
        if source == "int:toupper":
            return key.upper()
        raise Unknowable(f"the map {name} ({source or 'not defined'})")

    def decide(self, directive: Directive, reason: str) -> bool:
        """Try both answers to a condition that cannot be known."""
        answer = self.ask(f"{directive.source} {directive.text}")
        self.is_certain = False
        self.trail.append(Step(f"{directive.step.text}: taken as {'true' if answer else 'false'}, for {reason}",
                               directive.source))
        return answer

    # The names and ports that httpd puts into a URL of its own.

    @property
    def server_name(self) -> str:
        """The host of a URL of its own (UseCanonicalName)."""
        canonical = sections.last(self.scopes, "usecanonicalname")
        name = self.site.server.name or self.site.main.name
        return name if canonical and is_on(canonical) and name else self.request.host

    @property
    def server_port(self) -> int:
        """The port of a URL of its own: ServerName's or the scheme's, not the virtual host's."""
        physical = sections.last(self.scopes, "usecanonicalphysicalport")
        if physical and is_on(physical):
            return self.request.endpoint.port
        return self.site.server.port or _PORTS[self.request.scheme]

    @property
    def own_url(self) -> str:
        """Scheme, host and port of this server."""
        scheme = self.site.server.scheme or self.request.scheme
        host = f"[{self.server_name}]" if ":" in self.server_name else self.server_name
        port = "" if self.server_port == _PORTS.get(scheme) else f":{self.server_port}"
        return f"{scheme}://{host}{port}"

    # The phases.

    def destination(self) -> Destination:
        """Follow the request to its end."""
        try:
            return self._follow()
        except Refused as error:
            return self._dead("it answers 500, for AllowOverride does not allow what a .htaccess says", error.directive)
        except (Unknowable, regex.RegexError) as error:
            return Unknown(str(error), tuple(self.trail))

    def _follow(self) -> Destination:
        request = self.request
        tls = self.configuration.default_at(request).speaks_tls(request.endpoint.port)
        self.site, by_name = self.configuration.choose(request)
        self.trail.append(self.site.step)
        self.trail += [Step(f"not certain: {text}") for text in self.configuration.evaluated.complaints]
        if tls is not None and tls != (request.scheme == "https"):
            return self._dead(f"port {request.endpoint.port} speaks {'TLS' if tls else 'no TLS'} here")
        if not by_name and self.site.flag("stricthostcheck"):
            return self._dead("StrictHostCheck refuses a host that no virtual host names")
        self._note_md()
        self.uri = normalize(request.path, self.site.flag("mergeslashes", True))
        for _ in range(MAX_INTERNAL_REDIRECTS):
            outcome = self._process()
            if not isinstance(outcome, str):
                return outcome
            self.uri = normalize(outcome, self.site.flag("mergeslashes", True))
            self.env = {"REDIRECT_" + name: value for name, value in self.env.items()}
            self.env["REDIRECT_STATUS"] = "200"
        return self._dead(f"more than {MAX_INTERNAL_REDIRECTS} internal redirects")

    def _process(self) -> Union[str, Destination]:
        """One round: the destination, or the path of an internal redirect."""
        self._set_environment()
        server = sections.server_scopes(self.site)
        self.scopes = self._with_ifs(server + sections.location_scopes(self.site, self.uri), "")
        mapped = self._translate()
        if not isinstance(mapped, (mapping.File, _Proxied)):
            return mapped
        name = mapped.name if isinstance(mapped, mapping.File) else "proxy:" + mapped.url
        path_info = ""
        if isinstance(mapped, _Proxied):
            found = sections.proxy_scopes(self.site, mapped.url)
        else:
            if not name.startswith("/"):
                return self._dead(f"{name} is not an absolute path")
            # Whatever follows a file's name is its path info, which no static file takes.
            path_info = "/" if name.endswith("/") and name != "/" else ""
            name = os.path.normpath(name).replace("//", "/")
            inside = "/" if self.files.is_dir(name) else ""
            found = sections.directory_scopes(self.site, name + inside, self._htaccess)
            found += sections.file_scopes(self.site.sections, name)
            found += sections.file_scopes(self._inner(found), name)
        self.scopes = self._with_ifs(server + found + sections.location_scopes(self.site, self.uri), name)
        refused = self._check_access()
        if refused:
            return refused
        outcome = self._fix_up(mapped, name + path_info)
        if outcome is not None:
            return outcome
        return self._handle(mapped, name + path_info)

    @staticmethod
    def _inner(scopes: Sequence[Scope]) -> List[Directive]:
        return sections.inner_sections([scope.opening for scope in scopes if scope.opening])

    def _with_ifs(self, scopes: List[Scope], filename: str) -> List[Scope]:
        candidates = list(self.site.sections) + self._inner(scopes)

        def holds(section: Directive) -> bool:
            try:
                return self.expression(" ".join(section.words), filename)
            except (Unknowable, regex.RegexError) as error:
                return self.decide(section, str(error)) if _matters(section) else False
        return scopes + sections.if_scopes(candidates, holds)

    def _htaccess(self, directory: str, above: Sequence[Directive]) -> Optional[Sequence[Directive]]:
        return self.read_htaccess(directory, above)

    def _translate(self) -> "Union[mapping.File, _Proxied, Destination]":
        rewritten = self._rewrite_server()
        if rewritten is not None:
            return rewritten
        passed = mapping.proxy_pass(self.site, self.scopes, self.uri)
        if passed:
            return _Proxied(*passed)
        moved = mapping.location_redirect(self.scopes) or mapping.redirect(self.site.all(
            "redirect", "redirectmatch", "redirectpermanent", "redirecttemp"), self.uri)
        if moved:
            return self._moved(moved)
        file = mapping.location_alias(self.scopes, self.uri) or mapping.alias(self.site, self.uri)
        if file:
            return replace(file, name=self._expanded(file.name), root=self._expanded(file.root))
        for directive in self.site.all("wsgiscriptalias", "wsgiscriptaliasmatch"):
            words = directive.words
            if len(words) > 1 and (regex.search(words[0], self.uri) if directive.name.endswith("match")
                                   else mapping.match_prefix(self.uri, words[0])):
                return self._dead("a WSGI application answers", directive)
        script = mapping.virtual_script(self.site, self.uri)
        if script:
            return self._dead("it would be executed", script)
        file = mapping.virtual_document_root(self.site, self.server_name, self.server_port,
                                             self.request.endpoint.host, self.uri)
        if file:
            return file
        if not self.site.document_root[0]:
            raise Unknowable("no DocumentRoot is said, and the compiled default is not known")
        return mapping.document_root(self.site, self.uri)

    def _rewrite_server(self) -> "Union[mapping.File, _Proxied, Destination, None]":
        """mod_rewrite on the level of the server; None where it declines, perhaps with another path."""
        engine = sections.last(self.scopes, "rewriteengine")
        if not engine or not is_on(engine) or self.ended:
            return None
        rules = self._server_rules()
        if not rules:
            return None
        result = rewrite.apply(rules, self.uri, self.query, self, self.env, own_url=self.own_url,
                               reduce=self._back_to_here())
        self.ended = self.ended or result.end
        self.query = result.query
        self.trail += [rule.directive.step for rule in result.rules]
        if result.error:
            return self._dead(f"it answers {result.error}")
        if result.handler and result.handler != "default-handler":
            return self._dead(f"the handler {result.handler} answers")
        if not result.changed:
            return None
        if result.passthrough:
            if not result.path.startswith("/"):
                return self._dead("it answers 400, for [PT] hands on what is no path")
            self.uri = result.path
            return None
        if result.proxied:
            return _Proxied(result.path, result.rules[-1].directive)
        if result.is_url:
            return self._redirect_rewritten(result)
        if result.redirect:
            return self._dead(f"it answers {result.redirect} without a target, for a later rule has replaced it")
        return self._rewritten_file(result)

    def _rewritten_file(self, result: rewrite.Result) -> mapping.File:
        """A path of the file system where its first component exists there, else one below the document root.

        Since 2.4.60 that counts only where the substitution has it literally, or the document root at its beginning,
        or the flag UnsafePrefixStat.
        """
        rule = result.last_substitution
        assert rule is not None  # noqa: S101 - only a substitution changes the path
        first = "/" + result.path.lstrip("/").partition("/")[0]
        exists = self.files.is_dir(first) or self.files.is_file(first)
        literal = rule.target.startswith(first)
        in_root = result.path.startswith(self.site.document_root[0].rstrip("/"))
        unsafe = "unsafeprefixstat" in rule.flags
        if exists and (literal or in_root or unsafe):
            return mapping.File(result.path, mapping.literal_directory(rule.target, "$%\\"), rule.directive)
        return mapping.document_root(self.site, result.path)

    def _server_rules(self) -> List[rewrite.Rule]:
        server, main = self.site.server, self.site.main
        own = [d for d in server.directives if d.name in _REWRITE]
        if server is main:
            return rewrite.read_rules(own)
        if not own and not any(_says_rewrite(section) for section in server.sections):
            return []  # the module has no configuration there, and the main server's is not for it
        from_above = _options([d for d in main.directives if d.name in _REWRITE])
        options = _options(own) or from_above
        inherited = rewrite.read_rules(main.directives)
        rules = rewrite.read_rules(own)
        if ("ignoreinherit" not in options and "inheritdown" in from_above) or "inherit" in options:
            return rules + inherited
        if ("ignoreinherit" not in options and "inheritdownbefore" in from_above) or "inheritbefore" in options:
            return inherited + rules
        return rules

    def _back_to_here(self) -> "Optional[re.Pattern[str]]":
        """Matches a URL that leads to this very virtual host, which must say its port: such a redirect stays inside."""
        server = self.site.server
        if not server.port:
            return None
        hosts = "|".join(re.escape(name).replace(r"\*", "[^/:]*").replace(r"\?", "[^/:]")
                         for name in (server.name, *server.aliases))
        port = "(?::80)?" if server.port == 80 else "(?::443)?" if server.port == 443 else f":{server.port}"
        return re.compile(rf"{self.request.scheme}://(?:{hosts}){port}(?=/|\Z)", re.IGNORECASE)

    def _check_access(self) -> Optional[Destination]:
        def judge(kind: str, what: str) -> Optional[bool]:
            try:
                return what in self.env and self._environment(what) is not None if kind == "env" \
                    else self.expression(what, "")
            except (Unknowable, regex.RegexError):
                return None
        verdict, by = access.granted([scope.directives for scope in self.scopes], judge)
        if verdict is False:
            return self._dead("access is denied", by)
        if verdict is None and by:
            self.depends_on_client = True
            self.trail.append(Step(f"{by.step.text}: who asks decides", by.source))
        if self.request.scheme == "http" and any(scope.has("sslrequiressl") for scope in self.scopes):
            return self._dead("SSLRequireSSL refuses http")
        return None

    def _fix_up(self, mapped: "Union[mapping.File, _Proxied]", name: str) -> Union[str, Destination, None]:
        """Per-directory rewriting, then per-directory redirects."""
        outcome = self._rewrite_directory(mapped, name)
        if isinstance(outcome, (DeadEnd, Redirect)):
            return outcome
        per_directory = [d for scope in reversed(self.scopes) if scope.directory for d in scope.directives]
        moved = mapping.location_redirect(self.scopes) or mapping.redirect(per_directory, self.uri)
        return self._moved(moved) if moved else outcome

    def _rewrite_directory(self, mapped: "Union[mapping.File, _Proxied]", name: str) -> Union[str, Destination, None]:
        rules, directory, base = self._directory_rules()
        engine = sections.last(self.scopes, "rewriteengine")
        if not directory or not engine or not is_on(engine) or self.ended:
            return None
        if name + "/" == directory:
            return None  # without AllowNoSlash this is left to mod_dir's redirect
        if not _follows_links(self.scopes):
            return self._dead("RewriteRule is forbidden without Options FollowSymLinks", engine)
        result = rewrite.apply(rules, name, self.query, self, self.env, directory, self.own_url, self._back_to_here())
        self.ended = self.ended or result.end
        self.query = result.query
        self.trail += [rule.directive.step for rule in result.rules]
        if result.error:
            return self._dead(f"it answers {result.error}")
        if result.handler and result.handler != "default-handler":
            return self._dead(f"the handler {result.handler} answers")
        if not result.changed:
            return None
        if result.passthrough and result.is_url:
            return self._dead("it answers 400, for [PT] hands on what is no path")
        if result.proxied:
            return self._upstream(result.path, result.rules[-1].directive)
        if result.is_url:
            if base:
                head, slash, path = result.path.partition("://")
                host, _, rest = path.partition("/")
                result.path = head + slash + host + _swap_prefix("/" + rest, directory, base)
            return self._redirect_rewritten(result)
        if result.redirect:
            return self._dead(f"it answers {result.redirect} without a target, for a later rule has replaced it")
        if result.path == name:
            return None
        return self._as_url(result.path, directory, base, mapped)

    def _as_url(self, path: str, directory: str, base: str, mapped: "Union[mapping.File, _Proxied]") -> str:
        """The path of the internal redirect: the file name turned back into a URL path."""
        if base:
            return _swap_prefix(path, directory, base)
        root = self.site.document_root[0].rstrip("/")
        if isinstance(mapped, mapping.File) and mapped.directive \
                and mapped.directive.name.startswith("virtualdocumentroot"):
            root = mapped.root
        if path.startswith(root + "/"):
            return path[len(root):]
        if isinstance(mapped, mapping.File) and mapped.context[0]:
            return _swap_prefix(path, mapped.context[1], mapped.context[0])
        return path

    def _directory_rules(self) -> Tuple[List[rewrite.Rule], str, str]:
        """The per-directory rules that hold, the directory and the RewriteBase: those of the strongest section."""
        rules: List[rewrite.Rule] = []
        directory = base = ""
        options: set[str] = set()
        for scope in self.scopes:
            if not scope.has(*_REWRITE):
                continue
            own = [d for d in scope.directives if d.name in _REWRITE]
            options = _options(own) or options
            if not scope.directory:
                continue
            directory = scope.directory
            new = rewrite.read_rules(own)
            if "inheritbefore" in options:
                rules = rules + new
            else:
                rules = new + rules if "inherit" in options else new
            said = scope.last("rewritebase")
            base = said.words[0] if said and said.words else base if "mergebase" in options else ""
        return rules, directory, base

    def _handle(self, mapped: "Union[mapping.File, _Proxied]", name: str) -> Destination:
        if isinstance(mapped, _Proxied):
            return self._upstream(mapped.url, mapped.directive)
        directive = sections.last(self.scopes, "sethandler")
        handler = self._expanded(directive.words[0]) if directive and directive.words else ""
        if handler.lower().startswith("proxy:"):
            return self._upstream(handler[6:], directive)
        handler = "" if handler.lower() == "none" else handler
        if any(self.configuration.has_module(module) for module in _HANDLER_MODULES.get(handler.lower(), ())):
            return self._dead(f"the handler {handler} answers, not a file", directive)
        if directive and handler and handler != "default-handler" and handler.lower() not in _HANDLER_MODULES:
            self.trail.append(Step(f"{directive.step.text}: a module may answer in place of the file",
                                   directive.source))
        if mapped.is_script and not handler and (self.configuration.has_module("cgi")
                                                 or self.configuration.has_module("cgid")):
            return self._dead("the file would be executed", mapped.directive)
        return self._directory(mapped, name)

    def _directory(self, mapped: mapping.File, name: str) -> Destination:
        token = self.request.token
        deciding = mapped.directive.step if mapped.directive else self.site.document_root[1]
        if deciding not in self.trail:
            # What rewrites a path below the document root decides more than the root.
            self.trail.insert(1 if deciding.text.startswith("DocumentRoot") else len(self.trail), deciding)
        if name.endswith("/"):
            return DeadEnd(f"{name} ends with a slash: no file answers", tuple(self.trail))
        if token not in posixpath.basename(name):
            return DeadEnd(f"{name} answers, whatever file is asked for", tuple(self.trail))
        root = os.path.normpath(mapped.root or "/").replace("//", "/")
        if mapped.directive is None or mapped.directive.name not in ("documentroot", "alias", "virtualdocumentroot",
                                                                     "virtualdocumentrootip", "scriptalias"):
            root = _directory_of(name, root, self.request.path)
        prefix = root.rstrip("/") + "/"
        if not name.startswith(prefix):
            return self._dead(f"{name} lies outside of {root}")
        return Directory(PathInView(root), name[len(prefix):], tuple(self.trail),
                         depends_on_client=self.depends_on_client)

    # The ends.

    def _dead(self, reason: str, directive: Optional[Directive] = None) -> DeadEnd:
        trail: Trail = tuple(self.trail) + ((directive.step,) if directive else ())
        return DeadEnd(reason, trail)

    def _expanded(self, text: str) -> str:
        """A string with the variables of an expression."""
        return expressions.interpolate(text, lambda name: self.variable(name, "")) if "%{" in text else text

    def _moved(self, moved: mapping.Moved) -> Destination:
        if not 300 <= moved.status < 400:
            return self._dead(f"it answers {moved.status}", moved.directive)
        target = self._expanded(moved.target) if moved.is_expression else moved.target
        url = self.own_url + target if target.startswith("/") else target
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url):
            return self._dead("the target of the redirect is no URL", moved.directive)
        if self.query and "?" not in url:
            url += "?" + self.query
        return Redirect(url, moved.status, (*self.trail, moved.directive.step))

    def _redirect_rewritten(self, result: rewrite.Result) -> Redirect:
        url = result.path
        if result.escape:
            scheme, separator, rest = url.partition("://")
            host, slash, path = rest.partition("/")
            url = scheme + separator + host + slash + mapping.quoted(path)
        if self.query:
            url += "?" + self.query
        return Redirect(url, result.redirect or 302, tuple(self.trail))

    def _upstream(self, url: str, directive: Optional[Directive]) -> Destination:
        """A proxied URL: its members, or a protocol that serves no files of ours."""
        if directive and directive.step not in self.trail:
            self.trail.append(directive.step)
        socket = ""
        if url.lower().startswith("unix:") and "|" in url:
            socket, _, url = url[5:].partition("|")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return self._dead(f"{url} is no URL to pass a request to")
        scheme = parts.scheme.lower()
        if scheme == "balancer":
            return self._balanced(parts.netloc, url[len("balancer://") + len(parts.netloc):], directive)
        if scheme not in _PORTS:
            return self._dead(f"passed on by {scheme or url} to {socket or parts.netloc}, where no file is served")
        if "%{" in url or "${" in url:
            raise Unknowable(f"the upstream {url}")
        scheme_port = _PORTS[scheme]
        scheme = _SCHEMES.get(scheme, scheme)
        host = (parts.hostname or "").lower()
        member = Endpoint("unix:" + socket, 0) if socket else Endpoint(host, port or scheme_port)
        preserve = sections.last(self.scopes, "proxypreservehost")
        path = re.sub(r"^[^:]+://[^/?]*", "", url).partition("?")[0] or "/"
        return Upstream((member,), self.request.host if preserve and is_on(preserve) else host, path, scheme,
                        trail=tuple(self.trail))

    def _balanced(self, name: str, rest: str, directive: Optional[Directive]) -> Destination:
        found = [self._upstream(url.rstrip("/") + rest, directive)
                 for url in mapping.balancer_members(self.site, name)]
        if not found:
            return self._dead(f"balancer://{name} has no members")
        first = found[0]
        if not isinstance(first, Upstream):
            return first
        members: List[Endpoint] = []
        for one in found:
            if not isinstance(one, Upstream) or (one.path, one.scheme) != (first.path, first.scheme):
                raise Unknowable(f"the members of balancer://{name} differ in more than their address")
            members += [member for member in one.members if member not in members]
        return replace(first, members=tuple(members))

    # What is known before the first phase.

    def _set_environment(self) -> None:
        """SetEnvIf of the server, as far as a request tells it."""
        for server in reversed(self.site.chain):
            for directive in server.directives:
                words = directive.words
                if directive.name not in ("setenvif", "setenvifnocase") or len(words) < 3:
                    continue
                try:
                    subject = self._subject(words[0])
                    matches = regex.search(words[1], subject, directive.name.endswith("nocase")) is not None
                    value = "" if matches else None
                except (Unknowable, regex.RegexError):
                    value = _HIDDEN
                for word in words[2:] if value is not None else ():
                    name, _, content = word.partition("=")
                    if name.startswith("!"):
                        self.env.pop(name[1:], None)
                    else:
                        self.env[name] = value or content or "1"

    def _subject(self, name: str) -> str:
        lower = name.lower()
        request = self.request
        known = {"request_uri": self.uri, "request_method": "GET", "request_protocol": "HTTP/1.1",
                 "server_addr": request.endpoint.host, "host": request.host}
        if lower in known:
            return known[lower]
        if lower.startswith("remote_"):
            raise Unknowable(name)
        if name in self.env:
            return self._environment(name)
        return self._header(lower)

    def _note_md(self) -> None:
        """mod_md answers challenges of its own for the domains that it manages."""
        for directive in self.configuration.main.directives:
            if directive.name in ("mdomain", "mdomainset") and self.request.host in directive.words:
                self.trail.append(Step(f"{directive.step.text}: mod_md may answer the challenge itself",
                                       directive.source))


class _Hidden(str):
    """The value of an environment variable that cannot be known."""


_HIDDEN = _Hidden("?")


class _Proxied:
    """A URL that the request is passed to."""

    def __init__(self, url: str, directive: Directive) -> None:
        self.url = url
        self.directive = directive


def normalize(path: str, merge_slashes: bool) -> str:
    """Take dot segments and doubled slashes out of a path, as httpd does before anything else."""
    if merge_slashes:
        path = re.sub("/+", "/", path)
    parts: List[str] = []
    for part in path.split("/")[1:]:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/" + "/".join(parts)


def _matters(section: Directive) -> bool:
    """Whether a section can change where a request goes."""
    names = {"require", "requireall", "requireany", "requirenone", "order", "allow", "deny", "satisfy", "sethandler",
             "redirect", "redirectmatch", "redirectpermanent", "redirecttemp", "rewriterule", "rewriteengine",
             "proxypass", "alias", "authmerging"}
    return any(child.name in names or _matters(child) for child in section.children)


def _says_rewrite(section: Directive) -> bool:
    """Whether mod_rewrite is spoken to anywhere in a section."""
    return any(child.name in _REWRITE or _says_rewrite(child) for child in section.children)


def _options(directives: Sequence[Directive]) -> "set[str]":
    return {word.lower() for d in directives if d.name == "rewriteoptions" for word in d.words}


def _follows_links(scopes: Sequence[Scope]) -> bool:
    """Whether Options FollowSymLinks or SymLinksIfOwnerMatch holds; it does where nothing is said."""
    names = {"followsymlinks", "symlinksifownermatch"}
    options = {"followsymlinks"}
    for scope in scopes:
        for directive in scope.directives:
            if directive.name != "options":
                continue
            words = [word.lower() for word in directive.words]
            if not any(word[:1] in "+-" for word in words):
                options = {"followsymlinks"} if "all" in words else set()
            for word in words:
                if word.startswith("-"):
                    options.discard(word[1:])
                elif word.lstrip("+") in names:
                    options.add(word.lstrip("+"))
    return bool(options & names)


def _swap_prefix(path: str, prefix: str, other: str) -> str:
    """Replace a directory at the beginning of a path (mod_rewrite's ``subst_prefix_path``)."""
    prefix = prefix.rstrip("/")
    if path.startswith(prefix + "/"):
        return other.rstrip("/") + path[len(prefix):]
    return path


def _directory_of(name: str, literal: str, path: str) -> str:
    r"""The directory that a rule names: the part of the file name that the URL has not given.

    ``AliasMatch ^/\.well-known/(.*) /srv/$1`` names /srv; ``/srv/%{HTTP_HOST}/$1`` names /srv/HOST.
    """
    left, right = name.split("/"), path.split("/")
    common = 0
    while common < min(len(left), len(right)) - 1 and left[-1 - common] == right[-1 - common]:
        common += 1
    directory = "/".join(left[:len(left) - max(common, 1)]) or "/"
    return literal if len(literal) > len(directory) and name.startswith(literal.rstrip("/") + "/") else directory


