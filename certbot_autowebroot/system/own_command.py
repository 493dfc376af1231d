"""The command ``certbot-autowebroot``, as this machine's users and cron find it."""
import os
import shlex
import shutil
import sys
from typing import List
from typing import Mapping
from typing import Sequence

_NAME = "certbot-autowebroot"
#: cron(8)'s own. Certbot adds to it (certbot.plugins.util, path_surgery) for the hooks of its command line alone. A
#: lineage's hook that is not found is a warning, which --quiet hides, and the status is 0.
_PATH = "/usr/bin:/bin"


def reload() -> str:
    """The command for a deploy hook: by name only where cron's PATH finds it too."""
    return shlex.join([*_program(), "reload"])


def check(names: Sequence[str], options: Mapping[str, str]) -> str:
    """The command that checks names; empty for Certbot's snap, which has none.

    :param options: values of options; those that are empty are left out.
    """
    if os.environ.get("CERTBOT_SNAPPED"):
        return ""
    given = [word for option, value in options.items() if value for word in (option, value)]
    return shlex.join([*_program(), "check", *names, *given])


def _program() -> List[str]:
    if shutil.which(_NAME, path=_PATH):
        return [_NAME]
    beside = os.path.join(os.path.dirname(sys.executable), _NAME)
    path = shutil.which(_NAME) or os.path.abspath(sys.argv[0])
    if os.path.basename(path) != _NAME and os.path.isfile(beside):
        path = beside
    return [path] if os.path.basename(path) == _NAME else [sys.executable, "-m", "certbot_autowebroot.cli"]
