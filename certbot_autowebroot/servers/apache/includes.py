"""Which files and directories a configuration is read from: what has to be as it was for it to be the same again.

httpd does not say. Its Include directives do; they are looked for in every file, whatever condition they stand under,
so that one too many is noted rather than one too few.
"""
import os
import re
from typing import Iterator
from typing import List

from certbot_autowebroot.servers.apache import parser
from certbot_autowebroot.servers.apache.directives import split_words
from certbot_autowebroot.servers.common.file_cache import RecordingView
from certbot_autowebroot.system.processes import Process

_SAID = re.compile(r"^[ \t]*(?:(Include|IncludeOptional)|(ServerRoot)|<IfFile)[ \t]+([^\r\n]*)",
                   re.IGNORECASE | re.MULTILINE)


def note(process: Process, view: RecordingView) -> None:
    """Look at everything that the configuration of a running httpd is read from.

    Where that cannot be known (a variable or a macro's argument in a path), the view is told that nothing is settled.
    """
    root, main = parser.main_file(process)
    options = parser.options(process.argv)
    texts = ["\n".join(options["C"] + options["c"])]
    pending: List[str] = [os.path.join(root, main)]
    seen = set(pending)
    while texts or pending:
        if not texts:
            try:
                texts.append(os.fsdecode(view.read(pending.pop())))
            except (OSError, ValueError):  # that it cannot be read is noted too
                continue
        for included, server_root, arguments in _SAID.findall(texts.pop()):
            path = (split_words(arguments) or [""])[0].rstrip(">")
            if re.search(r"[$%@]|\\$", arguments):
                view.cacheable = False
            elif server_root:
                root = os.path.join(root, path)
            elif not included:
                view.stat(os.path.join(root, path.lstrip("!")))
            else:
                found = [file for match in view.glob(os.path.join(root, path)) for file in _files(view, match)]
                pending += [file for file in found if file not in seen]
                seen.update(found)


def _files(view: RecordingView, path: str, depth: int = 0) -> Iterator[str]:
    """A file itself, or every file below a directory."""
    if not view.is_dir(path):
        yield path
    elif depth < parser.MAX_INCLUDE_DEPTH:
        for name in view.list_dir(path):
            yield from _files(view, os.path.join(path, name), depth + 1)
