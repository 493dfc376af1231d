"""What check predicts is what certbot renew then does, on the same machine."""
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from typing import Dict
from typing import Iterator
from typing import List
from typing import NamedTuple
from typing import Optional

import pytest

from certbot_autowebroot.cli import __main__ as cli
from tests.lab import certificates
from tests.lab.apache import Apache
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx

pytestmark = pytest.mark.lab

NAME = "www.sample.com"
GRANTED = "<Directory />\nRequire all granted\n</Directory>\n"
SECURE = f"""server {{{{ listen 80; server_name {NAME}; root {{place}}/root; return 301 https://$host$request_uri; }}}}
    server {{{{ listen 443 ssl; server_name {NAME}; root {{place}}/secure;
              ssl_certificate {{crt}}; ssl_certificate_key {{key}}; }}}}"""


class Machine:
    """A lineage and a web server that change as a scenario says."""

    def __init__(self, certbot: Certbot, ca: CA, place: Path) -> None:
        self.certbot = certbot
        self.ca = ca
        self.place = place
        self.nginx = Nginx(place / "nginx", "", user="www-data")
        for name in ("root", "old", "secure"):
            (place / name).mkdir()
        crt, key = certificates.expired(place, NAME)
        self.words = {"place": str(place), "crt": str(crt), "key": str(key)}

    def serve(self, config: str) -> None:
        """Start nginx with a configuration, or stop it."""
        self.nginx.stop()
        if config:
            self.nginx.configure(config.format_map(self.words))
            self.nginx.start()

    def issue(self, *arguments: str) -> None:
        """A lineage as years ago."""
        done = self.certbot.run("certonly", "-d", NAME, *(argument.format_map(self.words) for argument in arguments))
        assert done.returncode == 0, done.stdout

    def check(self, *arguments: str) -> Dict[str, Any]:
        """What check says of the lineage; nothing is left of it."""
        before = sorted(self.place.rglob("*"))
        found: Dict[str, Any] = self.certbot.check(*arguments)["lineages"][0]
        assert sorted(self.place.rglob("*")) == before
        assert not list((self.certbot.directory / "work").glob("autowebroot/*"))
        return found

    def renew(self, *arguments: str) -> bool:
        """Whether certbot renew goes through."""
        done = self.certbot.run("renew", "--force-renewal", *arguments)
        print(done.stdout)  # pytest shows it where a prediction was wrong
        return done.returncode == 0


@pytest.fixture
def machine(certbot: Certbot, ca: CA, place: Path) -> Iterator[Machine]:
    machine = Machine(certbot, ca, place)
    yield machine
    machine.nginx.stop()


class Scenario(NamedTuple):
    """The options of the first issue, the server's configuration then and now, and the expected outlook."""

    issued: List[str]
    then: str
    now: str
    outlook: str
    text: str = ""


