"""Wait for real servers, and fetch from them."""
import socket
import subprocess
import time


def wait_for_port(host: str, port: int, process: "subprocess.Popen[bytes]", seconds: float = 15.0) -> None:
    """Wait until a program accepts there; fail at once when the process has ended."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return
        except OSError as error:
            if process.poll() is not None:
                raise AssertionError(f"the server ended with status {process.returncode}") from error
            if time.monotonic() > deadline:
                raise AssertionError(f"no program listens on {host}:{port} after {seconds} s") from error
        time.sleep(0.01)


def fetch(address: str, port: int, host: str, path: str, timeout: float = 5.0) -> "tuple[int, bytes]":
    """One GET, without redirects: status and body."""
    import http.client
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": host, "Accept-Encoding": "identity"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
