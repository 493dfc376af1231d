"""The journal, and the clean-up by the next run."""
import errno
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from typing import Any
from typing import List
from typing import Optional

import pytest

from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.footprints import parse
from certbot_autowebroot.responders.journal import Journal
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import DIRECTORY
from tests.lab.hostile_site import ENTRY
from tests.lab.hostile_site import OWNER
from tests.lab.hostile_site import TOKEN
from tests.lab.hostile_site import Site

pytestmark = pytest.mark.lab

#: Publishes one file and is killed.
KILLED = """
import os, signal, sys
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.system.views import View
root, journal, content = sys.argv[1:]
os.umask(0)
view = View.of_host()
journal = Journal(journal)
token = content.partition(".")[0]
WebrootResponder(view, Directory(root, ".well-known/acme-challenge/" + token), journal).publish(content.encode())
print("published", flush=True)
{end}
"""


def start(site: Site, end: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", KILLED.replace("{end}", end), site.root, site.journal_directory,
                                CONTENT.decode()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"published\n"
    return process


def publish_and_die(site: Site) -> None:
    with start(site, "os.kill(os.getpid(), signal.SIGKILL)") as process:
        assert process.wait() == -signal.SIGKILL
    assert os.path.exists(site.file)


def only_journal(site: Site) -> str:
    (name,) = os.listdir(site.journal_directory)
    return os.path.join(site.journal_directory, name)


def test_private_and_without_content(site: Site) -> None:
    """No other user can read the journal, and it has no key authorization."""
    old = os.umask(0)
    try:
        site.responder().publish(CONTENT)
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(site.journal_directory).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(only_journal(site)).st_mode) == 0o600
    with open(only_journal(site), "rb") as file:
        assert CONTENT.partition(b".")[2] not in file.read()


def test_killed_run_is_swept(site: Site) -> None:
    """The sweep removes and names all that a killed run has left, and the same token can be published again."""
    before = site.tree()
    publish_and_die(site)
    assert site.journal.sweep() == [
        f"Removed {path}, which an earlier run had left behind."
        for path in (site.file, f"{site.root}/{DIRECTORY}", f"{site.root}/.well-known")]
    assert site.tree() == before
    assert os.listdir(site.journal_directory) == []
    assert site.journal.sweep() == []
    site.responder().publish(CONTENT)


def test_living_run_is_not_swept(site: Site) -> None:
    """``certbot-autowebroot check`` beside a renewal does not remove the renewal's files."""
    with start(site, "sys.stdin.read()") as process:
        try:
            assert site.journal.sweep() == []
            assert os.path.exists(site.file)
        finally:
            process.kill()
    assert len(site.journal.sweep()) == 3
    assert os.listdir(site.root) == []


def test_own_run_is_not_swept(site: Site) -> None:
    """Each lineage of one renewal sweeps; the files of an earlier lineage stay."""
    responder = site.responder()
    responder.publish(CONTENT)
    assert site.journal.sweep() == []
    assert Journal(site.journal_directory).sweep() == []
    assert os.path.exists(site.file)
    responder.withdraw()


def test_swept_before_it_is_locked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that another run sweeps between open and flock is not used: the run makes another."""
    flock = fcntl.flock

    def late(fd: int, operation: int) -> None:
        os.unlink(only_journal(site))
        monkeypatch.undo()
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    site.responder().publish(CONTENT)
    with open(only_journal(site), "rb") as file:
        assert len(parse(file.read())) == 3


def test_nothing_to_sweep(site: Site) -> None:
    """The first run finds no journal, and makes none."""
    assert site.journal.sweep() == []
    assert not os.path.exists(site.journal_directory)


@pytest.mark.parametrize("changed, stays", [
    ("content", True), ("inode", True), ("emptied", False), ("directory", True), ("link", True)])
def test_changed_file_is_not_swept(site: Site, changed: str, stays: bool) -> None:
    """A file with another content or inode stays."""
    publish_and_die(site)
    if changed in ("content", "emptied"):
        with open(site.file, "wb") as file:
            file.write(b"mine now" if changed == "content" else b"")
    else:
        os.rename(site.file, f"{site.root}/old")
        if changed == "inode":
            site.write(f"www/{DIRECTORY}/{TOKEN}", CONTENT)
        elif changed == "directory":
            os.mkdir(site.file)
        else:
            os.symlink(f"{site.root}/old", site.file)
    site.journal.sweep()
    assert os.path.lexists(site.file) == stays


def test_directory_in_use_is_swept_later(site: Site) -> None:
    """Another client's file keeps the directory; when it is gone, a later run removes the directory."""
    publish_and_die(site)
    other = site.write(f"www/{DIRECTORY}/other", b"another client's")
    assert site.journal.sweep() == [f"Removed {site.file}, which an earlier run had left behind."]
    assert site.journal.sweep() == []
    assert os.path.exists(other)
    os.unlink(other)
    assert len(site.journal.sweep()) == 2
    assert os.listdir(site.root) == []
    assert os.listdir(site.journal_directory) == []


