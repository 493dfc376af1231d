"""``certbot-autowebroot check``: arguments, output, exit status."""
import argparse
import contextlib
import os
import pkgutil
import shutil
import signal
import sys
import tempfile
from datetime import datetime
from datetime import timezone
from types import FrameType
from typing import TYPE_CHECKING
from typing import Dict
from typing import Iterable
from typing import Iterator
from typing import List
from typing import Optional
from typing import Sequence

import certbot
from certbot.compat import misc

from certbot_autowebroot import settings
from certbot_autowebroot.cli import arguments
from certbot_autowebroot.cli import certificates
from certbot_autowebroot.cli import console
from certbot_autowebroot.cli import prometheus
from certbot_autowebroot.cli import report
from certbot_autowebroot.cli.console import Colour
from certbot_autowebroot.order.inquiry import Printed
from certbot_autowebroot.order.progress import HANDSHAKES
from certbot_autowebroot.order.progress import RESOLVING
from certbot_autowebroot.order.progress import limits as progress_limits
from certbot_autowebroot.renewals import messages
from certbot_autowebroot.renewals import served_certificates
from certbot_autowebroot.renewals.check import Check
from certbot_autowebroot.renewals.check import Options
from certbot_autowebroot.renewals.forecast import Forecast
from certbot_autowebroot.renewals.forecast import NameForecast
from certbot_autowebroot.renewals.forecast import Outlook
from certbot_autowebroot.renewals.lineages import directory_hooks
from certbot_autowebroot.renewals.lineages import lineages
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.system import own_command

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

#: Exit status of a Nagios plugin that could not check.
_NAGIOS_UNKNOWN = 3

_COLOURS = {Outlook.GOOD: Colour.GOOD, Outlook.FAILS: Colour.BAD, Outlook.FROM_INSIDE: Colour.DOUBTFUL,
            Outlook.UNPROVEN: Colour.DOUBTFUL, Outlook.UNKNOWN: Colour.DOUBTFUL,
            Outlook.UNJUDGED: Colour.UNJUDGED}
#: What ``--quiet`` prints.
_WRONG = (Outlook.FAILS, Outlook.UNKNOWN, Outlook.UNPROVEN, Outlook.FROM_INSIDE)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def add_to(commands: "Commands") -> None:
    """Add the command to those of ``certbot-autowebroot``."""
    check = commands.add_parser(
        "check", help="check today whether tonight's renewal will work",
        description="With names: where the CA's request for each goes, where it ends, and whether a test file comes "
                    "back from there. Without: for every lineage, whether its renewal would succeed now.",
        epilog="Exit status: 0 all good, 1 something would fail (or an old certificate is still served), 2 could not "
               "check, 3 good from inside (the CA's own address does not answer from here), 4 could not be proved. "
               "Of several, the first of 1, 2, 4, 3. With --format nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")
    check.add_argument("names", metavar="NAME", nargs="*", help="a host name or an IP address")
    check.add_argument("--http-01-port", type=arguments.port, metavar="PORT",
                       help="the port that the CA's port 80 leads to (default: the lineage's, or 80)")
    check.add_argument("--http-01-address", type=arguments.address, metavar="ADDRESS",
                       help="the only local address that counts (default: the lineage's, or all)")
    check.add_argument("--path", default="", metavar="DIR[:DIR...]",
                       help="directories to try, as in Certbot's --autowebroot-path (default: the lineage's, or "
                       f"{settings.SHARED_DIRECTORY} where that exists)")
    check.add_argument("--config-dir", default=misc.get_default_folder("config"), metavar="DIR",
                       help="Certbot's configuration directory (default: %(default)s)")
    check.add_argument("--work-dir", metavar="DIR", help="Certbot's working directory, for the log of what is "
                       f"published (default: {misc.get_default_folder('work')})")
    check.add_argument("--no-write", action="store_true",
                       help="publish no test files: follow the configurations, and prove nothing")
    check.add_argument("--resolver", type=arguments.address, metavar="ADDRESS",
                       help="the only name server to ask for the names' addresses (default: this machine's own)")
    check.add_argument("--nodes", type=arguments.addresses, metavar="ADDRESS[,ADDRESS...]", default=(),
                       help="machines that must each return the test file (default: the lineage's)")
    check.add_argument("--certificates-only", action="store_true",
                       help="only report which certificate port 443 shows for each NAME, at this machine or at each "
                            "address of --nodes. Needs neither Certbot's files nor root")
    check.add_argument("--fallback", default="", metavar="NAME[,NAME...]",
                       help="as Certbot's --autowebroot-fallback (default: the lineage's). wire is tried, with a "
                            "random token; others would edit the server's configuration, and are only named")
    check.add_argument("--strict", action="store_true",
                       help="exit with 1 for names that are not proven at the CA's own address")
    check.add_argument("--quiet", action="store_true", help="print only what is wrong or not proven")
    check.add_argument("--format", choices=("text", "json", "nagios", "prometheus"), default="text",
                       help="text for people, JSON for programs, one line for Nagios, or metrics for Prometheus")
    check.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    check.add_argument("--json-schema", action=_PrintSchema, nargs=0, help="print the JSON Schema of that, and exit")
    check.set_defaults(run=run, command=check)


