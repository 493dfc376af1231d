"""The configuration as the binary of a running httpd dumps it: ``-t -D DUMP_CONFIG`` (mod_info).

The binary resolves the hardest parts: IfDefine, Define, IfVersion, IfFile, Macro, Include. We run /proc/PID/exe, which
works even after an upgrade has deleted the file, with the arguments, environment and directory of the running process,
and with its mounts: Debian's unit has ``PrivateTmp=true``, and in the host's /tmp anybody may write.
``-t`` neither binds nor writes. ``rows.py`` parses the output.
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
from typing import Tuple

from certbot_autowebroot.servers.apache import invocation
from certbot_autowebroot.servers.apache.directives import ConfigurationError
from certbot_autowebroot.servers.apache.directives import ConfigurationTree
from certbot_autowebroot.servers.apache.rows import TreeBuilder
from certbot_autowebroot.servers.apache.rows import source_of
from certbot_autowebroot.servers.common.edits import EditedView
from certbot_autowebroot.system import output
from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process

#: Seconds. Ten thousand virtual hosts take two; httpd waits for ever for a FIFO in an Include.
TIMEOUT = 10.0
#: Bytes. Ten thousand virtual hosts of fifteen lines are 15 MB.
MAX_OUTPUT = 256 * 1024 * 1024

#: DUMP_VHOSTS: an address with its only virtual host, or an address above several.
_ADDRESS = re.compile(r"(\S+:(?:[0-9]{1,9}|\*))\s+(?:is a NameVirtualHost|(\S+) \((.*):([0-9]{1,9})\))$")
_NAMED = re.compile(r"\s+port \S+ namevhost (\S+) \((.*):([0-9]{1,9})\)$")
_MODULE = re.compile(r" (\w+_module) \((?:static|shared)\)$")


def dump(process: Process, meanwhile: Callable[[], None] = lambda: None) -> ConfigurationTree:
    """Run the binary of a running httpd to dump its configuration.

    :param meanwhile: work to do while httpd reads the configuration.
    :raises ConfigurationError: we may not run it, the configuration on disk is broken, or mod_info is missing.
    """
    if isinstance(process.view, EditedView):
        raise ConfigurationError("edited")  # only our own parser reads what is not on disk
    root, file = invocation.main_file(process)
    if not processes.has_our_files(process, process.exe, root, os.path.join(root, file)):
        raise ConfigurationError("the binary belongs to a container and is not run from here")
    if process.uid != os.geteuid():
        # Another user's arguments and environment (-f, LD_PRELOAD) would run that user's code as ours.
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
    """The path of mod_info, beside the modules that the process has mapped; empty where it is mapped itself."""
    directories: List[str] = []  # a module from elsewhere, such as pip's mod_wsgi, has its own
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
        raise ConfigurationError(f"the modules of process {pid} are not visible to us: {error.strerror}") from error
    paths = [os.path.join(directory, "mod_info.so") for directory in directories]
    return next((path for path in paths if os.path.isfile(path) and '"' not in path), "")


def _run(arguments: List[str], process: Process, meanwhile: Callable[[], None]) -> ConfigurationTree:
    """Run to the end, with limits on time and output; no shell, no standard input, no standard error.

    httpd writes word by word and takes a second for ten thousand virtual hosts. We parse its output meanwhile.
    """
    environment = process.environment or None
    try:
        with _mounts_of(process) as mounts, processes.opened_program(process) as (fd, directory, rights):
            if rights.uid != os.geteuid():
                raise PermissionError(f"process {process.pid} has become another user's")
            command, program = arguments, f"/proc/self/fd/{fd}"
            if mounts:
                command = ["nsenter", f"--mount=/proc/self/fd/{mounts[0]}", "--wd=.", "--", program, *arguments[1:]]
            child = subprocess.Popen(command, executable=None if mounts else program, pass_fds=(fd, *mounts),
                                     cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, start_new_session=True)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{process.name} cannot be asked for its configuration: {error}") from error
    parse_error: Optional[ConfigurationError] = None
    try:
        with contextlib.closing(output.chunks(child, TIMEOUT, MAX_OUTPUT)) as printed:
            try:
                meanwhile()
                tree = parse(_rows(printed))
            except ConfigurationError as error:
                parse_error = error
            collections.deque(printed, maxlen=0)  # to the end: the exit status tells more
    except output.OutputLimitError as error:
        raise ConfigurationError(f"{process.name} -t {error}") from error
    if child.returncode != 0:
        raise ConfigurationError(f"{process.name} -t rejects the configuration on disk")
    if parse_error is not None:
        raise parse_error
    return tree


@contextlib.contextmanager
def _mounts_of(process: Process) -> Iterator[Tuple[int, ...]]:
    """A descriptor of the process's mount namespace; none where it is certbot's own."""
    if processes.shares_namespace(process, "mnt"):
        yield ()
        return
    fd = os.open(f"/proc/{process.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield (fd,)
    finally:
        os.close(fd)


def _rows(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        complete, line_feed, rest = (rest + chunk).rpartition(b"\n")
        if line_feed:
            yield from os.fsdecode(complete).split("\n")
    yield os.fsdecode(rest)


def parse(rows: Iterable[str]) -> ConfigurationTree:
    """Parse the output of all four dumps.

    :param rows: its lines.
    :raises ConfigurationError: it has no configuration (mod_info is missing), or is malformed.
    """
    builder = TreeBuilder()
    tree = ConfigurationTree(())
    modules = set()
    address = ""
    for row in builder.others(rows):
        if row.startswith("ServerRoot: "):
            tree.server_root = row[len("ServerRoot: "):].strip('"')
        elif row.startswith("Main DocumentRoot: "):
            tree.document_root = row[len("Main DocumentRoot: "):].strip('"')
        else:
            module = _MODULE.match(row)
            if module:
                modules.add(module.group(1))
            else:
                address = _virtual_host(row, address, tree)
    tree.directives = builder.finish()
    if not tree.directives:
        raise ConfigurationError("the binary does not show its configuration (mod_info is missing)")
    tree.modules = frozenset(modules) or None
    return tree


def _virtual_host(row: str, address: str, tree: ConfigurationTree) -> str:
    """Take in a row of DUMP_VHOSTS and return the address of the next rows."""
    alone = _ADDRESS.match(row)
    if alone:
        address = alone.group(1)
    named = _NAMED.match(row)
    name, file, line = alone.groups()[1:] if alone else named.groups() if named else (None, "", "")
    if name:
        source = source_of(file, int(line))
        tree.names.setdefault(source, name)
        tree.addresses.setdefault(source, []).append(address)
    return address
