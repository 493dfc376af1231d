"""The state of one request: names, variables, files and the trail, as rules see and change them.

A condition can test whether the challenge file exists. So the evaluator follows a request once for each answer; the
state has the questions and answers.
"""
import copy
import os
from typing import Callable
from typing import Dict
from typing import List
from typing import Optional
from typing import Protocol
from typing import Set

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Trail
from certbot_autowebroot.route import in_url
from certbot_autowebroot.servers.apache import expressions
from certbot_autowebroot.servers.apache import inheritance
from certbot_autowebroot.servers.apache import mapping
from certbot_autowebroot.servers.apache import sections
from certbot_autowebroot.servers.apache.configuration import Configuration
from certbot_autowebroot.servers.apache.configuration import Site
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import UnknowableError
from certbot_autowebroot.servers.apache.sections import HtaccessReader
from certbot_autowebroot.servers.apache.sections import Scope
from certbot_autowebroot.servers.common.assumptions import ANY_ADDRESS
from certbot_autowebroot.servers.common.regex import RegexError

#: Runs with different answers for one request.
MAX_ALTERNATIVES = 32
#: Default ports of the schemes of requests and upstreams.
PORTS = {"http": 80, "https": 443, "h2": 443, "h2c": 80, "ws": 80, "wss": 443}
#: Headers that no CA sends and no proxy adds; and headers that a CA may send, with an unknown value.
_NEVER_SENT = frozenset({"cookie", "authorization", "range", "upgrade", "origin", "x-requested-with",
                         "content-type", "content-length", "if-modified-since", "if-none-match"})
_SENT = frozenset({"accept-encoding", "accept-language", "accept-charset", "connection",
                   "cache-control", "pragma", "from", "te", "keep-alive"})


class Files(Protocol):
    """The file system for the evaluator; :class:`certbot_autowebroot.system.views.View` implements it."""

    def is_file(self, path: str) -> bool:
        """Whether the path leads to a regular file."""

    def is_dir(self, path: str) -> bool:
        """Whether the path leads to a directory."""

    def read(self, path: str) -> bytes:
        """The content of a file. Raises OSError."""


#: By question (the path of a file, or a condition), the answer of this run.
Answers = Dict[str, bool]


