"""Hints: directories that are worth a test file before anything is looked at, and how they are kept."""
import json
import os
from typing import Dict
from typing import List
from typing import NamedTuple

from certbot_autowebroot import settings
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Step
from certbot_autowebroot.settings import absolute_paths


class Hint(NamedTuple):
    """A directory that is worth a test file before anything is looked at.

    :ivar root: the document root.
    :ivar directory: where challenges lie below it.
    :ivar source: how we know of it; words for a person.
    :ivar is_likely: somebody has named it for this name, or it was proven: it is tried before anything is read.
    """

    root: str
    source: str
    directory: str = CHALLENGE_PATH.strip("/")
    is_likely: bool = True

    def place(self, token: str) -> Place:
        """The place of a token."""
        return Place(Directory(PathInView(self.root), f"{self.directory}/{token}".lstrip("/"), (Step(self.source),)))


def given(path: str, source: str) -> List[Hint]:
    """The directories of ``--autowebroot-path``; the shared one, which is its default, only where it exists.

    :param source: who gave them; words for a person.
    """
    roots = [root for root in absolute_paths(path).split(":") if root]
    shared = settings.SHARED_DIRECTORY
    return [Hint(root, "the shared directory", is_likely=False) if root == shared else Hint(root, source)
            for root in roots if root != shared or os.path.isdir(root)]


def remembered(roots: str) -> Dict[str, List[Hint]]:
    """The directories that were proven last time, by name.

    :param roots: ``autowebroot_roots`` of a renewal configuration, JSON; a person may have edited it.
    :raises ValueError: it cannot be read.
    """
    try:
        return {name: [Hint(str(root), "proven last time", str(directory)) for root, directory in places]
                for name, places in json.loads(roots or "{}").items()}
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error
