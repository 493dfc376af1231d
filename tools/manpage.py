"""Prints the manual page certbot-autowebroot(1) from the parsers of the command and of the plugin: make manual.

In mdoc(7). Files and examples, which no parser has, are here.
"""
import argparse
import re
from typing import Iterator
from typing import List

from certbot_autowebroot.authenticator import Authenticator
from certbot_autowebroot.cli import __main__ as cli

HEAD = """\
.Dd November 24, 2026
.Dt CERTBOT-AUTOWEBROOT 1
.Os
.Sh NAME
.Nm certbot-autowebroot
.Nd check that Certbot's renewals will work, and that their certificates are served"""

TAIL = r""".Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev NO_COLOR
If it is set and not empty, the output has no colours.
.It Ev RENEWED_LINEAGE , Ev RENEWED_DOMAINS
The lineage and its names, which Certbot sets for deploy hooks.
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/letsencrypt/renewal/*.conf
The renewal configurations of the lineages.
.It Pa /var/lib/letsencrypt/autowebroot/
The log of what is published and not yet removed.
.It Pa /var/www/autowebroot
A directory that renewals try first if it exists; see
.Cm snippet .
.El
.Sh EXAMPLES
Print only what is wrong, every morning:
.Pp
.Dl certbot-autowebroot check --quiet
.Pp
Show the path of the request for one name:
.Pp
.Dl certbot-autowebroot check www.sample.com
.Pp
Move a lineage to the plugin, and reload the server after each renewal:
.Pp
.Dl certbot reconfigure --cert-name www.sample.com -a autowebroot --deploy-hook \*qcertbot-autowebroot reload\*q
.Sh SEE ALSO
.Xr certbot 1"""


def page(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The lines of the page."""
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    yield HEAD
    yield ".Sh SYNOPSIS"
    for name, command in commands.choices.items():
        yield from (".Nm", f".Cm {name}")
        yield from map(_in_synopsis, sorted(_arguments(command), key=lambda action: not action.option_strings))
    yield from (".Nm", ".Op Ar command", ".Fl -help", ".Nm", ".Fl -version")
    yield from (".Sh DESCRIPTION", _text(parser.description or ""), ".Pp")
    yield from (".Bl -tag -width Ds", *_items(parser, parser._actions), ".El")
    for name, command in commands.choices.items():
        yield from (f".Ss certbot-autowebroot {name}", _text(command.description or ""))
        yield from (".Pp", ".Bl -tag -width Ds", *_items(command, _arguments(command)), ".El")
        if command.epilog:
            yield from (".Pp", _text(command.epilog))
    plugin = argparse.ArgumentParser(add_help=False)
    Authenticator.inject_parser_options(plugin, "autowebroot")
    yield from (".Sh OPTIONS OF CERTBOT", "The authenticator autowebroot adds these options to", ".Xr certbot 1 ,",
                "which saves them with the lineage.")
    yield from (".Bl -tag -width Ds", *_items(plugin, _arguments(plugin)), ".El")
    yield TAIL


def _arguments(parser: argparse.ArgumentParser) -> List[argparse.Action]:
    return [action for action in parser._actions if action.help != argparse.SUPPRESS and action.dest != "help"]


def _in_synopsis(action: argparse.Action) -> str:
    if action.option_strings:
        return ".Op " + _option(action, action.option_strings[-1])
    value = _value(action)
    many = " ..." if action.nargs in ("*", "+") else ""
    return f".Op {value}{many}" if action.nargs in ("*", "?") else f".{value}{many}"


def _items(parser: argparse.ArgumentParser, actions: List[argparse.Action]) -> Iterator[str]:
    """Each argument, with its help as ``--help`` prints it."""
    for action in actions:
        if not isinstance(action, argparse._SubParsersAction):
            spellings = [_option(action, option) for option in action.option_strings]
            yield ".It " + (" , ".join(spellings) if spellings else _value(action))
            yield _text(parser._get_formatter()._expand_help(action))


def _option(action: argparse.Action, option: str) -> str:
    return f"Fl {option[1:]} {_value(action)}" if action.nargs != 0 else f"Fl {option[1:]}"


def _value(action: argparse.Action) -> str:
    if action.choices:
        return "Cm " + " | ".join(map(str, action.choices))
    return f"Ar {action.metavar or action.dest}"


def _text(words: str) -> str:
    """Plain words as roff(7) has to be given them: hyphens that stay what they are, a line for each sentence."""
    escaped = " ".join(words.split()).replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?<=[a-z0-9)]\.) (?=[A-Z])", "\n", escaped)


if __name__ == "__main__":
    print("\n".join(page(cli.parser())))
