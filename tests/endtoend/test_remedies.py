"""A name without a directory: the remedy of the error is followed word for word, and the name is renewed."""
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Union

import pytest

from certbot_autowebroot import settings
from certbot_autowebroot.cli import __main__ as cli
from certbot_autowebroot.route import CHALLENGE_PATH
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.ca import CA
from tests.lab.caddy import Caddy
from tests.lab.certbot import Certbot
from tests.lab.haproxy import Haproxy
from tests.lab.lighttpd import Lighttpd
from tests.lab.nginx import Nginx
from tests.lab.programs import Program
from tests.lab.shared_directory import empty_www
from tests.lab.varnish import Varnish

pytestmark = pytest.mark.lab

NAME = "www.sample.com"
APPLICATION = "127.0.0.1:8001"
Server = Union[Nginx, Apache, Lighttpd, Caddy, Haproxy, Varnish]


@pytest.fixture(autouse=True)
def application(place: Path) -> Iterator[None]:
    """The user's program instead of a directory; its own working directory holds no file that is served."""
    (place / "app").mkdir()
    script = "require('http').createServer((q, r) => { r.statusCode = 404; r.end('no') }).listen(8001, '127.0.0.1')"
    with Program(["node", "-e", script], place / "app", port=8001):
        yield


@pytest.fixture(autouse=True)
def www() -> Iterator[None]:
    with empty_www():
        yield


class Advised(NamedTuple):
    """The lines of the error, and where to put them."""

    file: Path
    line: int
    lines: List[str]
    at_the_end: List[str]
    instead_of: Optional[int]


def advised(said: str) -> Advised:
    """Read the advice as a person would, and make the directory that it names."""
    text = said[re.search("for good, put th(ese lines|is line) ", said).start():]  # type: ignore[union-attr]
    first, _, rest = text.partition("\n")
    found = re.search(r" (/\S+?)(?::(\d+))?[,:]", first)
    assert found, first
    below, _, then = rest.partition("then: ")
    for command in re.findall(r"install -d [^,]+", then.partition("\n")[0]):
        subprocess.run(command.split(), check=True)
    below = re.sub(r"(?m)^ *and put .*\n", "", below)
    lines, _, at_the_end = below.partition("and these, once, at the end of the file:\n")
    instead = re.search(r"in place of its location at \S+:(\d+)", first)
    return Advised(Path(found[1]), int(found[2] or 0), textwrap.dedent(lines.rstrip(" ")).splitlines(),
                   textwrap.dedent(at_the_end.rstrip(" ")).splitlines(), int(instead[1]) if instead else None)


def apply(said: str, where: str) -> None:
    """Put the lines where the error says they belong.

    :param where: "after" the line that is named, "before" it, or "at the end".
    """
    advice = advised(said)
    text = advice.file.read_text().splitlines()
    if advice.instead_of:
        text[advice.instead_of - 1] = ""
    for line, section in re.findall(r'\(\S+:(\d+)\), which is taken first, into a section (<If ".*">) ... </If>', said):
        text[int(line) - 1] = f"{section}\n{text[int(line) - 1]}\n</If>"
    at = {"after": advice.line, "before": advice.line - 1, "at the end": len(text), "in place": advice.line - 1}[where]
    text[at:at + (where == "in place")] = advice.lines
    advice.file.write_text("\n".join([*text, *advice.at_the_end, ""]))


def nginx(place: Path, site: str) -> Nginx:
    return Nginx(place / "nginx", f"server {{\nlisten 80;\nserver_name {NAME};\n{site}\n}}", user="www-data")


