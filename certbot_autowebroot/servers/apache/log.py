"""Why a running httpd refused a request, from its error logs.

In the default ErrorLogFormat (core, "ErrorLogFormat"): time, module and level, process, perhaps the system's error, the
client, and the sentence with its number, such as ``AH00035``; ModSecurity's has ``[id "..."]`` in place of a number.
"""
import os
import re
import time
from typing import List
from typing import Sequence

from certbot_autowebroot.route import Request
from certbot_autowebroot.servers.common import error_log
from certbot_autowebroot.system.processes import Process

#: Seconds for which a line counts that does not name the request.
_RECENT = 30.0

_LINE = re.compile(r"^\[(\w{3} \w{3} \d\d \d\d:\d\d:\d\d)(?:\.\d+)? (\d{4})\] \[[\w-]*:(?:error|crit|alert|emerg)\] "
                   r"\[pid [^\]]*\] (\(\d+\)[^:\n]*: )?(?:\[client [^\]]*\] )+([^\n]*)", re.M)
#: These name a link or a directory above the file alone: "Symbolic link not allowed or link target not accessible", and
#: "unable to check htaccess file", where the user of the workers may not enter the directory.
_ABOVE = re.compile(r"AH00037: [^/]*: (/.*)|AH00529: (/.*)/\.htaccess pcfg_openfile: ")


def errors(parent: Process, request: Request, files: Sequence[str]) -> List[str]:
    """What this httpd has logged of a request, the latest last.

    :param files: the files that the request may lead to: a line of a path above one of them belongs to the request.
    :raises OSError: its descriptors are not visible to us.
    """
    texts = []
    for end in error_log.ends_of_logs(parent):
        for match in _LINE.finditer(os.fsdecode(end)):
            moment, year, system_error, text = match.groups()
            above = _ABOVE.match(text)
            path = above and (above[1] or above[2])
            if request.token in text or (path and _is_recent(f"{moment} {year}")
                                         and any(file.startswith(path.rstrip("/") + "/") for file in files)):
                texts.append((system_error or "") + text)
    return texts


def _is_recent(moment: str) -> bool:
    """Whether a time of the log, local time in English, has just been."""
    try:
        return abs(time.time() - time.mktime(time.strptime(moment, "%a %b %d %H:%M:%S %Y"))) < _RECENT
    except (ValueError, OverflowError):  # names of days in another language
        return False
