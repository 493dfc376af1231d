"""The printed lines in the real server, beside sites that block every path; then a real renewal."""
import contextlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List

import pytest

from certbot_autowebroot.cli import __main__ as cli
from tests.lab import certificates
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.caddy import Caddy
from tests.lab.certbot import Certbot
from tests.lab.haproxy import Haproxy
from tests.lab.lighttpd import Lighttpd
from tests.lab.nginx import Nginx
from tests.lab.programs import Echo
from tests.lab.shared_directory import shared_directory

pytestmark = pytest.mark.lab

APPLICATION = "127.0.0.1:8001"


@pytest.fixture(autouse=True)
def application() -> Iterator[None]:
    """An application that gets every request of a site."""
    with Echo(APPLICATION):
        yield


@pytest.fixture
def directory() -> Iterator[str]:
    with shared_directory() as path:
        yield path


def printed(server: str, capsys: "pytest.CaptureFixture[str]") -> str:
    """The output of the command."""
    capsys.readouterr()
    assert cli.main(["snippet", server]) == 0
    return capsys.readouterr().out


def name_of(site: str) -> str:
    return f"{site}.sample.com"


def renew_all(certbot: Certbot, sites: Dict[str, str], capsys: "pytest.CaptureFixture[str]") -> Dict[str, Any]:
    """Issue and renew one certificate for all sites; returns the remembered places by site."""
    names = [name_of(site) for site in sites]
    # Followed without a word of the directory: the lines are understood, not only tried.
    capsys.readouterr()
    cli.main(["check", "--no-write", "--json", *names])
    found = json.loads(capsys.readouterr().out)["names"]
    ends = {name["name"]: [route["end"] for endpoint in name["endpoints"] for route in endpoint["routes"]]
            for name in found}
    assert {name["name"]: name["outlook"] for name in found} == dict.fromkeys(names, "good"), ends
    done = certbot.run("certonly", "-a", "autowebroot", "-d", ",".join(names))
    assert done.returncode == 0, done.stdout
    done = certbot.run("renew", "--force-renewal")
    assert done.returncode == 0, done.stdout
    assert certbot.renewal_setting(names[0], "autowebroot_path") is None, "the default is saved"
    roots = (certbot.renewal_setting(names[0], "autowebroot_roots") or "").strip("'\"") or "{}"
    return {name.partition(".")[0]: places for name, places in json.loads(roots).items()}


def in_directory(directory: str, sites: Dict[str, str]) -> Dict[str, List[List[str]]]:
    return {site: [[directory, ".well-known/acme-challenge"]] for site in sites}


def test_nginx(certbot: Certbot, place: Path, directory: str, capsys: "pytest.CaptureFixture[str]") -> None:
    """As the first line of a server block it beats return, if, rewrite, deny, a password and any location."""
    crt, key = certificates.expired(place, "sites")
    include = "include snippets/autowebroot.conf;\n"
    sites = {
        "plain": include + "root /nowhere;",
        "redirects": include + "return 301 https://other.example$request_uri;",
        "refuses": include + "return 403;",
        "redirects-if": include + "if ($scheme = http) { return 301 https://other.example$request_uri; }",
        "rewrites": include + f"rewrite ^ /index.php last; location / {{ proxy_pass http://{APPLICATION}; }}",
        "proxies": include + f"location / {{ proxy_pass http://{APPLICATION}; }}",
        "denies-dotfiles": include + r"location ~ /\. { deny all; }",
        "denies-all": include + "deny all;",
        "asks-a-password": include + "auth_basic x; auth_basic_user_file /dev/null;",
        "asks-another": include + "auth_request /x; location = /x { return 401; }",
        "moved-to-https": "return 301 https://$host$request_uri;",
    }
    config = "".join(f"server {{ listen 80; server_name {name_of(site)}; {text} }}\n" for site, text in sites.items())
    config += f"""server {{ listen 443 ssl; server_name {name_of("moved-to-https")}; {include}
        ssl_certificate {crt}; ssl_certificate_key {key}; location / {{ proxy_pass http://{APPLICATION}; }} }}"""
    nginx = Nginx(place / "nginx", config, user="www-data")
    nginx.write("snippets/autowebroot.conf", printed("nginx", capsys))
    with nginx:
        assert renew_all(certbot, sites, capsys) == in_directory(directory, sites)


#: Virtual hosts that the lines do not reach from outside: these include them.
INCLUDE = "Include conf-available/autowebroot.conf\n"


