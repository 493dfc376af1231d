"""Every Certbot command that uses an authenticator, against a real CA and real web servers."""
import json
import shlex
import subprocess
from pathlib import Path
from typing import Iterator
from typing import Tuple

import pytest

from tests.lab import certificates
from tests.lab.apache import Apache
from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.net import OTHER_V4
from tests.lab.net import PUBLIC_V4
from tests.lab.net import PUBLIC_V6
from tests.lab.nginx import Nginx

pytestmark = pytest.mark.lab

NAME = "www.sample.com"


@pytest.fixture
def root(place: Path) -> Path:
    path = place / "root"
    path.mkdir()
    return path


@pytest.fixture
def nginx(place: Path, root: Path) -> Iterator[Nginx]:
    """nginx with one site."""
    config = f"server {{ listen 80; server_name {NAME}; root {root}; }}"
    with Nginx(place / "nginx", config, user="www-data") as running:
        yield running


def nothing_left(place: Path) -> bool:
    return not list(place.rglob(".well-known"))


def test_certonly_with_port_80_taken(certbot: Certbot, nginx: Nginx, place: Path) -> None:
    """The first certificate of a name. One line says how it was answered, and none with --quiet."""
    done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    assert done.returncode == 0, done.stdout
    assert f"\n{NAME}: answered from {place}/root (nginx, {nginx.conf}:" in done.stdout
    assert certbot.renewal_setting(NAME, "authenticator") == "autowebroot"
    again = certbot.run("renew", "--force-renewal", "--quiet")
    assert again.returncode == 0 and "answered" not in again.stdout, again.stdout
    assert "answered" in certbot.log
    assert nothing_left(place)


def test_certonly_with_port_80_free(certbot: Certbot) -> None:
    """Our own listener answers, and is gone afterwards."""
    done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    assert done.returncode == 0, done.stdout


def test_authenticator_edited_in_the_renewal_conf(certbot: Certbot, place: Path, root: Path) -> None:
    """As an administrator does who edits one line in ten files."""
    assert certbot.run("certonly", "--standalone", "-d", NAME).returncode == 0
    conf = certbot.renewal_conf(NAME)
    conf.write_text(conf.read_text().replace("authenticator = standalone", "authenticator = autowebroot"))
    with Nginx(place / "nginx", f"server {{ listen 80; server_name {NAME}; root {root}; }}", user="www-data"):
        done = certbot.run("renew", "--force-renewal")
    assert done.returncode == 0, done.stdout
    assert certbot.certificates(NAME) >= 2


def test_reconfigure_proves_and_saves(certbot: Certbot, place: Path, root: Path) -> None:
    """certbot reconfigure makes a dry run first and then changes the renewal configuration."""
    assert certbot.run("certonly", "--standalone", "-d", NAME).returncode == 0
    with Nginx(place / "nginx", f"server {{ listen 80; server_name {NAME}; root {root}; }}", user="www-data"):
        done = certbot.run("reconfigure", "--cert-name", NAME, "-a", "autowebroot")
        if certbot.version < (2, 3):  # it has no such command yet: what the README says for this one is the test above
            assert done.returncode == 2 and "unrecognized arguments: reconfigure" in done.stdout
            return
        assert done.returncode == 0, done.stdout
        assert certbot.renewal_setting(NAME, "authenticator") == "autowebroot"
        assert certbot.run("renew", "--force-renewal").returncode == 0


def test_dry_run_changes_nothing(certbot: Certbot, nginx: Nginx, place: Path) -> None:
    """As most users run first."""
    assert certbot.run("certonly", "-a", "autowebroot", "-d", NAME).returncode == 0
    before = certbot.renewal_conf(NAME).read_text()
    done = certbot.run("renew", "--dry-run")
    assert done.returncode == 0, done.stdout
    assert certbot.renewal_conf(NAME).read_text() == before
    assert nothing_left(place)


