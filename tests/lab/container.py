"""A container without an engine: the kernel's namespaces for mounts, network and processes.

Its root has the host's /usr and the like, read-only, and its own /etc and /srv.
"""
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import List
from typing import Optional
from typing import Sequence
from typing import Type

#: The addresses of the container and of the host on their link, RFC 5737: no test machine has them.
ADDRESS = "198.51.100.2"
GATEWAY = "198.51.100.1"

_SCRIPT = """
set -e
mount --make-rprivate /
mount -t tmpfs none {root}
cd {root}
mkdir -p usr etc dev proc tmp run var/log srv old
for name in bin sbin lib lib64; do [ -e /$name ] && ln -s usr/$name $name; done
mount --rbind /usr usr
mount --rbind /dev dev
mount -t proc none proc
cp /etc/passwd /etc/group /etc/nsswitch.conf etc/
cp -r /etc/ld.so.cache /etc/alternatives etc/
{prepare}
ip link set lo up
while ! ip link show inside 2>/dev/null | grep -q inside; do sleep 0.01; done
ip link set inside up
ip addr add {address}/24 dev inside
ip route add default via {gateway}
pivot_root . old
cd /
umount -l /old
exec {command}
"""


class Container:
    """One running container.

    :param command: the command of its first process.
    :param files: its files: path to content.
    :param volumes: directories of the host: path in the container to path of the host.
    :param read_only: the paths of those volumes that are read-only.
    """

    def __init__(self, directory: Path, command: str, files: "dict[str, str]", *,
                 volumes: "Optional[dict[str, Path]]" = None, read_only: Sequence[str] = ()) -> None:
        self._root = directory / "rootfs"
        self._root.mkdir(parents=True)
        self._files = directory / "files"
        prepare: List[str] = []
        for path, content in files.items():
            target = self._files / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
        if files:
            prepare.append(f"cp -a {self._files}/. .")
        for path, source in (volumes or {}).items():
            prepare.append(f"mkdir -p .{path}; mount --bind {source} .{path}")
            if path in read_only:
                prepare.append(f"mount -o remount,bind,ro .{path}")
        self._script = _SCRIPT.format(root=self._root, prepare="\n".join(prepare), address=ADDRESS, gateway=GATEWAY,
                                      command=command)
        self._process: Optional[subprocess.Popen[bytes]] = None

    def __enter__(self) -> "Container":
        self._process = subprocess.Popen(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c",
                                          self._script], stdin=subprocess.DEVNULL)
        self._connect()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        subprocess.run(["ip", "link", "del", "outside"], check=False, capture_output=True)
        shutil.rmtree(self._root, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Its first process, as the host numbers it."""
        assert self._process is not None
        with open(f"/proc/{self._process.pid}/task/{self._process.pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])

    def _connect(self) -> None:
        deadline = time.monotonic() + 10
        own = os.stat("/proc/self/ns/net").st_ino
        while time.monotonic() < deadline:
            try:
                if os.stat(f"/proc/{self.pid}/ns/net").st_ino != own:
                    break
            except (OSError, IndexError):
                pass
            time.sleep(0.01)
        for command in (f"link add outside type veth peer name inside netns {self.pid}", "link set outside up",
                        f"addr add {GATEWAY}/24 dev outside"):
            subprocess.run(["ip", *command.split()], check=True)
