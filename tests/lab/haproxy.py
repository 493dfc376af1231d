"""Debian's HAProxy in the foreground; it writes no file."""
import os
from pathlib import Path
from typing import Sequence

from tests.lab.programs import Program

FRAME = """\
defaults http
    mode http
    timeout connect 2s
    timeout client 5s
    timeout server 5s
"""


class Haproxy(Program):
    """One running HAProxy.

    :ivar conf: path of the configuration file.

    :param directory: the directory of the configuration, and the working directory.
    :param config: the lines after a ``defaults`` section for mode http; ``{dir}`` becomes the directory.
    :param options: further arguments.
    """

    def __init__(self, directory: "os.PathLike[str]", config: str, *, options: Sequence[str] = (),
                 address: str = "127.0.0.1", port: int = 80) -> None:
        self.conf = Path(directory) / "haproxy.cfg"
        self.conf.write_text((FRAME + config + "\n").replace("{dir}", os.fspath(directory)))
        super().__init__(["haproxy", "-f", os.fspath(self.conf), *options], directory, address=address, port=port)