def nginx_with_lua(place: Path, site: str) -> Nginx:
    modules = "".join(f"load_module modules/{name}.so;\n" for name in ("ndk_http_module", "ngx_http_lua_module"))
    return Nginx(place / "nginx", f"server {{\nlisten 80;\nserver_name {NAME};\n{site}\n}}", user="www-data",
                 main=modules.replace("modules/", "/usr/lib/nginx/modules/"))


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
    "nginx": (nginx, f"location / {{ proxy_pass http://{APPLICATION}; }}", "after"),
    "apache": (apache, host(f"ProxyPass / http://{APPLICATION}/"), "after"),
    "lighttpd": (lighttpd, f'$HTTP["host"] == "{NAME}" {{\n'
                 'proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => 8001 )) )\n}', "at the end"),
    "caddy": (caddy, f"http://{NAME} {{\nreverse_proxy {APPLICATION}\n}}", "after"),
    "haproxy": (haproxy, "    default_backend app", "after"),
}
OTHERS = {
    "nginx refuses": (nginx, "return 403;", "after"),
    "nginx redirects away": (nginx, "return 301 https://other.example$request_uri;", "after"),
    "nginx redirects where nobody listens": (
        nginx, "if ($scheme = http) { return 301 https://$host$request_uri; }", "after"),
    "nginx has a location for it": (
        nginx, f"location /.well-known/acme-challenge/ {{ proxy_pass http://{APPLICATION}; }}", "after"),
    "nginx passes it on to another machine": (nginx, "location / { proxy_pass http://192.0.2.9; }", "after"),
    "nginx has a directory that is gone": (nginx, "root /nowhere;", "after"),
    "nginx refuses before its location for it": (
        nginx, f"return 403;\nlocation ^~ {CHALLENGE_PATH} {{ root /var/www; }}", "after"),
    "nginx refuses before a location for it that passes it on": (
        nginx, f"return 403;\nlocation {CHALLENGE_PATH} {{ proxy_pass http://{APPLICATION}; }}", "after"),
    "nginx refuses in Lua": (
        nginx_with_lua, "rewrite_by_lua_block { ngx.exit(403) }\naccess_by_lua_block { ngx.exit(403) }", "after"),
    "nginx redirects to a port without certificate": (
        nginx, "return 301 https://$host$request_uri;\n}\nserver {\nlisten 443 ssl default_server;\n"
        "ssl_reject_handshake on;", "after"),
    "apache refuses": (apache, host("<Location />\nRequire all denied\n</Location>"), "after"),
    "apache refuses as 2.2 did": (
        apache, host('<DirectoryMatch "">\nRequire all granted\n</DirectoryMatch>\nDocumentRoot /usr\n'
                     "<Location />\nOrder allow,deny\nDeny from all\n</Location>"), "after"),
    "apache rewrites": (
        apache, host(f"RewriteEngine On\nRewriteRule ^/(.*) http://{APPLICATION}/$1 [P]"), "after"),
    "apache redirects away": (apache, host("Redirect permanent / https://other.example/"), "after"),
    "apache redirects in a location": (
        apache, host("<Location />\nRedirect permanent https://other.example/\n</Location>"), "after"),
    "apache redirects in an else": (
        apache, host('<If "%{HTTP_HOST} == \'x\'">\nRequire all granted\n</If>\n<Else>\n'
                     "Redirect 301 https://other.example/\n</Else>"), "after"),
    "apache redirects in a location before a directory": (
        apache, host("DocumentRoot /var/www\n<Directory /var/www>\nRequire all granted\n</Directory>\n"
                     "<Location />\nRedirect permanent https://other.example/\n</Location>"), "in place"),
    "apache without virtual hosts": (apache, f"ProxyPass / http://{APPLICATION}/", "before"),
    "lighttpd redirects away": (lighttpd, 'url.redirect = ( "" => "https://other.example/" )', "at the end"),
    "lighttpd rewrites": (lighttpd, 'url.rewrite-once = ( "" => "/index.php" )', "at the end"),
    "lighttpd has a front controller": (lighttpd, 'url.rewrite-if-not-file = ( "" => "/index.php" )', "at the end"),
    "lighttpd refuses": (lighttpd, '$HTTP["url"] =~ "/\\." { url.access-deny = ( "" ) }', "at the end"),
    "caddy with https": (caddy, f"{NAME} {{\nreverse_proxy {APPLICATION}\n}}", "after"),
    "caddy for all hosts": (caddy, ":80 {\nrespond 404\n}", "after"),
    "varnish passes all on": (varnish, "", "after"),
    "varnish refuses": (varnish, 'sub vcl_recv {\nif (req.url ~ "/\\.") {\nreturn (synth(403));\n}\n}', "after"),
    "haproxy refuses": (haproxy, "    http-request deny if { path_sub /. }\n    default_backend app", "after"),
    "haproxy redirects": (haproxy, "    http-request redirect scheme https unless { ssl_fc }", "after"),
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
}


@pytest.mark.parametrize("kind", list(PROXIED))
def test_remedy_of_the_error_works(kind: str, certbot: Certbot, place: Path) -> None:
    """The order is refused with its remedies; after the first one and a restart of the server it succeeds."""
    make, site, where = PROXIED[kind]
    server = make(place, site)
    with server:
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    assert done.returncode == 1, done.stdout
    remedies = re.findall(r"^    - (.*)$", done.stdout, re.MULTILINE)
    expected = REMEDIES[kind]
    assert [remedy[:len(beginning)] for remedy, beginning in zip(remedies, expected)] == expected, done.stdout
    assert len(remedies) == len(expected), done.stdout
    apply(done.stdout, where)
    with server:
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
        assert done.returncode == 0, done.stdout
        done = certbot.run("renew", "--force-renewal")
        assert done.returncode == 0, done.stdout
    remembered = certbot.renewal_setting(NAME, "autowebroot_roots") or ""
    assert (settings.SHARED_DIRECTORY in remembered) == (kind != "haproxy"), remembered


