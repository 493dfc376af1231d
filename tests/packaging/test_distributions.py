"""The sdist and the wheel: what is in them, the same bytes each time, and the sdist passes its own tests."""
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path
from typing import List

import pytest

pytestmark = pytest.mark.lab

SOURCE = Path(__file__).parents[2]
#: What git does not know; a copy of a checkout that somebody works in must not depend on it.
_NOT_OURS = shutil.ignore_patterns(".git", ".venv*", ".tox", ".*_cache", "__pycache__", "*.egg-info", "build", "dist")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source at one moment: somebody may be working in it."""
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
    """The source that the sdist brings to its reader."""
    directory = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(built[1]) as archive:
        archive.extractall(directory)  # noqa: S202 - we made it
    top, = directory.iterdir()
    return top


def test_two_builds_are_the_same(source: Path, built: List[Path], tmp_path: Path) -> None:
    """With SOURCE_DATE_EPOCH: later, elsewhere, of a checkout that the group may write in."""
    again = build(source, tmp_path, 0o020)
    assert [path.name for path in again] == [path.name for path in built]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_the_wheel_holds_the_package_alone(source: Path, built: List[Path]) -> None:
    """No tests, no set-up, and every module of the package."""
    with zipfile.ZipFile(built[0]) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    package = source / "certbot_autowebroot"
    ours = [*package.rglob("*.py"), package / "py.typed"]
    assert sorted(names) == sorted(str(path.relative_to(source)) for path in ours)


def test_the_sdist_holds_all_that_there_is(source: Path, unpacked: Path) -> None:
    """A distribution builds from it, and has nothing else of us: what MANIFEST.in forgets is gone."""
    there = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    ours = {name for name in there if not re.search(r"(^|/)\.", name)}
    assert {name for name in ours if not (unpacked / name).is_file()} == set()
    assert {"tests/endtoend/test_story.py", "packaging/debian/control", "tools/release.sh", "LICENSE"} <= ours


@pytest.mark.parametrize("arguments", [["tests/servers"], ["tests/fuzz"],
                                       ["--ignore=tests/servers", "--ignore=tests/fuzz"]],
                         ids=["servers", "fuzz", "others"])
def test_the_sdist_passes_its_own_pure_tests(unpacked: Path, arguments: List[str]) -> None:
    """As a build machine runs them, in three parts for their time. All of its tests are run by tools/release.sh."""
    done = subprocess.run([sys.executable, "-m", "pytest", "-m", "not lab", *arguments], cwd=unpacked, text=True,
                          env={**os.environ, "PYTHONPATH": ""}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_setup_py_says_all_of_the_metadata(unpacked: Path, tmp_path: Path) -> None:
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


def test_zope_interface_is_required_by_the_name_that_is_found(unpacked: Path) -> None:
    """What setup.py says of pkg_resources, as it reads it; the cells certbot2.7 of tox.ini live it."""
    metadata = message_from_string((unpacked / "PKG-INFO").read_text(encoding="utf-8"))
    wanted = {requirement.replace('"', "'") for requirement in metadata.get_all("Requires-Dist", [])}
    assert {requirement for requirement in wanted if "zope" in requirement} == {
        "zope.interface<8; python_version < '3.11'", "zope-interface; python_version >= '3.11'"}
    assert wanted - {"certbot>=1.21", "acme>=1.21", "josepy"} == {
        requirement for requirement in wanted if "zope" in requirement}
