"""Files that other users' programs name are read with their rights, and within limits of size."""
import base64
import ctypes
import errno
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from typing import Iterator
from typing import List

import pytest

from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.servers.apache import key_pairs
from certbot_autowebroot.servers.apache.directives import ConfigurationTree
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.common import configuration
from certbot_autowebroot.system import identity
from certbot_autowebroot.system import openat2
from certbot_autowebroot.system import processes
from certbot_autowebroot.system import views
from certbot_autowebroot.system.processes import Process
from certbot_autowebroot.system.views import NotRegularFileError
from certbot_autowebroot.system.views import View
from tests.lab import certificates
from tests.lab.hostile_site import CHALLENGE_FILE
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import GROUP
from tests.lab.hostile_site import OWNER
from tests.lab.hostile_site import STRANGER
from tests.lab.hostile_site import Site
from tests.lab.hostile_site import view

pytestmark = pytest.mark.lab

@pytest.fixture
def closed(site: Site) -> str:
    """A file that every user may read, in a directory that only root may pass."""
    site.make("closed", 0, 0o700)
    site.make("closed/sub", 0)
    path = site.write("closed/sub/file", b"www.sample.com hunter2", 0)
    os.chmod(path, 0o644)
    return path


@pytest.fixture
def running(request: Any) -> Iterator[Process]:
    """A program that sleeps, under setpriv(1) with these options."""
    with subprocess.Popen(["setpriv", *request.param, "sleep", "60"]) as process:
        while processes.comm(process.pid) != "sleep":
            assert process.poll() is None
        snapshot = processes.process(process.pid)
        assert snapshot is not None
        yield snapshot
        process.kill()