@pytest.mark.parametrize(("make", "site", "where"), OTHERS.values(), ids=OTHERS)
def test_remedy_of_check_works(make: Callable[[Path, str], Server], site: str, where: str, ca: CA, place: Path,
                               capsys: "pytest.CaptureFixture[str]") -> None:
    """The same lines, where the server answers without a directory."""
    def check() -> int:
        return cli.main(["check", "--work-dir", str(place / "work"), NAME])
    server = make(place, site)
    with server:
        assert check() == 1
    apply(capsys.readouterr().out, where)
    with server:
        assert check() == 0, capsys.readouterr().out


#: Where a line is taken before all others, and what the advice makes of it.
TAKEN_FIRST = {
    "caddy": (caddy, f"http://{NAME} {{\nredir https://other.example{{uri}}\n}}",
              "redir https://other.example{uri}", "handle {{\n{line}\n}}"),
    "haproxy": (haproxy, "    redirect scheme https\n    default_backend app",
                "redirect scheme https", "{line} unless {{ path_beg /.well-known/acme-challenge/ }}"),
}


@pytest.mark.parametrize(("make", "site", "line", "changed"), TAKEN_FIRST.values(), ids=TAKEN_FIRST)
def test_line_that_wins_over_the_remedy_is_named(make: Callable[[Path, str], Server], site: str, line: str,
                                                 changed: str, ca: CA, place: Path,
                                                 capsys: "pytest.CaptureFixture[str]") -> None:
    """With its own remedy; the lines alone would not help."""
    def check() -> int:
        return cli.main(["check", "--work-dir", str(place / "work"), NAME])
    server = make(place, site)
    with server:
        assert check() == 1
    said = capsys.readouterr().out
    assert "for it is taken first" in said
    apply(re.sub(r"\n.*for it is taken first.*", "", said), "after")
    with server:
        assert check() == 1
    server.conf.write_text(server.conf.read_text().replace(line, changed.format(line=line)))
    with server:
        assert check() == 0, capsys.readouterr().out


def test_line_that_no_lines_beat_is_named(ca: CA, place: Path, capsys: "pytest.CaptureFixture[str]") -> None:
    """No frontend's rule is asked after a connection is rejected; the lines are not printed, nor printed again."""
    with haproxy(place, "    tcp-request content reject if { src 0.0.0.0/0 }\n    tcp-request content reject\n"
                 "    default_backend app"):
        assert cli.main(["check", "--work-dir", str(place / "work"), NAME]) == 1
    said = capsys.readouterr().out
    assert "for good" not in said
    assert re.search(r"do not help while tcp-request content reject.* \(\S+:\d+\) counts before them", said), said


HTACCESS = {
    "rewrites": "RewriteEngine On\nRewriteRule ^ index.php [L]\n",
    "refuses": '<FilesMatch ".">\nRequire all denied\n</FilesMatch>\n',
    "does both": 'Require all denied\nRewriteEngine On\nRewriteRule (^|/)\\. - [F]\n',
}


@pytest.mark.parametrize("text", HTACCESS.values(), ids=HTACCESS)
def test_remedy_for_htaccess(text: str, ca: CA, place: Path, capsys: "pytest.CaptureFixture[str]") -> None:
    """The owner of a site has no access to the virtual host: the lines are for that very file, and work literally."""
    def check() -> int:
        return cli.main(["check", "--work-dir", str(place / "work"), NAME])
    root = place / "root"
    root.mkdir()
    (root / "index.php").write_text("all")
    (root / ".htaccess").write_text(text)
    granted = f"<Directory {root}>\nRequire all granted\nAllowOverride All\n</Directory>"
    with apache(place, host(f"DocumentRoot {root}\n{granted}")):
        assert check() == 1
        said = capsys.readouterr().out
        found = re.search(r"for good, put these lines into (\S+), as its first lines:\n((?: {8,}.*\n)+?) +then: ", said)
        assert found and found[1] == str(root / ".htaccess"), said
        (root / ".htaccess").write_text(textwrap.dedent(found[2]) + text)
        assert check() == 0, capsys.readouterr().out
