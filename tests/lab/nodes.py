"""Machines with a file system, processes and a network of their own, on one link: what is written on one stays there.

The root of each is a copy on write of this machine's (overlayfs). None of their programs outlives it.
"""
import contextlib
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator
from typing import List

from tests.lab import file_server
from tests.lab.networks import Network

TOP = Path(__file__).parents[2]
#: The machines' addresses for each other, and their public ones.
ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
PUBLIC = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
#: The address of the link itself: what is outside of the machines.
OUTSIDE = "10.0.0.254"

_SCRIPT = """
set -e
mount --make-rprivate /
mount -t tmpfs none {place}
mkdir {place}/upper {place}/work {place}/root
mount -t overlay overlay -o lowerdir=/,upperdir={place}/upper,workdir={place}/work {place}/root
cd {place}/root
mount -t proc none proc
mount --rbind /dev dev
mount -t tmpfs none run
mount -t tmpfs none tmp
mkdir -p run/sshd ./{top}
mount --rbind {top} ./{top}
pivot_root . mnt
cd /
umount -l /mnt
exec sleep infinity
"""


class Node:
    """One machine that runs; it has this checkout, and ``certbot-autowebroot`` and ``certbot`` in PATH."""

    def __init__(self, place: Path, network: Network) -> None:
        self._network = network
        place.mkdir()
        with network.entered():
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
                 _SCRIPT.format(place=place, top=TOP)], stdin=subprocess.DEVNULL)
        self._enter: List[str] = []

    def wait(self) -> None:
        """Until its file system is there."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for pid in children.read_text().split():
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
                        self._enter = ["nsenter", f"--target={pid}", "--mount", "--pid", "--net", "--root", "--wd"]
                        return
            time.sleep(0.01)
        raise AssertionError("the machine did not start")

    def stop(self) -> None:
        """End it with all its programs."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def sh(self, script: str, **environment: str) -> str:
        """What a shell script prints on this machine as root.

        :raises AssertionError: it fails.
        """
        done = self.try_sh(script, **environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def try_sh(self, script: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """The same with its exit status."""
        return subprocess.run([*self._enter, "sh", "-c", script], env={**_ENVIRONMENT, **environment}, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)

    def mount(self, source: Path, target: str, options: str) -> None:
        """Mount a directory of a file server, with options of exports(5)."""
        file_server.mount(source, self._enter, target, options)

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Write a file, and the directories above it."""
        quoted = shlex.quote(path)
        subprocess.run([*self._enter, "sh", "-c", f"mkdir -p {shlex.quote(os.path.dirname(path))} && cat > {quoted} && "
                        f"chmod {mode} {quoted}"], input=text, text=True, check=True)


_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}


@contextlib.contextmanager
def nodes(place: Path) -> Iterator[List[Node]]:
    """Three machines with sshd and nothing else on them, and what is outside in the network of this thread."""
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(Network())
        link.ip("link add lan type bridge", "link set lan up", f"addr add {OUTSIDE}/24 dev lan",
                "addr add 192.0.2.254/24 dev lan")
        running = []
        for number, address in enumerate(ADDRESSES):
            network = stack.enter_context(Network())
            network.connect("eth0", link, f"port{number}")
            link.ip(f"link set port{number} master lan")
            network.ip(f"addr add {address}/24 dev eth0", f"addr add {PUBLIC[number]}/24 dev eth0",
                       f"route add default via {OUTSIDE}")
            node = Node(place / f"machine{number + 1}", network)
            stack.callback(node.stop)
            running.append(node)
        for node in running:
            node.wait()
            node.write("/etc/resolv.conf", f"nameserver {OUTSIDE}\n")
            node.sh("rm -rf /etc/letsencrypt /var/www/autowebroot /root/.ssh /etc/nginx/sites-enabled/*")
            for program in ("certbot", "certbot-autowebroot"):
                node.write(f"/usr/local/bin/{program}", f'#!/bin/sh\nexec {TOP}/.venv/bin/{program} "$@"\n', "755")
            node.sh("/usr/sbin/sshd -E /tmp/sshd.log")
        stack.enter_context(link.entered())
        yield running
