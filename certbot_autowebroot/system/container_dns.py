"""Resolve names as a container does: by its /etc/hosts and the name servers of its network.

Only the engine's name server knows the name of another container (``proxy_pass http://app:3000``), and it listens on
the container's own loopback. So the host's getent(1) runs in the container's network namespace, with two text files of
the container. No program of the container runs.
"""
import ipaddress
import logging
import os
import re
import subprocess
import tempfile
from typing import List

from certbot_autowebroot.system.namespaces import Namespace
from certbot_autowebroot.system.terminal import printable
from certbot_autowebroot.system.views import View

logger = logging.getLogger(__name__)

#: Names to pass to getent(1).
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
#: Seconds for one name; resolv.conf(5) allows its servers half a minute.
_TIMEOUT = 4.0
_SHORT_TIMEOUT = b"\noptions timeout:1 attempts:2\n"
#: As ip-netns(8) does for /etc/netns. The host's nscd or systemd-resolved would answer for the host.
_SCRIPT = """
for file in hosts resolv.conf nsswitch.conf; do mount --bind "$1/$file" "$(realpath /etc/$file)" || exit 3; done
if [ -d /run/nscd ]; then mount -t tmpfs none /run/nscd || exit 3; fi
exec getent ahosts -- "$2"
"""


def addresses_in(namespace: Namespace, host: str) -> List[str]:
    """The addresses of a name for programs in another network namespace; empty if it does not resolve.

    :param host: a name, or an address, which is returned as it is.
    """
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    if not _NAME.fullmatch(host):
        return []
    try:
        with tempfile.TemporaryDirectory() as directory:
            _copy_files(namespace.pid, directory)
            command = ["nsenter", f"--net=/proc/{namespace.pid}/ns/net",
                       "unshare", "--mount", "--propagation", "private", "sh", "-c", _SCRIPT, "sh", directory, host]
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                    timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.debug("%s cannot be resolved in a container: %s", host, error)
        return []
    if result.stderr:
        reason = printable(result.stderr.decode(errors="replace").strip())
        logger.debug("%s cannot be resolved in a container: %s", host, reason)
    lines = result.stdout.decode("ascii", "replace").splitlines()
    return list(dict.fromkeys(line.split()[0].partition("%")[0] for line in lines if line.strip()))


def _copy_files(pid: int, directory: str) -> None:
    view = View.of_process(pid)
    for name, rest in (("hosts", b""), ("resolv.conf", _SHORT_TIMEOUT)):
        try:
            content = view.read(f"/etc/{name}")
        except FileNotFoundError:
            content = b""
        _write(directory, name, content + rest)
    _write(directory, "nsswitch.conf", b"hosts: files dns\n")


def _write(directory: str, name: str, content: bytes) -> None:
    with open(os.path.join(directory, name), "wb") as file:
        file.write(content)
