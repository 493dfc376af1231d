"""The values of nginx's variables and conditions for one request."""
import abc
import os
import re
import time
from typing import Callable
from typing import Dict
from typing import List
from typing import Match
from typing import Optional
from typing import Tuple
from typing import Union
from urllib.parse import quote

from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step
from certbot_autowebroot.servers.common.assumptions import ANY_ADDRESS
from certbot_autowebroot.servers.nginx.contexts import Context
from certbot_autowebroot.servers.nginx.contexts import Location
from certbot_autowebroot.servers.nginx.guesses import Guesses
from certbot_autowebroot.servers.nginx.index import Index
from certbot_autowebroot.servers.nginx.names import Server
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.regexes import Regex
from certbot_autowebroot.servers.nginx.regexes import UnknowableError
from certbot_autowebroot.servers.nginx.variables import parts

#: Headers that a CA does not send: cookies, credentials, upgrades.
_ABSENT_HEADERS = frozenset({"http_cookie", "http_authorization", "http_upgrade", "remote_user", "content_type",
                             "content_length"})

#: Empty on a connection without TLS.
_OF_TLS = frozenset({"ssl_protocol", "ssl_cipher", "ssl_session_id", "ssl_session_reused", "ssl_client_verify"})

#: The client's address.
_CLIENT_ADDRESS = frozenset({"remote_addr", "realip_remote_addr"})

#: Ten thousand sites may each have a regular expression as name; a hostile file has more.
MAX_REGEXES = 20_000
#: CPU time for all regular expressions of one configuration.
MAX_REGEX_SECONDS = 10.0
#: Characters of a text. Forty times ``set $a $a$a`` fills any memory.
MAX_TEXT = 64 * 1024
#: Variables that one walk looks up. Forty maps, each of two other ``volatile`` ones, need 2^40 of them.
MAX_LOOKUPS = 100_000


#: The status of a path in the server's view; None if there is nothing.
Stat = Callable[[str], Optional[os.stat_result]]


