"""Attacks by the owner of a document root, and obstacles."""
import contextlib
import os
import socket
import stat
import subprocess
import sys
import time
from typing import Callable
from typing import Iterator

import pytest

from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders import drafts
from certbot_autowebroot.responders import safe_directories
from certbot_autowebroot.responders.footprints import Footprint
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.system.views import View
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import DIRECTORY
from tests.lab.hostile_site import OWNER
from tests.lab.hostile_site import STRANGER
from tests.lab.hostile_site import TOKEN
from tests.lab.hostile_site import Site

pytestmark = pytest.mark.lab

COMPONENTS = ["www/.well-known", f"www/{DIRECTORY}", f"www/{DIRECTORY}/{TOKEN}"]


def plant_file(path: str) -> None:
    with open(path, "w") as file:
        file.write("something else")


def plant_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        here = os.getcwd()
        os.chdir(os.path.dirname(path))
        try:
            unix.bind(os.path.basename(path))
        finally:
            os.chdir(here)


def plant_device(path: str) -> None:
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero


def plant_link_to_secret(path: str) -> None:
    os.symlink("/etc/shadow", path)


def plant_loop(path: str) -> None:
    os.symlink(os.path.basename(path), path)


PLANTS = {"a file": plant_file, "a FIFO": os.mkfifo, "a socket": plant_socket, "a character device": plant_device}
LINKS = {"to a secret": plant_link_to_secret, "to itself": plant_loop,
         "to nowhere": lambda path: os.symlink("nowhere/at/all", path)}


def refused(site: Site, plant: Callable[[str], None], component: str, owner: int = OWNER) -> str:
    path = site.path(component)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    plant(path)
    os.chown(path, owner, owner, follow_symlinks=False)
    before = site.tree(".")
    with pytest.raises(PublishError) as caught:
        site.responder().publish(CONTENT)
    after = site.tree(".")
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in after.keys() - before.keys()} <= {"work"}
    assert path in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("kind", PLANTS)
def test_obstacle_is_named(site: Site, kind: str, component: str) -> None:
    """A file that is no directory, or not the right file, is named with its owner, and neither opened nor changed."""
    assert f"{kind} of uid {OWNER}" in refused(site, PLANTS[kind], component)


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("kind", LINKS)
def test_dangling_link_is_named(site: Site, kind: str, component: str) -> None:
    """A link to no directory is named; nothing is made at its target."""
    refused(site, LINKS[kind], component)


@pytest.mark.parametrize("component", ["www", *COMPONENTS[:2]])
@pytest.mark.parametrize("victim", [0, STRANGER], ids=["root's", "a stranger's"])
def test_link_to_another_users_directory(site: Site, victim: int, component: str) -> None:
    """A link of the owner to a directory of another user is refused, at each component."""
    site.make("victim", victim, 0o777)
    os.rmdir(site.root)
    message = refused(site, lambda path: os.symlink(site.path("victim"), path), component)
    assert f"is a symbolic link of uid {OWNER} to {site.path('victim')}" in message
    assert f"a directory of {'root' if victim == 0 else f'uid {victim}'}" in message


def test_link_with_dots(site: Site) -> None:
    """A link with dots is judged by its target."""
    site.make("victim", 0)
    assert "is not followed" in refused(site, lambda path: os.symlink("../www/./../victim/", path), COMPONENTS[0])


def test_hard_link_of_roots_link(site: Site) -> None:
    """Without protected hard links, any user can make a second name of root's link."""
    site.make("victim", STRANGER)
    link = site.link("link", site.path("victim"), 0)
    message = refused(site, lambda path: os.link(link, path, follow_symlinks=False), "www/.well-known", 0)
    assert "a hard link in a directory of uid 61001" in message


def test_hard_link_of_a_secret(site: Site) -> None:
    """A hard link in the token's place to a file that its owner cannot read is not served, compared or removed."""
    secret = site.write("secret", CONTENT, 0)
    site.make("www/.well-known")
    site.make(f"www/{DIRECTORY}")
    refused(site, lambda path: os.link(secret, path), COMPONENTS[2], 0)
    assert os.stat(secret).st_nlink == 2


def test_too_many_links(site: Site) -> None:
    """A chain of forty links is followed, one more is not."""
    site.make("www0")
    for number in range(1, 42):
        site.link(f"www{number}", f"www{number - 1}", OWNER)
    site.responder(root=site.path("www40")).publish(CONTENT)
    with pytest.raises(PublishError, match="more than 40 symbolic links"):
        site.responder("other", root=site.path("www41")).publish(CONTENT)