def test_directory_made_after_the_kill(site: Site) -> None:
    """The run was killed before it made ``.well-known``: the present one is the owner's, though empty."""
    publish_and_die(site)
    path = only_journal(site)
    with open(path, "rb") as file:
        announced = file.read().split(b"\n\n")[0]
    with open(path, "wb") as file:
        file.write(announced + b"\n")
    shutil.rmtree(f"{site.root}/.well-known")
    site.make("www/.well-known")
    assert site.journal.sweep() == []
    assert os.listdir(site.root) == [".well-known"]
    assert os.listdir(site.journal_directory) == []


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_directory_of_one_run_in_that_of_another(site: Site, names: str) -> None:
    """One sweep removes a killed run's directory in a directory of another killed run."""
    publish_and_die(site)
    outer, inner = (os.path.join(site.journal_directory, f"{name}.jsonl") for name in names)
    with open(only_journal(site)) as file:
        lines = file.read().split("\n\n")
    os.unlink(only_journal(site))
    for path, own in (outer, lines[:2]), (inner, lines[2:]):
        with open(path, "w") as file:
            file.write("\n\n".join(own))
    assert len(site.journal.sweep()) == 3
    assert os.listdir(site.root) == []


def test_replaced_document_root(site: Site) -> None:
    """A document root that has been replaced is not searched; the journal is removed."""
    publish_and_die(site)
    os.rename(site.root, site.path("old"))
    site.make("www")
    os.makedirs(f"{site.root}/{DIRECTORY}")
    assert site.journal.sweep() == []
    assert os.path.isdir(f"{site.root}/{DIRECTORY}")
    assert os.listdir(site.journal_directory) == []


def test_link_to_another_users_directory_is_reported(site: Site) -> None:
    """A path that has become a link to another user's directory is refused and reported."""
    publish_and_die(site)
    victim = site.make("victim", 0)
    os.rename(f"{site.root}/.well-known", f"{site.root}/old")
    site.link("www/.well-known", victim, OWNER)
    sentences = site.journal.sweep()
    assert f"{site.root}/.well-known is a symbolic link of uid {OWNER} to {victim}" in sentences[0]
    assert os.listdir(victim) == []


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_torn(site: Site, cut: int) -> None:
    """A truncated journal is read as far as it goes: files of the lost lines may stay, and no other file is removed."""
    publish_and_die(site)
    site.write("www/index.html", b"")
    path = only_journal(site)
    os.truncate(path, os.stat(path).st_size - cut)
    site.journal.sweep()
    assert os.listdir(site.root) in (["index.html"], ["index.html", ".well-known"], [".well-known", "index.html"])
    if cut < 40:  # only the last line is torn: what the file became. That it was about to be made is written before.
        assert os.listdir(site.root) == ["index.html"]


