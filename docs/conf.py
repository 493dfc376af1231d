"""The documentation as Sphinx builds it: ``make docs``. Nothing is fetched."""
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