def test_current_release(site: Site) -> None:
    """Capistrano's ``current`` leads to a directory of the user who made the link."""
    site.make("releases")
    release = site.make("releases/20260101")
    site.link("current", "releases/20260101", OWNER)
    responder = site.responder(root=site.path("current"))
    responder.publish(CONTENT)
    assert os.path.exists(f"{release}/{DIRECTORY}/{TOKEN}")
    responder.withdraw()
    assert os.listdir(release) == []


@pytest.mark.parametrize("owner", [0, OWNER, STRANGER])
def test_shared_acme_directory(site: Site, owner: int) -> None:
    """A link of root is followed for every owner of its target, and the file gets that owner."""
    shared = site.make("acme", owner)
    site.make("www/.well-known")
    site.link("www/.well-known/acme-challenge", shared, 0)
    responder = site.responder()
    responder.publish(CONTENT)
    assert os.stat(f"{shared}/{TOKEN}").st_uid == owner
    responder.withdraw()
    assert os.listdir(shared) == []
    assert os.path.islink(f"{site.root}/{DIRECTORY}")


def test_roots_link_to_a_system_directory(site: Site) -> None:
    """The end of the walk counts for system directories."""
    site.link("www/.well-known", "/etc", 0)
    before = site.tree()
    with pytest.raises(PublishError, match="/etc is a system directory"):
        site.responder().publish(CONTENT)
    assert site.tree() == before


@contextlib.contextmanager
def view_of(directory: str) -> Iterator[View]:
    view = View(os.open(directory, os.O_RDONLY | os.O_DIRECTORY), confined=True)
    yield view
    view.close()


@pytest.mark.parametrize("target", ["/victim", "../../../../../../../victim", "/victim/../../victim"])
def test_links_stay_in_the_view(site: Site, target: str) -> None:
    """An absolute link in a container leads to a directory of the container, and dots do not lead out of it."""
    site.make("victim")
    site.make("www/victim")
    site.make("www/site")
    site.link("www/site/.well-known", target, OWNER)
    with view_of(site.root) as view:
        responder = WebrootResponder(view, Directory(PathInView("/site"), f".well-known/{TOKEN}"), site.journal)
        responder.publish(CONTENT)
        assert os.listdir(f"{site.root}/victim") == [TOKEN]
        assert os.listdir(site.path("victim")) == []
        responder.withdraw()
    assert os.listdir(f"{site.root}/victim") == []


@pytest.mark.parametrize("path", ["/victim\0", "/victim\ud800"], ids=repr)
def test_impossible_file_name(site: Site, path: str) -> None:
    """A path with a NUL or half a character in it leads nowhere, and not to the part before."""
    site.make("www/victim")
    with view_of(site.root) as view:
        for one in (view, View.of_host()):
            with pytest.raises(FileNotFoundError):
                one.open(path, os.O_RDONLY)
            assert (one.stat(path), one.list_dir(path), one.glob(path)) == (None, [], [])


def test_server_chrooted_into_its_document_root(site: Site) -> None:
    """The root of a view is a document root if the server is chrooted into it."""
    with view_of(site.root) as view:
        responder = WebrootResponder(view, Directory(PathInView("/"), TOKEN), site.journal)
        responder.publish(CONTENT)
        assert os.listdir(site.root) == [TOKEN]
        responder.withdraw()


@contextlib.contextmanager
def process_in_user_namespace_of(uid: int) -> Iterator[int]:
    """A process that is root in a user namespace of a user."""
    # Made by us, and not by the user, for some distributions let no user make one.
    process = subprocess.Popen(["unshare", "--user", "--mount", "--propagation", "unchanged", "sleep", "60"])
    try:
        deadline = time.monotonic() + 10
        while True:
            with open(f"/proc/{process.pid}/comm") as file:
                if file.read() == "sleep\n":
                    break
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        with open(f"/proc/{process.pid}/uid_map", "w") as file:
            file.write(f"0 {uid} 1")
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_container_with_a_user_as_root(site: Site) -> None:
    """Root in a user namespace may name directories of that user, and of no other."""
    site.make("roots", 0)
    site.make("strangers", STRANGER)
    with process_in_user_namespace_of(OWNER) as pid:
        view = View.of_process(pid)
        assert view.root_uid == OWNER
        assert [uid for uid in (OWNER, 0, STRANGER) if view.has_user(uid)] == [OWNER]
        for name, owner in (("roots", "root"), ("strangers", f"uid {STRANGER}")):
            with pytest.raises(PublishError, match=f"{name} belongs to {owner}, a user that the server's"):
                WebrootResponder(view, Directory(PathInView(site.path(name)), TOKEN), site.journal).publish(CONTENT)
            assert os.listdir(site.path(name)) == []
        responder = WebrootResponder(view, Directory(PathInView(site.root), TOKEN), site.journal)
        responder.publish(CONTENT)
        assert os.listdir(site.root) == [TOKEN]
        responder.withdraw()
        view.close()


