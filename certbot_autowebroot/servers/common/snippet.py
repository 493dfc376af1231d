"""What the snippets of all servers share: lines of configuration that serve one directory for challenges. *Pure*.

Each snippet has been tried in the real server beside sites that redirect, refuse or pass on everything else.
"""
import re
import textwrap
from typing import Optional
from typing import Sequence

from certbot_autowebroot.route import Step

#: Where the plugin listens for HAProxy, which serves no files. Below 1024, for a program that can listen there gets
#: certificates for all names; and among the ports that SELinux takes for web servers' (``http_port_t``).
LISTENER = "127.0.0.1:488"

_PATH = re.compile(r"(/[\w.+@-]+)+", re.ASCII)


def checked(directory: str) -> str:
    """A directory that every server's configuration takes without quotes; a slash at its end is dropped.

    :raises ValueError: it needs quotes; the text says what is allowed.
    """
    directory = directory.rstrip("/")
    if not _PATH.fullmatch(directory) or re.search(r"/\.\.?(/|$)", directory):
        raise ValueError("the directory has to be an absolute path of letters, digits and . _ - + @")
    return directory


def mkdir_command(directory: str) -> str:
    """The command that makes the directory, so that every server's workers may enter it."""
    return f"install -d -m 755 {directory}"


def commented(comment: str, lines: Sequence[str]) -> str:
    """A comment, in the syntax that these servers have in common, above lines."""
    comments = [f"# {line}".rstrip() for line in textwrap.dedent(comment).strip().splitlines()]
    return "\n".join([*comments, *lines]) + "\n"


def first_step(trail: Sequence[Step], *beginnings: str) -> Optional[Step]:
    """The first step of a trail that begins with one of these and stands in a file; None for none."""
    return next((step for step in trail if step.source and step.text.startswith(beginnings)), None)
