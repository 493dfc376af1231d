"""Static file servers without a configuration file: the directory is an argument, or the working directory.

To add one, add a line to :data:`PROGRAMS`. If an interpreter runs it, add its name to :func:`command` as well.
"""
import os
import posixpath
import re
from dataclasses import dataclass
from typing import Callable
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple

from zope.interface import implementer

from certbot_autowebroot.interfaces import IWebServer
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.servers import guess
from certbot_autowebroot.servers.common.paths import below
from certbot_autowebroot.servers.forwarder import ConnectionForwards
from certbot_autowebroot.system.processes import Process


@dataclass(frozen=True)
class StaticProgram:
    """How one program gets its directory.

    :ivar command: its name by :func:`command`.
    :ivar flags: the options that name the directory.
    :ivar valued: the other options with a value, separated by spaces: the next word is no argument.
    :ivar positional: the first argument that is not an option is the directory.
    :ivar script: the first argument that is not an option is a script, which may answer instead of a file.
    :ivar moves: it changes into its directory, so its working directory is more reliable than its arguments.
    :ivar by_host: the option for one directory per host name below the directory.
    :ivar config: the option for a file that can set ``by_host``.
    :ivar rewrites: the options with which it serves one page for all names without an extension, such as tokens.
    :ivar defaults: the default directories, below the working directory; the first that exists.
    """

    command: str
    flags: Tuple[str, ...] = ()
    valued: str = ""
    positional: bool = False
    script: bool = False
    moves: bool = False
    by_host: str = ""
    config: str = ""
    rewrites: Tuple[str, ...] = ()
    defaults: Tuple[str, ...] = ("",)


#: Each with its manual.
PROGRAMS = (
    # Python, "http.server: Command-line interface"; Python 2 knew no -d.
    StaticProgram("python -m http.server", flags=("-d", "--directory"), valued="-b --bind -p --protocol"),
    StaticProgram("python -m SimpleHTTPServer"),
    # busybox(1): "-h HOME"; a line H:DIR of its configuration overrides it. It changes into the directory.
    StaticProgram("busybox httpd", flags=("-h",), moves=True),
    # PHP manual, "Built-in web server": a router script that returns false lets the file be served.
    StaticProgram("php -S", flags=("-t", "--docroot"), valued="-S --server -c --php-ini -d --define -z", script=True),
    # The README of each: "./public if the folder exists, and ./ otherwise".
    StaticProgram("http-server", positional=True, defaults=("public", ""),
                  valued="-p --port -a -b --base-dir -c -t -e --ext -P --proxy --proxy-config -C --cert -K --key "
                         "-U --username --password --mimetypes"),
    # serve-handler rewrites a name without an extension before it looks for a file.
    StaticProgram("serve", positional=True, rewrites=("-s", "--single"),
                  valued="-l --listen -p --port -c --config --ssl-cert --ssl-key --ssl-pass"),
    # webfsd(1) and -h. It keeps its working directory; with -R the chroot is the directory.
    StaticProgram("webfsd", flags=("-r",), by_host="-v",
                   valued="-t -c -a -p -R -f -n -N -i -l -L -m -k -b -e -C -K -A -Q -x -~ -u -g -y"),
    # mini_httpd(8), thttpd(8): chdir to -d, chroot there (-r), chdir to -dd.
    StaticProgram("mini_httpd", flags=("-d",), moves=True, by_host="-v", config="-C"),
    StaticProgram("thttpd", flags=("-d",), moves=True, by_host="-v", config="-C"),
    # darkhttpd --help
    StaticProgram("darkhttpd", positional=True,
                  valued="--port --addr --maxconn --log --index --mimetypes --default-mimetype --uid --gid --pidfile "
                         "--header --auth --timeout"),
    # Ruby, un.rb: httpd
    StaticProgram("ruby -run -e httpd", positional=True,
                  valued="-p --port --bind-address --max-clients --temp-dir --request-timeout --http-version"),
    # jwebserver(1), JDK 18
    StaticProgram("jwebserver", flags=("-d", "--directory"), valued="-b --bind-address -p --port -o --output"),
)

_BY_COMMAND = {program.command: program for program in PROGRAMS}


