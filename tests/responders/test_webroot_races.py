"""Files in a document root that changes meanwhile: other clients, the owner, another user."""
import errno
import os
import shutil
from typing import Any

import pytest

from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders import drafts
from certbot_autowebroot.responders import footprints
from certbot_autowebroot.responders import safe_directories
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import DIRECTORY
from tests.lab.hostile_site import TOKEN
from tests.lab.hostile_site import Site

pytestmark = pytest.mark.lab


@pytest.fixture(params=[None, errno.ENOSYS, errno.EINVAL], ids=["Linux", "macOS", "NFS"])
def renames(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With renameat2(2), without it, and on a file system without its flags."""
    if request.param:
        monkeypatch.setattr(drafts, "_rename_new", lambda *args: request.param)


@pytest.mark.usefixtures("renames")
def test_directories_are_made(site: Site) -> None:
    """Only the needed directories are there meanwhile, and none afterwards."""
    responder = site.responder()
    responder.publish(CONTENT)
    assert sorted(site.tree()) == [".", ".well-known", DIRECTORY, f"{DIRECTORY}/{TOKEN}"]
    responder.withdraw()
    assert os.listdir(site.root) == []


@pytest.mark.usefixtures("renames")
def test_directory_made_by_another_client(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that another client makes just before mkdir is used, and not removed."""
    mkdir = os.mkdir

    def first(name: str, *args: Any, **kwargs: Any) -> None:
        if "dir_fd" in kwargs:
            mkdir(".well-known", *args, **kwargs)
        mkdir(name, *args, **kwargs)

    responder = site.responder(directory=".well-known")
    monkeypatch.setattr(os, "mkdir", first)
    responder.publish(CONTENT)
    assert os.listdir(site.root) == [".well-known"]
    assert os.listdir(f"{site.root}/.well-known") == [TOKEN]
    responder.withdraw()
    assert os.listdir(site.root) == [".well-known"]


def test_directories_renamed_meanwhile(site: Site) -> None:
    """Renamed files and directories are found and removed."""
    responder = site.responder()
    responder.publish(CONTENT)
    os.rename(site.root, site.path("elsewhere"))
    responder.withdraw()
    assert os.listdir(site.path("elsewhere")) == []


def test_document_root_replaced_meanwhile(site: Site) -> None:
    """A deployment replaces the directory: the new one is not touched, the old one is cleaned."""
    responder = site.responder()
    responder.publish(CONTENT)
    os.rename(site.root, site.path("old"))
    site.make("www")
    os.makedirs(os.path.dirname(site.file))
    site.write(f"www/{DIRECTORY}/{TOKEN}", CONTENT)
    before = site.tree()
    responder.withdraw()
    assert site.tree() == before
    assert os.listdir(site.path("old")) == []


@pytest.mark.parametrize("gone", ["www", "www/.well-known", f"www/{DIRECTORY}", f"www/{DIRECTORY}/{TOKEN}"])
def test_gone_meanwhile(site: Site, gone: str, caplog: pytest.LogCaptureFixture) -> None:
    """A file that another process has removed is no error, and the rest goes too."""
    responder = site.responder()
    responder.publish(CONTENT)
    if gone.endswith(TOKEN):
        os.unlink(site.path(gone))
    else:
        shutil.rmtree(site.path(gone))
    responder.withdraw()
    assert not os.path.exists(f"{site.root}/.well-known")
    assert not caplog.records


def test_file_replaced_meanwhile(site: Site) -> None:
    """A file that the responder has not made stays, with the directories around it."""
    responder = site.responder()
    responder.publish(CONTENT)
    site.write("other", b"another client's")
    os.rename(site.path("other"), site.file)
    responder.withdraw()
    with open(site.file, "rb") as file:
        assert file.read() == b"another client's"


def test_directory_replaced_meanwhile(site: Site) -> None:
    """An empty directory that the responder has not made stays."""
    responder = site.responder()
    responder.publish(CONTENT)
    os.rename(f"{site.root}/.well-known", f"{site.root}/ours")
    site.make("www/.well-known")
    responder.withdraw()
    assert os.path.isdir(f"{site.root}/.well-known")
    assert os.listdir(f"{site.root}/ours") == []


def test_failed_removal_is_reported(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Withdrawing never raises; it reports what is left, and tries again at the next removal."""
    first, second = site.responder("first"), site.responder("second")
    first.publish(CONTENT)
    second.publish(CONTENT)
    os.chmod(os.path.dirname(site.file), 0o555)
    first.withdraw()
    assert f"{site.root}/{DIRECTORY}/first could not be removed: Permission denied" in caplog.text
    os.chmod(os.path.dirname(site.file), 0o755)
    second.withdraw()
    assert os.listdir(site.root) == []


def test_failed_removal_names_the_draft(
        site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that could neither be renamed nor removed (append-only, chattr(1)) is reported by its draft name."""
    def closed(footprint: footprints.Footprint, directory: safe_directories.OpenDirectory) -> None:
        os.chmod(site.root, 0o555)
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(drafts, "give_name", closed)
    with pytest.raises(PublishError, match="well-known cannot be made: Operation not permitted"):
        site.responder().publish(CONTENT)
    (left,) = os.listdir(site.root)
    assert f"{site.root}/{left} could not be removed: Permission denied" in caplog.text
    os.chmod(site.root, 0o755)
    site.journal.release_all()
    assert os.listdir(site.root) == []


@pytest.mark.parametrize("name", ["www", f"www/{DIRECTORY}"])
def test_failed_creation_is_not_removed(site: Site, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """The owner has closed the directory: nothing is left, and only the failure is reported."""
    site.make("www/.well-known")
    site.make(f"www/{DIRECTORY}")
    if name == "www":
        os.rename(f"{site.root}/.well-known", site.path("away"))
    os.chmod(site.path(name), 0)
    with pytest.raises(PublishError, match=r"(made|written): Permission denied"):
        site.responder().publish(CONTENT)
    assert caplog.text == ""
    assert site.journals() == []
