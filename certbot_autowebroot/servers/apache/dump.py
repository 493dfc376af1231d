"""The evaluated configuration, from the running binary itself: ``-t -D DUMP_CONFIG`` (mod_info).

The binary resolves what would be hardest to get right: IfDefine, Define, IfVersion, IfFile, Macro, Include. It is
asked through /proc/PID/exe, which still works when an upgrade has deleted the file, with the arguments, environment
and directory of the running process. ``-t`` neither binds nor writes. What it prints is for ``rows.py``.
"""
import collections
import contextlib
import os
import re
import subprocess
from typing import Callable
from typing import Iterable
from typing import Iterator
from typing import List
from typing import Optional

from certbot_autowebroot.servers.apache.directives import ConfigurationError
from certbot_autowebroot.servers.apache.directives import Evaluated
from certbot_autowebroot.servers.apache.rows import Tree
from certbot_autowebroot.servers.apache.rows import source_of
from certbot_autowebroot.system import output
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process

#: Ten thousand virtual hosts take two seconds. httpd waits for ever for a FIFO that it is told to include.
TIMEOUT = 10.0
#: Ten thousand virtual hosts of fifteen lines are 15 MB.
MAX_OUTPUT = 256 * 1024 * 1024

#: Of DUMP_VHOSTS: an address with its only virtual host, or alone above several of them.
_ADDRESS = re.compile(r"(\S+:(?:[0-9]{1,9}|\*))\s+(?:is a NameVirtualHost|(\S+) \((.*):([0-9]{1,9})\))$")
_NAMED = re.compile(r"\s+port \S+ namevhost (\S+) \((.*):([0-9]{1,9})\)$")
_MODULE = re.compile(r" (\w+_module) \((?:static|shared)\)$")


def dump(process: Process, meanwhile: Callable[[], None] = lambda: None) -> Evaluated:
    """Ask the binary of a running httpd for its configuration.

    :param meanwhile: is called while it reads that.
    :raises ConfigurationError: it is not ours to run, the configuration on disk is broken, or mod_info is missing.
    """
    if not process.view.is_host:
        raise ConfigurationError("the binary belongs to a container and is not run from here")
    if process.uid != os.geteuid():
        # Its arguments and its environment (-f, LD_PRELOAD) are another user's: running it would be running his code.
        raise ConfigurationError(f"process {process.pid} belongs to user {process.uid} and is not run by another")
    arguments = [process.name, *process.argv[1:]]
    information = _mod_info(process.pid)
    if information:
        arguments += ["-C", f"LoadModule info_module {information}"]
    arguments.append("-t")
    for what in ("DUMP_CONFIG", "DUMP_RUN_CFG", "DUMP_MODULES", "DUMP_VHOSTS"):
        arguments += ["-D", what]
    return _run(arguments, process, meanwhile)


def _mod_info(pid: int) -> str:
    """Where mod_info lies, beside the modules that the process has mapped; empty when it is mapped itself."""
    directories: List[str] = []  # one that was built elsewhere, such as pip's mod_wsgi, lies alone
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            for line in file:
                path = os.fsdecode(line.split(None, 5)[-1].rstrip(b"\n"))
                name = os.path.basename(path.replace(" (deleted)", ""))
                if name == "mod_info.so":
                    return ""
                if name.startswith("mod_") and name.endswith(".so") and os.path.dirname(path) not in directories:
                    directories.append(os.path.dirname(path))
    except OSError as error:
        raise ConfigurationError(f"the modules of process {pid} are not ours to see: {error.strerror}") from error
    paths = [os.path.join(directory, "mod_info.so") for directory in directories]
    return next((path for path in paths if os.path.isfile(path) and '"' not in path), "")


def _run(arguments: List[str], process: Process, meanwhile: Callable[[], None]) -> Evaluated:
    """Run to the end, bounded in time and output; no shell, no standard input, standard error discarded.

    httpd writes each word for itself, and takes a second for ten thousand virtual hosts. They are read meanwhile.
    """
    environment = process.environment or None
    try:
        with processes.opened_program(process) as (fd, directory, rights):
            if rights.uid != os.geteuid():
                raise PermissionError(f"process {process.pid} has become another user's")
            child = subprocess.Popen(arguments, executable=f"/proc/self/fd/{fd}", pass_fds=(fd,),
                                     cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, start_new_session=True)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{process.name} cannot be asked for its configuration: {error}") from error
    nothing_said: Optional[ConfigurationError] = None
    try:
        with contextlib.closing(output.chunks(child, TIMEOUT, MAX_OUTPUT)) as printed:
            try:
                meanwhile()
                evaluated = parse(_rows(printed))
            except ConfigurationError as error:
                nothing_said = error
            collections.deque(printed, maxlen=0)  # to the end: its status says more
    except output.OutputLimitError as error:
        raise ConfigurationError(f"{process.name} -t {error}") from error
    if child.returncode != 0:
        raise ConfigurationError(f"{process.name} -t rejects the configuration on disk")
    if nothing_said is not None:
        raise nothing_said
    return evaluated


def _rows(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        complete, line_feed, rest = (rest + chunk).rpartition(b"\n")
        if line_feed:
            yield from os.fsdecode(complete).split("\n")
    yield os.fsdecode(rest)


def parse(rows: Iterable[str]) -> Evaluated:
    """Read the output of all four dumps.

    :param rows: its lines.
    :raises ConfigurationError: there is no configuration in it (mod_info was not there), or it makes no sense.
    """
    tree = Tree()
    evaluated = Evaluated(())
    modules = set()
    address = ""
    for row in tree.others(rows):
        if row.startswith("ServerRoot: "):
            evaluated.server_root = row[len("ServerRoot: "):].strip('"')
        elif row.startswith("Main DocumentRoot: "):
            evaluated.document_root = row[len("Main DocumentRoot: "):].strip('"')
        else:
            module = _MODULE.match(row)
            if module:
                modules.add(module.group(1))
            else:
                address = _virtual_host(row, address, evaluated)
    evaluated.directives = tree.finish()
    if not evaluated.directives:
        raise ConfigurationError("the binary does not show its configuration (mod_info is missing)")
    evaluated.modules = frozenset(modules) or None
    return evaluated


def _virtual_host(row: str, address: str, evaluated: Evaluated) -> str:
    """Take in a row of DUMP_VHOSTS; the address that the next rows are about."""
    found = _ADDRESS.match(row)
    if found:
        address = found.group(1)
    named = _NAMED.match(row)
    name, file, line = found.groups()[1:] if found else named.groups() if named else (None, "", "")
    if name:
        source = source_of(file, int(line))
        evaluated.names.setdefault(source, name)
        evaluated.addresses.setdefault(source, []).append(address)
    return address
