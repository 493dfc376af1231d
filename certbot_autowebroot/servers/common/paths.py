"""From the path of a URL to a file, as every server does it in the end."""
import posixpath

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Trail


def below(path: str) -> str:
    """The path of a request as a name below a document root; ``..`` does not lead out of it."""
    return posixpath.normpath("/" + path).lstrip("/")


def file_at(root: str, path: str, request: Request, trail: Trail) -> Destination:
    """The file that a server opens: ``root`` + ``path``, without a slash between where there is none.

    :param root: an absolute directory; an alias without a slash at its end runs into the path.
    :returns: a dead end when no file name holds the token: then every token gets the same answer.
    """
    if not (root.endswith("/") or path.startswith("/")):
        root, _, last = root.rpartition("/")
        path = last + path
    name = below(path)
    root = posixpath.normpath("/" + root.lstrip("/"))
    if request.token not in posixpath.basename(name):
        return DeadEnd(f"every token gets the same file: {posixpath.join(root, name)}", trail)
    return Directory(PathInView(root), name, trail)
