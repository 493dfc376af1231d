"""Debian's Caddy in the foreground; it writes below one directory only."""
import json
import os
import subprocess
from pathlib import Path
from typing import Any
from typing import Mapping
from typing import Optional
from typing import Sequence

from tests.lab.programs import Program

_OPTIONS = "{{\nlocal_certs\nskip_install_trust\n{options}\n}}\n"
#: To Caddy ``{dir}`` would be a placeholder of its own.
_DIRECTORY = "/directory/of/the/lab"


def adapt(caddyfile: str) -> Any:
    """The JSON that Caddy makes of a Caddyfile; it keeps ``{dir}``."""
    process = subprocess.run(["caddy", "adapt", "--config", "/dev/stdin", "--adapter", "caddyfile"],
                             input=_OPTIONS.format(options="") + caddyfile.replace("{dir}", _DIRECTORY), text=True,
                             capture_output=True, check=True, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    return json.loads(process.stdout.replace(_DIRECTORY, "{dir}"))


class Caddy(Program):
    """One running Caddy.

    :ivar conf: path of the configuration file.

    :param directory: the directory of all of Caddy's files, and the working directory.
    :param config: a Caddyfile; ``{dir}`` becomes the directory. None: none is written.
    :param options: the global options at its top. Certificates are Caddy's own.
    :param argv: instead of ``caddy run``.
    """

    def __init__(self, directory: "os.PathLike[str]", config: Optional[str], *, options: str = "", port: int = 80,
                 argv: Sequence[str] = ("caddy", "run"), name: str = "Caddyfile",
                 environment: Optional[Mapping[str, str]] = None) -> None:
        self.conf = Path(directory) / name
        if config is not None:
            text = _OPTIONS.format(options=options) + config
            self.conf.write_text((text if name == "Caddyfile" else config).replace("{dir}", os.fspath(directory)))
        home = os.fspath(directory)
        super().__init__(argv, directory, port=port, environment={
            "PATH": os.environ["PATH"], "HOME": home, "XDG_CONFIG_HOME": f"{home}/config",
            "XDG_DATA_HOME": f"{home}/data", **(environment or {})})
