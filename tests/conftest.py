"""Every test process works in a namespace of its own, and finds the programs that the tests need or says which lack."""
import os
import shutil

import pytest

from tests.lab import net

#: Program and the Debian package that has it.
PROGRAMS = {"ip": "iproute2", "nft": "nftables", "nginx": "nginx", "apache2": "apache2", "lighttpd": "lighttpd",
            "caddy": "caddy", "haproxy": "haproxy", "varnishd": "varnish", "busybox": "busybox", "php": "php-cli",
            "mini_httpd": "mini-httpd", "webfsd": "webfs", "node": "nodejs", "strace": "strace",
            "gcc": "gcc", "pebble": "pebble", "pebble-challtestsrv": "pebble", "openssl": "openssl"}


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
