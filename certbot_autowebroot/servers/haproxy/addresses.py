"""The addresses of ``bind`` and ``server`` lines. HAProxy Configuration Manual, chapters 5 and 11."""
import ipaddress
import posixpath
import re
from typing import List
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.servers.haproxy.config import Config
from certbot_autowebroot.servers.haproxy.config import Section

#: Frontends that share a port: the kernel distributes the connections among them.
_MAX_FRONTENDS = 16


def frontends(config: Config, endpoint: Endpoint) -> List[Tuple[Section, bool]]:
    """The sections that accept connections at an endpoint, and whether in TLS.

    The kernel prefers a socket of the exact address.
    """
    exact: List[Tuple[Section, bool]] = []
    wide: List[Tuple[Section, bool]] = []
    for section in config.proxies:
        if section.kind == "backend":
            continue
        for line in (*section.inherited, *section.lines):
            if line.words[0] != "bind" or len(line.words) < 2:
                continue
            for address in line.words[1].split(","):
                kind = _accepts(address, line.words[2:], endpoint)
                sections, secure = exact if kind == "exact" else wide, "ssl" in line.words[2:]
                if kind and not any(last is section and tls == secure for last, tls in sections[-1:]):
                    sections.append((section, secure))
    return (exact or wide)[:_MAX_FRONTENDS]


def _accepts(text: str, options: Sequence[str], endpoint: Endpoint) -> str:
    """Whether a bind address is the endpoint's (``exact``), all addresses with its port (``wide``), or neither."""
    family, _, text = text.rpartition("@")
    if endpoint.is_unix:
        return "exact" if text == endpoint.host[len("unix:"):] else ""
    host, _, port = text.rpartition(":")
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", port)
    if match is None or not int(match[1]) <= endpoint.port <= int(match[2] or match[1]):
        return ""
    host = host.strip("[]")
    version = ipaddress.ip_address(endpoint.host).version
    if host in ("", "*", "0.0.0.0", "::"):  # noqa: S104
        six = family in ("ipv6", "udp6") or host == "::"
        return "wide" if (6 if six else 4) == version or (six and "v4v6" in options) else ""
    try:
        return "exact" if ipaddress.ip_address(host) == ipaddress.ip_address(endpoint.host) else ""
    except ValueError:
        # A name: only HAProxy knows the address that it had at the start.
        return "wide"


def server_endpoint(text: str, own: Endpoint) -> Endpoint:
    """The address of a server line, chapter 5.2. Its default port is that of the client's connection."""
    family, _, text = text.rpartition("@")
    if family in ("unix", "abns") or text.startswith("/"):
        return Endpoint(f"unix:{posixpath.normpath(text) if text.startswith('/') else text}", 0)
    host, port = text, ""
    match = re.fullmatch(r"\[([^\]]*)\](?::([+-]?[0-9]{1,5}))?|(.*):([+-]?[0-9]{1,5})", text)
    if match:
        host, port = (match[1], match[2] or "") if match[1] is not None else (match[3], match[4])
    if host in ("", "*", "0.0.0.0", "::"):  # noqa: S104
        host = own.host
    number = own.port if port in ("", "0") else own.port + int(port) if port[0] in "+-" else int(port)
    return Endpoint(host, number)
