"""The command ``certbot-autowebroot``."""
import argparse
import os
import sys
from typing import Optional
from typing import Sequence

from certbot_autowebroot import __version__
from certbot_autowebroot.cli import check
from certbot_autowebroot.cli import console
from certbot_autowebroot.cli import reload
from certbot_autowebroot.cli import snippet


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns its exit status.

    :param arguments: those of the command line.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the parent process
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for as long as we run
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = _options(sys.argv[1:] if arguments is None else arguments)
    try:
        return int(options.run(options))
    except OSError as error:
        if error.filename != console.OUTPUT:
            raise
        console.complain(f"{error.filename}: {error.strerror}")
        return console.COULD_NOT_CHECK


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line; ends the process where they are wrong.

    argparse would print the usage of the whole for an unknown option of a command.
    """
    whole = parser()
    if not arguments:  # not a success: nothing was checked
        whole.print_help(sys.stderr)
        sys.exit(console.COULD_NOT_CHECK)
    options, unknown = whole.parse_known_args(arguments)
    if unknown:
        options.command.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; the manual page is made from it."""
    whole = argparse.ArgumentParser("certbot-autowebroot", description="Checks that Certbot can renew the certificates "
                                    "of this machine, and that visitors get the renewed ones. No Certificate Authority "
                                    "is asked.")
    whole.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    for command in (check, reload, snippet):
        command.add_to(commands)
    return whole


if __name__ == "__main__":
    sys.exit(main())
