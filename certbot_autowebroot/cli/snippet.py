"""``certbot-autowebroot snippet``: what makes a web server answer challenges from one directory, for good."""
import argparse
import sys
from typing import TYPE_CHECKING

from certbot_autowebroot import settings
from certbot_autowebroot.cli import console
from certbot_autowebroot.servers import registry
from certbot_autowebroot.servers.common.snippet import checked

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_to(commands: "Commands") -> None:
    """Add the command to those of ``certbot-autowebroot``."""
    snippet = commands.add_parser(
        "snippet", help="print the configuration that answers challenges from one directory for every site",
        description="Prints lines of a web server's configuration which serve one directory for the challenges of "
                    "every site, and where to put them. Nothing is changed. Renewals know the directory "
                    f"{settings.SHARED_DIRECTORY}: nothing more is to be set.")
    snippet.add_argument("server", choices=registry.names_with(registry.SNIPPET), help="the web server")
    snippet.add_argument("--directory", type=_directory, metavar="DIR",
                         help=f"the directory (default: {settings.SHARED_DIRECTORY}); not for HAProxy and "
                              "Varnish, which serve no files")
    snippet.set_defaults(run=run, command=snippet)


def run(options: argparse.Namespace) -> int:
    """Print the lines; returns the exit status."""
    server = registry.BY_NAME.get(options.server)
    if options.directory and server and not server.serves_files:
        print(f"{options.server} serves no files, so there is no --directory for it.", file=sys.stderr)
        return 2
    snippet = registry.part_named(options.server, registry.SNIPPET)
    if snippet is None:
        print(f"The package that brings {options.server} brings no lines for it.", file=sys.stderr)
        return 2
    console.say(snippet.for_every_site(options.directory or settings.SHARED_DIRECTORY), sys.stdout)
    return 0


def _directory(text: str) -> str:
    try:
        return checked(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
