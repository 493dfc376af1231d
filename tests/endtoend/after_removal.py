"""After ``pip uninstall certbot-autowebroot``: the state of our lineages. Run by tox, in this order."""
from pathlib import Path

import pytest

from tests.lab.certbot import Certbot

pytestmark = pytest.mark.lab

NAME = "www.sample.com"
OTHER = "other.sample.com"

#: What is left of us in a renewal configuration.
OURS = """authenticator = autowebroot
autowebroot_path = /var/www/html
autowebroot_roots = '{"www.sample.com": [["/var/www/html", ".well-known/acme-challenge"]]}'"""


def test_plugin_is_gone(certbot: Certbot) -> None:
    """Else this file would test nothing."""
    done = certbot.run("plugins")
    assert done.returncode == 0, done.stdout
    assert "autowebroot" not in done.stdout


def test_only_our_lineage_fails(certbot: Certbot, tmp_path: Path) -> None:
    """Until its authenticator is changed; the plugin's other lines in its renewal configuration do no harm then."""
    for name in (NAME, OTHER):
        assert certbot.run("certonly", "--standalone", "-d", name).returncode == 0
    conf = certbot.renewal_conf(NAME)
    conf.write_text(conf.read_text().replace("authenticator = standalone", OURS))

    done = certbot.run("certificates")
    assert done.returncode == 0 and NAME in done.stdout

    done = certbot.run("renew", "--force-renewal")
    assert done.returncode == 1
    assert "autowebroot" in done.stdout, done.stdout
    assert "Traceback" not in done.stdout
    assert (certbot.certificates(NAME), certbot.certificates(OTHER)) == (1, 2)

    conf.write_text(conf.read_text().replace("authenticator = autowebroot", "authenticator = standalone"))
    done = certbot.run("renew", "--force-renewal")
    assert done.returncode == 0, done.stdout
    assert (certbot.certificates(NAME), certbot.certificates(OTHER)) == (2, 3)