def test_directory_replaced_while_it_is_made(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that takes the place of the new one is refused and not changed."""
    os.chown(site.root, 0, 0)
    os.chmod(site.root, 0o777)
    site.make("theirs", STRANGER, 0o700)
    mkdir = os.mkdir

    def swapped(name: str, *args: int, **kwargs: int) -> None:
        mkdir(name, *args, **kwargs)
        os.rename(f"{site.root}/{name}", site.path("ours"))
        os.rename(site.path("theirs"), f"{site.root}/{name}")

    monkeypatch.setattr(os, "mkdir", swapped)
    with pytest.raises(PublishError, match="was replaced while it was made, by a directory of uid 61002"):
        site.responder().publish(CONTENT)
    monkeypatch.undo()
    (theirs,) = os.listdir(site.root)
    assert stat.S_IMODE(os.stat(f"{site.root}/{theirs}").st_mode) == 0o700
    assert os.listdir(f"{site.root}/{theirs}") == []


@pytest.mark.parametrize("plant", [plant_link_to_secret, os.mkdir], ids=["a link", "a directory"])
def test_directory_replaced_before_its_rename(
        site: Site, monkeypatch: pytest.MonkeyPatch, plant: Callable[[str], None]) -> None:
    """What takes the place of the draft directory is neither used nor removed."""
    def swapped(footprint: Footprint, directory: safe_directories.OpenDirectory) -> None:
        os.rename(f"{site.root}/{footprint.draft}", f"{site.root}/ours")
        plant(f"{site.root}/{footprint.draft}")
        give_name(footprint, directory)

    give_name = drafts.give_name
    monkeypatch.setattr(drafts, "give_name", swapped)
    with pytest.raises(PublishError, match=r"/\.well-known was replaced while it was made, (in|by) a directory of uid"):
        site.responder().publish(CONTENT)
    assert sorted(os.listdir(site.root)) == [".well-known", "ours"]
    assert os.listdir(f"{site.root}/ours") == []


@pytest.fixture
def without_o_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_directories, "_SEARCH", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    monkeypatch.delattr(os, "O_PATH")


@pytest.mark.usefixtures("without_o_path")
@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("kind", PLANTS)
def test_obstacle_is_named_without_o_path(site: Site, kind: str, component: str) -> None:
    """The same on systems without O_PATH."""
    assert f"{kind} of uid {OWNER}" in refused(site, PLANTS[kind], component)


@pytest.mark.usefixtures("without_o_path")
def test_links_without_o_path(site: Site) -> None:
    """Without O_PATH, a link is followed only in a directory that root alone can write."""
    site.link("link", "www", OWNER)
    site.responder(root=site.path("link"), directory="").publish(CONTENT)
    assert os.listdir(site.root) == [TOKEN]
    site.make("www/mine")
    message = refused(site, lambda path: os.symlink("mine", path), "www/.well-known")
    assert "in a directory where others than root may swap it" in message


UNPRIVILEGED = """
import os, sys
from certbot_autowebroot.responders import drafts  # now: the user may not read our modules
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.system.views import View
root, journal, uid = sys.argv[1:]
os.setgroups([]); os.setgid(int(uid)); os.setuid(int(uid))
responder = WebrootResponder(View.of_host(), Directory(root, ".well-known/acme-challenge/TOKEN"), Journal(journal))
responder.publish(b"content")
status = os.stat(root + "/.well-known/acme-challenge/TOKEN")
print(status.st_uid, oct(status.st_mode))
responder.withdraw()
print(os.listdir(root), os.listdir(journal))
"""


def run_as(uid: int, site: Site) -> "subprocess.CompletedProcess[str]":
    site.make("mine", uid, 0o700)
    return subprocess.run([sys.executable, "-c", UNPRIVILEGED, site.root, site.path("mine/autowebroot"), str(uid)],
                          capture_output=True, text=True, check=False)


def test_without_root_in_own_directory(site: Site) -> None:
    """An ordinary user can publish in a directory of that user."""
    assert run_as(OWNER, site).stdout == f"{OWNER} 0o100644\n[] []\n"


def test_without_root_in_another_directory(site: Site) -> None:
    """An ordinary user is told that root could do it."""
    result = run_as(STRANGER, site)
    assert (f"PublishError: The directory {site.root}/.well-known cannot be made: Permission denied. You are uid "
            f"{STRANGER}; root could.") in result.stderr
