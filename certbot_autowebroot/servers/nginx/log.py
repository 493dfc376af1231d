"""The full path of a file that a running nginx did not find, from its error log.

nginx logs ``open() "/srv/old/.well-known/acme-challenge/..." failed (2: No such file or directory)`` at level "error",
its default (``log_not_found``). The line comes from the running configuration, whatever the file on disk says now.

Every client can make nginx log such a line, with a line feed in the path or text in the Referer, if it sees the name of
a test file in time: the owner of a document root sees it, and a program behind a proxy. So a line counts only where its
path ends as the CA's request does.
"""
import os
import re
from typing import List

from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.servers.common import error_log
from certbot_autowebroot.system.processes import Process

#: Date, level, process and connection come before nginx's own text, and before no other.
_FAILED = re.compile(rb'^[0-9/]{10} [0-9:]{8} \[\w+\] [0-9]+#[0-9]+: \*[0-9]+ open\(\) "(/[^"\n]*)" failed \(', re.M)
_ERROR = re.compile(rb'^[0-9/]{10} [0-9:]{8} \[(?:error|crit|alert|emerg)\] [0-9]+#[0-9]+: \*[0-9]+ ([^\n]*)', re.M)


def missed(master: Process, request: Request) -> List[Directory]:
    """The directories in which this nginx looked for the file of a request.

    :raises OSError: its descriptors are not visible to us.
    """
    directories = []
    for end in error_log.ends_of_logs(master):
        for match in _FAILED.finditer(end):
            root, separator, token = os.fsdecode(match[1]).rpartition(CHALLENGE_PATH)
            if separator and token == request.token:
                step = Step(f'open() "{root}{separator}{token}" failed, says the error log of the running nginx')
                directories.append(Directory(PathInView(root or "/"), separator.lstrip("/") + token, (step,)))
    return list(dict.fromkeys(directories))


def errors(master: Process, request: Request) -> List[str]:
    """What this nginx has logged of a request, the latest last; the client and the request are left out.

    :raises OSError: its descriptors are not visible to us.
    """
    token = os.fsencode(request.token)
    texts = [match[1] for end in error_log.ends_of_logs(master) for match in _ERROR.finditer(end) if token in match[1]]
    return [os.fsdecode(text.partition(b", client: ")[0]) for text in texts]
