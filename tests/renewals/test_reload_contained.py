"""Servers in containers: a signal where it does no harm, and never their program."""
import contextlib
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

from tests.lab import https
from tests.lab.container import ADDRESS
from tests.lab.container import Container
from tests.lab.net import PUBLIC_V4
from tests.lab.orders import NAME
from tests.lab.reloading import current
from tests.lab.reloading import is_new
from tests.lab.reloading import reload
from tests.lab.reloading import renewed
from tests.lab.visitors import shown

pytestmark = pytest.mark.lab


@pytest.fixture
def forwarded() -> Iterator[None]:
    """Port 443 of the public address goes into the container."""
    subprocess.run(["nft", "-f", "-"], text=True, check=True, input=f"""
table ip reloading {{
    chain output {{
        type nat hook output priority -100
        ip daddr {PUBLIC_V4} tcp dport 443 dnat to {ADDRESS}:443
    }}
}}
""")
    yield
    subprocess.run(["nft", "delete", "table", "ip", "reloading"], check=True)


INSIDE = {
    "nginx -c /etc/inside.conf": """daemon off; pid /run/nginx.pid; error_log /var/log/error.log; user root; events {}
        http { access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
        uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e; server { listen 443 ssl; return 200;
        ssl_certificate /etc/live/fullchain.pem; ssl_certificate_key /etc/live/privkey.pem; } }""",
    "apache2 -DFOREGROUND -f /etc/inside.conf": """LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
        LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
        LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
        DefaultRuntimeDir /run\nPidFile /run/httpd.pid\nErrorLog /var/log/error.log\nMutex file:/run default
        Listen 443\nServerName inside\nSSLEngine on\nUser www-data\nGroup www-data
        SSLCertificateFile /etc/live/fullchain.pem\nSSLCertificateKeyFile /etc/live/privkey.pem\n""",
}


@contextlib.contextmanager
def contained(site: https.Site, command: str) -> Iterator[Container]:
    with Container(site.place / "box", command, {"/etc/inside.conf": INSIDE[command]},
                   volumes={"/etc/live": site.live}) as box:
        deadline = time.monotonic() + 10
        while True:
            try:
                assert shown(ADDRESS, NAME) == current(site)
                break
            except OSError:
                assert time.monotonic() < deadline, "the container does not answer"
                time.sleep(0.02)
        renewed(site)
        yield box


def test_nginx_in_a_container_gets_a_signal(
        site: https.Site, capfd: pytest.CaptureFixture[str], forwarded: None) -> None:
    """Its program is not run from here; nginx tests the configuration that it reads."""
    with contained(site, "nginx -c /etc/inside.conf"):
        done = reload(capfd, site)
        assert (done.status, is_new(site)) == (0, True), done.said
    assert "SIGHUP to process" in done.said


def test_nginx_in_a_container_survives_a_broken_configuration(
        site: https.Site, capfd: pytest.CaptureFixture[str], forwarded: None) -> None:
    """The signal does no harm."""
    with contained(site, "nginx -c /etc/inside.conf") as box:
        Path(f"/proc/{box.pid}/root/etc/inside.conf").write_text("nonsense;")
        done = reload(capfd, site, "--timeout", "1")
        assert not is_new(site)
    assert (done.status, "still shows an older certificate" in done.said) == (1, True)


def test_apache_in_a_container_is_left_alone(
        site: https.Site, capfd: pytest.CaptureFixture[str], forwarded: None) -> None:
    """A broken configuration would end it, and cannot be tested from here."""
    with contained(site, "apache2 -DFOREGROUND -f /etc/inside.conf"):
        done = reload(capfd, site)
        assert not is_new(site)
    assert (done.status, "it runs in a container" in done.said) == (1, True)