def test_apache(certbot: Certbot, place: Path, directory: str, capsys: "pytest.CaptureFixture[str]") -> None:
    """For all virtual hosts at once, but for those in the comments."""
    crt, key = certificates.expired(place, "sites")
    sites = {
        "plain": "DocumentRoot /usr",
        "rewrites-to-https": "RewriteEngine On\nRewriteRule ^ https://other.example%{REQUEST_URI} [R=301,L]",
        "proxies": f"ProxyPass / http://{APPLICATION}/",
        "proxies-by-rewrite": f"RewriteEngine On\nRewriteRule ^/(.*) http://{APPLICATION}/$1 [P]",
        "proxies-by-handler": f'<Location />\nSetHandler "proxy:http://{APPLICATION}"\n</Location>',
        "denies-dotfiles": '<FilesMatch "^\\.">\nRequire all denied\n</FilesMatch>\n'
                           '<DirectoryMatch "/\\.">\nRequire all denied\n</DirectoryMatch>',
        "denies-all": "<Location />\nRequire all denied\n</Location>",
        "denies-by-order": "<Location />\nOrder allow,deny\nDeny from all\n</Location>",
        "redirects": INCLUDE + "Redirect permanent / https://other.example/",
        "has-an-alias": INCLUDE + "Alias / /nowhere/",
        "proxies-in-location": INCLUDE + f"<Location />\nProxyPass http://{APPLICATION}/\n</Location>",
        "inherits": INCLUDE + "RewriteEngine On\nRewriteOptions Inherit\nRewriteRule ^ - [F]",
        "moved-to-https": f"Redirect permanent / https://{name_of('moved-to-https')}/",
    }
    config = "Listen 80\nListen 443\n<Directory />\nRequire all denied\n</Directory>\n"
    config += "IncludeOptional {dir}/conf-available/autowebroot.conf\n"
    config += "".join(f"<VirtualHost *:80>\nServerName {name_of(site)}\n{text}\n</VirtualHost>\n"
                      for site, text in sites.items())
    config += f"""<VirtualHost *:443>
        ServerName {name_of("moved-to-https")}
        SSLEngine on
        SSLCertificateFile {crt}
        SSLCertificateKeyFile {key}
        ProxyPass / http://{APPLICATION}/
        </VirtualHost>"""
    apache = Apache(place / "apache", config, (*DEFAULT_MODULES, "access_compat"))
    (apache.directory / "conf-available").mkdir()
    (apache.directory / "conf-available" / "autowebroot.conf").write_text(printed("apache", capsys))
    with apache:
        assert renew_all(certbot, sites, capsys) == in_directory(directory, sites)


def test_lighttpd(certbot: Certbot, place: Path, directory: str, capsys: "pytest.CaptureFixture[str]") -> None:
    """The values of the last condition count."""
    sites = {
        "plain": "",
        "redirects": 'url.redirect = ( "" => "https://other.example${url.path}${qsa}" )',
        "redirects-if": '$HTTP["scheme"] == "http" { url.redirect = ( "" => "https://other.example/" ) }',
        "proxies": 'proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => 8001 )) )',
        "denies-dotfiles": '$HTTP["url"] =~ "/\\." { url.access-deny = ( "" ) }',
        "rewrites": 'url.rewrite-once = ( "" => "/index.php" )',
        "rewrites-again": 'url.rewrite-repeat = ( "^/\\.well" => "/index.php" )',
        "has-a-front-controller": 'url.rewrite-if-not-file = ( "" => "/index.php" )',
        "has-aliases": 'alias.url = ( "/" => "/nowhere/" )',
    }
    config = 'server.port = 80\nserver.document-root = "/usr"\n'
    config += "".join(f'$HTTP["host"] == "{name_of(site)}" {{ {text} }}\n' for site, text in sites.items())
    with Lighttpd(place, config + printed("lighttpd", capsys)):
        assert renew_all(certbot, sites, capsys) == in_directory(directory, sites)


def test_caddy(certbot: Certbot, place: Path, directory: str, capsys: "pytest.CaptureFixture[str]") -> None:
    """Beside all that Caddy does after handle; redir and rewrite in a handle of their own, as in the comments."""
    sites = {
        "plain": "respond hello",
        "proxies": f"reverse_proxy {APPLICATION}",
        "proxies-in-route": f"route {{\nreverse_proxy {APPLICATION}\n}}",
        "denies-dotfiles": "@hidden path */.*\nrespond @hidden 404",
        "aborts": "abort",
        "redirects": "handle {\nredir https://other.example{uri}\n}",
        "rewrites": f"handle {{\nrewrite * /index.html\nreverse_proxy {APPLICATION}\n}}",
        "moved-to-https": f"redir https://{name_of('moved-to-https')}{{uri}}",
    }
    config = printed("caddy", capsys)
    config += "".join(f"http://{name_of(site)} {{\nimport autowebroot\n{text}\n}}\n" for site, text in sites.items())
    config += f"https://{name_of('moved-to-https')} {{\nimport autowebroot\nreverse_proxy {APPLICATION}\n}}\n"
    with Caddy(place, config):
        assert renew_all(certbot, sites, capsys) == in_directory(directory, sites)


