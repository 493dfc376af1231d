"""An allow-list shuts this host out, and not the CA: ``--autowebroot-unproven``."""
import os
from pathlib import Path
from typing import Iterator

import pytest

from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.nginx import Nginx

pytestmark = pytest.mark.lab

NAME = "www.sample.com"
OPEN = f"server {{ listen 80; server_name {NAME}; root {{dir}}/root; location /.well-known/ {{ }} }}"
#: An allow-list, as we read it. That the CA is let in while we are not shows in the probe's own header here: both
#: come from this machine.
IF = "if ($http_autowebroot_probe) { return 403; }"
SHUT = OPEN.replace("{ }", f"{{ allow 203.0.113.0/24; deny all; {IF} }}")


@pytest.fixture
def nginx(place: Path) -> Iterator[Nginx]:
    (place / "nginx" / "root").mkdir(parents=True)
    with Nginx(place / "nginx", SHUT, user="www-data") as running:
        yield running


def test_ca_is_asked_with_a_warning(certbot: Certbot, nginx: Nginx) -> None:
    """By default; a renewal does the same."""
    for command in (["certonly", "-a", "autowebroot", "-d", NAME], ["renew", "--force-renewal"]):
        done = certbot.run(*command)
        assert done.returncode == 0, done.stdout
        assert f"{NAME}: it could not be proved from here that the CA will be answered" in done.stdout
        assert str(nginx.directory / "root") in done.stdout
    assert os.listdir(nginx.directory / "root") == []


def test_if_as_allow_list_is_unproven(certbot: Certbot, nginx: Nginx) -> None:
    """By country, address or program: an ``if`` about the client is no dead end either."""
    nginx.configure(OPEN.replace("{ }", f"{{ {IF} }}"))
    nginx.reload()
    done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME)
    assert done.returncode == 0, done.stdout
    assert f"{NAME}: it could not be proved from here that the CA will be answered" in done.stdout


def test_request_limit_is_no_dead_end(certbot: Certbot, nginx: Nginx) -> None:
    """All names are probed from one address within a moment: a refused request is repeated."""
    nginx.configure("map $http_autowebroot_probe $limited { ~. us; default ''; } "
                    "limit_req_zone $limited zone=one:1m rate=5r/s; "
                    + OPEN.replace("{ }", "{ limit_req zone=one burst=5 nodelay; }").replace(NAME, "*.sample.com"))
    nginx.reload()
    names = [f"{number}.sample.com" for number in range(20)]
    done = certbot.run("certonly", "-a", "autowebroot", "-d", ",".join(names))
    assert done.returncode == 0, done.stdout


def test_unproven_refuse_stops_the_renewal(certbot: Certbot, nginx: Nginx, ca: CA) -> None:
    """Before the CA is asked; the option is saved with the lineage."""
    nginx.configure(OPEN)
    nginx.reload()
    done = certbot.run("certonly", "-a", "autowebroot", "-d", NAME, "--autowebroot-unproven", "refuse")
    assert done.returncode == 0, done.stdout
    nginx.configure(SHUT)
    nginx.reload()
    asked = ca.validations()
    done = certbot.run("renew", "--force-renewal")
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert "status 403" in said and "The CA was not asked, for it could not be proved" in said
    assert "--autowebroot-unproven try asks it" in said
    assert ca.validations() == asked
    assert os.listdir(nginx.directory / "root") == []
