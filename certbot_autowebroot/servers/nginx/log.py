"""Where a running nginx looked for a file in vain: its error log says so, with the full path.

``open() "/srv/old/.well-known/acme-challenge/..." failed (2: No such file or directory)`` is written at level "error",
nginx's default (``log_not_found``), and comes from the configuration that runs, whatever the file on disk says now.

Whoever asks nginx for something can have such a line written, with a line feed in his path or words in his Referer, if
he sees the name of a test file in time: the owner of a document root does, and a program behind a proxy. So a log
leads to no place but one where nothing is made that is not called as the CA asks for it.
"""
import functools
import os
import re
from typing import Iterator
from typing import List

from certbot_autowebroot.route import CHALLENGE_PATH
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

#: Date, level, process and connection stand before what nginx itself says, and nothing else does.
_FAILED = re.compile(rb'^[0-9/]{10} [0-9:]{8} \[\w+\] [0-9]+#[0-9]+: \*[0-9]+ open\(\) "(/[^"\n]*)" failed \(', re.M)


def missed(master: Process, request: Request) -> List[Directory]:
    """The directories in which this nginx has looked for the file of a request.

    :raises OSError: its descriptors are not ours to see.
    """
    found = []
    for end in _ends_of_logs(master):
        for match in _FAILED.finditer(end):
            root, usual, token = os.fsdecode(match[1]).rpartition(CHALLENGE_PATH)
            if usual and token == request.token:
                step = Step(f'open() "{root}{usual}{token}" failed, says the error log of the running nginx')
                found.append(Directory(PathInView(root or "/"), usual.lstrip("/") + token, (step,)))
    return list(dict.fromkeys(found))


def _ends_of_logs(master: Process) -> Iterator[bytes]:
    """The ends of the files that the master holds open, which are its logs.

    Not those of an ordinary user, except where nginx is his too: he would write there what he likes. Debian's are those
    of www-data. And a user may hold what he cannot open (``O_PATH``): so his are opened with his rights.
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
            if (status.st_uid == master.uid or not is_ordinary(status.st_uid)) and key not in seen:
                seen.add(key)
                yield os.pread(fd, _END, max(0, status.st_size - _END))
        finally:
            os.close(fd)
