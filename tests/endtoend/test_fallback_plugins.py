"""Names without a directory, answered by manual and by other packages' authenticators."""
import json
import os
from pathlib import Path

import pytest

from tests.lab import plugins
from tests.lab.certbot import Certbot
from tests.lab.fallbacks import APP
from tests.lab.fallbacks import LINEAGE
from tests.lab.fallbacks import by_whom
from tests.lab.fallbacks import nothing_is_left
from tests.lab.fallbacks import order
from tests.lab.fallbacks import renew
from tests.lab.nginx import Nginx

pytestmark = pytest.mark.lab


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
