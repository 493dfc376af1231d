"""Prints the completion of certbot-autowebroot for bash from the command's parser: make manual."""
import argparse
from typing import Iterator
from typing import List

from certbot_autowebroot.cli import __main__ as cli

HEAD = """\
# Completion of certbot-autowebroot for bash(1); made by tools/completion.py.
_certbot_autowebroot() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command="" words="" word
    COMPREPLY=()
    # readline splits --option=value into three words.
    if [ "$current" = "=" ]; then
        current=""
    elif [ "$previous" = "=" ]; then
        previous=${COMP_WORDS[COMP_CWORD-2]}
    fi"""

TAIL = """\
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _certbot_autowebroot certbot-autowebroot"""


def script(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The lines of the script."""
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction)).choices
    yield HEAD
    yield '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield f'        case $word in {"|".join(commands)}) command=$word; break ;; esac'
    yield "    done"
    yield "    case $command:$previous in"
    for name, command in commands.items():
        yield from _values(name, command)
    yield f'        :*) words="{" ".join([*commands, *_options(parser)])}" ;;'
    for name, command in commands.items():
        positional = [str(choice) for action in command._actions if not action.option_strings
                      for choice in action.choices or ()]
        yield f'        {name}:*) words="{" ".join([*positional, *_options(command)])}" ;;'
    yield TAIL


def _values(name: str, command: argparse.ArgumentParser) -> Iterator[str]:
    """What follows an option that takes a value: words, directories, or nothing that could be completed."""
    directories: List[str] = []
    others: List[str] = []
    for action in command._actions:
        patterns = [f"{name}:{option}" for option in action.option_strings if action.nargs != 0]
        if patterns and action.choices:
            yield f'        {"|".join(patterns)}) words="{" ".join(map(str, action.choices))}" ;;'
        else:
            (directories if str(action.metavar).startswith("DIR") else others).extend(patterns)
    if directories:
        yield f'        {"|".join(directories)})'
        yield '            mapfile -t COMPREPLY < <(compgen -d -- "$current")'
        yield "            compopt -o filenames 2>/dev/null"
        yield "            return ;;"
    if others:
        yield f'        {"|".join(others)}) return ;;'


def _options(parser: argparse.ArgumentParser) -> List[str]:
    return [action.option_strings[-1] for action in parser._actions if action.option_strings]


if __name__ == "__main__":
    print("\n".join(script(cli.parser())))
