"""Names as a container resolves them: its /etc/hosts, and the name servers of its network.

The name of another container (``proxy_pass http://app:3000``) is known to the engine's name server alone, at an
address of the container's own loopback. The programs and libraries are ours, the questions are asked from within the
container's network namespace, and of the container only two text files are taken: nothing of it is run.
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

#: What getent(1) may be given.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
#: Seconds for one name; resolv.conf(5) would allow its servers half a minute.
_PATIENCE = 4.0
_IMPATIENT = b"\noptions timeout:1 attempts:2\n"
#: ip-netns(8) does the same for /etc/netns. A host's nscd or systemd-resolved would answer for the host.
_SCRIPT = """
for file in hosts resolv.conf nsswitch.conf; do mount --bind "$1/$file" "$(realpath /etc/$file)" || exit 3; done
if [ -d /run/nscd ]; then mount -t tmpfs none /run/nscd || exit 3; fi
exec getent ahosts -- "$2"
"""


def addresses_in(namespace: Namespace, host: str) -> List[str]:
    """The addresses that a name has for the programs of another network namespace; empty where there are none.

    :param host: a name; an address is its own.
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
            asked = ["nsenter", f"--net=/proc/{namespace.pid}/ns/net", "unshare", "--mount", "--propagation", "private",
                     "sh", "-c", _SCRIPT, "sh", directory, host]
            found = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True,
                                   timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.debug("%s cannot be resolved as a container does: %s", host, error)
        return []
    if found.stderr:
        complaint = printable(found.stderr.decode(errors="replace").strip())
        logger.debug("%s as a container resolves it: %s", host, complaint)
    lines = found.stdout.decode("ascii", "replace").splitlines()
    return list(dict.fromkeys(line.split()[0].partition("%")[0] for line in lines if line.strip()))


def _copy_files(pid: int, directory: str) -> None:
    view = View.of_process(pid)
    for name, rest in (("hosts", b""), ("resolv.conf", _IMPATIENT)):
        try:
            content = view.read(f"/etc/{name}")
        except FileNotFoundError:
            content = b""
        _write(directory, name, content + rest)
    _write(directory, "nsswitch.conf", b"hosts: files dns\n")


def _write(directory: str, name: str, content: bytes) -> None:
    with open(os.path.join(directory, name), "wb") as file:
        file.write(content)