def run(options: argparse.Namespace) -> int:
    """Check and print; returns the exit status."""
    if options.certificates_only and not options.names:
        options.command.error("--certificates-only needs a NAME")
    try:
        return _check_certificates(options) if options.certificates_only else _check(options)
    except OSError as error:
        if error.filename == console.OUTPUT:
            raise
        return _could_not_check(options, console.reason(error, options.config_dir))


class Interrupted(BaseException):
    """A signal asks this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _check(options: argparse.Namespace) -> int:
    for note in settings.path_notes("--path", options.path):
        console.complain(note)
    proved = not options.no_write
    names: List[NameForecast] = []
    forecasts: List[Forecast] = []
    found = [] if options.names else lineages(options.config_dir)
    try:
        with _journal_with_clean_up(options) as journal, console.Progress(sys.stderr, _limits) as progress:
            progress.show(RESOLVING, 0, 1)
            check = Check(Options(options.http_01_port, options.http_01_address, options.path, proved,
                                  options.resolver or "", options.nodes, options.fallback), journal, progress.show)
            if options.names:
                names = check.names(options.names)
            else:
                forecasts = check.lineages(found, directory_hooks(options.config_dir))
    except Interrupted as interrupted:
        return 128 + interrupted.number
    return _print(options, names, forecasts, proved)


def _limits() -> Dict[str, str]:
    """How long the waits of each stage take at most, in words."""
    return {**progress_limits(), HANDSHAKES: served_certificates.LIMIT}


def _check_certificates(options: argparse.Namespace) -> int:
    with console.Progress(sys.stderr, _limits) as progress:
        names = served_certificates.shown(options.names, options.nodes, progress.show)
    now = datetime.now(timezone.utc)
    status = certificates.exit_status(names, now)
    if options.format == "json":
        lines = [certificates.as_json(names, now)]
    elif options.format == "prometheus":
        lines = [prometheus.metrics_of_certificates(names, status, now)]
    elif options.format == "nagios":
        status, line = certificates.nagios(names, now)
        lines = [console.printable(line)]
    else:
        lines = _text([certificates.tree(name, now) for name in names
                       if not options.quiet or name.problems(now) or not name.answers])
    console.say("".join(line + "\n" for line in lines), sys.stdout)
    return status


@contextlib.contextmanager
def _journal_with_clean_up(options: argparse.Namespace) -> Iterator[Journal]:
    """The journal of what is published; everything is removed at its end, at whatever moment a signal comes."""
    work_dir = options.work_dir or misc.get_default_folder("work")
    # An ordinary user's Certbot has directories of its own, or none yet.
    temporary = tempfile.mkdtemp() if not options.no_write and not options.work_dir and not _may_write(work_dir) else ""

    def interrupt(number: int, _frame: Optional[FrameType]) -> None:
        _ignore(handlers)  # a second Ctrl-C must not interrupt the clean-up
        raise Interrupted(number)
    handlers = {number: signal.getsignal(number) for number in _SIGNALS
                if signal.getsignal(number) != signal.SIG_IGN}  # nohup's
    journal = Journal(os.path.join(temporary or work_dir, "autowebroot"))
    try:
        try:
            for number in handlers:
                signal.signal(number, interrupt)
            yield journal
        finally:
            _ignore(handlers)
    finally:
        journal.release_all()
        if temporary:
            shutil.rmtree(temporary)
    # After an interruption this is not reached: the process ends, and ignores a second Ctrl-C until then.
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _ignore(signals: Iterable[signal.Signals]) -> None:
    for number in signals:
        signal.signal(number, signal.SIG_IGN)


def _may_write(path: str) -> bool:
    """Whether we may write in a directory, or make it."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return os.access(path, os.W_OK)


