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
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except OSError as error:
        if error.filename != console.OUTPUT:
            raise
        console.say(f"certbot-autowebroot: {error.filename}: {error.strerror}\n", sys.stderr)
        return console.COULD_NOT_CHECK


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
