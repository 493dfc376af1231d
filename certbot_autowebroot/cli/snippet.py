"""``certbot-autowebroot snippet``: what makes a web server answer challenges from one directory, for good."""
import argparse
import sys
from typing import TYPE_CHECKING
from typing import Any
from typing import Callable
from typing import List

from certbot_autowebroot import settings
from certbot_autowebroot.cli import console
from certbot_autowebroot.interfaces import ForwardingError
from certbot_autowebroot.routing import redirects
from certbot_autowebroot.servers import registry
from certbot_autowebroot.servers.common import forwarding
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
    snippet.add_argument("--directory", type=_argument(checked), metavar="DIR",
                         help=f"the directory (default: {settings.SHARED_DIRECTORY}); not for HAProxy and "
                              "Varnish, which serve no files")
    machines = snippet.add_mutually_exclusive_group()
    machines.add_argument("--to", type=_argument(forwarding.checked_host), metavar="HOST",
                          help="print lines for the other machines, which send challenges to HOST, the one that "
                               "renews: a redirect to a public name, a proxy to an address or a private name")
    machines.add_argument("--peers", type=_argument(_hosts), metavar="HOST[,HOST...]",
                          help="print lines, the same for every machine, that serve a file which is there and else ask "
                               "these machines until one has it")
    snippet.set_defaults(run=run, command=snippet)


def run(options: argparse.Namespace) -> int:
    """Print the lines; returns the exit status."""
    server = registry.BY_NAME.get(options.server)
    if options.directory and options.to:
        print("--to sends every challenge to HOST, so there is no --directory for it.", file=sys.stderr)
        return 2
    if options.directory and server and not server.serves_files:
        print(f"{options.server} serves no files, so there is no --directory for it.", file=sys.stderr)
        return 2
    provider = registry.part_named(options.server, registry.FORWARDING if options.to or options.peers
                                   else registry.SNIPPET)
    if provider is None:
        print(f"The package that brings {options.server} brings no lines for it.", file=sys.stderr)
        return 2
    try:
        lines = _lines(provider, options)
    except ForwardingError as error:
        print(error, file=sys.stderr)
        return 2
    console.say(lines, sys.stdout)
    return 0


def _lines(provider: Any, options: argparse.Namespace) -> str:
    directory = options.directory or settings.SHARED_DIRECTORY
    if options.peers:
        return str(provider.ask_peers(options.peers, directory))
    if not options.to:
        return str(provider.for_every_site(directory))
    # The CA follows a redirect to a public name only.
    public = redirects.has_public_suffix(options.to) and not forwarding.has_private_suffix(options.to)
    return str(provider.redirect(options.to) if public else provider.proxy(options.to))


def _hosts(text: str) -> List[str]:
    return list(dict.fromkeys(forwarding.checked_host(host.strip()) for host in text.split(",")))


def _argument(check: Callable[[str], Any]) -> Callable[[str], Any]:
    """A type for argparse, which shows the text of this exception only."""
    def parse(text: str) -> Any:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return parse
