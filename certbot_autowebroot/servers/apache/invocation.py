"""The command line of httpd, httpd(8), and the paths in its binary: where its configuration begins."""
import os
import re
from typing import Dict
from typing import List
from typing import Tuple

from certbot_autowebroot.route import PathInView
from certbot_autowebroot.system.processes import Process

#: The binary contains these lines as ``httpd -V`` prints them.
_COMPILED = re.compile(rb'-D (HTTPD_ROOT|SERVER_CONFIG_FILE)="([^"\0]{1,1000})"')


def main_file(process: Process) -> Tuple[str, str]:
    """The first ServerRoot of a running httpd, and its main configuration file; empty where they are not known."""
    values = options(process.argv)
    root, file = _compiled(process)
    for value in values["d"]:
        root = os.path.normpath(os.path.join(process.cwd, value))
    return root, (values["f"] or [file])[-1]


def options(argv: Tuple[str, ...]) -> Dict[str, List[str]]:
    """The values of each option, as getopt(3) reads them: ``-D NAME`` and ``-DNAME``."""
    values: Dict[str, List[str]] = {letter: [] for letter in "DCcdfEek"}
    words = iter(argv[1:])
    for word in words:
        if word[:1] == "-" and word[1:2] in values:
            values[word[1]].append(word[2:] or next(words, ""))
    return values


def _compiled(process: Process) -> Tuple[str, str]:
    """The ServerRoot and the configuration file that the binary was built with."""
    try:
        content = process.view.read(PathInView(process.exe))
    except (OSError, ValueError):
        return "", ""
    paths = {match.group(1): os.fsdecode(match.group(2)) for match in _COMPILED.finditer(content)}
    return paths.get(b"HTTPD_ROOT", ""), paths.get(b"SERVER_CONFIG_FILE", "")