def test_haproxy(certbot: Certbot, place: Path, capsys: "pytest.CaptureFixture[str]") -> None:
    """Our listener answers, in a frontend that redirects, refuses and passes on all other requests."""
    front, back = printed("haproxy", capsys).split("\n\n")
    config = f"""
frontend http
    bind :80
{front}
    http-request deny if {{ path_sub /. }}
    http-request redirect scheme https unless {{ ssl_fc }}
    use_backend app if TRUE
backend app
    server app {APPLICATION}
{back}"""
    with Haproxy(place, config):
        assert renew_all(certbot, {"anything": ""}, capsys) == {}


@pytest.mark.parametrize("server", ["apache", "lighttpd"])
def test_own_directory_needs_no_option(server: str, certbot: Certbot, place: Path,
                                       capsys: "pytest.CaptureFixture[str]") -> None:
    """The lines name the directory, which exists for the time of an order."""
    own = place / "acme"
    own.mkdir()
    cli.main(["snippet", server, "--directory", str(own)])
    lines = capsys.readouterr().out
    running = Apache(place / "apache", f"Listen 80\n{lines}") if server == "apache" else \
        Lighttpd(place, f'server.port = 80\nserver.document-root = "/usr"\n{lines}')
    with running:
        done = certbot.run("certonly", "-a", "autowebroot", "-d", "www.sample.com")
    assert done.returncode == 0, done.stdout
    assert f'[["{own}", ".well-known/acme-challenge"]]' in (
        certbot.renewal_setting("www.sample.com", "autowebroot_roots") or "")
    assert list(own.iterdir()) == []


#: Directories that Debian's programs write into when they test a configuration.
SCRATCH = ("/run", "/var/log", "/var/lib/apache2", "/var/www")


@pytest.fixture
def debian(place: Path) -> Iterator[None]:
    """Debian's own configurations, to be changed: a copy that only this test sees."""
    with contextlib.ExitStack() as stack:
        def mount(*arguments: str, on: str) -> None:
            subprocess.run(["mount", *arguments, on], check=True)
            stack.callback(subprocess.run, ["umount", on], check=True)
        for name in ("nginx", "apache2", "lighttpd", "caddy", "haproxy"):
            shutil.copytree(f"/etc/{name}", place / name, symlinks=True)
            mount("--bind", str(place / name), on=f"/etc/{name}")
        for path in SCRATCH:
            mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", on=path)
        for path in ("/var/log/nginx", "/var/log/apache2", "/run/lock", "/var/www/html"):
            Path(path).mkdir()
        yield


#: What a person does in a site of Debian's, as the comments say: file, the line after which it goes, what it is.
IN_A_SITE = {"nginx": ("/etc/nginx/sites-available/default", "server {", "include snippets/autowebroot.conf;"),
             "caddy": ("/etc/caddy/Caddyfile", ":80 {", "\timport autowebroot")}


@pytest.mark.parametrize("server", ["nginx", "apache", "lighttpd", "caddy", "haproxy"])
def test_files_and_commands_on_debian(server: str, debian: None, capsys: "pytest.CaptureFixture[str]") -> None:
    """The file in the comments, and the commands below it, but for systemd's."""
    text = printed(server, capsys)
    if server in IN_A_SITE:
        path, line, added = IN_A_SITE[server]
        site = Path(path).read_text()
        assert f"\n{line}\n" in site
        Path(path).write_text(site.replace(f"\n{line}\n", f"\n{line}\n{added}\n", 1))
    file = Path(re.findall(r"^# File: ([^,\s]+)", text)[0])
    if server == "caddy":
        file.write_text(text + file.read_text())
    elif server == "haproxy":
        file.write_text(f"{file.read_text()}\nfrontend web\n    bind :80\n{text}")
    else:
        assert not file.exists() and file.parent.is_dir()
        file.write_text(text)
    commands = re.findall(r"^#     (.*?)(?: && systemctl .*)?$", text.partition("# Then run:\n")[2], re.MULTILINE)
    for command in commands if server != "caddy" else [commands[0], "caddy validate --config /etc/caddy/Caddyfile"]:
        done = subprocess.run(["sh", "-e", "-c", command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, "HOME": "/run"})
        assert done.returncode == 0, (command, done.stdout)
        assert "input is not formatted" not in done.stdout
    enabled = {"apache": "/etc/apache2/conf-enabled/autowebroot.conf",
               "lighttpd": "/etc/lighttpd/conf-enabled/99-autowebroot.conf"}.get(server)
    assert enabled is None or Path(enabled).resolve() == file