def test_full_disk_hides_no_report(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If removals cannot be recorded, the sweep still reports what was and what could not be removed."""
    publish_and_die(site)
    site.write("www/.well-known/other", b"")

    def full(self: object, line: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("certbot_autowebroot.responders.journal_file.JournalFile.append", full)
    assert len(site.journal.sweep()) == 2
    monkeypatch.undo()
    os.unlink(site.path("www/.well-known/other"))
    assert site.journal.sweep() == [f"Removed {site.root}/.well-known, which an earlier run had left behind."]
    assert site.journals() == []


def test_line_after_a_torn_line(site: Site) -> None:
    """A full disk may tear a line; the next one is read all the same."""
    publish_and_die(site)
    path = only_journal(site)
    with open(path, "rb") as file:
        text = file.read()
    lines = text.split(b"\n\n")
    with open(path, "wb") as file:
        file.write(b"\n\n".join([*lines[:2], lines[2][:10], *lines[2:]]))
    site.journal.sweep()
    assert os.listdir(site.root) == []


GARBAGE = [b"", b"\0" * 4096, b"[" * 100_000, b"{}", b"[]", b"null", b'{"number": 1}', b'{"number": []}', b"\xff\xfe",
           b'{"number": 1, "made": [1, 2]}', b'{"number": 1, "gone": true}', b'{"number": 1, "made": Infinity}',
           b'"number"', b"9" * 10_000]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda g: repr(g[:20]))
def test_garbage(site: Site, garbage: bytes) -> None:
    """A file that is no journal is removed without a report, and others are swept."""
    publish_and_die(site)
    with open(os.path.join(site.journal_directory, "0-garbage.jsonl"), "wb") as file:
        file.write(garbage)
    assert len(site.journal.sweep()) == 3
    assert os.listdir(site.journal_directory) == []


def test_name_that_cannot_be_encoded(site: Site) -> None:
    """A name that no file system can have is reported, not raised."""
    os.makedirs(site.journal_directory, 0o700)
    with open(os.path.join(site.journal_directory, "1.jsonl"), "w") as file:
        file.write(json.dumps({**ENTRY, "path": site.root, "parent": [0, 0], "name": "\ud800"}))
        file.write("\n" + json.dumps({**ENTRY, "number": 2, "path": "/\ud800"}))
    assert [type(sentence) for sentence in site.journal.sweep()] == [str]


def test_document_root_of_bytes(site: Site) -> None:
    """A document root with bytes in its name that are not UTF-8 is swept like any other."""
    root = os.fsdecode(b"caf\xe9")
    os.rename(site.root, site.path(root))
    site.link("www", root, 0)
    publish_and_die(site)
    assert len(site.journal.sweep()) == 3
    assert os.listdir(site.path(root)) == []


def file_in_the_way(site: Site) -> Optional[str]:
    site.make("work", 0)
    site.write("work/autowebroot", b"", 0)
    return "File exists"


def somebody_elses(site: Site) -> Optional[str]:
    site.make("work", 0)
    site.make("work/autowebroot", OWNER, 0o777)
    return f"the directory belongs to uid {OWNER}"


def a_link(site: Site) -> Optional[str]:
    site.make("work", 0)
    site.make("other", 0)
    site.link("work/autowebroot", site.path("other"), OWNER)
    return "Not a directory"


@pytest.mark.parametrize("prepare", [file_in_the_way, somebody_elses, a_link])
def test_journal_that_cannot_be_written(site: Site, prepare: Any) -> None:
    """Without a journal nothing is published, and the error says what to correct."""
    reason = prepare(site)
    with pytest.raises(PublishError, match=f"cannot be written in {site.journal_directory}: {reason}"):
        site.responder().publish(CONTENT)
    assert os.listdir(site.root) == []
    sentences: List[str] = site.journal.sweep()
    assert all("could not be looked up" in sentence for sentence in sentences)


def test_open_journal_directory_is_closed(site: Site) -> None:
    """A directory of journals that others could read is closed to them."""
    site.make("work", 0)
    site.make("work/autowebroot", 0, 0o755)
    site.responder().publish(CONTENT)
    assert stat.S_IMODE(os.stat(site.journal_directory).st_mode) == 0o700


def test_leftover_in_a_container(site: Site) -> None:
    """Files in the view of another process are found there."""
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o mode=755 tmpfs "$1" && echo ready && exec sleep 60', "sh",
         site.root], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        inside = f"/proc/{process.pid}/root{site.root}"
        script = KILLED.replace("View.of_host()", f"View.of_process({process.pid})")
        killed = subprocess.run([sys.executable, "-c", script.replace("{end}", "os._exit(1)"), site.root,
                                 site.journal_directory, CONTENT.decode()], check=False, stdout=subprocess.PIPE)
        assert killed.stdout == b"published\n"
        assert os.listdir(inside) == [".well-known"]
        assert len(site.journal.sweep()) == 3
        assert os.listdir(inside) == []
    finally:
        process.kill()
        process.communicate()
