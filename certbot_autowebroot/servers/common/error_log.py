"""The ends of the logs that a running server has open: it wrote the line of our own request a moment ago."""
import functools
import os
from typing import Iterator

from certbot_autowebroot.system.identity import act_as
from certbot_autowebroot.system.identity import is_ordinary
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.views import open_regular

#: Bytes read from the end of a log.
_END = 256 * 1024
_MAX_LOGS = 64


def ends_of_logs(master: Process) -> Iterator[bytes]:
    """The ends of the files that the master has open: its logs.

    A log of an ordinary user counts only where nginx runs as the same user, who could otherwise write any line into it.
    Debian's logs belong to www-data. A user's process may have a file open that the user may not read (``O_PATH``): so
    we open its files with the user's rights.
    """
    rights = (master.view.uid, master.view.gids) if is_ordinary(master.uid) else (0, ())
    directory = f"/proc/{master.pid}/fd"
    seen = set()
    for descriptor in sorted(os.listdir(directory), key=int)[:_MAX_LOGS]:
        path = f"{directory}/{descriptor}"
        try:
            fd = act_as(*rights, open_regular, functools.partial(os.open, path), path)
        except OSError:  # a socket, or another file that is no log
            continue
        try:
            status = os.fstat(fd)
            key = (status.st_dev, status.st_ino)
            if (status.st_uid == master.uid or not is_ordinary(status.st_uid)) and key not in seen:
                seen.add(key)
                yield os.pread(fd, _END, max(0, status.st_size - _END))
        finally:
            os.close(fd)
