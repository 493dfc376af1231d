"""Debian's Varnish in the foreground; it writes below one directory only."""
import os
from pathlib import Path
from typing import Sequence

from tests.lab.programs import Program


class Varnish(Program):
    """One running Varnish.

    :ivar conf: path of the VCL.

    :param directory: the directory of the VCL and of Varnish's work directory.
    :param vcl: the lines after ``vcl 4.1; import std; import directors;``; ``{dir}`` becomes the directory.
    :param arguments: instead of ``-f`` with that VCL.
    :param parameters: further ones.
    """

    def __init__(self, directory: "os.PathLike[str]", vcl: str = "", *, arguments: Sequence[str] = (),
                 parameters: Sequence[str] = (), address: str = "127.0.0.1", port: int = 80) -> None:
        self.conf = Path(directory) / "default.vcl"
        self.conf.write_text("vcl 4.1;\nimport std;\nimport directors;\n" + vcl.replace("{dir}", os.fspath(directory)))
        work = Path(directory) / "work"
        argv = ["varnishd", "-F", "-n", os.fspath(work), "-a", f":{port}", "-s", "malloc,1m"]
        # Few threads start quickly; an unused backend is no error.
        for parameter in ("thread_pool_min=5", "thread_pools=1", "vcc_err_unref=off"):
            argv += ["-p", parameter]
        super().__init__([*argv, *parameters, *(arguments or ["-f", os.fspath(self.conf)])], directory, address=address,
                         port=port)