def command(name: str, argv: Sequence[str]) -> Tuple[str, Optional[Tuple[str, ...]]]:
    """The usual name of the program, and its own arguments.

    :param name: the name of the executable file.
    :returns: such as ``("python -m http.server", ("-d", "/srv"))``. The arguments are None where the program has
        overwritten them with its title.
    """
    args = tuple(argv[1:])
    called = posixpath.basename(argv[0]) if argv else ""
    if re.fullmatch(r"(python|pypy)[\d.]*", name):
        for number, arg in enumerate(args):
            module = re.fullmatch(r"-[bBdEhiIOPqsSuvVx]*m(.*)", arg)
            if module:
                words = (*filter(None, module.groups()), *args[number + 1:])
                return f"python -m {words[0]}" if words else name, words[1:]
            if not arg.startswith("-") and args[number - 1] not in ("-W", "-X"):
                break
    elif re.fullmatch(r"php[\d.]*", name) and any(arg in ("-S", "--server") for arg in args):
        return "php -S", args
    elif name == "busybox":
        applet, args = (args[0], args[1:]) if called == "busybox" and args else (called, args)
        return f"busybox {applet}", args
    elif re.fullmatch(r"ruby[\d.]*", name) and "-run" in args and re.search(r"(^| )-e ?httpd( |$)", " ".join(args)):
        rest = [arg for arg in args if arg not in ("-run", "-e", "httpd", "-ehttpd", "--")]
        return "ruby -run -e httpd", tuple(rest)
    elif name == "java" and ("-m", "jdk.httpserver") in zip(args, args[1:]):
        return "jwebserver", args[args.index("jdk.httpserver") + 1:]
    elif name in ("node", "nodejs", "bun"):
        # process.title = "http-server" is written over the arguments.
        if called not in ("node", "nodejs", "bun"):
            return called, None
        script = next((number for number, arg in enumerate(args) if not arg.startswith("-")), len(args))
        return _package("".join(args[script:script + 1])), args[script + 1:]
    return name, args


def _package(script: str) -> str:
    """The npm package of a script: ``…/node_modules/serve/build/main.js`` and ``…/bin/serve`` are ``serve``."""
    below = script.rpartition("/node_modules/")[2]
    if below != script and not below.startswith(".bin/"):
        return below.partition("/")[0]
    return re.sub(r"\.[cm]?js$", "", posixpath.basename(script))


def directories(name: str, argv: Sequence[str], cwd: str, host: str,
                is_dir: Callable[[str], bool]) -> Sequence[Tuple[str, bool, str]]:
    """The directories that a known static file server serves.

    :param cwd: the working directory in the process's view.
    :param is_dir: whether a path is a directory in that view.
    :returns: directory, whether it is a guess, and the reason; empty for an unknown program.
    """
    name, args = command(name, argv)
    program = _BY_COMMAND.get(name)
    if program is None:
        return ()
    options, positional = _parsed(program, args or ())
    given = "".join(options[-1:]) or (positional[0] if program.positional and positional else "")
    if program.moves:
        base, why = cwd, "its working directory"
    elif given:
        base, why = posixpath.join(cwd, given), f"its argument {given}"
    else:
        below = next((d for d in program.defaults if d and is_dir(posixpath.join(cwd, d))), "")
        base, why = posixpath.join(cwd, below), f"{below or 'its working directory'}, its default"
    if not base.startswith("/"):
        return ()
    base = posixpath.normpath(base)
    directories = [(base, args is None or (program.script and bool(positional)), f"{name} serves {why}")]
    if args is None:
        directories += [(near, True, why) for near, why in guess.directories((), cwd, is_dir) if near != base]
    if program.by_host:
        of_host = (posixpath.join(base, host), False, f"{name} serves a directory per host name")
        if program.by_host in (args or ()):
            return [of_host]
        if program.config in (args or ()) and is_dir(of_host[0]):
            directories.append(of_host)
    return directories


def _parsed(program: StaticProgram, args: Sequence[str]) -> Tuple[List[str], List[str]]:
    """The values of the options for the directory, and the arguments that are not options."""
    valued = program.valued.split()
    values, positional = [], []
    rest = iter(args)
    for arg in rest:
        flag, equals, value = arg.partition("=")
        short = arg[:2]
        if arg in program.flags:
            values.append(next(rest, ""))
        elif equals and flag.startswith("--") and flag in program.flags:
            values.append(value)
        elif arg in valued:
            next(rest, None)
        elif short in program.flags and not arg.startswith("--"):
            values.append(arg[2:])
        elif not arg.startswith("-"):
            positional.append(arg)
    return values, positional


@implementer(IWebServer)
class StaticServer:
    """Static file servers, by their arguments or their working directory."""

    name = "static file server"

    def __init__(self) -> None:
        self._forwards = ConnectionForwards()

    def recognises(self, process: Process) -> bool:
        """Whether the program is in :data:`PROGRAMS`."""
        return command(process.name, process.argv)[0] in _BY_COMMAND

    def ask(self, process: Process, request: Request) -> Sequence[Destination]:
        """The directories that it serves; see :meth:`~certbot_autowebroot.interfaces.IWebServer.ask`.

        A script may have the name of a known program, and forward connections.
        """
        upstream = self._forwards.of(process, request)
        if upstream is not None:
            return [upstream]
        called, args = command(process.name, process.argv)
        rewriting = [arg for arg in args or () if arg in _BY_COMMAND[called].rewrites]
        if rewriting:
            return [DeadEnd(f"{called} {rewriting[0]} answers all names without an extension with one page")]
        if not process.cwd:
            return [Unknown(f"the working directory of {called} is not visible to us")]
        try:
            is_dir = process.view.is_dir
        except OSError as error:
            return [Unknown(f"the file system of {called} is not visible to us: {error.strerror}")]
        host = os.path.basename(request.host)
        return [Directory(PathInView(root), below(request.path), (Step(why),), guessed)
                for root, guessed, why in directories(process.name, process.argv, process.cwd, host, is_dir)]
