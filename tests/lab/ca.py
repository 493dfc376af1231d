"""A real CA: Debian's pebble, with pebble-challtestsrv as the name server of the CA and of this host."""
import json
import os
import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import List
from typing import Optional
from typing import Sequence
from typing import Type

from tests.lab import net
from tests.lab import ports

_ACME_PORT = 14000
_DNS_MANAGEMENT_PORT = 8055
#: Every validation comes at once; and pebble does not refuse a nonce in twenty for practice, which Certbot survives
#: once in a request, not twice.
_SETTINGS = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}


class CA:
    """One running CA.

    :param http_port: the port that it asks for http-01; a real CA's is 80.
    :param dns_port: the port of its name server. At 53 it is this host's too.
    :param address: the address of every name without a :meth:`resolve`.
    :param reuses: reuses valid authorizations, as Let's Encrypt does for days.
    """

    def __init__(self, directory: Path, http_port: int = 80, dns_port: int = 53,
                 address: str = net.PUBLIC_V4, reuses: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._http_port = http_port
        self._dns_port = dns_port
        self._address = address
        self._settings = {**_SETTINGS, "PEBBLE_AUTHZREUSE": "100" if reuses else "0"}
        self._running: List[subprocess.Popen[bytes]] = []
        self.server = f"https://127.0.0.1:{_ACME_PORT}/dir"
        self.bundle = directory / "cert.pem"
        self.log = directory / "pebble.log"

    def __enter__(self) -> "CA":
        self.start()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        self.stop()

    def start(self) -> None:
        """Start CA and name server and wait until both answer."""
        key = self._directory / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", "/CN=pebble", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
                        "-out", self.bundle], check=True, capture_output=True)
        config = self._directory / "pebble.json"
        config.write_text(json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{_ACME_PORT}", "managementListenAddress": "127.0.0.1:15000",
            "certificate": str(self.bundle), "privateKey": str(key), "httpPort": self._http_port, "tlsPort": 443,
            "ocspResponderURL": "", "externalAccountBindingRequired": False}}))
        name_server = f"127.0.0.1:{self._dns_port}"
        self._run(["pebble-challtestsrv", "-dns01", name_server, "-http01", "", "-https01", "", "-tlsalpn01", "",
                   "-defaultIPv4", self._address, "-defaultIPv6", "",
                   "-management", f"127.0.0.1:{_DNS_MANAGEMENT_PORT}"], _DNS_MANAGEMENT_PORT)
        self._run(["pebble", "-config", str(config), "-dnsserver", name_server], _ACME_PORT)

    def resolve(self, name: str, v4: Sequence[str] = (), v6: Sequence[str] = ()) -> None:
        """Set the addresses of a name, for the CA and for this host."""
        self._manage("clear-a", {"host": name})
        self._manage("clear-aaaa", {"host": name})
        if v4:
            self._manage("add-a", {"host": name, "addresses": list(v4)})
        if v6:
            self._manage("add-aaaa", {"host": name, "addresses": list(v6)})

    def validations(self) -> int:
        """The number of validations so far."""
        return self.log.read_text().count("Pulled a task from the Tasks queue")

    def stop(self) -> None:
        """Stop both."""
        for process in self._running:
            process.terminate()
            process.wait(10)
        self._running.clear()

    def _run(self, command: List[str], port: int) -> None:
        with open(self._directory / f"{command[0]}.log", "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env={**os.environ, **self._settings})
        self._running.append(process)
        ports.wait_for_port("127.0.0.1", port, process, 60.0)  # on a busy machine pebble makes its keys for long

    def _manage(self, action: str, body: "dict[str, object]") -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{_DNS_MANAGEMENT_PORT}/{action}",
                                         data=json.dumps(body).encode(), method="POST")
        urllib.request.urlopen(request, timeout=5).close()
