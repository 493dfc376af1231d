"""The full path of a file that a running nginx did not find, from its error log.

nginx logs ``open() "/srv/old/.well-known/acme-challenge/..." failed (2: No such file or directory)`` at level "error",
its default (``log_not_found``). The line comes from the running configuration, whatever the file on disk says now.

Every client can make nginx log such a line, with a line feed in the path or text in the Referer, if it sees the name of
a test file in time: the owner of a document root sees it, and a program behind a proxy. So a line counts only where its
path ends as the CA's request does.
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

#: Bytes read from the end of a log: nginx wrote the line a moment ago.
_END = 256 * 1024
_MAX_LOGS = 64

#: Date, level, process and connection come before nginx's own text, and before no other.
_FAILED = re.compile(rb'^[0-9/]{10} [0-9:]{8} \[\w+\] [0-9]+#[0-9]+: \*[0-9]+ open\(\) "(/[^"\n]*)" failed \(', re.M)


def missed(master: Process, request: Request) -> List[Directory]:
    """The directories in which this nginx looked for the file of a request.

    :raises OSError: its descriptors are not visible to us.
    """
    directories = []
    for end in _ends_of_logs(master):
        for match in _FAILED.finditer(end):
            root, separator, token = os.fsdecode(match[1]).rpartition(CHALLENGE_PATH)
            if separator and token == request.token:
                step = Step(f'open() "{root}{separator}{token}" failed, says the error log of the running nginx')
                directories.append(Directory(PathInView(root or "/"), separator.lstrip("/") + token, (step,)))
    return list(dict.fromkeys(directories))


def _ends_of_logs(master: Process) -> Iterator[bytes]:
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
