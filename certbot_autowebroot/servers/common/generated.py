"""Configuration files that a program writes, such as a hosting panel: it overwrites edits. *Pure*."""
import re
from typing import NamedTuple
from typing import Optional

#: What ISPConfig, Plesk, HestiaCP, cPanel, aaPanel and others write into the first lines of their files.
_NOTICE = re.compile(r"(?im)^\s*#+\s*(.*\b(?:do not (?:modify|edit|change|touch)|don't (?:modify|edit|change)|"
                     r"(?:automatically|auto-?) ?generated|generated (?:automatically|by)|managed by|"
                     r"(?:will|would) be (?:lost|overwritten)|is maintained by)\b.*?)[\s#]*$")
_INCLUDE = re.compile(r"(?i)^\s*include(?:optional)?\s+[\"']?([^\"'\s;]*\*[^\"'\s;]*)")
_NEXT_SITE = re.compile(r"(?i)^\s*(?:server\s*\{|<VirtualHost\b)")
#: Lines at the beginning of a file that may have the notice, and lines of a site.
_HEAD = 40
_SITE = 300


class Include(NamedTuple):
    """A line by which a site includes every file that matches a pattern: the place for lines of the site's owner."""

    line: int
    pattern: str


def notice(text: str) -> str:
    """The words by which a file says that a program writes it; empty where it does not."""
    match = _NOTICE.search("\n".join(text.splitlines()[:_HEAD]))
    return match[1].strip() if match else ""


def include_of_site(text: str, line: int) -> Optional[Include]:
    """The first include with a pattern in the site that begins on a line."""
    for number, content in enumerate(text.splitlines()[line:line + _SITE], line + 1):
        if _NEXT_SITE.match(content):
            return None
        match = _INCLUDE.match(content)
        if match:
            return Include(number, match[1])
    return None
