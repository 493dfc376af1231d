"""The documentation as Sphinx builds it: ``make docs``. Nothing is fetched."""
import re
from pathlib import Path
from typing import List

from sphinx.application import Sphinx

from certbot_autowebroot import __version__

project = "certbot-autowebroot"
author = "The certbot-autowebroot developers"
release = __version__
exclude_patterns = ["_build"]

extensions = ["sphinx.ext.autodoc"]
autodoc_member_order = "bysource"

html_theme = "alabaster"
html_theme_options = {"description": "Renewals that go through whether port 80 is free or taken"}
html_copy_source = False
# check.rst says that it is beside that page.
html_extra_path = ["check.schema.json"]


def setup(app: Sphinx) -> None:
    """Have README.rst and its neighbours lead to the pages that they link to as files."""
    app.connect("include-read", _link_pages)


def _link_pages(app: Sphinx, relative_path: Path, parent_docname: str, content: List[str]) -> None:
    content[0] = re.sub(r"(`[^`<]+ <)(?:docs/)?([A-Za-z]+)\.rst>`__",
                        lambda link: f":doc:{link[1]}{link[2].lower()}>`", content[0])
