"""Values on the command line: what is accepted, and what argparse prints for the rest."""
import argparse
import ipaddress
from typing import Tuple

from certbot_autowebroot import settings

_MAX_SECONDS = 3600.0


def port(text: str) -> int:
    """A TCP port.

    :raises argparse.ArgumentTypeError: it is none; argparse prints the text.
    """
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a port is a number from 1 to 65535")
    return int(text)


def address(text: str) -> str:
    """An IP address, in its usual spelling.

    :raises argparse.ArgumentTypeError: it is none.
    """
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address") from None


def seconds(text: str) -> float:
    """A time of at most an hour.

    :raises argparse.ArgumentTypeError: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= _MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to {_MAX_SECONDS:.0f}")
    return number


def addresses(text: str) -> Tuple[str, ...]:
    """IP addresses with commas between them."""
    return tuple(map(address, settings.nodes(text)))
