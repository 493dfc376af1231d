"""What nginx keeps of one request on its way, and the values of variables at any moment of it."""
import re
import time
from typing import Dict
from typing import List
from typing import Match
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Tuple
from typing import Union
from urllib.parse import quote
from urllib.parse import urljoin

from certbot_autowebroot.route import CA_PORTS
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step
from certbot_autowebroot.servers.nginx.index import Index
from certbot_autowebroot.servers.nginx.levels import Level
from certbot_autowebroot.servers.nginx.levels import Location
from certbot_autowebroot.servers.nginx.names import Server
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.regexes import Regex
from certbot_autowebroot.servers.nginx.regexes import Unknowable
from certbot_autowebroot.servers.nginx.variables import parts

#: What a CA does not send: it has no cookies, no credentials, and wants no upgrade.
_ABSENT_HEADERS = frozenset({"http_cookie", "http_authorization", "http_upgrade", "remote_user", "content_type",
                             "content_length"})

#: Empty on a connection without TLS.
_OF_TLS = frozenset({"ssl_protocol", "ssl_cipher", "ssl_session_id", "ssl_session_reused", "ssl_client_verify"})

#: Ten thousand sites may each have a name that is a regular expression; a file that is made to keep us busy has more.
MAX_REGEXES = 20_000
#: CPU time for all that one configuration makes us match.
MAX_REGEX_SECONDS = 10.0
#: Characters of a text. Forty times ``set $a $a$a`` fills any memory.
MAX_TEXT = 64 * 1024
#: Variables that one walk looks up. Forty maps of two ``volatile`` others each take 2^40 of them.
MAX_LOOKUPS = 100_000


class Answer(Exception):
    """The request ends here."""

    def __init__(self, destination: Destination) -> None:
        super().__init__(destination)
        self.destination = destination


class Status(Exception):
    """nginx answers with an error status, unless an ``error_page`` knows better."""

    def __init__(self, status: int, reason: str, source: Optional[Source] = None) -> None:
        super().__init__(status)
        self.status = status
        self.step = Step(reason, source)


class Contradiction(Exception):
    """The way would need a file that it also needs not to be there."""


class Guesses:
    """Answers to questions that only the running server can answer.

    :param given: the answers to the first questions; later ones get the likely answer.
    :ivar answers: all answers, in the order of the questions.
    :ivar present: paths that were taken to exist, those that an answer of ours would be written to among them.
    :ivar absent: paths that were taken not to exist.
    :ivar of_client: whether a question was about the client: our probe may get another answer than the CA.
    """

    def __init__(self, given: Sequence[bool]) -> None:
        self._given = given
        self._known: Dict[str, bool] = {}
        self.answers: List[bool] = []
        self.present: Set[str] = set()
        self.absent: Set[str] = set()
        self.of_client = False

    def answer(self, question: str, likely: bool) -> bool:
        """The same question gets the same answer each time."""
        if question not in self._known:
            number = len(self.answers)
            self._known[question] = self._given[number] if number < len(self._given) else likely
            self.answers.append(self._known[question])
        return self._known[question]

    def contradict(self, path: str) -> bool:
        """Whether our file at this path goes against what was taken for granted on the way there."""
        return path in self.absent or not self.present <= {path}


