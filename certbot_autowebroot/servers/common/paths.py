"""The file of a URL's path, by the rule that all servers share."""
import posixpath

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Trail


def below(path: str) -> str:
    """The path of a request, relative to a document root; ``..`` does not leave the root."""
    return posixpath.normpath("/" + path).lstrip("/")


def file_at(root: str, path: str, request: Request, trail: Trail) -> Destination:
    """The file that a server opens: ``root`` + ``path``, without an additional slash.

    :param root: an absolute directory; an alias without a slash at its end continues in the path.
    :returns: a dead end where the file name does not contain the token: every token gets the same answer.
    """
    if not (root.endswith("/") or path.startswith("/")):
        root, _, last = root.rpartition("/")
        path = last + path
    name = below(path)
    root = posixpath.normpath("/" + root.lstrip("/"))
    if request.token not in posixpath.basename(name):
        return DeadEnd(f"every token gets the same file: {posixpath.join(root, name)}", trail)
    return Directory(PathInView(root), name, trail)