class Values(abc.ABC):
    """One request, without the files that belong to it.

    :ivar host: the Host header that selects the server: lower case, without a trailing dot.
    :ivar context: the context of the current settings.
    :ivar stat: None where the server's file system is not visible to us.
    :ivar uri: the current path, decoded; rewrites change it.
    :ivar uri_source: the line that has changed the path last; None for the path of the request.
    :ivar original: whether the path is still that of the request line.
    :ivar matches_location: false after ``rewrite … break``: the path no longer begins with the location's prefix.
    :ivar uri_changed: whether nginx must choose a location again.
    :ivar internal: whether a rewrite or an internal redirect has changed the path.
    :ivar restricted: whether nginx may refuse some clients here.
    :ivar trail: the steps so far.
    """

    server: Server
    context: Context

    def __init__(self, index: Index, request: Request, guesses: Guesses, stat: Optional[Stat] = None) -> None:
        self.stat = stat
        self.index = index
        self.request = request
        self.guesses = guesses
        header = request.host_header.lower()
        self.host = header[:-1] if header.endswith(".") else header
        self.uri = request.path
        self.uri_source: Optional[Source] = None
        self.args = request.query
        self.original = True
        self.matches_location = True
        self.uri_changed = False
        self.internal = False
        self.restricted = False
        self.trail: List[Step] = []
        self._for_any_client = False
        self._captures: Optional[Match[str]] = None
        self._values: Dict[str, Union[str, UnknowableError]] = {}
        self._pending: List[str] = []
        self._matched = 0
        self._looked_up = 0

    @abc.abstractmethod
    def root(self) -> Tuple[str, Optional[Directive], Optional[Location]]:
        """The value of ``root`` or ``alias``, the directive, and for ``alias`` its location."""

    @abc.abstractmethod
    def file(self, uri: Optional[str] = None) -> Tuple[str, str]:
        """The base directory, and the path of the file that belongs to a URI; the current one by default."""

    def value(self, text: str) -> str:
        """The text with its variables replaced.

        :raises UnknowableError: only the running server knows one of them.
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
                raise UnknowableError(f"{text}, for a map changes the captures in the middle")
            captures = self._captures
        value = "".join(pieces)
        if len(value) > MAX_TEXT:
            raise UnknowableError(f"{text[:40]}, a text without end")
        return value

    def assign(self, name: str, value: Union[str, UnknowableError]) -> None:
        """Set a variable, as ``set`` does."""
        name = name.lstrip("$").lower()
        if name in ("args", "query_string"):
            if isinstance(value, UnknowableError):
                raise value
            self.args = value
        else:
            self._values[name] = value

    def variable(self, name: str) -> str:
        """The value of ``$name``."""
        cached = self._values.get(name)
        if isinstance(cached, UnknowableError):
            raise cached
        if cached is not None:
            return cached
        if name in self._pending:
            raise UnknowableError(f"${name}, whose value depends on itself")
        self._looked_up += 1
        if self._looked_up > MAX_LOOKUPS:
            raise UnknowableError(f"${name}, after {MAX_LOOKUPS} others")
        self._pending.append(name)
        try:
            value = self._mapped(name) if name in self.index.maps else self._built_in(name)
        finally:
            self._pending.pop()
        if value is not None:
            return value
        if name in self.index.assigned:
            return ""
        raise UnknowableError(f"${name}")

    def matches(self, regex: Regex, subject: str, directive: Directive) -> bool:
        """Match, and set the captures as nginx does: a match without groups empties them.

        No match leaves them; after one, ``rewrite`` and ``if`` call :meth:`forget_captures`.
        """
        self._matched += 1
        if self._matched > MAX_REGEXES or self.index.regex_seconds > MAX_REGEX_SECONDS:
            raise UnknowableError("what all these regular expressions match")
        started = time.thread_time()
        try:
            match = regex.search(subject)
        except UnknowableError as unknown:
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
        """Empty ``$1`` and the other captures."""
        self._captures = None

    def guess(self, question: str, source: Optional[Source], likely: bool, about_client: bool = False) -> bool:
        """Assume the answer to a question, and say so in the trail."""
        self.guesses.about_client = self.guesses.about_client or about_client
        answer = self.guesses.answer(question, likely)
        self.trail.append(Step(f"{question}: unknown here, assumed {'true' if answer else 'false'}", source,
                               about_client and answer != likely))
        return answer

    def for_any_client(self, holds: Callable[[], bool]) -> bool:
        """Whether a condition holds for a client whose address no line names; false where that is not known."""
        values, captures = dict(self._values), self._captures
        self._for_any_client = True
        try:
            return holds()
        except UnknowableError:
            return False
        finally:
            self._for_any_client = False
            self._values, self._captures = values, captures

    def assume_file(self, path: str, source: Source) -> bool:
        """Assume that our file exists at this path, or not; the destination must agree."""
        path = plain(path)
        # There is one file of ours: if it exists elsewhere, it does not exist here.
        possible = path not in self.guesses.absent and self.guesses.present <= {path}
        answer = possible and self.guesses.answer(f"file {path}", likely=True)
        (self.guesses.present if answer else self.guesses.absent).add(path)
        self.guesses.without_file = not self.guesses.present
        self.guesses.file_test = source
        self.trail.append(Step(f"{path} assumed to {'exist' if answer else 'be absent'}", source))
        return answer

    def _capture(self, number: int) -> str:
        if self._captures is None or number > self._captures.re.groups:
            return ""
        return self._captures[number] or ""

    def _mapped(self, name: str) -> str:
        variable = self.index.maps[name]
        value = self.value(variable.source)
        if variable.hostnames and value.endswith("."):
            value = value[:-1]
        text = variable.find(value)
        if text is None and value:
            text = next((line.args[0] for regex, line in variable.regexes if self.matches(regex, value, line)), None)
        result = self.value(variable.default if text is None else text)
        if not variable.volatile:
            self._values[name] = result
        return result

    def _built_in(self, name: str) -> Optional[str]:
        request = self.request
        if self._for_any_client and name in _CLIENT_ADDRESS:
            return ANY_ADDRESS
        if self._for_any_client and name in self.index.geo_defaults:
            return self.index.geo_defaults[name]
        if name == "host":
            return self.host or self.server.first_name
        if name == "http_host":
            return request.host_header
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
        if name in _ABSENT_HEADERS or name.startswith("cookie_"):
            return ""
        return request.header(name[len("http_"):].replace("_", "-")) if name.startswith("http_") else None


def plain(path: str) -> str:
    """A path for comparison: "a//b" is "a/b"."""
    return re.sub("//+", "/", path)
