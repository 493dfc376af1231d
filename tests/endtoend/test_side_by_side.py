"""Others in the same document root: another Certbot, another authenticator, another client."""
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from tests.lab.ca import CA
from tests.lab.certbot import SHORT_SLEEPS
from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx

pytestmark = pytest.mark.lab

ROUNDS = 2


@pytest.fixture
def root(place: Path) -> Iterator[Path]:
    path = place / "root"
    path.mkdir()
    with Nginx(place / "nginx", f"server {{ listen 80; root {path}; }}", user="www-data"):
        yield path


def test_two_certbots_at_once(ca: CA, tmp_path: Path, root: Path) -> None:
    """Each has directories of its own, and so knows nothing of the others; all want the same name from one root.

    A directory that one has made and another still uses when the first is done, goes when the first runs again.
    """
    certbots = [Certbot(tmp_path / name, ca, SHORT_SLEEPS) for name in ("one", "two", "three")]
    command = ("certonly", "-a", "autowebroot", "-d", "www.sample.com", "--force-renewal")
    for _ in range(ROUNDS):
        running = [subprocess.Popen(certbot.command(*command), env=certbot.environment(), stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                   for certbot in certbots]
        said = [process.communicate(timeout=120)[0] for process in running]
        assert [process.returncode for process in running] == [0] * len(running), "\n".join(said)
        assert [path for path in root.rglob("*") if not path.is_dir()] == []
    for certbot in certbots * 2:  # twice: one's directory may be in another's
        assert certbot.run("plugins", "--prepare", "--authenticators").returncode == 0
    assert list(root.iterdir()) == []


def test_webroot_lineage_beside_ours(certbot: Certbot, root: Path) -> None:
    """One renew: Certbot's own webroot before and after us in one directory, another client's file between them."""
    others = root / ".well-known" / "acme-challenge" / "another-client"
    for name, arguments in (("a", ["-a", "webroot", "-w", str(root)]), ("b", ["-a", "autowebroot"]),
                            ("c", ["-a", "webroot", "-w", str(root)]), ("d", ["-a", "autowebroot"])):
        done = certbot.run("certonly", *arguments, "-d", f"{name}.sample.com")
        assert done.returncode == 0, done.stdout
        assert list(root.iterdir()) == []
    for _ in range(2):
        done = certbot.run("renew", "--force-renewal")
        assert done.returncode == 0, done.stdout
        assert [certbot.certificates(f"{name}.sample.com") >= 2 for name in "abcd"] == [True] * 4
        if others.exists():
            assert others.read_text() == "its token"
            assert [path.name for path in others.parent.iterdir()] == [others.name]
        else:
            assert list(root.iterdir()) == []
            others.parent.mkdir(parents=True)
            others.write_text("its token")
