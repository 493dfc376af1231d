"""A document root of somebody else's for each test."""
import os
import shutil
import tempfile
from typing import Iterator

import pytest

from certbot_autowebroot.journal import Journal
from certbot_autowebroot.views import View
from tests.responders.site import Site


@pytest.fixture
def site() -> Iterator[Site]:
    # Not tmp_path: that lies below a directory which only root can pass, and owners have to come here.
    top = os.path.realpath(tempfile.mkdtemp(prefix="site-"))
    os.chmod(top, 0o755)
    view = View.of_host()
    site = Site(top, Journal(os.path.join(top, "work/autowebroot")), view)
    site.make("www")
    yield site
    view.close()
    shutil.rmtree(top)
