"""A real Certbot with directories of its own."""
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from typing import Dict
from typing import List
from typing import Optional
from typing import Set
from typing import Tuple

from cryptography import x509

from tests.lab.ca import CA

#: For ``preload``: Certbot and its plugins sleep for seconds while pebble and the servers are done at once.
SHORT_SLEEPS = """
import time
def _sleep(seconds, sleep=time.sleep):
    sleep(min(seconds, 0.2))
time.sleep = _sleep
"""


def prepend_path(environment: Dict[str, str], directory: Path) -> None:
    """Have Python look for modules in a directory first."""
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(directory), environment.get("PYTHONPATH"))))


class Certbot:
    """The ``certbot`` beside the running Python, or the one that ``CERTBOT`` in the environment names.

    :param preload: Python source that each of its processes runs first.
    """

    def __init__(self, directory: Path, ca: CA, preload: str = "") -> None:
        self.directory = directory
        self.ca = ca
        self.preload = preload
        self.program = os.environ.get("CERTBOT") or str(Path(sys.executable).parent / "certbot")

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command and return what it printed, stdout and stderr together, and its exit status.

        pebble reuses a valid authorization once in a hundred times, even with a probability of 0: it compares a number
        from 0 to 99 with ">". A renewal without a validation tests nothing, and is repeated.
        """
        for _ in range(5):
            before = self.ca.validations()
            done = subprocess.run(self.command(*arguments), env=self.environment(), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
            if arguments[0] != "renew" or done.returncode != 0 or self.ca.validations() > before:
                break
        return done

    def command(self, *arguments: str) -> List[str]:
        """The whole command line of a command. Debian's /etc/letsencrypt/cli.ini would write all runs into one log."""
        if arguments[0] == "renew":
            arguments += ("--no-random-sleep-on-renew",)  # up to 8 minutes without a terminal
        return [self.program, *arguments, *self.options]

    @property
    def options(self) -> List[str]:
        """The options of every command line."""
        return [*self.directories, "--logs-dir", str(self.directory / "logs"), "--max-log-backups", "100",
                "--server", self.ca.server, "--non-interactive", "--agree-tos", "--register-unsafely-without-email"]

    def environment(self) -> Dict[str, str]:
        """Its environment, without our PYTHONWARNINGS: it would turn Certbot's own warnings into errors."""
        environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(self.ca.bundle), "NO_PROXY": "127.0.0.1"}
        environment.pop("PYTHONWARNINGS", None)
        if self.preload:
            directory = self.directory / "preload"
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "sitecustomize.py").write_text(self.preload)  # Python imports it at its start
            prepend_path(environment, directory)
        return environment

    @property
    def directories(self) -> List[str]:
        """The options of ``certbot-autowebroot check`` that name its directories."""
        return ["--config-dir", str(self.directory / "config"), "--work-dir", str(self.directory / "work")]

    def check(self, *arguments: str) -> Dict[str, Any]:
        """The JSON of ``certbot-autowebroot check``, in a process of its own."""
        done = subprocess.run([sys.executable, "-m", "certbot_autowebroot.cli", "check", "--json", *self.directories,
                               *arguments], stdout=subprocess.PIPE, text=True, timeout=60)
        report: Dict[str, Any] = json.loads(done.stdout)
        return report

    @property
    def version(self) -> Tuple[int, ...]:
        """Its version, such as ``(2, 1, 0)``."""
        said = subprocess.run([self.program, "--version"], env=self.environment(), check=True, capture_output=True,
                              text=True).stdout
        return tuple(int(number) for number in said.split()[-1].split("."))

    def renewal_conf(self, lineage: str) -> Path:
        """The renewal configuration of a lineage."""
        return self.directory / "config" / "renewal" / f"{lineage}.conf"

    def renewal_setting(self, lineage: str, key: str) -> Optional[str]:
        """A setting of it, such as ``authenticator``."""
        for line in self.renewal_conf(lineage).read_text().splitlines():
            name, separator, value = line.partition(" = ")
            if separator and name == key:
                return value
        return None

    def certificates(self, lineage: str) -> int:
        """The number of certificates that the lineage has had."""
        return len(list((self.directory / "config" / "archive" / lineage).glob("cert*.pem")))

    def names(self, lineage: str) -> Set[str]:
        """The names in its current certificate."""
        path = self.directory / "config" / "live" / lineage / "cert.pem"
        names = x509.load_pem_x509_certificate(path.read_bytes()).extensions.get_extension_for_class(
            x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        return set(names)

    @property
    def log(self) -> str:
        """The log of the last command."""
        return (self.directory / "logs" / "letsencrypt.log").read_text()
