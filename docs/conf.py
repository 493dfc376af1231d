"""The documentation as Sphinx builds it: ``make docs``. Nothing is fetched."""
import re
from typing import Any
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
# Commands and the picture of a terminal fit into this width.
html_theme_options = {"description": "Renewals that go through whether port 80 is free or taken",
                      "page_width": "1120px"}
# Most blocks are commands and their output.
highlight_language = "none"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
html_extra_path = ["../certbot_autowebroot/cli/check.schema.json"]


def setup(app: Sphinx) -> None:
    """Have a link to another page's file, which works where the sources are read, lead to that page."""
    app.connect("source-read", _link_pages)
    app.connect("include-read", _link_pages)


def _link_pages(*arguments: Any) -> None:
    content: List[str] = arguments[-1]
    content[0] = re.sub(r"(`[^`<]+<)(?:docs/|\.\./)?([A-Za-z.-]+)\.rst>`__", _link_page, content[0])
    content[0] = content[0].replace(".. image:: docs/", ".. image:: ")


def _link_page(link: "re.Match[str]") -> str:
    page = link[2].lower().replace("readme", "index")
    return f":doc:{link[1]}{page}>`"
