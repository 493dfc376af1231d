"""Where a running nginx looked for a file in vain: its error log says so, with the full path.

``open() "/srv/old/.well-known/acme-challenge/..." failed (2: No such file or directory)`` is written at level "error",
nginx's default (``log_not_found``), and comes from the configuration that runs, whatever the file on disk says now.
"""
import functools
import os
import re
from typing import Iterator
from typing import List

from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.system.identity import act_as
from certbot_autowebroot.system.identity import is_ordinary
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.views import open_regular

#: How much of the end of a log is looked at: the line that we look for was written a moment ago.
_END = 256 * 1024
_MAX_LOGS = 64

_FAILED = re.compile(rb'open\(\) "(/[^"\n]*)" failed')


def missed(master: Process, request: Request) -> List[Directory]:
    """The directories in which this nginx has looked for the file of a request.

    :raises OSError: its descriptors are not ours to see.
    """
    found = []
    for end in _ends_of_logs(master):
        for match in _FAILED.finditer(end):
            path = os.fsdecode(match[1])
            if request.token not in os.path.basename(path):
                continue
            below = request.path.lstrip("/")
            name = below if path.endswith("/" + below) else os.path.basename(path)
            step = Step(f'open() "{path}" failed, says the error log of the running nginx')
            found.append(Directory(PathInView(path[:-len(name) - 1] or "/"), name, (step,)))
    return list(dict.fromkeys(found))


def _ends_of_logs(master: Process) -> Iterator[bytes]:
    """The ends of the files that the master holds open, which are its logs.

    Only those that nobody else may write to: a user who writes his own log could name any directory there. And a user
    may hold what he cannot open (``O_PATH``): so his are opened with his rights.
    """
    rights = (master.view.uid, master.view.gids) if is_ordinary(master.uid) else (0, ())
    directory = f"/proc/{master.pid}/fd"
    seen = set()
    for descriptor in sorted(os.listdir(directory), key=int)[:_MAX_LOGS]:
        path = f"{directory}/{descriptor}"
        try:
            fd = act_as(*rights, open_regular, functools.partial(os.open, path), path)
        except OSError:  # a socket, or another thing that is no log
            continue
        try:
            status = os.fstat(fd)
            key = (status.st_dev, status.st_ino)
            if status.st_uid in (0, master.uid) and key not in seen:
                seen.add(key)
                yield os.pread(fd, _END, max(0, status.st_size - _END))
        finally:
            os.close(fd)
