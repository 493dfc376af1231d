"""The view in which to read the configuration files of a running server."""
import os
from typing import Iterator

from certbot_autowebroot.system.identity import is_ordinary
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.processes import process as process_of
from certbot_autowebroot.system.views import View


def views(process: Process) -> Iterator[View]:
    """The views in which a server may have read its configuration: its own, and its parent's in case of a chroot.

    HAProxy reads its files before it changes its root to a directory without them. The parent of a user's process may
    be a process of root's, or init: the view is then the parent's root directory with the user's rights.

    :raises OSError: the process has ended, or is not visible to us.
    """
    yield process.view
    parent = process_of(process.parent)
    if parent is None:
        return
    try:
        same = os.stat(f"/proc/{process.pid}/ns/mnt").st_ino == os.stat(f"/proc/{parent.pid}/ns/mnt").st_ino
        if same:
            yield parent.view.with_rights_of(process.view) if is_ordinary(process.view.uid) else parent.view
    except OSError:
        return


def readable(process: Process, path: str) -> View:
    """The first view in which a path exists; else the process's own.

    :raises OSError: as :func:`views`.
    """
    return next((view for view in views(process) if view.stat(path) is not None), process.view)
