"""Applications that know no challenge: ``python applications.py PORT|SOCKET ...``. They answer 404 to every request."""
import http.server
import os
import socket
import socketserver
import sys
import threading


class _Application(http.server.BaseHTTPRequestHandler):
    timeout = 0.2  # seconds for a request: FastCGI and others send none that ends

    def do_GET(self) -> None:
        self.send_error(404)

    def address_string(self) -> str:
        """The client of a Unix socket has no address."""
        return "client"

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


class _AtPort(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _AtSocket(_AtPort):
    address_family = socket.AF_UNIX


def main() -> None:
    """Listen at all of them, and serve until the end."""
    for where in sys.argv[1:]:
        server = _AtPort(("", int(where)), _Application) if where.isdigit() else _AtSocket(
            where, _Application)  # type: ignore[arg-type]
        if not where.isdigit():
            os.chmod(where, 0o666)
        threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main()
