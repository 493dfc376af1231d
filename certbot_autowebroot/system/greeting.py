"""The first bytes of a server that does not speak HTTP: SSH, SMTP, a database, a game."""
import contextlib
import time
from urllib.parse import quote

from certbot_autowebroot.route import Request
from certbot_autowebroot.system import tls
from certbot_autowebroot.system.terminal import printable

#: Seconds for a connection and the first bytes.
_TIMEOUT = 2.0
#: Characters of the answer in a message.
_MAX_ANSWER = 60
_STATUS_LINE = b"HTTP/"


def without_http(request: Request) -> str:
    """The beginning of the answer to a request where that is not HTTP, safe to print.

    :returns: empty if the answer is HTTP (RFC 9112 section 4), if there is none, or if the endpoint is in a container.
    """
    if request.endpoint.namespace:
        return ""
    lines = [f"GET {quote(request.path)} HTTP/1.0", f"Host: {request.host_header}", "", ""]
    deadline = time.monotonic() + _TIMEOUT
    answer = b""
    with contextlib.suppress(OSError), tls.connect(request.endpoint, deadline) as stream:
        stream.sendall("\r\n".join(lines).encode())
        while len(answer) < len(_STATUS_LINE):
            stream.settimeout(max(0.01, deadline - time.monotonic()))
            chunk = stream.recv(_MAX_ANSWER)
            if not chunk:
                break
            answer += chunk
    return "" if answer.startswith(_STATUS_LINE) else first_line(answer.decode("latin-1"))


def first_line(text: str) -> str:
    """The first line of an answer, short and safe to print."""
    return printable(text.strip().partition("\n")[0].strip()[:_MAX_ANSWER])
