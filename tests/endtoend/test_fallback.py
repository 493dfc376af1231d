"""Names without a directory, answered by Certbot's own nginx and apache authenticators, and by other packages'."""
import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Dict
from typing import Iterator
from typing import List
from typing import Tuple

import pytest

from tests.lab import certificates
from tests.lab import plugins
from tests.lab.apache import Apache
from tests.lab.apache import make_world_readable
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.certbot import prepend_path
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx
from tests.lab.programs import Program
from tests.lab.wire import NO_WIRE

pytestmark = pytest.mark.lab

#: An application without a document root: it answers every request, and has a directory that no configuration names.
APPLICATION = """
import http.server, os
class Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = os.path.join("{answers}", os.path.basename(self.path))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(open(path, "rb").read() if os.path.isfile(path) else b"Hello, world")
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", 3000), Application).serve_forever()
"""
SITES = f"""
server {{{{ listen {PUBLIC_V4}:80; server_name root.sample.com; root {{place}}/root; }}}}
server {{{{ listen {PUBLIC_V4}:80; server_name app.sample.com both.sample.com;
           location / {{{{ proxy_pass http://127.0.0.1:3000; }}}} }}}}
server {{{{ listen {PUBLIC_V4}:80; server_name dead.sample.com;
           location / {{{{ proxy_pass http://127.0.0.1:8402; }}}} }}}}
"""
VIRTUAL_HOSTS = """
Listen {address}:80
<VirtualHost *:80>
ServerName root.sample.com
DocumentRoot {place}/root
</VirtualHost>
<VirtualHost *:80>
ServerName {name}
ServerAlias both.sample.com
ProxyPass / http://127.0.0.1:3000/
</VirtualHost>
<VirtualHost *:80>
ServerName dead.sample.com
ProxyPass / http://127.0.0.1:8402/
</VirtualHost>
<Directory {place}>
Require all granted
</Directory>
"""
#: apache2ctl for an httpd with a directory of its own.
APACHECTL = """#!/bin/sh
case $1 in
    graceful) exec /usr/sbin/apache2 -f {file} -k graceful ;;
    configtest) exec /usr/sbin/apache2 -f {file} -t ;;
    *) exec /usr/sbin/apache2 -f {file} "$@" ;;
esac
"""
#: For Certbot's ``preload``: seconds of the wait for an authenticator's answer, which in vain takes ten.
SHORT_PATIENCE = "from certbot_autowebroot.order import fallback; fallback.PATIENCE = 3\n"
LINEAGE = "root.sample.com"
APP = "app.sample.com"
NAMES = f"{LINEAGE},{APP},dead.sample.com"


@pytest.fixture
def application(place: Path) -> Iterator[Path]:
    """The directory that the application knows."""
    for name in ("empty", "answers", "root"):
        (place / name).mkdir()
    source = APPLICATION.replace("{answers}", str(place / "answers"))
    with Program([sys.executable, "-c", source], place / "empty", port=3000):
        yield place / "answers"


@pytest.fixture
def nginx(place: Path, application: Path) -> Iterator[Nginx]:
    with Nginx(place / "nginx", SITES.format(place=place), user="www-data") as running:
        yield running


