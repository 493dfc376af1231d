"""The main job of the plugin, as a user lives it."""
from pathlib import Path
from typing import Callable
from typing import Union

import pytest

from tests.lab.apache import Apache
from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx

pytestmark = pytest.mark.lab

NAME = "www.sample.com"
Server = Union[Nginx, Apache]


class NginxSite:
    """nginx with one site."""

    def __init__(self, directory: Path) -> None:
        self.server = Nginx(directory, "", user="www-data")

    def serve_from(self, root: str) -> None:
        self.server.configure(f"server {{ listen 80; server_name {NAME}; root {root}; }}")


class ApacheSite:
    """Apache with one site."""

    def __init__(self, directory: Path) -> None:
        self.server = Apache(directory, "")

    def serve_from(self, root: str) -> None:
        self.server.write(f"Listen 80\n<VirtualHost *:80>\nServerName {NAME}\nDocumentRoot {root}\n</VirtualHost>\n"
                          "<Directory />\nRequire all granted\n</Directory>\n")


def release(place: Path, number: int) -> Path:
    """A release of a site as capistrano lays it out, with ``current`` pointing to it."""
    public = place / "sample" / "releases" / str(number) / "public"
    public.mkdir(parents=True)
    (public / "index.html").write_text(f"release {number}")
    current = place / "sample" / "current"
    current.unlink(missing_ok=True)
    current.symlink_to(f"releases/{number}")
    return public


def left_behind(place: Path) -> "list[Path]":
    return list(place.rglob(".well-known"))


@pytest.mark.parametrize("site_of", [NginxSite, ApacheSite], ids=["nginx", "apache"])
def test_lineage_survives_changes_of_port_80(
        site_of: Callable[[Path], Union[NginxSite, ApacheSite]], certbot: Certbot, place: Path) -> None:
    """Issued by standalone; then a server takes the port, its root moves, the server stops, comes back elsewhere."""
    issued = certbot.run("certonly", "--standalone", "-d", NAME)
    assert issued.returncode == 0, issued.stdout
    assert certbot.renewal_setting(NAME, "authenticator") == "standalone"

    release(place, 1)
    site = site_of(place / "server")
    site.serve_from(f"{place}/sample/current/public")
    site.server.start()
    try:
        renewed = certbot.run("renew", "--force-renewal")
        assert renewed.returncode == 1
        assert "Could not bind TCP port 80" in renewed.stdout

        renewed = certbot.run("renew", "--force-renewal", "-a", "autowebroot")
        assert renewed.returncode == 0, renewed.stdout
        assert certbot.renewal_setting(NAME, "authenticator") == "autowebroot"
        assert certbot.certificates(NAME) >= 2

        release(place, 2)
        renewed = certbot.run("renew", "--force-renewal")
        assert renewed.returncode == 0, renewed.stdout
        assert certbot.certificates(NAME) >= 3

        site.server.stop()
        renewed = certbot.run("renew", "--force-renewal")
        assert renewed.returncode == 0, renewed.stdout
        assert certbot.certificates(NAME) >= 4
        assert f"{place}/sample/current/public" in (certbot.renewal_setting(NAME, "autowebroot_roots") or "")

        moved = place / "elsewhere"
        moved.mkdir()
        site.serve_from(str(moved))
        site.server.start()
        renewed = certbot.run("renew", "--force-renewal")
        assert renewed.returncode == 0, renewed.stdout
        assert certbot.certificates(NAME) >= 5
        assert str(moved) in (certbot.renewal_setting(NAME, "autowebroot_roots") or "")
    finally:
        site.server.stop()
    assert left_behind(place) == []
