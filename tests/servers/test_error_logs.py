"""Kinds of 403: the server's error log has the reason of our own request, and the message has that line."""
from pathlib import Path
from typing import Iterator

import pytest

from certbot_autowebroot.order import messages
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.nginx import Nginx
from tests.lab.orders import NAME
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.orders import solved

__all__ = ["names", "place"]  # fixtures

pytestmark = pytest.mark.lab

SITE = "Listen 80\nServerName www.sample.com\nDocumentRoot {place}/site/root\n"
GRANTED = "<Directory />\nRequire all granted\nOptions %s\n</Directory>\n"
RULE = """SecRuleEngine On
SecRule REQUEST_URI "@contains acme-challenge" "id:4711,phase:1,deny,status:403,log,msg:'Hidden path'"
"""


@pytest.fixture
def root(place: Path) -> Iterator[Path]:
    (place / "site" / "root").mkdir(parents=True)
    yield place / "site" / "root"


def apache(place: Path, more: str, *modules: str) -> Apache:
    """An httpd with one site."""
    return Apache(place / "httpd", SITE.format(place=place) + more, (*DEFAULT_MODULES, *modules))


def message(place: Path) -> str:
    """What is reported of the name, which fails."""
    with solved(place) as solver:
        assert solver.unanswered == [NAME]
        return messages.failure(solver.outcomes[NAME])


@pytest.mark.parametrize(("override", "line"), [
    ("None", "AH00035: access to /.well-known/acme-challenge/"),
    ("All", "AH00529: {root.parent}/.htaccess pcfg_openfile: unable to check htaccess file")])
def test_apache_directory_without_x(place: Path, root: Path, override: str, line: str) -> None:
    """A directory above the root that the server's user may not enter: httpd looks for the file, or for .htaccess."""
    with apache(place, GRANTED % f"FollowSymLinks\nAllowOverride {override}"):
        root.parent.chmod(0o700)
        text = message(place)
    assert "status 403; the error log of apache2 (pid " in text
    assert f"says: (13)Permission denied: {line.format(root=root)}" in text


def test_apache_link_not_followed(place: Path, root: Path) -> None:
    """Options without FollowSymLinks, and a DocumentRoot that is a link."""
    root.rename(place / "site" / "release")
    root.symlink_to("release")
    with apache(place, GRANTED % "None"):
        text = message(place)
    assert f"says: AH00037: Symbolic link not allowed or link target not accessible: {root}" in text


def test_apache_mod_security(place: Path, root: Path) -> None:
    """The number of the rule is in the line."""
    with apache(place, GRANTED % "FollowSymLinks" + RULE, "unique_id", "security2"):
        text = message(place)
    assert "says: ModSecurity: Access denied with code 403 (phase 1). " in text
    assert '[id "4711"]' in text


def test_nginx_directory_without_x(place: Path, root: Path) -> None:
    """As for httpd."""
    root.parent.chmod(0o700)
    with Nginx(place / "nginx", f"server {{ listen 80; root {root}; }}", user="www-data"):
        text = message(place)
    assert f'says: open() "{root}/.well-known/acme-challenge/' in text
    assert "failed (13: Permission denied)" in text


def test_line_of_another_request_does_not_count(place: Path, root: Path) -> None:
    """A rule of httpd that refuses without a line in the log: the one of an earlier request is not ours."""
    refused = "RewriteEngine On\nRewriteRule ^/.well-known - [F]\n"
    with apache(place, GRANTED % "FollowSymLinks" + refused) as server:
        text = message(place)
        with open(server.directory / "logs" / "error.log", "a", encoding="ascii") as log:
            log.write("[Sun Nov 29 09:00:00.000000 2020] [core:error] [pid 1:tid 1] [client 203.0.113.10:1] AH00037: "
                      f"Symbolic link not allowed or link target not accessible: {root}\n")
        assert "error log" not in message(place)
    assert "error log" not in text
