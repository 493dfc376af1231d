"""The contexts of lighttpd's configuration that apply to a request. lighttpd wiki, "Configuration: File Syntax"."""
import ipaddress
import re
from dataclasses import dataclass
from typing import Dict
from typing import List
from typing import Match
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Tuple

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.servers.common import regex
from certbot_autowebroot.servers.common.assumptions import Assumptions
from certbot_autowebroot.servers.lighttpd.config import Config
from certbot_autowebroot.servers.lighttpd.config import Context
from certbot_autowebroot.servers.lighttpd.config import Value
from certbot_autowebroot.servers.lighttpd.config import text_of

Pairs = Sequence[Tuple[str, Value]]


@dataclass
class Setting:
    """The value of one directive, its line, and its context."""

    value: Value
    step: Step
    context: Context

    @property
    def pairs(self) -> Pairs:
        """The pairs of an array; empty for another value."""
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def strings(self) -> List[str]:
        """The values of an array."""
        return [text_of(value) for _, value in self.pairs]


def setting_in(key: str, context: Context) -> Setting:
    """The setting of a key in a context that has it."""
    value, source = context.settings[key]
    return Setting(value, Step(f"{key} = {_shown(value)}", source), context)


class Conditions:
    """The conditions of a configuration for one request, whose URL a rewrite may change.

    :ivar captures: the match of a condition's regular expression.
    """

    def __init__(self, config: Config, request: Request, assumptions: Assumptions) -> None:
        self.config = config
        self.request = request
        self.captures: Dict[Context, Match[str]] = {}
        self._assumptions = assumptions
        self._outcomes: Dict[Context, Optional[bool]] = {}
        self._socket = _socket(config, request.endpoint)
        self._target = request.path + (f"?{request.query}" if request.query else "")

    @property
    def target(self) -> str:
        """The URL: path and query."""
        return self._target

    @target.setter
    def target(self, url: str) -> None:
        self._target = url
        self._outcomes.clear()

    @property
    def path(self) -> str:
        """The path of the URL."""
        return self._target.partition("?")[0]

    def setting(self, key: str) -> Setting:
        """The setting of a directive, from the last context that applies and has it."""
        setting = Setting((), Step(key), self.config.contexts[0])
        for context in self.config.contexts:
            if key in context.settings and self.holds(context):
                setting = setting_in(key, context)
        return setting

    def holds(self, context: Context) -> bool:
        """Whether a context applies."""
        return self.outcome(context) is True

    def outcome(self, context: Context) -> Optional[bool]:
        """Whether its condition holds; None where an outer condition, or one before its ``else``, already decides."""
        if context not in self._outcomes:
            applies = ((context.parent is None or self.outcome(context.parent) is True)
                       and (context.previous is None or self.outcome(context.previous) is False))
            self._outcomes[context] = self._condition(context) if applies else None
        return self._outcomes[context]

    def _condition(self, context: Context) -> bool:
        if not context.subject:
            return True
        value = self._subject(context)
        if value is None:
            # The client is usually not the one of a condition, and "!=" is the opposite of "==".
            operator = context.operator.replace("!", "=")
            matches = self._assumptions.holds(f'{context.subject} {operator} "{context.operand}"', usually=False)
            return matches != context.operator.startswith("!")
        return self._compare(context, value)

    def _subject(self, context: Context) -> Optional[str]:
        request = self.request
        subject = context.subject.upper()
        if subject in ('$HTTP["HOST"]', '$REQUEST_HEADER["HOST"]'):
            # A condition on "host:port" matches a request without a port, configfile-glue.c.
            with_port = context.operator in ("==", "!=") and ":" in context.operand.rpartition("]")[2]
            return request.host_header + (f":{request.endpoint.port}" if with_port else "")
        return {'$HTTP["URL"]': self.path, '$SERVER["SOCKET"]': self._socket, '$HTTP["SCHEME"]': request.scheme,
                '$HTTP["QUERYSTRING"]': self.target.partition("?")[2], '$HTTP["REQUEST-METHOD"]': "GET",
                '$HTTP["REQUESTMETHOD"]': "GET", '$HTTP["USERAGENT"]': request.header("user-agent"),
                '$HTTP["USER-AGENT"]': request.header("user-agent"), '$HTTP["REFERER"]': request.referer,
                '$REQUEST_HEADER["USER-AGENT"]': request.header("user-agent"),
                '$REQUEST_HEADER["REFERER"]': request.referer}.get(subject)

    def _compare(self, context: Context, text: str) -> bool:
        operand = context.operand
        if context.subject == '$SERVER["socket"]' and context.operator in ("==", "!="):
            operand = _socket_name(operand, 80)
        if context.operator in ("=~", "!~"):
            match = regex.search(operand, text)
            if match:
                self.captures[context] = match
            return (match is not None) == (context.operator == "=~")
        return {"==": text == operand, "!=": text != operand, "=^": text.startswith(operand),
                "=$": text.endswith(operand)}[context.operator]


def _socket_name(text: str, default_port: int) -> str:
    """``:80`` and ``*:80`` are 0.0.0.0:80; an address without a port gets the default one."""
    if text.startswith("/"):
        return text
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port)
    host = host.strip("[]")
    host = "0.0.0.0" if host in ("", "*") else host  # noqa: S104
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _socket(config: Config, endpoint: Endpoint) -> str:
    """The listening socket of a connection to the endpoint: that of its address, or that of all addresses."""
    if endpoint.is_unix:
        return endpoint.host[len("unix:"):]
    settings = config.contexts[0].settings
    port = port_of(settings.get("server.port", (80, None))[0])
    bind = text_of(settings.get("server.bind", ("", None))[0])
    use_ipv6 = settings.get("server.use-ipv6", ("", None))[0] == "enable"
    names: Set[str] = {_socket_name(bind or ("[::]" if use_ipv6 else ""), port)}
    names |= {_socket_name(context.operand, port) for context in config.contexts
              if context.subject == '$SERVER["socket"]' and context.operator == "=="}
    exact = _socket_name(str(endpoint), endpoint.port)
    if exact in names:
        return exact
    address = ipaddress.ip_address(endpoint.host)
    for every in (f"[::]:{endpoint.port}", f"0.0.0.0:{endpoint.port}")[address.version == 4:]:
        if every in names:
            return every
    return f"[::]:{endpoint.port}"


def port_of(value: Value) -> int:
    """A port number; 0 for any other value."""
    return int(text_of(value)) if re.fullmatch("[0-9]{1,5}", text_of(value)) else 0


def _shown(value: Value) -> str:
    if isinstance(value, tuple):
        return "(…)"
    return f'"{value}"' if isinstance(value, str) else str(value)
