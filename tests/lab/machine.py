"""The machine that the marker ``lab`` asks for: root, every server, and a network namespace of the test process.

tests/conftest.py gives each test with the marker the fixture :func:`lab_machine`, before the test's other fixtures.
"""
import os
import shutil

import pytest

from tests.lab import net

#: Program and the Debian package that has it.
PROGRAMS = {"ip": "iproute2", "nft": "nftables", "nginx": "nginx", "apache2": "apache2", "lighttpd": "lighttpd",
            "caddy": "caddy", "haproxy": "haproxy", "varnishd": "varnish", "busybox": "busybox", "php": "php-cli",
            "mini_httpd": "mini-httpd", "webfsd": "webfs", "node": "nodejs", "strace": "strace",
            "gcc": "gcc", "pebble": "pebble", "pebble-challtestsrv": "pebble", "openssl": "openssl",
            "groff": "groff-base", "slirp4netns": "slirp4netns", "setfacl": "acl", "curl": "curl", "pgrep": "procps",
            "sshd": "openssh-server", "rsync": "rsync", "ansible-playbook": "ansible-core"}


@pytest.fixture(scope="session")
def lab_machine() -> None:
    """Enter the private namespace, once in a test process; an error where root or a server is missing, never a skip.

    Tests without the marker that come later in the same process run in the namespace too, which does not change them.
    """
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if missing:
        pytest.fail(f"tests marked lab need these Debian packages: {' '.join(missing)}", pytrace=False)
    if os.geteuid() != 0:
        pytest.fail("tests marked lab need root, for port 80 in a network namespace of their own", pytrace=False)
    net.enter_private_namespace()
