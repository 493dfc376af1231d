"""The files and directories that a configuration consists of: while they are unchanged, the cached one is valid.

httpd does not print them, so we follow its Include directives ourselves, in every file and under every condition: the
list may have a file too many, but none too few.
"""
import os
import re
from typing import List

from certbot_autowebroot.servers.apache import invocation
from certbot_autowebroot.servers.apache import parser
from certbot_autowebroot.servers.apache.directives import split_words
from certbot_autowebroot.servers.common.file_cache import RecordingView
from certbot_autowebroot.system.processes import Process

_INCLUDES = re.compile(r"^[ \t]*(?:(Include|IncludeOptional)|(ServerRoot)|<IfFile)[ \t]+([^\r\n]*)",
                   re.IGNORECASE | re.MULTILINE)


def record(process: Process, view: RecordingView) -> None:
    """Open every file of the configuration of a running httpd through a recording view.

    A path with a variable or a macro's argument is not known: then the view is marked, and nothing is cached.
    """
    root, main = invocation.main_file(process)
    options = invocation.options(process.argv)
    texts = ["\n".join(options["C"] + options["c"])]
    pending: List[str] = [os.path.join(root, main)]
    seen = set(pending)
    while texts or pending:
        if not texts:
            try:
                texts.append(os.fsdecode(view.read(pending.pop())))
            except (OSError, ValueError):  # the view records this too
                continue
        for included, server_root, arguments in _INCLUDES.findall(texts.pop()):
            path = (split_words(arguments) or [""])[0].rstrip(">")
            if re.search(r"[$%@]|\\$", arguments):
                view.cacheable = False
            elif server_root:
                root = os.path.join(root, path)
            elif not included:
                view.stat(os.path.join(root, path.lstrip("!")))
            else:
                files = [file for match in view.glob(os.path.join(root, path))
                         for file in parser.files_below(view, match)]
                pending += [file for file in files if file not in seen]
                seen.update(files)