class State:
    """One request in one run through the phases, with one set of answers."""

    def __init__(self, configuration: Configuration, request: Request, files: Files, htaccess: HtaccessReader,
                 answers: Answers) -> None:
        self.configuration = configuration
        self.request = request
        self.files = files
        self.read_htaccess = htaccess
        self.answers = answers
        self.assumed_files: List[str] = []
        self.assumed_directories: List[str] = []
        self.untried: List[Answers] = []
        #: Questions with an answer that only the running server knows: on the client, the time, a program.
        self.undecided: Set[str] = set()
        self.trail: List[Step] = []
        self.depends_on_client = False
        self._for_any_client = False
        self.env: Dict[str, str] = {}
        self.query = request.query
        #: A rule has changed the query, and so a redirect escapes it.
        self.has_own_query = False
        self.uri = ""
        self.path_info = ""
        #: The file that the path is mapped to, as far as it exists; empty before that.
        self.filename = ""
        #: The root of VirtualDocumentRoot; prefix and path of an Alias: where they replace the DocumentRoot.
        self.document_root = ""
        self.context = ("", "")
        #: The status of [R] of a rule whose URL a later rule has replaced by a path; 0 for none.
        self.status = 0
        #: The handler by [H] of a rule, which precedes SetHandler.
        self.handler = ""
        #: The rule that has removed the token from the path.
        self.token_lost_by: Optional[Directive] = None
        self.is_redirected = False
        self.ended = False
        self.site: Site = configuration.site(configuration.main)
        self.scopes: List[Scope] = []

    def copy(self) -> "State":
        """A copy in which rules can be tried."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, (dict, list, set)):
                setattr(other, name, copy.copy(value))
        return other

    # Questions and answers.

    def ask(self, question: str) -> bool:
        """The answer to a question with two possible answers: yes in this run, no in another."""
        if question not in self.answers:
            if len(self.untried) < MAX_ALTERNATIVES:
                self.untried.append({**self.answers, question: False})
            self.answers[question] = True
        return self.answers[question]

    def is_consistent(self, destination: Destination) -> bool:
        """Whether the assumed files are exactly the served file and the directories between it and the root.

        We make directories only below the root; a missing root stays missing.
        """
        served, root = "", ""
        if isinstance(destination, Directory):
            served, root = os.path.normpath(str(destination)), os.path.join(os.path.normpath(destination.root), "")
        return all(self.answers[path] == (path == served) for path in self.assumed_files) and all(
            self.answers[path] == (served.startswith(path) and path != root and path.startswith(root))
            for path in self.assumed_directories)

    @property
    def leads_to_its_file(self) -> bool:
        """Whether the run assumes that one file exists, and it is the one that the request is mapped to.

        Before the mapping %{REQUEST_FILENAME} is the path of the URL: no file will be there.
        """
        assumed = [path for path in self.assumed_files if self.answers[path]]
        if len(assumed) != 1:
            return False
        return assumed[0] == self.filename if self.filename else assumed[0] != self.request.path

    def is_directory(self, path: str) -> bool:
        """Whether a path is a directory; we may make a missing one together with the challenge file."""
        if self.files.is_dir(path):
            return True
        if self.files.is_file(path):
            return False
        path = path.rstrip("/") + "/"
        if path not in self.assumed_directories:
            self.assumed_directories.append(path)
        return self.ask(path)

    def exists(self, path: str, kind: str) -> bool:
        """Whether a path is a file or a directory; a path with the token is a question."""
        if kind in "FU":
            if self.request.token not in path:
                raise UnknowableError(f"-{kind} asks the server itself for {path}")
            kind = "f"
        if self.request.token in path:
            if kind in "dhlLx":
                return False
            path = os.path.normpath(path)
            if path not in self.assumed_files:
                self.assumed_files.append(path)
            return self.ask(path)
        if kind in "hlLx":
            raise UnknowableError(f"whether {path} is a link or a program")
        if not path.startswith("/"):
            return False
        if kind == "e":
            return self.files.is_file(path) or self.is_directory(os.path.normpath(path))
        return self.is_directory(os.path.normpath(path)) if kind == "d" else self.files.is_file(path)

    def decide(self, directive: Directive, reason: str, for_any_client: Optional[bool] = None) -> bool:
        """Try both answers to a condition that cannot be known.

        :param for_any_client: the answer for an address that no line names; the other one admits some clients only.
        """
        question = f"{directive.source} {directive.text}"
        self.undecided.add(question)
        answer = self.ask(question)
        self.trail.append(Step(f"{directive.step.text}: taken as {'true' if answer else 'false'}, for {reason}",
                               directive.source, for_any_client not in (None, answer)))
        return answer

    def for_any_client(self, holds: Callable[[], bool]) -> Optional[bool]:
        """Whether a condition holds for a client whose address no line names; None where that is not known."""
        self._for_any_client = True
        try:
            return holds()
        except (UnknowableError, RegexError):
            return None
        finally:
            self._for_any_client = False

    # Values for conditions and expressions (expansion.RewriteState).

    def variable(self, name: str, filename: str) -> str:
        """The value of ``%{name}``."""
        name = name.strip()
        function, _, rest = name.partition(":")
        if rest and function.upper() in ("HTTP", "ENV"):
            return self.header(rest) if function.upper() == "HTTP" else self.environment(rest)
        upper = name.upper()
        if upper.startswith("HTTP_") and upper not in ("HTTP_HOST",):
            return self.header(upper[5:].replace("_", "-"))
        request = self.request
        path, query = request.path, f"?{request.query}" if request.query else ""
        document_root = self.document_root or self.site.document_root_as_written
        values = {
            "HTTP_HOST": request.host, "REQUEST_URI": self.uri, "REQUEST_METHOD": "GET",
            "HTTPS": "on" if request.scheme == "https" else "off", "REQUEST_SCHEME": request.scheme,
            "SERVER_NAME": self.server_name, "SERVER_PORT": str(self.server_port), "SERVER_ADDR": request.endpoint.host,
            "SERVER_PROTOCOL": "HTTP/1.1", "QUERY_STRING": self.query, "PATH_INFO": self.path_info, "REMOTE_USER": "",
            "AUTH_TYPE": "", "REMOTE_IDENT": "", "DOCUMENT_ROOT": document_root,
            "CONTEXT_DOCUMENT_ROOT": self.context[1] or document_root,
            "REQUEST_FILENAME": filename, "SCRIPT_FILENAME": filename, "IS_SUBREQ": "false",
            "THE_REQUEST": f"GET {mapping.escape_path(path)}{query} HTTP/1.1",
            "CONTEXT_PREFIX": self.context[0], "SCRIPT_GROUP": "", "HANDLER": "",
        }
        if self._for_any_client:
            values["REMOTE_ADDR"] = values["CONN_REMOTE_ADDR"] = ANY_ADDRESS
        if upper in values:
            return values[upper]
        raise UnknowableError(f"%{{{name}}} is known to the running server only")

    def header(self, name: str) -> str:
        """The value of a header, empty where a CA does not send it. Raises UnknowableError."""
        name = name.lower()
        if name == "host":
            return self.request.host
        sent = self.request.header(name)
        if sent is not None:
            return sent
        is_direct = not self.request.endpoint.is_unix and self.request.endpoint.host not in ("127.0.0.1", "::1")
        if name in _NEVER_SENT or (is_direct and name not in _SENT):
            return ""  # no CA sends it, and there is no proxy that would add it
        raise UnknowableError(f"the header {name} is known to the running server only")

    def environment(self, name: str) -> str:
        """An environment variable, empty where it is not set. Raises UnknowableError."""
        value = self.env.get(name, "")
        if value is UNKNOWN_VALUE:
            raise UnknowableError(f"the environment variable {name} depends on what only the running server knows")
        return value

    def expression(self, text: str, filename: str) -> bool:
        """Whether an expression holds."""
        return expressions.holds(text, lambda name: self.variable(name, filename), self.exists)

    def look_up(self, name: str, key: str) -> Optional[str]:
        """The value of a key in a RewriteMap."""
        directive = next((d for server in inheritance.servers(self.site) for d in reversed(server.directives)
                          if d.name == "rewritemap" and d.words[:1] == [name]), None)
        if directive is None:
            return None
        source = directive.words[1] if len(directive.words) > 1 else ""
        if source == "int:tolower":
            return key.lower()
        if source == "int:toupper":
            return key.upper()
        if source.startswith("txt:"):
            return self._look_up_text(source[4:], key)
        raise UnknowableError(f"the map {name} ({source})")

    def _look_up_text(self, path: str, key: str) -> Optional[str]:
        """"Using RewriteMap", txt: a key, white space, its value. httpd ignores further words and lines with #."""
        path = self.configuration.path(path)
        try:
            text = os.fsdecode(self.files.read(path))
        except OSError as error:
            raise UnknowableError(f"the map {path} cannot be read: {error.strerror or error}") from error
        for line in text.split("\n"):
            words = line.split(None, 2)
            if len(words) > 1 and words[0] == key and not line.startswith("#"):
                return words[1]
        return None

    def expanded(self, text: str) -> str:
        """A string with the variables of an expression replaced."""
        return expressions.interpolate(text, lambda name: self.variable(name, "")) if "%{" in text else text

    # Self-referential URLs (UseCanonicalName).

    @property
    def server_name(self) -> str:
        """The host of a self-referential URL."""
        name = self.site.server.name or self.site.main.name
        return name if name and sections.flag(self.scopes, "usecanonicalname") else self.request.host

    @property
    def server_port(self) -> int:
        """The port of a self-referential URL: that of ServerName or of the scheme, not that of the section.

        UseCanonicalPhysicalPort puts the real port before the scheme's; without UseCanonicalName before ServerName's.
        """
        physical = self.request.endpoint.port if sections.flag(self.scopes, "usecanonicalphysicalport") else 0
        ports = [physical, self.site.server.port]
        if sections.flag(self.scopes, "usecanonicalname"):
            ports.reverse()
        return next(filter(None, ports), PORTS[self.request.scheme])

    @property
    def own_url(self) -> str:
        """Scheme, host and port of a self-referential URL."""
        scheme = self.site.server.scheme or self.request.scheme
        host = in_url(self.server_name)
        port = "" if self.server_port == PORTS.get(scheme) else f":{self.server_port}"
        return f"{scheme}://{host}{port}"

    def dead_end(self, reason: str, directive: Optional[Directive] = None) -> DeadEnd:
        """A dead end, with the directive that causes it as the last step."""
        trail: Trail = tuple(self.trail) + ((directive.step,) if directive else ())
        return DeadEnd(reason, trail)


class _UnknownValue(str):
    """The unknown value of an environment variable."""


UNKNOWN_VALUE = _UnknownValue("?")