@pytest.fixture
def calls(certbot: Certbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another package's plugins are installed; each call of them is a line in this file."""
    usual = certbot.environment
    packages = plugins.install(tmp_path / "packages")

    def environment() -> Dict[str, str]:
        environment = {**usual(), "CALLS": str(tmp_path / "calls")}
        prepend_path(environment, packages)
        return environment
    monkeypatch.setattr(certbot, "environment", environment)
    (tmp_path / "calls").touch()
    return tmp_path / "calls"


def configuration(directory: Path) -> Dict[str, bytes]:
    """Every configuration file below a directory, byte for byte."""
    return {str(path): path.read_bytes() for path in directory.rglob("*.conf")}


def options(server: "Nginx | Apache") -> List[str]:
    """Where Certbot's plugin finds this server's configuration."""
    if isinstance(server, Nginx):
        return ["--nginx-server-root", str(server.directory)]
    control = server.directory / "apachectl"
    control.write_text(APACHECTL.format(file=server.file))
    control.chmod(0o755)
    return ["--apache-server-root", str(server.directory), "--apache-challenge-location", str(server.directory),
            "--apache-ctl", str(control)]


def order(names: str = NAMES, fallback: str = "nginx") -> Tuple[str, ...]:
    """A new certificate."""
    return ("certonly", "-a", "autowebroot", "-d", names, *(["--autowebroot-fallback", fallback] if fallback else []))


def by_whom(certbot: Certbot) -> Dict[str, str]:
    """The authenticator of each name, by Certbot's log."""
    return dict(re.findall(r"(\S+): answered (?:by the authenticator|on the) (\S+)", certbot.log))


def renew(certbot: Certbot, *arguments: str) -> Dict[str, str]:
    """The authenticators of a renewal; it is repeated where the CA has used an earlier authorization."""
    for _ in range(5):
        done = certbot.run("renew", "--force-renewal", *arguments)
        assert done.returncode == 0, done.stdout
        live = (certbot.directory / "config" / "live").glob("*/cert.pem")
        if certbot.log.count("http-01 challenge for ") == sum(len(certbot.names(path.parent.name)) for path in live):
            break
    return by_whom(certbot)


def nothing_is_left(place: Path, answers: Path) -> bool:
    """Neither a file of ours nor of another authenticator."""
    return os.listdir(place / "root") == [] and os.listdir(answers) == []


def test_nginx_answers_for_an_application_behind_it(certbot: Certbot, place: Path, nginx: Nginx,
                                                    application: Path) -> None:
    """In one order with a directory and a dead port, which stay ours; afterwards its configuration is as it was.

    A renewal, that can ask nobody, does the same, with the options that Certbot itself does not restore.
    """
    before = configuration(nginx.directory)
    done = certbot.run(*order(), *options(nginx))
    assert done.returncode == 0, done.stdout
    assert by_whom(certbot) == {APP: "nginx"}
    assert configuration(nginx.directory) == before
    for _ in range(2):
        assert renew(certbot) == {APP: "nginx"}
        assert configuration(nginx.directory) == before
    assert certbot.certificates(LINEAGE) >= 3
    assert nothing_is_left(place, application)


def test_apache_answers_for_an_application_behind_it(certbot: Certbot, place: Path, application: Path) -> None:
    """As nginx does. Its authenticator's files lie in Certbot's directory, which must be open to httpd."""
    make_world_readable(certbot.directory)
    config = VIRTUAL_HOSTS.format(place=place, name=APP, address=PUBLIC_V4)
    with Apache(place / "apache", config) as apache:
        before = configuration(apache.directory)
        done = certbot.run(*order(fallback="apache"), *options(apache))
        assert done.returncode == 0, done.stdout
        assert by_whom(certbot) == {APP: "apache"}
        assert configuration(apache.directory) == before
        assert renew(certbot) == {APP: "apache"}
        assert configuration(apache.directory) == before
    assert nothing_is_left(place, application)


@pytest.mark.parametrize("fallback", ["auto", "nginx,apache", "apache,nginx"])
def test_two_authenticators_in_one_order(certbot: Certbot, ca: CA, place: Path, nginx: Nginx, application: Path,
                                         fallback: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """auto is, without the wire, the one that belongs to who holds the port. In a list, each is asked in turn.

    Certbot's two share a checkpoint: to make the second takes back what the first has done.
    """
    usual = certbot.command
    monkeypatch.setattr(certbot, "command", lambda *arguments: [*NO_WIRE, *usual(*arguments)])
    make_world_readable(certbot.directory)
    ca.resolve("other.sample.com", [OTHER_V4])
    config = VIRTUAL_HOSTS.format(place=place, name="other.sample.com", address=OTHER_V4)
    with Apache(place / "apache", config) as apache:
        before = configuration(place)
        done = certbot.run(*order(f"{NAMES},other.sample.com", fallback), *options(nginx), *options(apache))
        assert done.returncode == 0, done.stdout
        assert by_whom(certbot) == {APP: "nginx", "other.sample.com": "apache"}
        assert configuration(place) == before
        assert renew(certbot) == {APP: "nginx", "other.sample.com": "apache"}
    assert nothing_is_left(place, application)


def test_redirect_to_an_application_on_https(certbot: Certbot, place: Path, nginx: Nginx) -> None:
    """The most usual site: port 80 redirects to https, and https is all the application's."""
    crt, key = certificates.expired(place, APP)
    nginx.configure(f"""
        server {{ listen {PUBLIC_V4}:80; server_name {APP}; return 301 https://$host$request_uri; }}
        server {{ listen 443 ssl; server_name {APP}; ssl_certificate {crt}; ssl_certificate_key {key};
                  location / {{ proxy_pass http://127.0.0.1:3000; }} }}""")
    nginx.reload()
    before = configuration(nginx.directory)
    done = certbot.run(*order(APP), *options(nginx))
    assert done.returncode == 0, done.stdout
    assert by_whom(certbot) == {APP: "nginx"}
    assert configuration(nginx.directory) == before


def test_each_address_has_its_own_answer(certbot: Certbot, ca: CA, place: Path, nginx: Nginx,
                                         application: Path) -> None:
    """The site does not listen on IPv6, where a default server answers: its authenticator does not handle that."""
    ca.resolve("half.sample.com", [PUBLIC_V4], [PUBLIC_V6])
    (place / "default").mkdir()
    nginx.configure(f"""
        server {{ listen {PUBLIC_V4}:80; server_name half.sample.com;
                  location / {{ proxy_pass http://127.0.0.1:3000; }} }}
        server {{ listen [{PUBLIC_V6}]:80 default_server; root {place}/default; }}""")
    nginx.reload()
    before = configuration(nginx.directory)
    done = certbot.run(*order("half.sample.com"), *options(nginx))
    assert done.returncode == 0, done.stdout
    assert by_whom(certbot) == {"half.sample.com": "nginx"}
    assert configuration(nginx.directory) == before
    assert os.listdir(place / "default") == []


def test_failing_name_does_not_fail_others(certbot: Certbot, ca: CA, place: Path, nginx: Nginx,
                                           application: Path) -> None:
    """Two servers, and no authenticator for both: its clean-up undoes what the others need."""
    certbot.preload += SHORT_PATIENCE
    make_world_readable(certbot.directory)
    ca.resolve("other.sample.com", [OTHER_V4])
    ca.resolve("both.sample.com", [PUBLIC_V4, OTHER_V4])
    config = VIRTUAL_HOSTS.format(place=place, name="other.sample.com", address=OTHER_V4)
    with Apache(place / "apache", config) as apache:
        before = configuration(place)
        done = certbot.run(*order(f"{LINEAGE},both.sample.com,other.sample.com", "apache,nginx"), *options(nginx),
                           *options(apache), "--allow-subset-of-names")
        assert done.returncode == 0, done.stdout
        assert "the authenticator nginx: what it has published did not come back" in done.stdout
        assert by_whom(certbot) == {"other.sample.com": "apache"}
        assert certbot.names(LINEAGE) == {LINEAGE, "other.sample.com"}
        assert configuration(place) == before
    assert nothing_is_left(place, application)


def test_nginx_as_installer_too(certbot: Certbot, nginx: Nginx) -> None:
    """The usual ``certbot run``: its configuration holds the certificate afterwards, and no challenge."""
    done = certbot.run("run", "-a", "autowebroot", "-i", "nginx", "-d", APP, "--autowebroot-fallback", "nginx",
                       *options(nginx))
    assert done.returncode == 0, done.stdout
    assert f"live/{APP}/fullchain.pem" in nginx.conf.read_text()
    for _ in range(2):
        assert "acme-challenge" not in nginx.conf.read_text()
        assert renew(certbot) == {APP: "nginx"}


@pytest.mark.parametrize("may_ask", [False, True], ids=["--non-interactive", "no terminal"])
def test_no_fallback_without_consent(certbot: Certbot, place: Path, nginx: Nginx, application: Path,
                                     monkeypatch: pytest.MonkeyPatch, may_ask: bool) -> None:
    """Without a terminal the order ends with the error, and the server is not touched."""
    usual = certbot.command
    monkeypatch.setattr(certbot, "command", lambda *arguments: [
        word for word in usual(*arguments) if not may_ask or word != "--non-interactive"])
    worker = nginx.workers
    done = certbot.run(*order(fallback=""), *options(nginx))
    assert done.returncode == 1
    assert "May it do so" not in done.stdout
    assert f"{APP}: " in done.stdout and "no server was touched" in done.stdout
    assert nginx.workers == worker
    assert nothing_is_left(place, application)


def test_no_fallback_for_names_with_a_place(certbot: Certbot, nginx: Nginx) -> None:
    """A directory and a dead port: nginx is not reloaded. A name that no plugin has is reported."""
    worker = nginx.workers
    done = certbot.run(*order("root.sample.com,dead.sample.com", "nginx,nginy"), *options(nginx))
    assert done.returncode == 0, done.stdout
    assert nginx.workers == worker
    assert "--autowebroot-fallback nginy: no plugin has this name" in done.stdout


def converse(certbot: Certbot, prompt: bytes, answers: str, *arguments: str) -> "Tuple[int, str]":
    """Run Certbot at a terminal; returns its exit status and its output.

    :param answers: one letter for each prompt; Certbot is killed at the prompt where there is none.
    """
    command = [word for word in certbot.command(*arguments) if word != "--non-interactive"]
    terminal, end = pty.openpty()
    shown = b""
    with subprocess.Popen(command, env=certbot.environment(), stdin=end, stdout=end, stderr=end) as process:
        os.close(end)
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        left = list(answers)
        prompts = 0
        with contextlib.suppress(OSError):  # EIO: nobody holds the other end any more
            while True:
                shown += os.read(terminal, 4096)
                if shown.count(prompt) > prompts:
                    prompts += 1
                    os.write(terminal, f"{left.pop(0)}\n".encode()) if left else process.kill()
        watchdog.cancel()
    os.close(terminal)
    assert prompts, shown
    return process.returncode, shown.decode()


def test_next_run_restores_nginx_after_a_kill(certbot: Certbot, place: Path, nginx: Nginx, application: Path) -> None:
    """The next renewal takes the changes of nginx's authenticator back, though it does not need it."""
    before = configuration(nginx.directory)
    assert certbot.run(*order("root.sample.com"), *options(nginx)).returncode == 0
    converse(certbot, b"Press Enter", "", *order(APP), *options(nginx), "--debug-challenges")
    assert configuration(nginx.directory) != before
    assert renew(certbot) == {}
    assert configuration(nginx.directory) == before
    assert nothing_is_left(place, application)


def test_terminal_question_offers_wire_first(certbot: Certbot, nginx: Nginx) -> None:
    """With the name, the route and the action; nginx's authenticator is not needed then. Renewals know the answer."""
    status, shown = converse(certbot, b"(N)o:", "y", *order(fallback=""))
    assert status == 0, shown
    words = " ".join(shown.split())
    for said in (APP, "127.0.0.1:3000", "nftables catches the CA's requests", "No configuration is edited"):
        assert said in words
    assert shown.count("(N)o:") == 1
    assert certbot.renewal_setting(LINEAGE, "autowebroot_fallback") == "wire"
    assert renew(certbot) == {APP: "wire"}


def test_terminal_question_is_asked_once_each(certbot: Certbot, nginx: Nginx) -> None:
    """The second with the name, the route to the application, and the action; renewals know the answer."""
    status, shown = converse(certbot, b"(N)o:", "ny", *order(fallback=""), *options(nginx))
    assert status == 0, shown
    words = " ".join(shown.split())
    for said in (APP, "127.0.0.1:3000", "nginx (pid", "edits it back", "reloads it"):
        assert said in words
    assert shown.count("(N)o:") == 2
    assert certbot.renewal_setting(LINEAGE, "autowebroot_fallback") == "nginx"
    assert renew(certbot) == {APP: "nginx"}


def test_answer_no(certbot: Certbot, nginx: Nginx) -> None:
    """The error is the one without a terminal, and nginx is not touched."""
    worker = nginx.workers
    status, shown = converse(certbot, b"(N)o:", "nn", *order(fallback=""), *options(nginx))
    assert status == 1
    assert "no server was touched" in " ".join(shown.split())
    assert nginx.workers == worker


def test_answer_no_is_remembered(certbot: Certbot, nginx: Nginx) -> None:
    """With --allow-subset-of-names there is a certificate for the others."""
    status, shown = converse(certbot, b"(N)o:", "nn", *order(fallback=""), "--allow-subset-of-names", *options(nginx))
    assert status == 0, shown
    assert certbot.renewal_setting(LINEAGE, "autowebroot_fallback") == "none"


def test_options_of_another_plugin_are_remembered(certbot: Certbot, nginx: Nginx, calls: Path,
                                                  application: Path) -> None:
    """With their types, over two renewals; an option of a renewal wins and is remembered."""
    done = certbot.run(*order(fallback="files"), "--files-directory", str(application), "--files-number", "7")
    assert done.returncode == 0, done.stdout
    assert by_whom(certbot) == {APP: "files"}
    for number in ("7", "7", "8"):
        assert renew(certbot, *(["--files-number", "8"] if number == "8" else [])) == {APP: "files"}
        kept = certbot.renewal_setting(LINEAGE, "autowebroot_fallback_options") or ""
        assert json.loads(kept.strip("'")) == {"files_directory": str(application), "files_number": int(number)}
    assert calls.read_text().splitlines()[:3] == ["files prepare", f"files perform {APP}", f"files cleanup {APP}"]


def test_manual_hooks(certbot: Certbot, nginx: Nginx, application: Path) -> None:
    """For what only the administrator knows; they are remembered too."""
    file = f"{application}/$CERTBOT_TOKEN"
    done = certbot.run(*order(fallback="manual"), "--manual-auth-hook", f"printf %s $CERTBOT_VALIDATION > {file}",
                       "--manual-cleanup-hook", f"rm {file}")
    assert done.returncode == 0, done.stdout
    for _ in range(2):
        assert renew(certbot) == {APP: "manual"}
    assert os.listdir(application) == []


@pytest.mark.parametrize("fallback", ["nginx", "wire"])
def test_fallback_added_to_a_lineage(certbot: Certbot, place: Path, nginx: Nginx, fallback: str) -> None:
    """By certbot reconfigure, which makes a dry run; before 2.3, by the next renewal."""
    assert certbot.run(*order(LINEAGE, "")).returncode == 0
    nginx.configure(SITES.format(place=place).replace(f"root {place}/root;",
                                                      "location / { proxy_pass http://127.0.0.1:3000; }"))
    nginx.reload()
    assert certbot.run("renew", "--force-renewal").returncode == 1
    command = ["reconfigure", "--cert-name", LINEAGE] if certbot.version >= (2, 3) else ["renew", "--force-renewal"]
    done = certbot.run(*command, "-a", "autowebroot", "--autowebroot-fallback", fallback, *options(nginx))
    assert done.returncode == 0, done.stdout
    for _ in range(2):
        assert renew(certbot) == {LINEAGE: fallback}


def test_first_proven_authenticator_wins(certbot: Certbot, nginx: Nginx, calls: Path, application: Path) -> None:
    """Those before it are cleaned up, those after it are not asked."""
    done = certbot.run(*order(fallback="refusing,silent,files,faulty"), "--files-directory", str(application),
                       "--refusing-directory", str(application))
    assert done.returncode == 0, done.stdout
    assert by_whom(certbot) == {APP: "files"}
    assert calls.read_text().splitlines() == [
        f"{name} {what}" for name in ("refusing", "silent", "files")
        for what in ("prepare", f"perform {APP}", f"cleanup {APP}")]


#: What was said for a fallback, and what the error says of it.
BAD = {
    "unknown": ("nginy", "the authenticator nginy: no plugin has this name"),
    "ourselves": ("autowebroot", "the authenticator autowebroot: a fallback cannot be autowebroot itself"),
    "no authenticator": ("null", "the authenticator null: this plugin is no authenticator"),
    "no http-01": ("dns-other", "the authenticator dns-other: it cannot do http-01"),
    "fails in prepare": ("unprepared", "the authenticator unprepared: Could not find the program"),
    "fails in perform": ("refusing", "the authenticator refusing: Could not do it"),
    "has a bug": ("faulty", "the authenticator faulty: ZeroDivisionError"),
    "Certbot's standalone": ("standalone", "the authenticator standalone: Could not bind TCP port 80"),
    "Certbot's manual without hooks": ("manual", "the authenticator manual: An authentication script must be provided"),
    "does nothing": ("silent", "the authenticator silent: what it has published did not come back"),
    "several": ("nginy, null", "the authenticator null: this plugin is no authenticator"),
}


@pytest.mark.parametrize(("said", "sentence"), BAD.values(), ids=BAD.keys())
def test_unusable_authenticator(certbot: Certbot, place: Path, nginx: Nginx, calls: Path, application: Path, said: str,
                                sentence: str) -> None:
    """One error, which lists the installed ones; the other names are cleaned up, and it too if it has begun."""
    done = certbot.run(*order(fallback=said), f"--{said.rpartition(' ')[2]}-directory={application}"
                       if said in plugins.PLUGINS else "--quiet")
    assert done.returncode == 1
    words = " ".join(done.stdout.split())
    assert sentence in words
    installed = words.partition("Authenticators that are installed here: ")[2].partition(". ")[0].split(", ")
    assert {*plugins.PLUGINS, "manual", "nginx", "standalone"} < set(installed)
    assert not {"autowebroot", "null"} & set(installed)
    assert "Traceback" not in done.stdout
    assert nothing_is_left(place, application)
    asked = calls.read_text()
    assert asked.count("perform") == asked.count("cleanup")


def test_failing_clean_up_is_reported(certbot: Certbot, place: Path, nginx: Nginx, calls: Path,
                                      application: Path) -> None:
    """Under its name; the order goes on."""
    done = certbot.run(*order(fallback="reluctant"), "--reluctant-directory", str(application))
    assert done.returncode == 0, done.stdout
    assert "The authenticator reluctant could not clean up: Could not undo it" in done.stdout
    assert nothing_is_left(place, application)


def test_check_names_the_fallback(certbot: Certbot, nginx: Nginx) -> None:
    """It does not try it: that would edit nginx's configuration. The wire edits nothing, and is tried."""
    assert certbot.run(*order(APP), *options(nginx)).returncode == 0
    conf = certbot.renewal_conf(APP)
    written = conf.read_text()
    worker = nginx.workers
    for said, asked in (("nginx", "nginx"), ("nginx,wire", "nginx or wire"), ("auto", ""), ("wire", ""), ("apache", ""),
                        ("nginy", ""), ("none", "")):
        conf.write_text(written.replace("autowebroot_fallback = nginx", f"autowebroot_fallback = {said}"))
        found, = certbot.check()["lineages"]
        by_wire = said in ("auto", "wire")
        assert (said, found["outlook"]) == (said, "good" if by_wire else "unproven" if asked else "fails")
        assert found["names"][0]["reason"].startswith("answered on the wire") is by_wire
        expected = f"a renewal would ask the authenticator {asked} (autowebroot_fallback)"
        assert found["names"][0]["reason"].startswith(expected) is bool(asked)
    assert nginx.workers == worker


def test_root_moved_by_the_reload_is_found(certbot: Certbot, place: Path, nginx: Nginx) -> None:
    """nginx was edited without a reload: its authenticator's reload moves a root that was just proven."""
    (place / "moved").mkdir()
    nginx.configure(SITES.format(place=place).replace(f"{place}/root", f"{place}/moved"))
    done = certbot.run(*order(), *options(nginx))
    assert done.returncode == 0, done.stdout
    assert str(place / "moved") in certbot.renewal_setting(LINEAGE, "autowebroot_roots")
    assert os.listdir(place / "root") == os.listdir(place / "moved") == []
