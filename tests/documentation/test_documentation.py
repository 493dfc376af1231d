"""The documentation is complete and builds."""
import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict
from typing import List
from typing import Set

import pytest
from docutils import nodes
from docutils.core import publish_doctree

from certbot_autowebroot.authenticator import Authenticator

pytestmark = pytest.mark.lab

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
PACKAGE = TOP / "certbot_autowebroot"


def read(name: str) -> nodes.document:
    """A page as GitHub and PyPI read it, where a fault in it would show."""
    document: nodes.document = publish_doctree((TOP / name).read_text(encoding="utf-8"), source_path=str(TOP / name),
                                               settings_overrides={"halt_level": 2})
    return document


@pytest.fixture(scope="module")
def readmes() -> List[nodes.document]:
    """English and Japanese."""
    return [read("README.rst"), read("README.ja.rst")]


def test_sphinx_builds_without_a_warning(tmp_path: Path) -> None:
    """Every reference leads somewhere."""
    done = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", DOCS, tmp_path / "html"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    pages = {page.stem for page in (tmp_path / "html").glob("*.html")}
    assert pages >= {page.stem for page in DOCS.glob("*.rst")}
    assert (tmp_path / "html" / "check.schema.json").is_file()
    texts = {page.name: page.read_text(encoding="utf-8") for page in (tmp_path / "html").glob("*.html")}
    links = {link for text in texts.values() for link in re.findall(r'(?:href|src)="([^"#?:]+)["#?]', text)}
    assert {link for link in links if not (tmp_path / "html" / link).is_file()} == set()
    anchors = {(page or name, anchor) for name, text in texts.items()
               for page, anchor in re.findall(r'href="([^"#?:]*)#([^"]+)"', text)}
    assert {(page, anchor) for page, anchor in anchors if f'id="{anchor}"' not in texts[page]} == set()


def test_readmes_have_the_same_parts(readmes: List[nodes.document]) -> None:
    """Section by section: code blocks word for word, and as many items, options and rows."""
    def parts(document: nodes.document) -> List[List[str]]:
        kinds = (nodes.list_item, nodes.definition_list_item, nodes.row)
        return [[part.astext() if isinstance(part, nodes.literal_block) else type(part).__name__
                 for part in section.findall() if isinstance(part, (nodes.literal_block, *kinds))]
                for section in document.findall(nodes.section)]
    english, japanese = map(parts, readmes)
    assert english == japanese
    assert any(english)


def test_readmes_name_the_same_things(readmes: List[nodes.document]) -> None:
    """Options, files and commands within the text; and each file exists."""
    def named(document: nodes.document) -> Set[str]:
        texts = {" ".join(literal.astext().split()) for literal in document.findall(nodes.literal)}
        return texts - {"README.rst", "README.ja.rst"}
    english, japanese = map(named, readmes)
    assert english == japanese
    files = {name for name in english if name.endswith((".rst", ".spec"))}
    assert {name for name in files if not (TOP / name).is_file()} == set()


def test_options_page_has_every_option() -> None:
    """Those of the plugin that a person sets."""
    parser = argparse.ArgumentParser()
    Authenticator.inject_parser_options(parser, "autowebroot")
    kept_by_the_plugin = {"--autowebroot-roots"}
    options = {action.option_strings[0] for action in parser._actions
               if action.dest != "help" and action.help != argparse.SUPPRESS}
    told = {term.astext().split()[0] for term in read("docs/options.rst").findall(nodes.term)}
    assert options - kept_by_the_plugin == {option for option in told if option.startswith("--autowebroot")}


def rooms() -> Dict[str, List[str]]:
    """The table of design.rst: by room, its modules."""
    design = (DOCS / "design.rst").read_text(encoding="utf-8")
    rows = re.findall(r"^(?:\*\*(.+?)\*\*|``(\S+\.py)``) ", design, re.MULTILINE)
    modules: Dict[str, List[str]] = {}
    for room, module in rows:
        if room:
            modules[room] = []
        else:
            modules[list(modules)[-1]].append(module)
    return modules


def test_design_names_every_module() -> None:
    """By room. A package within a room, such as a web server's, is one row."""
    named = {(room if room.endswith("/") else "") + module for room, modules in rooms().items() for module in modules}
    paths = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    assert named == {str(path) for path in paths if len(path.parts) < 3}


def test_imports_run_down() -> None:
    """No room imports one above it in that table, not even late; plain data takes safe text from system."""
    order = [name for room, modules in rooms().items() for name in ([room[:-1]] if room.endswith("/") else modules)]
    order = [name.replace(".py", "") for name in order]
    upward = set()
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].replace(".py", "")
        imported = re.findall(r"^ *from certbot_autowebroot\.?(\S*) import (\w+)", path.read_text(encoding="utf-8"),
                              re.MULTILINE)
        upward |= {(str(path.relative_to(PACKAGE)), module) for module, name in imported
                   if name != "__version__" and order.index((module or name).split(".")[0]) < order.index(room)}
    assert upward == set()


def test_links_to_files_lead_somewhere() -> None:
    """Where the sources are read: a repository's web page, a distribution's /usr/share/doc."""
    pages = [*TOP.glob("*.rst"), *DOCS.glob("*.rst")]
    links = [(page, link) for page in pages
             for link in re.findall(r"<([^<>:\s]+)>`_", page.read_text(encoding="utf-8"))]
    assert links
    assert [(page.name, link) for page, link in links if not (page.parent / link).is_file()] == []


@pytest.mark.parametrize("readme", ["README.rst", "README.ja.rst"])
def test_readme_links_every_page(readme: str) -> None:
    """But those that are another page's text."""
    links = re.findall(r"<docs/([\w.-]+\.rst)>`_", (TOP / readme).read_text(encoding="utf-8"))
    included = {page.name for page in DOCS.glob("*.rst") if ".. include:: ../" in page.read_text(encoding="utf-8")}
    assert {page.name for page in DOCS.glob("*.rst")} - included == set(links)


def test_index_of_packages_gets_whole_addresses(tmp_path: Path) -> None:
    """Once setup.py has the address of the source: an index has no files beside README.rst."""
    address = "https://example.org/certbot-autowebroot"
    setup = (TOP / "setup.py").read_text(encoding="utf-8")
    (tmp_path / "setup.py").write_text(setup.replace("PROJECT_URLS = {", f'PROJECT_URLS = {{"Source": "{address}", '))
    (tmp_path / "certbot_autowebroot").mkdir()
    for name in ("README.rst", "certbot_autowebroot/__init__.py"):
        shutil.copy(TOP / name, tmp_path / name)
    shown = subprocess.run([sys.executable, "-W", "ignore", "setup.py", "--long-description"], cwd=tmp_path, check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    targets = re.findall(r"<([^<>]+)>`_|image:: (\S+)", shown)
    assert len(targets) > 20
    assert [target for target in map("".join, targets) if not target.startswith(address)] == []


@pytest.mark.parametrize("name", ["CHANGELOG.rst", "CONTRIBUTING.rst", "SECURITY.rst"])
def test_pages_without_sphinx_have_no_faults(name: str) -> None:
    """Sphinx does not read these."""
    assert list(read(name).findall(nodes.section))
