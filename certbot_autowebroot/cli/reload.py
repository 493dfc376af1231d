"""``certbot-autowebroot reload``, a deploy hook: arguments, Certbot's environment, output, exit status."""
import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Tuple

from certbot.compat import misc

from certbot_autowebroot.cli import arguments
from certbot_autowebroot.cli import console
from certbot_autowebroot.cli.console import Colour
from certbot_autowebroot.order.progress import HANDSHAKES
from certbot_autowebroot.renewals import lineages
from certbot_autowebroot.renewals import reload as reloading
from certbot_autowebroot.renewals import reload_messages
from certbot_autowebroot.renewals import served_certificates
from certbot_autowebroot.renewals.check import identifier
from certbot_autowebroot.renewals.lineages import Lineage
from certbot_autowebroot.renewals.reload import Outcome
from certbot_autowebroot.servers.common import config_test
from certbot_autowebroot.system import systemd

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_EXIT_STATUS = {Outcome.GOOD: 0, Outcome.UNSEEN: console.COULD_NOT_CHECK, Outcome.FAILED: 1}


def add_to(commands: "Commands") -> None:
    """Add the command to those of ``certbot-autowebroot``."""
    reload = commands.add_parser(
        "reload", help="let the servers on port 443 read a renewed certificate: a deploy hook",
        description="Finds the servers that still show an older certificate on port 443, has each test its "
                    "configuration, reloads it gracefully, and waits until it shows the new certificate. Made for "
                    "Certbot's --deploy-hook, which names the renewed certificate.",
        epilog="Exit status: 0 all good, 1 a server does not show the new certificate, 2 could not check.")
    reload.add_argument("names", metavar="NAME", nargs="*",
                        help="only these names (default: those that Certbot has renewed)")
    reload.add_argument("--lineage", metavar="DIR", help="the renewed lineage's directory below live/ (default: "
                        "RENEWED_LINEAGE, which Certbot sets for deploy hooks, else the lineages that have the names)")
    reload.add_argument("--config-dir", default=misc.get_default_folder("config"), metavar="DIR",
                        help="Certbot's configuration directory (default: %(default)s)")
    reload.add_argument("--timeout", type=arguments.seconds, default=reloading.PATIENCE, metavar="SECONDS",
                        help="how long to wait for the new certificate after a reload (default: %(default).0f)")
    reload.set_defaults(run=run, command=reload)


class _CannotCheckError(Exception):
    """The text gives the reason, for a person."""


class _Renewed(NamedTuple):
    lineage: Lineage
    names: Tuple[str, ...]


def run(options: argparse.Namespace) -> int:
    """Reload and print; returns the exit status."""
    try:
        return _reload(options)
    except _CannotCheckError as error:
        console.complain(str(error))
        return console.COULD_NOT_CHECK
    except KeyboardInterrupt:  # the servers signalled so far reload, and nothing of ours is left
        return 128 + signal.SIGINT


def _reload(options: argparse.Namespace) -> int:
    renewed = list(_renewed(options))
    limits = {HANDSHAKES: served_certificates.LIMIT,
              reloading.RELOADING: f"at most {config_test.TIMEOUT:.0f} s for each test, "
                                   f"{systemd.TIMEOUT:.0f} s for systemctl",
              reloading.AWAITING: f"at most {options.timeout:.0f} s"}
    worst = 0
    for lineage, names in renewed:
        with console.Progress(sys.stderr, lambda: limits) as progress:
            findings = reloading.reload(lineage, names, options.timeout, progress.show)
        for finding in findings:
            # Certbot shows a hook's standard output as its output, and the rest as its errors.
            if finding.outcome is Outcome.GOOD:
                text = console.printable_lines(finding.text) + "\n"
                console.say(console.coloured(text, Colour.GOOD, sys.stdout), sys.stdout)
            else:
                console.complain(finding.text, Colour.BAD if finding.outcome is Outcome.FAILED else Colour.DOUBTFUL)
            status = _EXIT_STATUS[finding.outcome]
            worst = status if worst == 0 or status == 1 else worst
    return worst


def _renewed(options: argparse.Namespace) -> Iterator[_Renewed]:
    """The renewed lineages, and the names of each."""
    names = _identifiers(options.names or os.environ.get("RENEWED_DOMAINS", "").split())
    directory = options.lineage or os.environ.get("RENEWED_LINEAGE", "")
    if directory:
        lineage = _of_directory(directory)
        yield _Renewed(lineage, tuple(names) or _shown(lineage))
        return
    if not options.names:
        raise _CannotCheckError(reload_messages.NO_LINEAGE)
    try:
        every = lineages.lineages(options.config_dir)
    except OSError as error:
        raise _CannotCheckError(console.reason(error, options.config_dir)) from error
    known = [lineage for lineage in every if lineage.certificate]
    hidden = [lineage.problem for lineage in every if lineage.hidden]
    for name in names:
        if not any(name in _shown(lineage) for lineage in known):
            raise _CannotCheckError(reload_messages.hidden_lineages(name, hidden) if hidden else
                                    reload_messages.unknown_name(name, options.config_dir))
    for lineage in known:
        its = tuple(name for name in names if name in _shown(lineage))
        if its:
            yield _Renewed(lineage, its)


def _of_directory(directory: str) -> Lineage:
    file = os.path.join(os.path.abspath(directory), "cert.pem")
    try:
        certificate = lineages.read_certificate(file)
    except (OSError, ValueError) as error:
        raise _CannotCheckError(reload_messages.no_certificate(file, error)) from error
    return Lineage(os.path.basename(os.path.abspath(directory)), "", certificate_file=file, certificate=certificate)


def _shown(lineage: Lineage) -> Tuple[str, ...]:
    """The names of its certificate to check; for a wildcard, one that it covers."""
    return tuple(_identifiers(lineage.certificate.names if lineage.certificate else ()))


def _identifiers(names: "List[str] | Tuple[str, ...]") -> List[str]:
    return [_identifier("www" + name[1:] if lineages.is_wildcard(name) else name) for name in names]


def _identifier(name: str) -> str:
    try:
        return identifier(name)
    except ValueError as error:
        raise _CannotCheckError(f"{name}: {error}") from error