def _print(options: argparse.Namespace, names: Sequence[NameForecast], forecasts: Sequence[Forecast],
           proved: bool) -> int:
    """Print the results in the chosen format; returns the exit status."""
    mendings = {found.lineage.conf: messages.mending(found, _certbot_version(), _options_of_certbot(options))
                for found in forecasts if found.can_be_mended}
    command = own_command.reload()
    for found in forecasts:
        if found.lacks_hook:
            found.add_hook = messages.adding_hook(found, _certbot_version(), _directories(options), command)
        if found.is_stale:
            found.reload = messages.reloading(found, command)
    status = report.exit_status(names, forecasts, options.strict)
    now = datetime.now(timezone.utc)
    lines: List[str] = []
    if options.format == "json":
        lines = [report.as_json(names, forecasts, proved, mendings, status, now)]
    elif options.format == "prometheus":
        lines = [prometheus.metrics(names, forecasts, status, now)]
    elif options.format == "nagios":
        status, line = report.nagios(names, forecasts)
        lines = [console.printable(line)]
    else:
        printed: Printed = {}
        trees = [report.name_tree(name, proved, printed) for name in names
                 if not options.quiet or name.outlook in _WRONG]
        trees += [report.lineage_tree(found, proved, mendings.get(found.lineage.conf, ""), printed)
                  for found in forecasts if not options.quiet or found.is_bad or found.outlook in _WRONG]
        lines = _text(trees)
        if not options.quiet and len(names) + len(forecasts) > 1:
            lines.append(messages.summary(names, forecasts))
        elif not options.quiet and not names and not forecasts:
            lines.append(messages.NO_LINEAGES.format(config_dir=options.config_dir))
    console.say("".join(line + "\n" for line in lines), sys.stdout)
    return status


def _text(trees: Iterable[Iterator[report.Line]]) -> List[str]:
    return [_formatted(line) for tree in trees for line in tree]


def _formatted(line: report.Line) -> str:
    text = "  " * line.depth + console.printable(line.text)
    return console.coloured(text, _COLOURS[line.outlook] if line.outlook else None, sys.stdout)


class _PrintSchema(argparse.Action):
    """Print the schema and exit, as ``--version`` does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        console.say((pkgutil.get_data(__name__, "check.schema.json") or b"").decode("utf-8"), sys.stdout)
        parser.exit()


def _could_not_check(options: argparse.Namespace, reason: str) -> int:
    if options.format == "prometheus":
        console.say(prometheus.metrics((), (), console.COULD_NOT_CHECK, datetime.now(timezone.utc)) + "\n", sys.stdout)
    if options.format == "nagios":
        console.say(f"AUTOWEBROOT UNKNOWN - {console.printable(reason)}\n", sys.stdout)
        return _NAGIOS_UNKNOWN
    console.complain(reason)
    return console.COULD_NOT_CHECK


def _certbot_version() -> List[int]:
    return [int(part) for part in certbot.__version__.split(".")[:2]]


def _options_of_certbot(options: argparse.Namespace) -> List[str]:
    """The options that Certbot needs too, so that the printed command works."""
    return _directories(options) + (["--autowebroot-path", options.path] if options.path else [])


def _directories(options: argparse.Namespace) -> List[str]:
    """Options for Certbot's directories that are not the default ones."""
    directories = []
    if options.config_dir != misc.get_default_folder("config"):
        directories += ["--config-dir", options.config_dir]
    if options.work_dir:
        directories += ["--work-dir", options.work_dir]
    return directories
