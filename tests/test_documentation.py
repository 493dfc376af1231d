"""What is written for people is true and whole."""
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[1]
DOCS = TOP / "docs"


def test_the_documentation_is_built_without_a_warning(tmp_path: Path) -> None:
    """By Sphinx, with every reference leading somewhere."""
    done = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", DOCS, tmp_path / "html"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    pages = {page.stem for page in (tmp_path / "html").glob("*.html")}
    assert pages >= {page.stem for page in DOCS.glob("*.rst")}
