"""The shared directory of challenges, made by the snippet's command in a private /var/www."""
import contextlib
import subprocess
from typing import Iterator

from certbot_autowebroot import settings
from certbot_autowebroot.servers.common.snippet import mkdir_command


@contextlib.contextmanager
def empty_www() -> Iterator[None]:
    """An empty /var/www. The mounts of a test process are private (:mod:`tests.lab.net`)."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/var/www"], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "/var/www"], check=True)


@contextlib.contextmanager
def shared_directory() -> Iterator[str]:
    """Make the directory and yield its path."""
    with empty_www():
        subprocess.run(mkdir_command(settings.SHARED_DIRECTORY), shell=True, check=True)  # noqa: S602 - as a person would
        yield settings.SHARED_DIRECTORY
