"""Where the files of a running server's configuration are read."""
import os
from typing import Iterator

from certbot_autowebroot.system.identity import is_ordinary
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.processes import process as process_of
from certbot_autowebroot.system.views import View


def views(process: Process) -> Iterator[View]:
    """The view in which a server read its configuration: its own, or its parent's where it has gone into a chroot.

    HAProxy reads its files first and goes into the chroot then, where there are none. An ordinary user's process may
    have root's for its parent, or init: it is only the place that is the parent's then, the rights stay the user's.

    :raises OSError: the process has ended, or is not ours to see.
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
    """The first view in which a path leads somewhere; the process's own where it does in none.

    :raises OSError: as :func:`views`.
    """
    return next((view for view in views(process) if view.stat(path) is not None), process.view)