AS_OWNER = [f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups"]


@pytest.mark.parametrize(("running", "uid", "gids"), [
    (["--clear-groups"], 0, []),
    (AS_OWNER, OWNER, [OWNER]),
    ([f"--ruid={OWNER}", f"--rgid={OWNER}", "--clear-groups"], OWNER, [OWNER]),
    ([f"--reuid={OWNER}", f"--rgid={OWNER}", f"--groups={GROUP}"], OWNER, [OWNER, GROUP]),
    (["--ruid=33", "--clear-groups"], 0, []),
], ids=["root's", "a user's", "set-user-ID", "set-group-ID", "a service's set-user-ID"], indirect=["running"])
def test_responsible_user(running: Process, uid: int, gids: List[int]) -> None:
    """The ordinary user, also while a set-user-ID program such as su(1) waits for a password as root."""
    view = running.view
    assert (running.uid, view.uid, list(view.gids)) == (uid, uid, gids)


def test_set_user_id_program_that_hides_its_user(site: Site) -> None:
    """sudo(8) is root in all respects while it waits, with a user's arguments: it is not trusted."""
    program = shutil.copy("/usr/bin/sleep", site.path("sudo"))
    os.chmod(program, 0o4755)
    with subprocess.Popen([program, "60"]) as process:
        while processes.comm(process.pid) != "sudo":
            assert process.poll() is None
        assert processes.process(process.pid) is None
        with pytest.raises(PermissionError, match="it is a set-user-ID program"):
            View.of_process(process.pid)
        process.kill()


@pytest.mark.parametrize("path", ["/proc/self/cwd/file", "/proc/{pid}/cwd/file", "/proc/self/fd/{fd}/file",
                                  "/dev/fd/{fd}/file", "/proc/self/root{closed}"])
def test_no_path_through_own_descriptors(site: Site, closed: str, path: str) -> None:
    """``/proc/self`` is this process: its working directory, and its open directories."""
    here = os.getcwd()
    os.chdir(os.path.dirname(closed))
    fd = os.open(".", os.O_RDONLY)
    path = path.format(pid=os.getpid(), fd=fd, closed=closed)
    try:
        with view(OWNER) as his, view(0) as roots:
            assert roots.read(path)
            assert his.stat(path) is None
            with pytest.raises(OSError):
                his.read(path)
    finally:
        os.chdir(here)
        os.close(fd)


@pytest.mark.parametrize("uid", [0, OWNER])
def test_relative_path_leads_nowhere(site: Site, uid: int) -> None:
    """It would lead below the directory in which Certbot was started."""
    os.chmod(site.write("file", b"content"), 0o644)
    here = os.getcwd()
    os.chdir(site.top)
    try:
        with view(uid) as its:
            assert (its.stat("file"), its.stat("./file"), its.list_dir("."), its.stat("")) == (None, None, [], None)
            with pytest.raises(FileNotFoundError):
                its.read("file")
    finally:
        os.chdir(here)


def test_kernel_without_openat2(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Linux 5.6, a user's files are read with the user's rights; in a container, none."""
    class Older:
        def syscall(self, *args: object) -> int:
            ctypes.set_errno(errno.ENOSYS)
            return -1

    monkeypatch.setattr(openat2, "_libc", Older)
    os.chmod(site.write("file", b"content"), 0o644)
    with view(OWNER) as his, view(OWNER, confined=True) as contained:
        assert his.read(site.path("file")) == b"content"
        with pytest.raises(OSError, match="Function not implemented"):
            contained.read(site.path("file"))


@pytest.mark.parametrize("running", [AS_OWNER], indirect=True)
def test_parents_view_has_the_childs_rights(running: Process, closed: str) -> None:
    """The parent of a user's HAProxy may be root or init; files are read with the user's rights."""
    assert [view.uid for view in configuration.views(running)] == [OWNER, OWNER]
    with pytest.raises(PermissionError):
        configuration.readable(running, closed).read(closed)


@pytest.mark.parametrize("uid, expected", [(OWNER, ""), (0, "a file is there")])
def test_certificates_are_read_as_the_httpds_user(closed: str, uid: int, expected: str) -> None:
    """A user's configuration must not learn whether root's file exists, or its content."""
    with view(uid) as its:
        said = key_pairs.complaint(ConfigurationTree((
            Directive("sslengine", "SSLEngine", "on", "x", 1),
            Directive("sslcertificatefile", "SSLCertificateFile", closed, "x", 2))), its)
    assert said == (f"there is no certificate in {closed}" if expected else "")


def test_primes_of_a_key_are_not_checked(site: Site) -> None:
    """For a key of 40,000 bits that takes hours, and blocks signals meanwhile."""
    certificates.lineage(Path(site.top), "www.sample.com", 1)
    p, q = 2 ** 19937 - 1, 2 ** 21701 - 1  # Mersenne's
    d = pow(65539, -1, (p - 1) * (q - 1))
    numbers = [0, p * q, 65539, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p)]
    inside = b"".join(tagged(2, number.to_bytes(number.bit_length() // 8 + 1, "big")) for number in numbers)
    key = site.write("key", b"-----BEGIN RSA PRIVATE KEY-----\n" + base64.encodebytes(tagged(0x30, inside))
                     + b"-----END RSA PRIVATE KEY-----\n", 0)
    started = time.process_time()
    with view(0) as its:
        said = key_pairs.broken(site.path("cert.pem"), key, its)
    assert said in ("", f"there is no key in {key}",
                    f"the key {key} does not belong to the certificate {site.path('cert.pem')}")
    assert time.process_time() - started < 5


def tagged(tag: int, content: bytes) -> bytes:
    """An ASN.1 value in DER."""
    size = len(content).to_bytes(3, "big").lstrip(b"\0")
    return bytes([tag]) + (size if len(content) < 0x80 else bytes([0x80 | len(size)]) + size) + content


def test_no_device_is_opened_for_a_certificate(site: Site, bell: Any) -> None:
    """A user's httpd may name a watchdog."""
    with view(OWNER) as his:
        assert "cannot be read: not a regular file" in key_pairs.broken(site.path("bell"), "", his)
    assert not bell()


@pytest.mark.parametrize("owner, uid, expected", [
    (0, OWNER, True), (OWNER, OWNER, True), (STRANGER, OWNER, False), (STRANGER, 0, True), (STRANGER, 33, True)])
def test_host_path_of_a_volume_keeps_the_user(
        site: Site, owner: int, uid: int, expected: bool) -> None:
    """The host path of a read-only volume is still named by a user's program in a container."""
    os.chown(site.root, owner, owner)
    with view(uid, confined=True) as its:
        on_host = its.on_host()
        responder = WebrootResponder(on_host, Directory(PathInView(site.root), CHALLENGE_FILE), site.journal)
        if expected:
            responder.publish(CONTENT)
        else:
            with pytest.raises(PublishError, match=f"The program that names it runs as uid {OWNER}"):
                responder.publish(CONTENT)
        responder.withdraw()
        on_host.close()


def test_renames_in_a_loop_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel reports EAGAIN after a rename during a path with dots; the attempts are limited."""
    class Unsure:
        def syscall(self, *args: object) -> int:
            ctypes.set_errno(errno.EAGAIN)
            return -1

    monkeypatch.setattr(openat2, "_libc", Unsure)
    with view(OWNER, confined=True) as its, pytest.raises(BlockingIOError):
        its.read("/a/../b")


def test_all_files_together_have_a_limit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user can make a hundred links to a file of 64 MB."""
    path = site.write("file", b"x" * 1000)
    monkeypatch.setattr(views, "MAX_READ", 2500)
    with view(0) as its:
        assert its.read(path) == its.read(path)
        with pytest.raises(OSError, match="too large to be a configuration"):
            its.read(path)


def test_pattern_without_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """``*/../*/..`` matches ten times as many with each star."""
    for number in range(10):
        site.make(str(number))
    monkeypatch.setattr(views, "MAX_MATCHES", 100)
    with view(0) as its:
        assert len(its.glob(site.path("[0-9]/../[0-9]"))) == 100
        with pytest.raises(OSError, match="more than 100 paths match"):
            its.glob(site.path("[0-9]/../[0-9]/../[0-9]"))


#: Says that its arguments and its environment are so many MB long, prctl(2).
ENDLESS = r"""
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    unsigned long size = 300ul << 20, field[60];
    char stat[4096], *word, *memory = mmap(0, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    FILE *file = fopen("/proc/self/stat", "r");
    int n = 3;
    fgets(stat, sizeof stat, file);
    for (word = strtok(strrchr(stat, ')') + 2, " "); word; word = strtok(0, " "))
        field[n++] = strtoul(word, 0, 10);
    struct prctl_mm_map map = {
        .start_code = field[26], .end_code = field[27], .start_stack = field[28], .start_data = field[45],
        .end_data = field[46], .start_brk = field[47], .brk = (unsigned long)sbrk(0), .exe_fd = -1,
        .arg_start = (unsigned long)memory, .arg_end = (unsigned long)memory + size,
        .env_start = (unsigned long)memory, .env_end = (unsigned long)memory + size,
    };
    puts(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) ? "refused" : "done");
    fflush(stdout);
    pause();
}
"""


def test_arguments_without_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """By prctl(2), a program may claim gigabytes of arguments; only as many as execve(2) accepts are read."""
    program = site.path("program")
    subprocess.run(["gcc", "-w", "-x", "c", "-o", program, "-"], input=ENDLESS, text=True, check=True)
    read: List[int] = []
    beginning = processes._beginning

    def noted(path: str) -> bytes:
        content = beginning(path)
        read.append(len(content))
        return content

    monkeypatch.setattr(processes, "_beginning", noted)
    with subprocess.Popen(["setpriv", *AS_OWNER, program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"done\n"
        snapshot = processes.process(process.pid)
        assert snapshot is not None and snapshot.environment == {}
        process.kill()
    assert read == [processes._MAX_ARGUMENTS] * 2


def test_users_of_this_process() -> None:
    """The four users of a process and its groups, as the kernel reports them."""
    assert {user.uid for user in identity.users_of(os.getpid())} == {0}
    assert identity.responsible_user(os.getpid()) == identity.Rights(0, 0, tuple(os.getgroups()))
    with pytest.raises(NotRegularFileError):
        View.of_host().read("/")
