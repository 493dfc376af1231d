"""The picture of README.rst is what happens: a lineage that fails, the reason, the remedy, the renewal."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.ca import CA
from tests.lab.certbot import Certbot
from tests.lab.reader import Reader
from tests.lab.reader import reader
from tests.lab.readme import NAME

pytestmark = pytest.mark.lab

__all__ = ["reader"]  # a fixture
TOP = Path(__file__).parents[2]
PICTURE = TOP / "docs" / "fails-check-fixed.svg"
TITLE = "A renewal fails, certbot-autowebroot check says why and what to do, and the renewal works"


def test_picture_is_what_happens(reader: Reader, certbot: Certbot, ca: CA, tmp_path: Path) -> None:
    """But for process ids and days: the picture is drawn anew, and the same."""
    if certbot.version < (5, 0):  # the picture is of a newer one
        return
    reader.types(f"certbot certonly --standalone -d {NAME}")
    conf = Path(f"/etc/letsencrypt/renewal/{NAME}.conf")
    conf.write_text("renew_before_expiry = 9999 days\n" + conf.read_text())  # it is due
    reader.serves_https()
    session = ""
    with reader.nginx:
        for command in ("certbot renew --quiet", "certbot-autowebroot check --quiet",
                        f"certbot reconfigure --cert-name {NAME} -a autowebroot", "certbot renew"):
            session += f"$ {command}\n{reader.types_at_terminal(command)}\n"
    session = re.sub(r"\S*/certbot-autowebroot(?= reload)", "'certbot-autowebroot", session)  # of a virtual environment
    session = re.sub(r"(?m)^autowebroot is .*\n", "", session)  # of a slow machine
    session = re.sub(r"(?<=pid )\d+", "15542", re.sub(r"\d+(?= days left)", "59", session))
    made = subprocess.run([sys.executable, TOP / "tools" / "terminal_svg.py", TITLE], input=session, check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    build = TOP / "build" / PICTURE.name
    build.parent.mkdir(exist_ok=True)
    build.write_text(made)
    assert made == (PICTURE.read_text() if PICTURE.exists() else ""), f"see {build}, and: cp {build} {PICTURE}"
