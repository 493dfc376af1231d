"""How HAProxy compares a sample with a pattern. HAProxy Configuration Manual, chapter 7.1."""
import ipaddress
import re
from typing import Sequence

from certbot_autowebroot.servers.common import regex


class UnknowableError(Exception):
    """Only the running server knows the value of a sample; the text is its name."""


def matches(method: str, text: str, pattern: str, ignore_case: bool) -> bool:
    """Chapter 7.1.3.

    :raises UnknowableError: the method is not implemented here.
    """
    if method == "reg":
        return regex.search(pattern, text, ignore_case) is not None
    if ignore_case:
        text, pattern = text.lower(), pattern.lower()
    if method in ("dir", "dom"):
        return _delimited(text, pattern, "/?" if method == "dir" else "/?.:")
    if method == "str":
        return text == pattern
    tests = {"beg": text.startswith, "end": text.endswith, "sub": text.__contains__}
    if method not in tests:
        raise UnknowableError(f"-m {method}")
    return tests[method](pattern)


def _delimited(text: str, pattern: str, delimiters: str) -> bool:
    """Whether the pattern is one or several whole components of the text, between delimiters."""
    border = f"[{re.escape(delimiters)}]"
    pattern = pattern.strip(delimiters)
    return re.search(f"(^|{border}){re.escape(pattern)}({border}|$)", text) is not None


def compares(number: int, patterns: Sequence[str]) -> bool:
    """Whether a number is one of the patterns, or in one of the ranges. Chapter 7.1.2.

    :raises UnknowableError: a pattern is no number.
    """
    operator = "eq"
    for pattern in patterns:
        if pattern in ("eq", "ge", "gt", "le", "lt"):
            operator = pattern
            continue
        low, _, high = pattern.partition(":")
        if not re.fullmatch("[0-9]{1,18}", low or "0") or not re.fullmatch("[0-9]{0,18}", high):
            raise UnknowableError(pattern)
        first, last = int(low or 0), int(high or low or 0)
        if {"eq": first <= number <= last, "ge": number >= first, "gt": number > first, "le": number <= first,
                "lt": number < first}[operator]:
            return True
    return False


def is_in(address: str, network: str) -> bool:
    """Whether an address is in a network. Chapter 7.1.6."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
