"""Every test process works in a namespace of its own, and finds the programs that the tests need or says which lack."""
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.lab import net

#: Program and the Debian package that has it.
PROGRAMS = {"ip": "iproute2", "nft": "nftables", "nginx": "nginx", "apache2": "apache2", "lighttpd": "lighttpd",
            "caddy": "caddy", "haproxy": "haproxy", "varnishd": "varnish", "busybox": "busybox", "php": "php-cli",
            "mini_httpd": "mini-httpd", "webfsd": "webfs", "node": "nodejs", "strace": "strace",
            "gcc": "gcc", "pebble": "pebble", "pebble-challtestsrv": "pebble", "openssl": "openssl",
            "groff": "groff-base"}

#: What decides and does no I/O: these need neither root, servers nor a network, and run where packages are built.
PURE = {"test_doors.py", "test_extending.py", "test_follow.py", "test_forecast.py", "test_lineages.py",
        "test_nginx_evaluator.py", "test_nginx_parser.py", "test_regex.py", "test_seams.py", "test_snippet.py"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The choice of a distribution's build machine."""
    parser.addoption("--pure", action="store_true", help="only the tests that need neither root, servers nor network")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> "bool | None":
    """With --pure, the modules of :data:`PURE` alone."""
    is_test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if config.option.pure and is_test and collection_path.name not in PURE else None


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Temporary directories of this run alone, or else the next run that starts shuts the servers of this one out.

    pytest keeps the directories of all runs in one, and sets that back to mode 0700 each time it starts.
    """
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="certbot-tests-")
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))


def pytest_sessionstart(session: pytest.Session) -> None:
    """A missing server is an error, never a skip."""
    if session.config.option.pure:
        return
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if missing:
        raise pytest.UsageError(f"the tests need these Debian packages: {' '.join(missing)}")
    if os.geteuid() != 0:
        raise pytest.UsageError("the tests need root, for port 80 in a network namespace of their own")
    if getattr(session.config.option, "numprocesses", None) is None:  # with pytest-xdist, the workers do it
        net.enter_private_namespace()
