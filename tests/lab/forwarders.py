"""Programs that forward port 80, as tests start them."""
import os
import sys
from pathlib import Path

from tests.lab import forward
from tests.lab.programs import Program


def forwarder(place: Path, target: str, *how: object) -> Program:
    """A program without a record; ``forward.py`` says what it may do."""
    (place / "nothing").mkdir()
    return Program([sys.executable, forward.__file__, "80", target, *map(str, how)], place / "nothing")


def docker_proxy(directory: Path, container: str) -> Program:
    """Docker's userland proxy in front of a container's port 80.

    What names a program is its executable: this one is a copy of Python under that name.
    """
    directory.mkdir()
    real = Path(os.path.realpath(sys.executable))
    copy = directory / "docker-proxy"
    copy.write_bytes(real.read_bytes())
    copy.chmod(0o755)
    return Program(["env", f"PYTHONHOME={real.parent.parent}", str(copy), forward.__file__, "80", f"{container}:80",
                    "-container-ip", container, "-container-port", "80"], directory)
