"""Let each system call that changes something fail, with each possible error, and check the result.

Run it with ``python -m tests.security.faults``.

Expected: while publishing, one sentence for the user with the reason, and no file left; while withdrawing, no error,
and no file left after the next run. A fault of the run's own journal while withdrawing changes nothing.
"""
import argparse
import collections
import contextlib
import errno
import io
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from dataclasses import field
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import List
from typing import Tuple

from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.journal import Journal
from tests.lab import net
from tests.lab.hostile_site import CONTENT
from tests.lab.hostile_site import OWNER
from tests.lab.hostile_site import Site
from tests.lab.hostile_site import new_site
from tests.lab.hostile_site import tree
from tests.security import tracing

ERRORS = ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EIO")
NAMES = ("mkdir", "mkdirat", "renameat2", "openat", "write", "unlinkat", "flock", "setgroups")

PUBLISHING, WITHDRAWING = 0, 1
#: The group of a user without an entry in passwd.
_GROUP = 65534


@dataclass
class Table:
    """Expected and actual results, by place and error."""

    rows: Dict[Tuple[str, str], List[str]] = field(default_factory=lambda: collections.defaultdict(list))
    failures: List[str] = field(default_factory=list)

    def note(self, place: str, error: str, expected: str, happened: str) -> None:
        """One fault."""
        self.rows[place, error].append(happened)
        if expected != happened:
            self.failures.append(f"{place}, {error}: expected {expected!r}, but {happened!r}")

    def __str__(self) -> str:
        lines = [f"{'at':<44} {'error':<8} {'faults':>6}  what happened"]
        for (place, error), happened in self.rows.items():
            lines += [f"{place:<44} {error:<8} {happened.count(what):>6}  {what}" for what in dict.fromkeys(happened)]
        total = sum(len(happened) for happened in self.rows.values())
        return "\n".join([*lines, f"{total} faults, {len(self.failures)} not as expected", *self.failures])


def act(site: Site, report: str) -> None:
    """Publish and withdraw in a child, and report its messages in a file that is open already."""
    log = io.StringIO()
    logging.basicConfig(stream=log, level=logging.WARNING, format="%(message)s", force=True)
    responder = site.responder()
    outcome = "published"
    try:
        responder.publish(CONTENT)
    except PublishError as error:
        outcome = str(error)
    tracing.mark()
    responder.withdraw()
    tracing.mark()
    with open(report, "w") as file:
        file.write(f"{outcome}\n{log.getvalue()}")


def inject(errors: Tuple[str, ...] = ERRORS) -> Table:
    """Let each call fail once with each error."""
    table = Table()
    with new_site() as site:
        act(site, site.path("report"))  # look-ups that a process caches must not be counted
        calls = tracing.run(lambda: act(site, site.path("report")), names=NAMES).calls
    for call in calls:
        if call.phase > WITHDRAWING or (call.name == "setgroups" and str(_GROUP) not in call.text):
            continue  # root cannot fail to become root again
        place = f"{('publishing', 'withdrawing')[call.phase]}: {_what(call)}"
        for error in ("EPERM",) if call.name == "setgroups" else errors:
            expected, happened = _with_fault(call, error)
            table.note(place, error, expected, happened)
    return table


def _what(call: tracing.Call) -> str:
    of_journal = "autowebroot" in call.text or "jsonl" in call.text
    if call.name == "write":
        return "write a line of the journal" if "number" in call.text else "write the file"
    if call.name == "openat":
        verb = "create" if "O_CREAT" in call.text else "open"
        return f"{verb} {'the journal' if of_journal else 'a file' if verb == 'create' else 'a directory'}"
    if call.name == "unlinkat":
        return "remove a directory" if "REMOVEDIR" in call.text else f"remove the {'journal' if of_journal else 'file'}"
    return {"mkdir": "make the journal's directory", "mkdirat": "make a directory",
            "renameat2": "give a directory its name", "flock": "lock the journal",
            "setgroups": "become the owner"}[call.name]


def _with_fault(call: tracing.Call, error: str) -> Tuple[str, str]:
    with new_site() as site:
        before = site.tree()
        report = site.path("report")
        inject = f"{call.name}:error={error}:when={call.number}"
        status = tracing.run(lambda: act(site, report), [inject], [call.name]).status
        if status != 0:
            return "", f"ended with status {status}"
        with open(report) as file:
            outcome, *logged = file.read().splitlines()
        left = site.tree() != before
        reason = os.strerror(getattr(errno, error))
        happened = "published" if outcome == "published" else (
            "refused with the reason" if reason in outcome and "\n" not in outcome else f"refused: {outcome}")
        happened += ", nothing left" if not left else (
            ", reported what is left" if any(reason in line for line in logged) else ", something left in silence")
        Journal(site.journal_directory).sweep()
        if site.tree() != before or site.journals():
            happened += ", not even after the next run"
        what = _what(call)
        if call.phase == PUBLISHING:
            return "refused with the reason, nothing left", happened
        if what in ("remove the file", "remove a directory", "become the owner"):
            return "published, reported what is left", happened
        return "published, nothing left", happened


@contextlib.contextmanager
def mounted(path: str, options: str) -> Iterator[None]:
    """A small file system."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


def fill(path: str) -> None:
    """Use the last byte of a file system."""
    with contextlib.suppress(OSError), open(os.path.join(path, "filler"), "wb", buffering=0) as file:
        for size in (65536, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass


def _full_root(site: Site) -> str:
    fill(site.root)
    return site.root


def _no_inodes(site: Site) -> str:
    with contextlib.suppress(OSError):
        for number in range(100):
            site.write(f"www/{number}", b"")
    return site.root


def _read_only(site: Site) -> str:
    subprocess.run(["mount", "-o", "remount,ro", site.root], check=True)
    return site.root


def _full_journal(site: Site) -> str:
    fill(site.path("work"))
    return site.path("work")


REAL: Dict[str, Tuple[str, str, Callable[[Site], str], str]] = {
    "a full file system": ("www", "size=16k", _full_root, "No space left on device"),
    "a file system without inodes": ("www", "nr_inodes=8", _no_inodes, "No space left on device"),
    "a read-only file system": ("www", "size=64k", _read_only, "Read-only file system"),
    "a full file system for the journal": ("work", "size=16k", _full_journal, "No space left on device"),
}


def real() -> Table:
    """Real small file systems, full or read-only."""
    table = Table()
    for name, (directory, options, prepare, reason) in REAL.items():
        with new_site() as site:
            site.make("work", 0)
            with mounted(site.path(directory), f"{options},mode=755,uid={OWNER if directory == 'www' else 0}"):
                full = prepare(site)
                before = tree(full), site.tree()
                outcome = "published"
                responder = site.responder()
                try:
                    responder.publish(CONTENT)
                except PublishError as error:
                    outcome = "refused with the reason" if reason in str(error) else f"refused: {error}"
                responder.withdraw()
                Journal(site.journal_directory).sweep()
                now = {name: what for name, what in tree(full).items() if not name.startswith("autowebroot")}
                left = "nothing left" if (now, site.tree()) == before else "something left"
                table.note(name, "", "refused with the reason, nothing left", f"{outcome}, {left}")
    return table


def main() -> int:
    """Print the tables."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    net.enter_private_namespace()
    injected, on_disk = inject(), real()
    print(injected)
    print(on_disk)
    return 1 if injected.failures or on_disk.failures else 0


if __name__ == "__main__":
    sys.exit(main())
