"""Directories that are tried before any configuration is read: given by the user, or proven last time."""
import json
import os
from typing import Dict
from typing import List
from typing import NamedTuple

from certbot_autowebroot import settings
from certbot_autowebroot.order.inquiry import Place
from certbot_autowebroot.order.inquiry import place_of
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Step


class Hint(NamedTuple):
    """A directory that may serve an identifier.

    :ivar root: the document root.
    :ivar directory: the directory of the challenges below it.
    :ivar source: where the hint comes from, for a person.
    :ivar is_likely: the user gives it for this very identifier, or it was proven: it is tried before anything is read.
    """

    root: str
    source: str
    directory: str = CHALLENGE_PATH.strip("/")
    is_likely: bool = True

    def place(self) -> Place:
        """The directory as a place."""
        token = "TOKEN"  # noqa: S105 - the word, not a secret
        directory = Directory(PathInView(self.root), f"{self.directory}/{token}".lstrip("/"), (Step(self.source),))
        place = place_of(directory, None, token)
        assert place is not None  # noqa: S101 - for the type checker: a directory is a place
        return place._replace(is_default=not self.is_likely)


def given(paths: str, source: str) -> List[Hint]:
    """The directories of ``--autowebroot-path``; its default, the shared directory, only where that exists.

    :param source: the option that gives them, for a person.
    """
    shared = settings.SHARED_DIRECTORY
    return [Hint(root, "the shared directory", is_likely=False) if root == shared else Hint(root, source)
            for root in settings.absolute_paths(paths).split(":") if root and (root != shared or os.path.isdir(root))]


def confirmed_addresses(addresses: str) -> Dict[str, List[str]]:
    """The addresses of each identifier when the CA last validated it.

    :param addresses: ``autowebroot_addresses`` of a renewal configuration, JSON; what cannot be read counts as nothing.
    """
    try:
        return {name: [str(address) for address in of_name] for name, of_name in json.loads(addresses or "{}").items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def remembered(roots: str) -> Dict[str, List[Hint]]:
    """The directories that were proven last time, by identifier.

    :param roots: ``autowebroot_roots`` of a renewal configuration, JSON; a person may have edited it.
    :raises ValueError: it cannot be read.
    """
    try:
        return {name: [Hint(str(root), "proven last time", str(directory)) for root, directory in places]
                for name, places in json.loads(roots or "{}").items()}
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error
