"""``certbot-autowebroot snippet``: what makes a web server answer challenges from one directory, for good."""
import argparse
import sys
from typing import TYPE_CHECKING

from certbot_autowebroot import settings
from certbot_autowebroot.cli import console
from certbot_autowebroot.servers import snippets

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_to(commands: "Commands") -> None:
    """Add the command to those of ``certbot-autowebroot``."""
    snippet = commands.add_parser(
        "snippet", help="print the configuration that answers challenges from one directory for every site",
        description="Prints lines of a web server's configuration which serve one directory for the challenges of "
                    "every site, and where to put them. Nothing is changed. Renewals know the directory "
                    f"{settings.SHARED_DIRECTORY}: nothing more is to be set.")
    snippet.add_argument("server", choices=list(snippets.LINES), help="the web server")
    snippet.add_argument("--directory", type=_directory, metavar="DIR",
                         help=f"the directory (default: {settings.SHARED_DIRECTORY}); not for HAProxy, which serves "
                              "no files")
    snippet.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the lines; returns the exit status."""
    if options.server == "haproxy" and options.directory:
        print("HAProxy serves no files, so there is no --directory for it.", file=sys.stderr)
        return 2
    console.say(snippets.for_every_site(options.server, options.directory or settings.SHARED_DIRECTORY), sys.stdout)
    return 0


def _directory(text: str) -> str:
    try:
        return snippets.proper(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
