"""README's quick start, word for word, on a fresh Debian with its nginx, and with Certbot in /opt/certbot.

:mod:`tests.packaging.fresh_debian` runs it with that Certbot's Python. It changes the machine, which is thrown away.
"""
import contextlib
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

from tests.lab import net
from tests.lab import readme
from tests.lab.ca import CA
from tests.lab.certbot import Certbot


@contextlib.contextmanager
def debian_nginx() -> Iterator[None]:
    """Debian's nginx with Debian's configuration, whose default server has /var/www/html."""
    subprocess.run(["nginx"], check=True)  # it returns when it listens
    try:
        yield
    finally:
        subprocess.run(["nginx", "-s", "stop"], check=True)


class EchoingReader(readme.Reader):
    """Prints what is typed, and what comes of it."""

    def types(self, block: str) -> str:
        print(f"# {block}", flush=True)
        printed = super().types(block)
        print(printed, flush=True)
        return printed


def main() -> None:
    """Type the four commands."""
    install, check, reconfigure, dry_run = readme.quick_start()
    print(f"# {install}", flush=True)
    subprocess.run(["sh", "-e", "-c", install], cwd=readme.TOP, check=True)  # the only one that needs a real network
    net.enter_private_namespace()
    before = sorted(Path("/var/www").rglob("*"))
    with tempfile.TemporaryDirectory() as directory, CA(Path(directory) / "ca") as ca:
        Path("/etc/letsencrypt").mkdir(exist_ok=True)
        reader = EchoingReader(Certbot(Path(directory), ca), ca)
        reader.follows_quick_start(check, reconfigure, dry_run, debian_nginx())
    assert sorted(Path("/var/www").rglob("*")) == before


if __name__ == "__main__":
    main()