class State:
    """One request.

    :ivar host: the Host header as nginx uses it to choose the server: lower case, without a trailing dot.
    :ivar level: the level whose settings count now.
    :ivar uri: the current path, decoded; rewrites change it.
    :ivar original: whether the path is still the one of the request line.
    :ivar matches_location: false after ``rewrite … break``: the path no longer begins with the location's prefix.
    :ivar uri_changed: whether a location has to be chosen anew.
    :ivar internal: whether a rewrite or an internal redirect brought it where it is.
    :ivar guarded: whether it depends on the client who may come here.
    :ivar trail: the steps so far.
    """

    server: Server
    level: Level

    def __init__(self, index: Index, request: Request, guesses: Guesses) -> None:
        self.index = index
        self.request = request
        self.guesses = guesses
        self._header = f"[{request.host}]" if ":" in request.host else request.host
        self.host = self._header.lower()[:-1] if self._header.endswith(".") else self._header.lower()
        self.uri = request.path
        self.args = request.query
        self.original = True
        self.matches_location = True
        self.uri_changed = False
        self.internal = False
        self.guarded = False
        self.trail: List[Step] = []
        self._captures: Optional[Match[str]] = None
        self._values: Dict[str, Union[str, Unknowable]] = {}
        self._pending: List[str] = []
        self._matched = 0
        self._looked_up = 0

    # -- texts and variables --

    def value(self, text: str) -> str:
        """The text with its variables replaced.

        :raises Unknowable: it has one that only the running server knows.
        """
        pieces: List[str] = []
        captures = self._captures
        read_captures = False
        for part in parts(text):
            if part.variable:
                pieces.append(self.variable(part.variable))
            elif part.capture:
                pieces.append(self._capture(part.capture))
                read_captures = True
            else:
                pieces.append(part.literal)
            if read_captures and self._captures is not captures:
                raise Unknowable(f"{text}, for a map changes the captures in the middle")
            captures = self._captures
        found = "".join(pieces)
        if len(found) > MAX_TEXT:
            raise Unknowable(f"{text[:40]}, a text without end")
        return found

    def assign(self, name: str, value: Union[str, Unknowable]) -> None:
        """What ``set`` does."""
        name = name.lstrip("$").lower()
        if name in ("args", "query_string"):
            if isinstance(value, Unknowable):
                raise value
            self.args = value
        else:
            self._values[name] = value

    def variable(self, name: str) -> str:
        """The value of ``$name``."""
        found = self._values.get(name)
        if isinstance(found, Unknowable):
            raise found
        if found is not None:
            return found
        if name in self._pending:
            raise Unknowable(f"${name}, whose value depends on itself")
        self._looked_up += 1
        if self._looked_up > MAX_LOOKUPS:
            raise Unknowable(f"${name}, after {MAX_LOOKUPS} others")
        self._pending.append(name)
        try:
            known = self._mapped(name) if name in self.index.maps else self._built_in(name)
        finally:
            self._pending.pop()
        if known is not None:
            return known
        if name in self.index.assigned:
            return ""
        raise Unknowable(f"${name}")

    def matches(self, regex: Regex, subject: str, directive: Directive) -> bool:
        """Match, and keep the captures as nginx does: a match without groups empties them.

        No match leaves them, but for ``rewrite`` and ``if``, which call :meth:`forget_captures`.
        """
        self._matched += 1
        if self._matched > MAX_REGEXES or self.index.regex_seconds > MAX_REGEX_SECONDS:
            raise Unknowable("what all these regular expressions match")
        started = time.thread_time()
        try:
            match = regex.search(subject)
        except Unknowable as unknown:
            return self.guess(f"{unknown} matches {subject}", directive.source, likely=False)
        finally:
            self.index.regex_seconds += time.thread_time() - started
        if match is None:
            return False
        self._captures = match
        for name, value in match.groupdict().items():
            self._values[name.lower()] = value or ""
        return True

    def forget_captures(self) -> None:
        """Empty ``$1`` and its like."""
        self._captures = None

    def guess(self, question: str, source: Optional[Source], likely: bool, of_client: bool = False) -> bool:
        """Take an answer for granted that we cannot know, and say so in the trail."""
        self.guesses.of_client = self.guesses.of_client or of_client
        answer = self.guesses.answer(question, likely)
        self.trail.append(Step(f"{question}: cannot be known here, taken as {'true' if answer else 'false'}", source))
        return answer

    def assume_file(self, path: str, source: Source) -> bool:
        """Take a file of ours for granted at this path, or for absent: the end of the way must agree."""
        path = _plain(path)
        # Our file lies at one path: where it was taken to lie elsewhere, it is not here.
        possible = path not in self.guesses.absent and self.guesses.present <= {path}
        answer = possible and self.guesses.answer(f"file {path}", likely=True)
        (self.guesses.present if answer else self.guesses.absent).add(path)
        self.trail.append(Step(f"{path} taken to {'exist' if answer else 'be absent'}", source))
        return answer

    def _capture(self, number: int) -> str:
        if self._captures is None or number > self._captures.re.groups:
            return ""
        return self._captures[number] or ""

    def _mapped(self, name: str) -> str:
        found = self.index.maps[name]
        value = self.value(found.source)
        if found.hostnames and value.endswith("."):
            value = value[:-1]
        text = found.find(value)
        if text is None and value:
            text = next((line.args[0] for regex, line in found.regexes if self.matches(regex, value, line)), None)
        result = self.value(found.default if text is None else text)
        if not found.volatile:
            self._values[name] = result
        return result

    def _built_in(self, name: str) -> Optional[str]:
        request = self.request
        if name == "host":
            return self.host or self.server.first_name
        if name == "http_host":
            return self._header
        if name in ("uri", "document_uri"):
            return self.uri
        if name == "request_uri":
            path = quote(request.path, safe="/!$&'()*+,;=:@~-._", errors="surrogateescape")
            return path + (f"?{request.query}" if request.query else "")
        if name == "scheme":
            return request.scheme
        if name == "https":
            return "on" if request.scheme == "https" else ""
        if name == "request_method":
            return "GET"
        if name in ("args", "query_string"):
            return self.args
        if name == "is_args":
            return "?" if self.args else ""
        if name.startswith("arg_"):
            pairs = [pair.partition("=") for pair in self.args.split("&")]
            return next((value for key, _, value in pairs if key.lower() == name[4:]), "")
        if name == "server_name":
            return self.server.first_name
        if name == "server_addr" and not request.endpoint.is_unix:
            return request.endpoint.host
        if name == "server_port" and not request.endpoint.is_unix:
            return str(request.endpoint.port)
        if name == "document_root":
            return self.root()[0]
        if name == "request_filename":
            return self.file()[1]
        if name == "hostname":
            return self.index.configuration.hostname or None
        if name in ("ssl_server_name", "ssl_preread_server_name"):
            return request.host if request.scheme == "https" else ""
        if name in _OF_TLS and request.scheme == "http":
            return ""
        return "" if name in _ABSENT_HEADERS or name.startswith("cookie_") else None

    # -- files --

    def root(self) -> Tuple[str, Optional[Directive], Optional[Location]]:
        """The value of ``root`` or ``alias``, the directive, and for ``alias`` the location that it stands in."""
        found = self.level.nearest("root", "alias")
        directive = found[-1] if found else None
        text = directive.args[0] if directive and directive.args else "html"
        is_alias = directive is not None and directive.name == "alias"
        # The slash that is written is dropped, not one that a variable brings. "/" is absolute and becomes empty.
        value = self.value(text if is_alias or not text.endswith("/") else text[:-1])
        is_absolute = value.startswith("/") or text == "/"
        base = value if is_absolute else f"{self.index.configuration.prefix.rstrip('/')}/{value}"
        return base, directive, _location(self.level, directive) if directive and is_alias else None

    def file(self, uri: Optional[str] = None) -> Tuple[str, str]:
        """The base directory, and the path of the file that belongs to a URI (``ngx_http_map_uri_to_path``).

        :param uri: the current one where it is not given.
        :raises Status: nginx refuses ``alias`` once a rewrite has changed the path.
        """
        uri = self.uri if uri is None else uri
        base, directive, location = self.root()
        if directive is None or location is None:
            return base, base + uri
        if not self.matches_location:
            raise Status(500, "alias does not go with a rewritten path", directive.source)
        return base, base if location.regex else base + uri[len(location.name):]

    def directory(self, base: str, path: str) -> Optional[Directory]:
        """The directory for our answer, where this file is named after the token; None where it is not."""
        base, path = _plain(base), _plain(path)
        head, _, last = path.rpartition("/")
        if self.request.token not in last or self.request.token in head:
            return None
        if self.guesses.contradict(path):
            raise Contradiction
        if not path.startswith("/"):  # "root /;" and a rewritten path without a slash
            raise Unknowable(f"what {path} is relative to")
        directive = self.root()[1]
        step = Step(str(directive), directive.source) if directive else Step("root html (the default)")
        below = path.startswith(base.rstrip("/") + "/") and ".." not in path[len(base):].split("/")
        root = (base if below else head) or "/"
        return Directory(PathInView(root), path[len(root.rstrip("/")) + 1:], (*self.trail, step),
                         depends_on_client=self.guarded)

    # -- redirects --

    def redirect(self, url: str, status: int, step: Step) -> Answer:
        """The redirect as nginx writes it: what begins with a slash gets scheme, name and port.

        With ``absolute_redirect off`` it is the CA that makes a URL of it; for a CA, ``//x/`` is a host.
        """
        if url.startswith("/") and self.level.setting("absolute_redirect") != "off":
            url = self._origin() + url
        elif "://" not in url:
            try:
                url = urljoin(f"{self._origin()}{self.request.path}", url)
            except ValueError:
                return Answer(DeadEnd(f"{step.text}: {url} is not a URL", (*self.trail, step)))
        return Answer(Redirect(url, status, (*self.trail, step)))

    def _origin(self) -> str:
        request = self.request
        port = request.endpoint.port
        host = self.host or self.server.first_name
        relative = self.level.setting("absolute_redirect") == "off"
        if self.level.setting("server_name_in_redirect") == "on" and not relative:
            host = self.server.first_name
        # A relative one is resolved by the CA, which came to one of its own ports whatever the one here.
        implied = relative or port in (0, CA_PORTS[request.scheme]) or self.level.setting("port_in_redirect") == "off"
        return f"{request.scheme}://{host}" + ("" if implied else f":{port}")


def _location(level: Optional[Level], directive: Directive) -> Optional[Location]:
    """The location in whose very block a directive stands, or the next one further out."""
    while level is not None and directive not in level.own.get(directive.name, ()):
        level = level.parent
    while level is not None and not isinstance(level, Location):
        level = level.parent
    return level


def _plain(path: str) -> str:
    """A path as it is compared: "a//b" is "a/b"."""
    return re.sub("//+", "/", path)