STANDALONE = ["--standalone"]
WEBROOT = ["--webroot", "-w", "{place}/old"]
OURS = ["-a", "autowebroot"]
OLD = f"server {{{{ listen 80; server_name {NAME}; root {{place}}/old; }}}}"
MOVED = OLD.replace("/old", "/root")
SCENARIOS = {
    "standalone, the port is free": Scenario(STANDALONE, "", "", "good"),
    "standalone, told to listen on ::": Scenario([*STANDALONE, "--http-01-address", "::"], "", "", "good"),
    "standalone, nginx holds the port": Scenario(STANDALONE, "", OLD, "fails", "it is held by nginx (pid"),
    "standalone, nginx holds the port on loopback": Scenario(
        STANDALONE, "", "server {{ listen 127.0.0.1:80; root {place}/old; }}", "fails", "at 127.0.0.1:80"),
    "standalone, nginx holds the port of IPv6": Scenario(
        STANDALONE, "", "server {{ listen [::]:80 ipv6only=on; root {place}/old; }}", "good"),
    "webroot, as it was": Scenario(WEBROOT, OLD, OLD, "good"),
    "webroot, the root has moved": Scenario(WEBROOT, OLD, MOVED, "fails", "looks in the directory {place}/root/"),
    "webroot, the server is gone": Scenario(WEBROOT, OLD, "", "fails", "no program listens"),
    "webroot, all goes to https now": Scenario(WEBROOT, OLD, SECURE, "fails", "{place}/secure"),
    "webroot, exempted from an application": Scenario(
        WEBROOT, OLD, "server {{ listen 80; location / {{ return 200; }} "
        "location ^~ /.well-known/ {{ root {place}/old; }} }}", "good"),
    "autowebroot, as it was": Scenario(OURS, OLD, OLD, "good"),
    "autowebroot, the root has moved": Scenario(OURS, OLD, MOVED, "good"),
    "autowebroot, the server is gone": Scenario(OURS, OLD, "", "good", "a listener of our own"),
    "autowebroot, all is refused": Scenario(OURS, OLD, "server {{ listen 80; return 403; }}", "fails", "return 403"),
    "autowebroot, all goes to https now": Scenario(OURS, OLD, SECURE, "good", "{place}/secure"),
    "autowebroot, a proxied port where nobody listens": Scenario(
        OURS, OLD, "server {{ listen 80; location / {{ proxy_pass http://127.0.0.1:8402; }} }}", "good",
        "a listener of our own at 127.0.0.1:8402"),
    "autowebroot, a root that is gone": Scenario(
        OURS, OLD, "server {{ listen 80; root {place}/gone; }}", "fails", "{place}/gone"),
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_check_predicts_what_renew_does(machine: Machine, scenario: Scenario) -> None:
    """The reason names the program, file or directory."""
    machine.serve(scenario.then)
    machine.issue(*scenario.issued)
    machine.serve(scenario.now)
    found = machine.check()
    said = subprocess.run([sys.executable, "-m", "certbot_autowebroot.cli", "check", *machine.certbot.directories],
                          stdout=subprocess.PIPE, text=True, timeout=60).stdout
    assert found["outlook"] == scenario.outlook, said
    assert scenario.text.format_map(machine.words) in said
    assert machine.renew() is (scenario.outlook == "good"), said


@pytest.mark.parametrize("scenario", [scenario for scenario in SCENARIOS.values() if scenario.issued != OURS],
                         ids=[name for name, scenario in SCENARIOS.items() if scenario.issued != OURS])
def test_no_write_predicts_the_same(machine: Machine, scenario: Scenario) -> None:
    """In these plain scenarios; an access rule in .htaccess is seen by a proof only."""
    machine.serve(scenario.then)
    machine.issue(*scenario.issued)
    machine.serve(scenario.now)
    assert machine.check("--no-write")["outlook"] == scenario.outlook


def test_behind_apache(certbot: Certbot, place: Path) -> None:
    """Its configuration no longer grants the directory."""
    (place / "root").mkdir()
    config = f"Listen 80\n<VirtualHost *:80>\nServerName {NAME}\nDocumentRoot {place}/root\n</VirtualHost>\n"
    apache = Apache(place / "apache", config + GRANTED)
    with apache:
        assert certbot.run("certonly", "-a", "autowebroot", "-d", NAME).returncode == 0
        assert certbot.check()["lineages"][0]["outlook"] == "good"
        apache.write(config + GRANTED.replace("granted", "denied"))
        apache.reload()
        found = certbot.check()["lineages"][0]
        assert found["outlook"] == "fails"
        assert found["names"][0]["endpoints"][0]["routes"][0]["hops"][0]["pid"] == apache.pid
        assert certbot.run("renew", "--force-renewal").returncode == 1


def test_missing_webroot_is_made_by_certbot(machine: Machine) -> None:
    """We never make a document root, so there is no proof; Certbot's webroot makes it where it is still served."""
    machine.serve(OLD)
    machine.issue(*WEBROOT)
    (machine.place / "old").rmdir()
    assert machine.check()["outlook"] == "unproven"
    assert machine.renew()


def test_moved_and_removed_webroot_fails(machine: Machine) -> None:
    """The usual case."""
    machine.serve(OLD)
    machine.issue(*WEBROOT)
    machine.serve(MOVED)
    (machine.place / "old").rmdir()
    assert machine.check()["outlook"] == "fails"
    assert not machine.renew()


@pytest.mark.parametrize("scenario", ["standalone, nginx holds the port", "webroot, the root has moved"])
def test_printed_command_repairs_the_lineage(machine: Machine, scenario: str) -> None:
    """Word for word; before Certbot 2.3 it is a line of the renewal configuration."""
    found = SCENARIOS[scenario]
    machine.serve(found.then)
    machine.issue(*found.issued)
    machine.serve(found.now)
    mend = machine.check()["mend"]
    if mend.startswith("certbot "):
        done = machine.certbot.run(*shlex.split(mend)[1:])
        assert done.returncode == 0, done.stdout
    else:
        conf = machine.certbot.renewal_conf(NAME)
        assert str(conf) in mend
        old = f"authenticator = {machine.certbot.renewal_setting(NAME, 'authenticator')}"
        conf.write_text(conf.read_text().replace(old, mend.partition(" (")[0]))
    after = machine.check()
    assert (after["authenticator"], after["outlook"], after["mend"]) == ("autowebroot", "good", None)
    assert machine.renew()


def test_no_command_where_autowebroot_would_fail(machine: Machine) -> None:
    """The route and the advice are printed instead."""
    machine.issue(*STANDALONE)
    machine.serve("server {{ listen 80; return 403; }}")
    found = machine.check()
    assert (found["outlook"], found["mend"]) == ("fails", None)


def test_pre_hook_is_unjudged(machine: Machine) -> None:
    """The classical hook, which stops the server; check does not run it."""
    machine.issue(*STANDALONE)
    machine.serve(OLD)
    hook = f"kill {machine.nginx.pid}; sleep 0.5"
    conf = machine.certbot.renewal_conf(NAME)
    conf.write_text(conf.read_text() + f"pre_hook = {hook}\n")
    found = machine.check()
    assert (found["outlook"], found["pre_hooks"]) == ("unjudged", [hook])
    assert os.path.exists(f"/proc/{machine.nginx.pid}")
    assert machine.renew()


def test_ipv6_address_of_another_server_fails(machine: Machine, ca: CA) -> None:
    """The CA asks over IPv6 first; a webroot that only IPv4 serves does not help."""
    machine.serve(f"server {{{{ listen {PUBLIC_V4}:80; root {{place}}/old; }}}}")
    machine.issue(*WEBROOT)
    ca.resolve(NAME, [PUBLIC_V4], [PUBLIC_V6])
    try:
        machine.serve(f"""server {{{{ listen {PUBLIC_V4}:80; root {{place}}/old; }}}}
            server {{{{ listen [{PUBLIC_V6}]:80; root {{place}}/root; }}}}""")
        assert machine.check()["outlook"] == "fails"
        assert not machine.renew()
    finally:
        ca.resolve(NAME)


class Https:
    """nginx that serves the lineage's own certificate on 443."""

    def __init__(self, machine: Machine) -> None:
        live = machine.certbot.directory / "config" / "live" / NAME
        machine.words.update(crt=str(live / "fullchain.pem"), key=str(live / "privkey.pem"))
        machine.serve(SECURE)


def shown(found: Dict[str, Any]) -> "List[Optional[str]]":
    return [served["shown"] for served in found["served"]]


def test_renewed_certificate_without_reload_is_stale(machine: Machine) -> None:
    """The second half of the same outage."""
    machine.serve(OLD)
    machine.issue(*OURS)
    assert shown(machine.check()) == ["no listener"]
    Https(machine)
    assert shown(machine.check()) == ["current"]
    assert machine.renew()
    found = machine.check()
    assert (shown(found), found["stale"], found["outlook"]) == (["stale"], True, "good")
    assert cli.main(["check", *machine.certbot.directories]) == 1
    machine.nginx.reload()
    assert shown(machine.check()) == ["current"]
    assert cli.main(["check", *machine.certbot.directories]) == 0


def test_other_certificate_on_443_is_no_failure(machine: Machine) -> None:
    """A mail server's lineage, where 443 is the web server's default site."""
    machine.words.update(zip(("crt", "key"), map(str, certificates.expired(machine.place, "other.sample.com"))))
    machine.serve(SECURE)
    machine.issue(*OURS)
    assert shown(machine.check()) == ["other"]
    assert cli.main(["check", *machine.certbot.directories]) == 0
