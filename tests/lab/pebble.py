"""A CA that is somewhere else: pebble alone, at an address that the machine reaches over the network."""
import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Dict
from typing import Optional
from typing import Type

from tests.lab import ports

_ACME_PORT = 14000


class Pebble:
    """pebble alone, started in the network of the thread that enters it; its name server is at its own address.

    :ivar server: the URL of its directory; :ivar bundle: the certificate that it is trusted by.
    :ivar log: what it has printed.
    """

    def __init__(self, directory: Path, address: str) -> None:
        self._directory = directory
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._address = address
        self.server = f"https://{address}:{_ACME_PORT}/dir"
        self.bundle = directory / "cert.pem"
        self.log = directory / "pebble.log"

    def __enter__(self) -> "Pebble":
        key, config = self._directory / "key.pem", self._directory / "pebble.json"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", "/CN=pebble", "-addext", f"subjectAltName=IP:{self._address}",
                        "-keyout", key, "-out", self.bundle], check=True, capture_output=True)
        config.write_text(json.dumps({"pebble": {
            "listenAddress": f"{self._address}:{_ACME_PORT}", "managementListenAddress": "127.0.0.1:15000",
            "certificate": str(self.bundle), "privateKey": str(key), "httpPort": 80, "tlsPort": 443,
            "ocspResponderURL": "", "externalAccountBindingRequired": False}}))
        environment: Dict[str, str] = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0",
                                       "PEBBLE_AUTHZREUSE": "0"}
        with open(self.log, "wb") as log:
            command = ["pebble", "-config", str(config), "-dnsserver", f"{self._address}:53"]
            self._process = subprocess.Popen(command, env=environment,
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        ports.wait_for_port(self._address, _ACME_PORT, self._process)
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    def validations(self) -> int:
        """How many validations it was asked for so far."""
        return self.log.read_text().count("Pulled a task from the Tasks queue")
