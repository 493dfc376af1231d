"""slirp4netns, the network of rootless Podman with ``port_handler=slirp4netns``: a TCP of its own in one program."""
import contextlib
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Iterator

from tests.lab.container import Container

#: The guest's address, slirp4netns(1).
GUEST = "10.0.2.100"


@contextlib.contextmanager
def forwarded(directory: Path, box: Container, port: int = 80) -> "Iterator[subprocess.Popen[bytes]]":
    """A slirp4netns that forwards a port of this host into a container, in place of the container's own link."""
    subprocess.run(["nsenter", f"--net=/proc/{box.pid}/ns/net", "ip", "link", "set", "inside", "down"], check=True)
    api = directory / "slirp.socket"
    argv = ["slirp4netns", "--configure", "--api-socket", str(api), str(box.pid), "tap0"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            arguments = {"proto": "tcp", "host_addr": "0.0.0.0", "host_port": port, "guest_addr": GUEST,
                         "guest_port": port}
            answer = _ask(api, {"execute": "add_hostfwd", "arguments": arguments})
            assert "return" in answer, answer
            yield process
        finally:
            process.kill()


def _ask(api: Path, command: object) -> str:
    deadline = time.monotonic() + 10
    with socket.socket(socket.AF_UNIX) as connection:
        while True:
            try:
                connection.connect(str(api))
                break
            except OSError:
                assert time.monotonic() < deadline, "slirp4netns does not start"
                time.sleep(0.01)
        connection.sendall(json.dumps(command).encode())
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(1000).decode()
