"""The sdist and the wheel: their files, reproducible bytes, and the tests of the sdist."""
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path
from typing import List

import pytest

pytestmark = pytest.mark.lab

SOURCE = Path(__file__).parents[2]
#: Files that git ignores; a copy of a checkout in use must not depend on them.
_NOT_OURS = shutil.ignore_patterns(".git", ".venv*", ".tox", ".*_cache", "__pycache__", "*.egg-info", "build", "dist")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of the source, which may be edited meanwhile."""
    return Path(shutil.copytree(SOURCE, tmp_path_factory.mktemp("source") / "source", ignore=_NOT_OURS))


def build(source: Path, directory: Path, writable: int) -> List[Path]:
    """An sdist, and the wheel that is built from it, of a fresh copy of the source elsewhere."""
    shutil.copytree(source, directory / "source")
    for path in (directory / "source").rglob("*"):
        path.chmod((0o755 if path.stat().st_mode & 0o100 else 0o644) | writable)
        os.utime(path)
    done = subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", directory / "dist",
                           directory / "source"], env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}, text=True,
                          umask=0o022, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    # Whether Python may write bytecode here is the machine's affair.
    said = [line for line in done.stdout.splitlines() if "byte-compiling is disabled" not in line]
    assert [line for line in said if re.search("warning|deprecat", line, re.IGNORECASE)] == []
    return sorted((directory / "dist").iterdir())


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> List[Path]:
    """The wheel and the sdist, in this order."""
    wheel, sdist = build(source, tmp_path_factory.mktemp("built"), 0)
    return [wheel, sdist]


@pytest.fixture(scope="module")
def unpacked(built: List[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source in the sdist."""
    directory = tmp_path_factory.mktemp("unpacked")
    # tarfile wants a filter from Python 3.12 on, which Debian 12's does not have.
    subprocess.run(["tar", "-xf", built[1], "-C", directory], check=True)
    top, = directory.iterdir()
    return top


def test_builds_are_reproducible(source: Path, built: List[Path], tmp_path: Path) -> None:
    """With SOURCE_DATE_EPOCH: later, elsewhere, of a checkout that the group may write in."""
    again = build(source, tmp_path, 0o020)
    assert [path.name for path in again] == [path.name for path in built]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_wheel_holds_the_package_alone(source: Path, built: List[Path]) -> None:
    """No tests, no set-up, and every module of the package; the manual page and the completion where pip puts them."""
    with zipfile.ZipFile(built[0]) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    package = source / "certbot_autowebroot"
    ours = [*package.rglob("*.py"), package / "py.typed", package / "cli" / "check.schema.json"]
    data = {re.sub(r"^[^/]+\.data/data/", "", name) for name in names if ".data/" in name}
    assert data == {"share/man/man1/certbot-autowebroot.1", "share/bash-completion/completions/certbot-autowebroot"}
    assert sorted(name for name in names if ".data/" not in name) == sorted(
        str(path.relative_to(source)) for path in ours)


def test_sdist_is_complete(source: Path, unpacked: Path) -> None:
    """A distribution builds from it alone: what MANIFEST.in forgets is missing there."""
    there = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    ours = {name for name in there if not re.search(r"(^|/)\.", name)}
    assert {name for name in ours if not (unpacked / name).is_file()} == set()
    assert {"tests/endtoend/test_story.py", "packaging/debian/control", "tools/release.sh", "LICENSE"} <= ours


def test_sdist_has_what_its_tests_need(unpacked: Path) -> None:
    """All test modules are imported, a few tests run; tools/release.sh runs all of them."""
    command = [sys.executable, "-m", "pytest", "-m", "not lab", "-k", "layout or extending"]
    done = subprocess.run(command, cwd=unpacked, env={**os.environ, "PYTHONPATH": ""}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_setup_py_has_all_metadata(unpacked: Path, tmp_path: Path) -> None:
    """Setuptools before 61 does not read the table [project] of pyproject.toml, which repeats two fields."""
    alone = tmp_path / "source"
    shutil.copytree(unpacked, alone, ignore=_NOT_OURS)
    settings = alone / "pyproject.toml"
    before, table, after = re.split(r"^\[project\]\n(.*?)(?=^\[)", settings.read_text(), flags=re.MULTILINE | re.DOTALL)
    settings.write_text(before + after)
    (alone / "made").mkdir()
    prepare = "from setuptools import build_meta; build_meta.prepare_metadata_for_build_wheel('made')"
    subprocess.run([sys.executable, "-c", prepare], cwd=alone, check=True, stdout=subprocess.DEVNULL)
    metadata, = alone.glob("made/*.dist-info/METADATA")

    def fields(file: Path) -> List[str]:
        return [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("Dynamic: ")]
    assert fields(metadata) == fields(unpacked / "PKG-INFO")
    repeated = dict(re.findall(r'^(\S+) = "(.*)"$', table, re.MULTILINE))
    assert repeated.keys() == {"name", "requires-python"}
    assert {f"{field.title()}: {value}" for field, value in repeated.items()} <= set(fields(metadata))


def test_requirement_of_zope_interface(unpacked: Path) -> None:
    """The spelling that pkg_resources finds, see setup.py; the cells certbot2.7 of tox.ini try it."""
    metadata = message_from_string((unpacked / "PKG-INFO").read_text(encoding="utf-8"))
    wanted = {requirement.replace('"', "'") for requirement in metadata.get_all("Requires-Dist", [])}
    assert {requirement for requirement in wanted if "zope" in requirement} == {
        "zope.interface<8; python_version < '3.11'", "zope-interface; python_version >= '3.11'"}
    assert wanted - {"certbot>=1.21", "acme>=1.21", "josepy"} == {
        requirement for requirement in wanted if "zope" in requirement}