def test_with_certbots_nginx_installer(certbot: Certbot, nginx: Nginx, place: Path) -> None:
    """run -a autowebroot -i nginx: we answer, Certbot's own plugin installs."""
    (nginx.directory / "mime.types").write_text("")
    done = certbot.run("run", "-a", "autowebroot", "-i", "nginx", "--nginx-server-root", str(nginx.directory),
                       "-d", NAME, "--redirect")
    assert done.returncode == 0, done.stdout
    assert "ssl_certificate" in nginx.conf.read_text()
    # And the renewal goes through the redirect to https that the installer has just made.
    done = certbot.run("renew", "--force-renewal")
    assert done.returncode == 0, done.stdout
    assert nothing_left(place)


def test_former_webroot_lineage_with_missing_directory(certbot: Certbot, place: Path, root: Path) -> None:
    """webroot_map is a hint: probed, never trusted, never changed."""
    old = place / "old"
    old.mkdir()
    with Nginx(place / "nginx", f"server {{ listen 80; server_name {NAME}; root {old}; }}", user="www-data") as nginx:
        assert certbot.run("certonly", "--webroot", "-w", str(old), "-d", NAME).returncode == 0
        nginx.configure(f"server {{ listen 80; server_name {NAME}; root {root}; }}")
        nginx.reload()
        assert certbot.run("renew", "--force-renewal").returncode == 1
        done = certbot.run("renew", "--force-renewal", "-a", "autowebroot")
        assert done.returncode == 0, done.stdout
        old.rmdir()
        done = certbot.run("renew", "--force-renewal")
        assert done.returncode == 0, done.stdout
        assert not old.exists()


def test_names_over_several_servers(certbot: Certbot, ca: CA, place: Path) -> None:
    """One order: nginx on one address, which does not know d; Apache on another; IPv6 is free."""
    for name in ("a", "b", "c"):
        (place / name).mkdir()
    ca.resolve("a.sample.com", [PUBLIC_V4])
    ca.resolve("b.sample.com", [PUBLIC_V4])
    ca.resolve("c.sample.com", [OTHER_V4])
    ca.resolve("d.sample.com", [PUBLIC_V4], [PUBLIC_V6])
    nginx = Nginx(place / "nginx", f"""
        server {{ listen {PUBLIC_V4}:80; server_name a.sample.com; root {place}/a; }}
        server {{ listen {PUBLIC_V4}:80; server_name b.sample.com;
                  location / {{ return 403; }}
                  location ^~ /.well-known/acme-challenge/ {{ alias {place}/b/; }} }}""", user="www-data")
    apache = Apache(place / "apache", f"Listen {OTHER_V4}:80\nDocumentRoot {place}/c\n"
                                      "<Directory />\nRequire all granted\n</Directory>\n")
    with nginx, apache:
        done = certbot.run("certonly", "-a", "autowebroot", "-d", "a.sample.com,b.sample.com,c.sample.com,d.sample.com")
        assert done.returncode == 0, done.stdout
    roots = json.loads((certbot.renewal_setting("a.sample.com", "autowebroot_roots") or "").strip("'"))
    assert roots == {"a.sample.com": [[f"{place}/a", ".well-known/acme-challenge"]],
                     "b.sample.com": [[f"{place}/b/", ""]],
                     "c.sample.com": [[f"{place}/c", ".well-known/acme-challenge"]],
                     "d.sample.com": [[f"{place}/a", ".well-known/acme-challenge"]]}
    assert nothing_left(place) and not list((place / "b").iterdir())


def test_redirect_to_https_with_expired_certificate(certbot: Certbot, place: Path) -> None:
    """The state in which a renewal matters most: RFC 8555 section 8.3 does not verify the certificate."""
    (place / "plain").mkdir()
    (place / "secure").mkdir()
    crt, key = certificates.expired(place, NAME)
    with Nginx(place / "nginx", f"""
            server {{ listen 80; server_name {NAME}; root {place}/plain; return 301 https://$host$request_uri; }}
            server {{ listen 443 ssl; server_name {NAME}; root {place}/secure;
                      ssl_certificate {crt}; ssl_certificate_key {key}; }}""", user="www-data"):
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
        assert done.returncode == 0, done.stdout
        assert f"{place}/secure" in (certbot.renewal_setting(NAME, "autowebroot_roots") or "")


