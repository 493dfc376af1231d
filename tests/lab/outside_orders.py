"""Orders at a CA that comes from outside, and what check says of the same names."""
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from typing import Dict
from typing import Iterator
from typing import Tuple

import pytest

from tests.lab import certificates
from tests.lab.certbot import SHORT_SLEEPS
from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx
from tests.lab.outside import Outside

NAME = "www.sample.com"
ROOT = "root {place}/root;"
#: What application servers answer, and what many sites say of names that begin with a dot.
DEAD_END = "location / { return 404; } location ~ /\\. { deny all; }"


class Orders:
    """What a real Certbot does at this CA; nothing of it is left in the place of the web servers.

    :ivar place: a directory that web servers may read; ``root`` and ``secure`` are below it.
    """

    def __init__(self, outside: Outside, directory: Path, place: Path) -> None:
        self.outside = outside
        self.place = place
        self.certbot = Certbot(directory, outside.ca, SHORT_SLEEPS)  # type: ignore[arg-type]
        for name in ("root", "secure"):
            (place / name).mkdir()

    def nginx(self, *servers: str) -> Nginx:
        """nginx with these servers: what stands in each block; ``{place}``, ``{tls}`` and ``{name}`` are filled in."""
        crt, key = certificates.expired(self.place, NAME)
        words = {"{place}": str(self.place), "{name}": NAME, "{tls}": f"ssl_certificate {crt}; "
                                                                     f"ssl_certificate_key {key};"}
        config = "".join(f"server {{ {server} }}\n" for server in servers)
        for word, meaning in words.items():
            config = config.replace(word, meaning)
        return Nginx(self.place / "nginx", config, user="www-data")

    def issue(self, *arguments: str, names: Tuple[str, ...] = (NAME,)) -> str:
        """Have a certificate issued; returns what Certbot prints."""
        return self._succeed("certonly", "-a", "autowebroot", *[word for name in names for word in ("-d", name)],
                             *arguments)

    def renew(self) -> str:
        """Renew it; returns what Certbot prints."""
        return self._succeed("renew", "--force-renewal")

    def refuse(self, *mentioned: str, command: Tuple[str, ...] = ("certonly", "-a", "autowebroot", "-d", NAME)) -> str:
        """Have an order refused before the CA is asked, with an error that mentions this; returns what is printed."""
        asked = self.outside.ca.validations()
        done = self.certbot.run(*command)
        assert self.outside.ca.validations() == asked, f"the CA was asked: {done.stdout}"
        assert done.returncode == 1, done.stdout
        printed = " ".join(done.stdout.split())
        assert all(word in printed for word in mentioned), done.stdout
        assert not list(self.place.rglob(".well-known"))
        return printed

    def check(self, *arguments: str) -> "Tuple[int, Dict[str, Any]]":
        """The exit status of check, and what it says of the name."""
        done = self._check("--json", *arguments, NAME)
        return done.returncode, json.loads(done.stdout)["names"][0]

    def check_lineage(self, *arguments: str) -> "Tuple[int, str]":
        """The exit status of check without names, and the outlook of the only lineage."""
        done = self.check_lineages("--json", *arguments)
        return done.returncode, json.loads(done.stdout)["lineages"][0]["outlook"]

    def check_lineages(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run check without names."""
        return self._check("--config-dir", str(self.certbot.directory / "config"), *arguments)

    def _check(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([sys.executable, "-m", "certbot_autowebroot.cli", "check", "--work-dir",
                               self.certbot.directory / "work", *arguments], stdout=subprocess.PIPE, text=True,
                              timeout=60)

    def _succeed(self, *command: str) -> str:
        done = self.certbot.run(*command)
        assert done.returncode == 0, done.stdout
        assert not list(self.place.rglob(".well-known"))
        return " ".join(done.stdout.split())


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """The network outside of the host, for tests that say what host it is."""
    with Outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture
def orders(outside: Outside, tmp_path: Path, place: Path) -> Orders:
    """A Certbot whose CA is outside."""
    return Orders(outside, tmp_path, place)
