"""Debian's lighttpd in the foreground; it writes below one directory only."""
import os
from pathlib import Path
from typing import Sequence

from tests.lab.programs import Program

_MODULES = ("mod_access", "mod_rewrite", "mod_redirect", "mod_alias", "mod_simple_vhost", "mod_evhost", "mod_proxy",
            "mod_cgi")

_FRAME = """\
server.modules = ({modules})
server.errorlog = "{dir}/error.log"
server.upload-dirs = ("{dir}")
"""


class Lighttpd(Program):
    """One running lighttpd.

    :ivar conf: path of the main configuration file.

    :param directory: the directory of configuration and log, and the working directory.
    :param config: the lines after the frame; ``{dir}`` becomes the directory.
    :param modules: server.modules, in this order.
    """

    def __init__(self, directory: "os.PathLike[str]", config: str, *, modules: Sequence[str] = _MODULES,
                 address: str = "127.0.0.1", port: int = 80) -> None:
        self.conf = Path(directory) / "lighttpd.conf"
        frame = _FRAME.replace("{modules}", ", ".join(f'"{module}"' for module in modules))
        self.conf.write_text((frame + config).replace("{dir}", os.fspath(directory)))
        super().__init__(["lighttpd", "-D", "-f", os.fspath(self.conf)], directory, address=address, port=port)