def test_pre_hook_that_stops_the_server(certbot: Certbot, nginx: Nginx) -> None:
    """Hooks run between prepare and perform; the machine at perform counts."""
    done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME, "--pre-hook", f"kill {nginx.pid}; sleep 0.5")
    assert done.returncode == 0, done.stdout


def test_ipv6_beside_a_server_of_ipv4(certbot: Certbot, ca: CA, nginx: Nginx) -> None:
    """The CA asks over IPv6 first: nginx has no listen [::]:80, so our listener answers there."""
    ca.resolve(NAME, [PUBLIC_V4], [PUBLIC_V6])
    try:
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    finally:
        ca.resolve(NAME)
    assert done.returncode == 0, done.stdout


def test_http_01_port(certbot: Certbot, place: Path, root: Path, tmp_path: Path) -> None:
    """Behind a port forward; a CA that comes to 5080 stands for the forward."""
    with Nginx(place / "nginx", f"server {{ listen 5080; root {root}; }}", user="www-data"):
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME, "--http-01-port", "5080", "--dry-run")
    # The CA of this test asks port 80, which is free: the check of port 5080 counts.
    assert "published" in done.stdout and "CA was not asked" not in done.stdout


def test_edited_settings_stop_no_renewal(certbot: Certbot, nginx: Nginx) -> None:
    """Certbot takes None and lists for Python's; a broken saved setting is reported once, and repaired."""
    assert certbot.run("certonly", "-a", "autowebroot", "-d", NAME).returncode == 0
    conf = certbot.renewal_conf(NAME)
    roots = certbot.renewal_setting(NAME, "autowebroot_roots")
    settings = "autowebroot_path = None\nautowebroot_fallback = None\nautowebroot_unproven = None\n"
    conf.write_text(conf.read_text().replace(f"autowebroot_roots = {roots}", f"{settings}autowebroot_roots = a, b"))
    done = certbot.run("renew", "--force-renewal")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("autowebroot_roots in the renewal configuration is ignored") == 1
    conf.write_text(conf.read_text().replace("autowebroot_fallback = None", "autowebroot_fallback = nginy, apache"))
    done = certbot.run("renew", "--force-renewal")
    assert done.returncode == 0, done.stdout
    assert "--autowebroot-fallback nginy: no plugin" in done.stdout and "fallback apache" not in done.stdout
    assert certbot.renewal_setting(NAME, "autowebroot_roots") == roots


def test_relative_path_is_saved_as_absolute(certbot: Certbot, place: Path, root: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """cron has another working directory. The saved value is read again, character by character."""
    odd = root / "a b, 100% %(x)s é"
    odd.mkdir()
    with Nginx(place / "nginx", f'server {{ listen 80; root "{odd}"; }}', user="www-data"):
        monkeypatch.chdir(root)
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
        assert done.returncode == 0, done.stdout
        done = certbot.run("renew", "--force-renewal", "--autowebroot-path", "missing/")
        assert done.returncode == 0, done.stdout
        said = " ".join(done.stdout.split())
        assert f"--autowebroot-path missing/ is a relative path: it means {root}/missing here." in said
        assert f"--autowebroot-path {root}/missing: there is no such directory." in said
        monkeypatch.chdir("/")
        before = certbot.renewal_setting(NAME, "autowebroot_roots")
        done = certbot.run("renew", "--force-renewal")
        assert done.returncode == 0, done.stdout
    assert certbot.renewal_setting(NAME, "autowebroot_path") == f"{root}/missing"
    assert certbot.renewal_setting(NAME, "autowebroot_roots") == before


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_wildcard_as_http_01_address(certbot: Certbot, place: Path, root: Path, address: str) -> None:
    """As with standalone it means all addresses, with a server on one of them and without."""
    order = ("certonly", "-a", "autowebroot", "-d", NAME, "--http-01-address", address)
    with Nginx(place / "nginx", f"server {{ listen {PUBLIC_V4}:80; root {root}; }}", user="www-data"):
        done = certbot.run(*order)
        assert done.returncode == 0, done.stdout
        assert str(root) in (certbot.renewal_setting(NAME, "autowebroot_roots") or "")
    done = certbot.run("renew", "--force-renewal")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("said", [("--http-01-address", "localhost:80"), ("--http-01-port", "99999")])
def test_unusable_address_or_port_is_an_error(certbot: Certbot, said: Tuple[str, str]) -> None:
    """Certbot itself takes any word and any number."""
    done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME, *said)
    assert done.returncode == 1
    assert f"{' '.join(said)}: " in done.stdout and "unexpected error" not in done.stdout


