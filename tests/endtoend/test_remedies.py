"""A name without a directory: the remedy of the error is followed word for word, and the name is renewed."""
import re
from pathlib import Path
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import List

import pytest

from certbot_autowebroot import settings
from certbot_autowebroot.cli import __main__ as cli
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.ca import CA
from tests.lab.caddy import Caddy
from tests.lab.certbot import Certbot
from tests.lab.dead_ends import APPLICATION
from tests.lab.dead_ends import running_application
from tests.lab.dead_ends.reader import Reader
from tests.lab.haproxy import Haproxy
from tests.lab.lighttpd import Lighttpd
from tests.lab.nginx import Nginx
from tests.lab.shared_directory import empty_www
from tests.lab.varnish import Varnish

pytestmark = pytest.mark.lab

NAME = "www.sample.com"


@pytest.fixture(autouse=True)
def application(place: Path) -> Iterator[None]:
    """The user's program instead of a directory; its own working directory holds no file that is served."""
    (place / "app").mkdir()
    with running_application(place / "app"), empty_www():
        yield


def apply(place: Path, said: str) -> None:
    """Do what is printed."""
    reader = Reader(place)
    reader.follow(NAME, said)
    reader.edit()
    reader.run_commands()


def nginx(place: Path, site: str) -> Nginx:
    return Nginx(place / "nginx", f"server {{\nlisten 80;\nserver_name {NAME};\n{site}\n}}", user="www-data")


def apache(place: Path, site: str) -> Apache:
    """``site`` with its section, if any."""
    denied = "<Directory />\nRequire all denied\n</Directory>\n"
    return Apache(place / "apache", f"Listen 80\n{denied}{site}\n", (*DEFAULT_MODULES, "access_compat"))


def host(text: str) -> str:
    return f"<VirtualHost *:80>\nServerName {NAME}\n{text}\n</VirtualHost>"


def lighttpd(place: Path, site: str) -> Lighttpd:
    # mod_alias is not there yet.
    modules = ("mod_access", "mod_rewrite", "mod_redirect", "mod_proxy")
    return Lighttpd(place, f'server.port = 80\nserver.document-root = "/usr"\n{site}\n', modules=modules)


def caddy(place: Path, site: str) -> Caddy:
    return Caddy(place, f"http://other.sample.com {{\nrespond other\n}}\n\n{site}\n")


def haproxy(place: Path, site: str) -> Haproxy:
    return Haproxy(place, f"frontend web\n    bind :80\n{site}\nbackend app\n    server app {APPLICATION}")


def varnish(place: Path, site: str) -> Varnish:
    host, port = APPLICATION.split(":")
    return Varnish(place, f'backend app {{ .host = "{host}"; .port = "{port}"; }}\n{site}\n')


PROXIED = {
    "nginx": (nginx, f"location / {{ proxy_pass http://{APPLICATION}; }}"),
    "apache": (apache, host(f"ProxyPass / http://{APPLICATION}/")),
    "lighttpd": (lighttpd, f'$HTTP["host"] == "{NAME}" {{\n'
                 'proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => 8001 )) )\n}'),
    "caddy": (caddy, f"http://{NAME} {{\nreverse_proxy {APPLICATION}\n}}"),
    "haproxy": (haproxy, "    default_backend app"),
    "varnish": (varnish, ""),
}

GIVEN = "give Certbot the option --autowebroot-path DIR, where node"
WIRE = "give Certbot the option --autowebroot-fallback wire: for"
#: By server, the beginnings of its remedies, in order.
REMEDIES: Dict[str, List[str]] = {
    "nginx": ["for good, put these lines", WIRE, "give Certbot the option --autowebroot-fallback nginx", GIVEN],
    "apache": ["for good, put these lines", WIRE, "give Certbot the option --autowebroot-fallback apache", GIVEN],
    "lighttpd": ["for good, put these lines", WIRE, GIVEN],
    "caddy": ["for good, put these lines", WIRE, GIVEN],
    "haproxy": ["for good, put these lines", WIRE, GIVEN],
    "varnish": ["for good, put these lines", WIRE, GIVEN],
}


@pytest.mark.parametrize("kind", list(PROXIED))
def test_remedy_of_the_error_works(kind: str, certbot: Certbot, place: Path) -> None:
    """The order is refused with its remedies; after the first one and a reload of the server it succeeds."""
    make, site = PROXIED[kind]
    with make(place, site) as server:
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
        assert done.returncode == 1, done.stdout
        remedies = re.findall(r"^    - (.*)$", done.stdout, re.MULTILINE)
        expected = REMEDIES[kind]
        assert [remedy[:len(beginning)] for remedy, beginning in zip(remedies, expected)] == expected, done.stdout
        assert len(remedies) == len(expected), done.stdout
        apply(place, done.stdout)
        server.reload()
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
        assert done.returncode == 0, done.stdout
        done = certbot.run("renew", "--force-renewal")
        assert done.returncode == 0, done.stdout
    remembered = certbot.renewal_setting(NAME, "autowebroot_roots") or ""
    assert (settings.SHARED_DIRECTORY in remembered) == (kind not in ("haproxy", "varnish")), remembered


#: Where a line is taken before all others, and what the advice makes of it.
TAKEN_FIRST = {
    "caddy": (caddy, f"http://{NAME} {{\nredir https://other.example{{uri}}\n}}",
              "redir https://other.example{uri}", "handle {{\n{line}\n}}"),
    "haproxy": (haproxy, "    redirect scheme https\n    default_backend app",
                "redirect scheme https", "{line} unless {{ path_beg /.well-known/acme-challenge/ }}"),
}


@pytest.mark.parametrize(("make", "site", "line", "changed"), TAKEN_FIRST.values(), ids=TAKEN_FIRST)
def test_line_that_wins_over_the_remedy_is_named(make: Callable[[Path, str], Any], site: str, line: str,
                                                 changed: str, ca: CA, place: Path,
                                                 capsys: "pytest.CaptureFixture[str]") -> None:
    """With its own remedy; the lines alone would not help."""
    def check() -> int:
        return cli.main(["check", "--work-dir", str(place / "work"), NAME])
    with make(place, site) as server:
        assert check() == 1
        said = capsys.readouterr().out
        assert "for it is taken first" in said
        apply(place, re.sub(r"\n.*for it is taken first.*", "", said))
        server.reload()
        assert check() == 1
        server.conf.write_text(server.conf.read_text().replace(line, changed.format(line=line)))
        server.reload()
        assert check() == 0, capsys.readouterr().out


def test_line_that_no_lines_beat_is_named(ca: CA, place: Path, capsys: "pytest.CaptureFixture[str]") -> None:
    """No frontend's rule is asked after a connection is rejected; the lines are not printed, nor printed again."""
    with haproxy(place, "    tcp-request content reject if { src 0.0.0.0/0 }\n    tcp-request content reject\n"
                 "    default_backend app"):
        assert cli.main(["check", "--work-dir", str(place / "work"), NAME]) == 1
    said = capsys.readouterr().out
    assert "for good" not in said
    assert re.search(r"do not help while tcp-request content reject.* \(\S+:\d+\) counts before them", said), said
