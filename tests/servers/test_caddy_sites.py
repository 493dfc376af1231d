"""The place of a site in a Caddyfile."""
from typing import List

import pytest

from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step
from certbot_autowebroot.servers.caddy import sites
from tests.lab.caddy_table import CADDYFILE


@pytest.mark.parametrize(("host", "file", "line"), [
    ("www.sample.com", "Caddyfile", 10), ("a.sample.org", "Caddyfile", 15), ("sample.org", "Caddyfile", 18),
    ("other.example", "sites/other.caddy", 2), ("a.b.sample.org", "Caddyfile", 18)])
def test_site(host: str, file: str, line: int) -> None:
    """An exact name comes before a wildcard, and that before a site for all hosts, also in imported files."""
    files = {"/c/Caddyfile": CADDYFILE, "/c/sites/other.caddy": "# \nhttp://other.example {\n}\n"}
    step = sites.site_in("/c/Caddyfile", host, lambda path: files[path].encode(),
                          lambda pattern: [path for path in files if pattern == "/c/sites/*.caddy" and "sites" in path])
    assert step.source == Source(f"/c/{file}", line)


def test_site_without_braces() -> None:
    """The first line is its address."""
    step = sites.site_in("/c", "a.example", lambda _: b"a.example\nrespond no\n", lambda _: [])
    assert step.source == Source("/c", 1)


def test_site_not_found() -> None:
    """The step names the file only, for example where the name is an environment variable."""
    step = sites.site_in("/c", "a.example", lambda _: b"{$DOMAIN} {\n}\n", lambda _: [])
    assert step == Step("site a.example", Source("/c"))


def test_import_loop() -> None:
    """The number of files has a limit, and each is read once."""
    read: List[str] = []

    def again(path: str) -> bytes:
        read.append(path)
        return b"import *\na.example {\n}\n"
    step = sites.site_in("/c", "a.example", again, lambda _: [f"/{number}" for number in range(2000)])
    assert step.source is not None and step.source.line == 2
    assert len(read) == len(set(read)) <= 1000


def test_unreadable_import() -> None:
    """The other sites are still found."""
    def read(path: str) -> bytes:
        if path != "/c":
            raise FileNotFoundError(path)
        return b"import gone\na.example {\n}\n"
    assert sites.site_in("/c", "a.example", read, lambda _: ["/gone"]).source == Source("/c", 2)
