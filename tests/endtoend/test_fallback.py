"""Names without a directory, answered by Certbot's own nginx and apache authenticators."""
import os
from pathlib import Path

import pytest

from tests.lab import certificates
from tests.lab.apache import Apache
from tests.lab.apache import make_world_readable
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.fallbacks import APP
from tests.lab.fallbacks import LINEAGE
from tests.lab.fallbacks import NAMES
from tests.lab.fallbacks import SHORT_PATIENCE
from tests.lab.fallbacks import SITES
from tests.lab.fallbacks import VIRTUAL_HOSTS
from tests.lab.fallbacks import by_whom
from tests.lab.fallbacks import configuration
from tests.lab.fallbacks import nothing_is_left
from tests.lab.fallbacks import options
from tests.lab.fallbacks import order
from tests.lab.fallbacks import renew
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx
from tests.lab.wire import NO_WIRE

pytestmark = pytest.mark.lab


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


def test_no_fallback_for_names_with_a_place(certbot: Certbot, nginx: Nginx) -> None:
    """A directory and a dead port: nginx is not reloaded. A name that no plugin has is reported."""
    worker = nginx.workers
    done = certbot.run(*order("root.sample.com,dead.sample.com", "nginx,nginy"), *options(nginx))
    assert done.returncode == 0, done.stdout
    assert nginx.workers == worker
    assert "--autowebroot-fallback nginy: no plugin has this name" in done.stdout


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
