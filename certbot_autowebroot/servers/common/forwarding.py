"""What the forwarding lines of all servers share: machines ask each other for challenge files. *Pure*."""
import ipaddress
import re

#: A machine sends this with each request to a peer. A request with it is answered from the machine's own directory, so
#: that no request goes round in circles.
PEER_HEADER = "X-Autowebroot-Peer"

#: Seconds to wait for the connection to a machine: the CA gives up after 10 (boulder, va/http.go).
CONNECT_SECONDS = 1

#: The first lines of each comment, for the machines that send every challenge to one other.
ON_THE_OTHERS = """
        For the machines that do not renew: challenges go to {host}, which renews. There, every site answers
        from the shared directory: the lines of "certbot-autowebroot snippet SERVER".
"""

_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.(?!-)[a-z0-9-]{1,63})*", re.ASCII)
#: Suffixes of names that no public DNS has: RFC 6761, 6762 and 8375, and ICANN's .internal.
_PRIVATE_SUFFIXES = (".local", ".internal", ".localhost", ".test", ".invalid", ".example", ".home.arpa", ".lan",
                     ".home", ".corp")


def checked_host(text: str) -> str:
    """A name or an address that every server's configuration takes without quotes; IPv6 without brackets.

    :raises ValueError: it is neither; the text says what is allowed.
    """
    host = text.lower().rstrip(".")
    try:
        # Of an IPv6 address with a scope, the module ipaddress takes any text after the %.
        return str(ipaddress.ip_address(host.strip("[]").replace("%", "/")))
    except ValueError:
        if not _NAME.fullmatch(host) or host.rpartition(".")[2].isdigit():
            raise ValueError(f"{text!r} is neither a name nor an address") from None
        return host


def has_private_suffix(name: str) -> bool:
    """Whether a name is only known in a private network."""
    return name.endswith(_PRIVATE_SUFFIXES)
