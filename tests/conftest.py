"""Every test process works in a namespace of its own, and finds the programs that the tests need or says which lack."""
import os
import shutil

import pytest

from tests.lab import net

#: Program and the Debian package that has it.
PROGRAMS = {"ip": "iproute2", "nginx": "nginx", "apache2": "apache2", "pebble": "pebble",
            "pebble-challtestsrv": "pebble", "openssl": "openssl", "strace": "strace"}


def pytest_sessionstart(session: pytest.Session) -> None:
    """A missing server is an error, never a skip."""
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if missing:
        raise pytest.UsageError(f"the tests need these Debian packages: {' '.join(missing)}")
    if os.geteuid() != 0:
        raise pytest.UsageError("the tests need root, for port 80 in a network namespace of their own")
    if getattr(session.config.option, "numprocesses", None) is None:  # with pytest-xdist, the workers do it
        net.enter_private_namespace()
