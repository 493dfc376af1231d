"""The redirects that a CA follows. *Pure*.

The rules are Let's Encrypt's: "Challenge Types", HTTP-01, and boulder's va/http.go. An evaluated redirect and one that
a server sends have to pass the same rules, so that both give the same reason.
"""
import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote
from urllib.parse import unquote
from urllib.parse import urljoin
from urllib.parse import urlsplit

from certbot_autowebroot.route import CA_PORTS
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Request

#: Statuses of redirects, and those that the CA follows: 303 is not among them.
STATUSES = (301, 302, 303, 307, 308)
FOLLOWED_STATUSES = (301, 302, 307, 308)
#: Redirects that the CA follows.
MAX_REDIRECTS = 10
#: Characters in the path of a target.
MAX_PATH = 2000

#: The shape of a name with a public suffix: ``www.sample.com.well-known`` has none.
_PUBLIC_NAME = re.compile(r"[^.].*\.(?:[a-z]{2,63}|xn--[a-z0-9-]+)")
#: Addresses that no CA connects to: RFC 1918, 3927, 4193, 4291 and 6598. The networks for documentation, which the
#: module ipaddress calls private too, are public addresses in the tests.
_PRIVATE = [ipaddress.ip_network(network) for network in (
    "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")]
_WELL_KNOWN = ".well-known"


class Target(NamedTuple):
    """The target of a redirect.

    :ivar port: the CA's port, 80 or 443.
    :ivar path: percent-decoded.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str


def target_of(location: str, status: int, request: Request) -> Target:
    """The target of a redirect that the CA follows.

    :param location: the Location header.
    :param request: the CA's request that got this redirect.
    :raises ValueError: the CA does not follow it; the text gives the reason.
    """
    location = urljoin(request.url, location)
    if status not in FOLLOWED_STATUSES:
        raise ValueError(f"the CA does not follow a redirect with status {status}: 301, 302, 307 and 308 only")
    try:
        url = urlsplit(location)
        port = url.port or CA_PORTS.get(url.scheme, 0)
    except ValueError as error:
        raise ValueError(f"the redirect to {location} is not a URL: {error}") from None
    host = url.hostname
    if url.scheme not in CA_PORTS or port not in CA_PORTS.values() or not host:
        raise ValueError(f"the CA does not follow a redirect to {location}: http and https on ports 80 and 443 only")
    if host != request.host:  # the CA has accepted the name itself: a CA of one's own may accept any
        _check_host(host, location, request)
    if len(url.path) > MAX_PATH:
        raise ValueError(f"the CA does not follow a redirect to a path of more than {MAX_PATH} characters")
    return Target(url.scheme, host, port, unquote(url.path) or "/", url.query)


def redirected(request: Request, target: Target, endpoint: Endpoint) -> Request:
    """The CA's next request, at this endpoint, with a Referer but from https to http (RFC 9110 section 10.1.3)."""
    before = f"{request.scheme}://{request.host_header}{request_target(request)}"
    is_secret = request.scheme == "https" and target.scheme == "http"
    return request._replace(host=target.host, path=target.path, query=target.query, scheme=target.scheme,
                            endpoint=endpoint, referer="" if is_secret else before)


def request_target(request: Request) -> str:
    """The path and the query as they are sent (RFC 9112 section 3.2.1)."""
    path = quote(request.path, safe="/%:@!$&'()*+,;=~", errors="surrogateescape")
    return path + (f"?{request.query}" if request.query else "")


def _check_host(host: str, location: str, request: Request) -> None:
    if is_loopback(host):
        # The author of a site's .htaccess must not get certbot, as root, to query services of the loopback.
        raise ValueError(f"the CA does not follow a redirect to {location}: that is the CA's own machine")
    if not is_public(host):
        raise ValueError(f"the CA does not follow a redirect to {location}: that is a private address")
    if is_address(host) or has_public_suffix(host):
        return
    # Redirect permanent / https://NAME: httpd appends the rest of the path, .well-known/...
    start = host[:-len(_WELL_KNOWN)] if host.endswith(_WELL_KNOWN) else request.host if \
        host.startswith(request.host) else ""
    if start:
        raise ValueError(f"the CA does not follow a redirect to {location}: a slash is missing after {start} in the "
                         "target of the redirect")
    raise ValueError(f"the CA does not follow a redirect to {location}: {host} is no public name")


def has_public_suffix(host: str) -> bool:
    """Whether a host is a name with the shape of a public suffix."""
    return bool(_PUBLIC_NAME.fullmatch(host))


def is_address(host: str) -> bool:
    """Whether a host is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host is the client's own machine: RFC 6761 section 6.3, and the addresses of RFC 6890."""
    if not is_address(host):
        return host == "localhost" or host.endswith(".localhost")
    address = ipaddress.ip_address(host)
    address = getattr(address, "ipv4_mapped", None) or address  # is_loopback of Python before 3.13 ignores it
    return address.is_loopback or address.is_unspecified  # connect(2) to 0.0.0.0 connects to the loopback


def is_public(host: str) -> bool:
    """Whether a CA may connect to a host: it is a name, or no address of its own machine or of a private network."""
    if is_loopback(host):
        return False
    if not is_address(host):
        return True
    address = ipaddress.ip_address(host)
    address = getattr(address, "ipv4_mapped", None) or address
    return not any(address in network for network in _PRIVATE if network.version == address.version)
