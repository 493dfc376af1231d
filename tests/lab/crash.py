"""A run that is killed while a challenge lies in the web root."""
import os
import signal
from pathlib import Path
from typing import List

from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.system.views import View
from tests.lab import children


def challenge_files(root: Path) -> List[Path]:
    """All challenges in a web root."""
    return list(root.glob(".well-known/acme-challenge/*"))


def publish_and_die(journal: Path, root: Path) -> Path:
    """Publish a challenge and kill the process, as while it waits for the CA; returns the challenge that is left."""
    def act() -> None:
        place = Directory(PathInView(str(root)), ".well-known/acme-challenge/token")
        WebrootResponder(View.of_host(), place, Journal(str(journal))).publish(b"token.thumbprint")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(children.start(act), 0)
    (left,) = challenge_files(root)
    return left