def test_name_without_directory_stops_the_order(certbot: Certbot, ca: CA, place: Path, root: Path) -> None:
    """The CA is not asked. One error: name, program, pid, address, file and line, answer, remedy; no file is left."""
    with Nginx(place / "nginx", f"""server {{ listen 80; server_name good.sample.com; root {root}; }}
server {{
    listen 80;
    server_name {NAME};
    return 403;
}}""", user="www-data") as nginx:
        before = ca.validations()
        done = certbot.run("certonly", "-a", "autowebroot", "-d", f"good.sample.com,{NAME}")
        line = 1 + nginx.conf.read_text().splitlines().index("    return 403;")
        command = done.stdout.partition("to check again: ")[2].partition("\n")[0]
        checked = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, text=True)
    assert done.returncode == checked.returncode == 1
    tree = done.stdout[done.stdout.index(f"{NAME}: would fail\n"):done.stdout.index("\n\nNothing was left behind")]
    assert checked.stdout == f"{tree}\n"
    said = " ".join(done.stdout.split())
    assert f"{NAME}: would fail {PUBLIC_V4}:80: nginx (pid {nginx_pid(said)})" in said
    assert f"{nginx.conf}:{line}" in said
    assert "status 403" in said
    assert "what to do:" in said
    assert "Traceback" not in done.stdout
    assert "good.sample.com:" not in said
    assert ca.validations() == before, "the CA was asked"
    assert nothing_left(place)


def nginx_pid(said: str) -> int:
    return int(said.partition(": nginx (pid ")[2].partition(")")[0])


def test_allow_subset_of_names(certbot: Certbot, place: Path, root: Path) -> None:
    """One dead name must not fail the others."""
    with Nginx(place / "nginx", f"""server {{ listen 80; server_name good.sample.com; root {root}; }}
            server {{ listen 80; server_name {NAME}; return 403; }}""", user="www-data"):
        done = certbot.run("certonly", "-a", "autowebroot", "-d", f"good.sample.com,{NAME}", "--allow-subset-of-names")
    assert done.returncode == 0, done.stdout
    assert f"{NAME}: would fail\n" in done.stdout
    assert f"Nothing was published for {NAME}" in " ".join(done.stdout.split())
    assert certbot.certificates("good.sample.com") == 1


def test_wildcard_is_an_error(certbot: Certbot, nginx: Nginx) -> None:
    """http-01 cannot validate one; Certbot says so before it asks us."""
    done = certbot.run("certonly", "-a", "autowebroot", "-d", "*.sample.com")
    assert done.returncode == 1
    assert "any combination of challenges" in done.stdout and "Traceback" not in done.stdout


def test_missing_root_is_named(certbot: Certbot, place: Path) -> None:
    """And is not created."""
    with Nginx(place / "nginx", f"server {{ listen 80; root {place}/gone; }}", user="www-data"):
        done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    assert done.returncode == 1
    assert f"{place}/gone" in done.stdout.replace("\n", "")
    assert "Traceback" not in done.stdout and not (place / "gone").exists()


def test_hint_after_a_failed_validation(certbot: Certbot, ca: CA, place: Path, root: Path) -> None:
    """The CA reaches another address than we do: a wrong record, a firewall."""
    ca.resolve(NAME, ["127.0.0.9"])
    try:
        with Nginx(place / "nginx", f"server {{ listen {PUBLIC_V4}:80; root {root}; }}", user="www-data"):
            done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    finally:
        ca.resolve(NAME)
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert f"{NAME}: answered from {root} (nginx, {place}/nginx/nginx.conf:" in said
    assert f"{PUBLIC_V4}:80" in said.partition("; a test file came back through ")[2] and "A and AAAA records" in said
