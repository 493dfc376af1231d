"""Where a site is written, in Caddyfiles."""
from typing import List

import pytest

from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step
from certbot_autowebroot.servers.caddy import sites

CADDYFILE = """\
{
\tadmin off
}

(snippet) {
\trespond no
}

www.sample.com:8080, # a comment {
\thttps://www.sample.com/path {
\thandle {
\t\trespond "}" # {
\t}
}
*.sample.org {
}
import sites/*.caddy
:80 {
}
"""


@pytest.mark.parametrize(("host", "file", "line"), [
    ("www.sample.com", "Caddyfile", 10), ("a.sample.org", "Caddyfile", 15), ("sample.org", "Caddyfile", 18),
    ("other.example", "sites/other.caddy", 2), ("a.b.sample.org", "Caddyfile", 18)])
def test_where_a_site_is_written(host: str, file: str, line: int) -> None:
    """Its own name before a wildcard, and that before a site for all; in imported files too."""
    files = {"/c/Caddyfile": CADDYFILE, "/c/sites/other.caddy": "# \nhttp://other.example {\n}\n"}
    found = sites.site_in("/c/Caddyfile", host, lambda path: files[path].encode(),
                          lambda pattern: [path for path in files if pattern == "/c/sites/*.caddy" and "sites" in path])
    assert found.source == Source(f"/c/{file}", line)


def test_a_site_alone_needs_no_braces() -> None:
    """The first line is its address."""
    found = sites.site_in("/c", "a.example", lambda _: b"a.example\nrespond no\n", lambda _: [])
    assert found.source == Source("/c", 1)


def test_a_site_that_is_not_found_is_somewhere_in_the_file() -> None:
    """A name from the environment, say."""
    found = sites.site_in("/c", "a.example", lambda _: b"{$DOMAIN} {\n}\n", lambda _: [])
    assert found == Step("site a.example", Source("/c"))


def test_a_caddyfile_that_imports_itself_comes_to_an_end() -> None:
    """Bounded like every reader of strangers' bytes."""
    read: List[str] = []

    def again(path: str) -> bytes:
        read.append(path)
        return b"import *\na.example {\n}\n"
    found = sites.site_in("/c", "a.example", again, lambda _: [f"/{number}" for number in range(2000)])
    assert found.source is not None and found.source.line == 2
    assert len(read) == len(set(read)) <= 1000


def test_an_import_that_cannot_be_read_is_passed_over() -> None:
    """The other sites are still found."""
    def read(path: str) -> bytes:
        if path != "/c":
            raise FileNotFoundError(path)
        return b"import gone\na.example {\n}\n"
    assert sites.site_in("/c", "a.example", read, lambda _: ["/gone"]).source == Source("/c", 2)
