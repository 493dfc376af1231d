"""What was worked out from a server's files, kept while they stay as they are.

``certbot renew`` makes a new plugin object for each lineage, and there may be hundreds. The configuration of ten
thousand sites is read for the first; for each of the others, every file and directory that was looked at is asked for
its status, which takes a twentieth of the time.
"""
import contextlib
import gc
import os
import time
from typing import Callable
from typing import Dict
from typing import Generic
from typing import Hashable
from typing import Iterator
from typing import List
from typing import Optional
from typing import Tuple
from typing import TypeVar

from certbot_autowebroot.system.views import View

Value = TypeVar("Value")
#: Device, inode, size, and the times of the last change of content and of anything, in nanoseconds; None for nothing.
Stamp = Optional[Tuple[int, int, int, int, int]]

#: Seconds. A file that has just changed may change again without another time: a kernel's clock for files goes by
#: ticks of 10 ms at most, some file systems' by 2 seconds.
SETTLED = 2.0
#: No machine has so many web servers; a process that lives for long sees many come and go.
_MAX_KEPT = 16


class Noting(View):
    """A view that notes what is looked at through it.

    :ivar notes: by path, how it was.
    :ivar settled: none of it had just changed, and it is all that there is to note.
    """

    def __init__(self, view: View) -> None:
        super().__init__(-1, confined=not view.is_host)
        self._view = view
        self.notes: Dict[str, Stamp] = {}
        self.settled = True
        # Whatever changes from now on is not settled either: another program may read the files meanwhile.
        self._settled_before = time.time() - SETTLED

    def open(self, path: str, flags: int) -> int:
        """As the view itself."""
        return self._view.open(path, flags)

    def stat(self, path: str) -> Optional[os.stat_result]:
        """As the view itself."""
        status = self._view.stat(path)
        if path not in self.notes:
            self.notes[path] = _stamp(status)
            if status is not None and status.st_ctime > self._settled_before:
                self.settled = False
        return status

    def read(self, path: str) -> bytes:
        """As the view itself. How it was is noted before."""
        if path not in self.notes:
            self.stat(path)
        return self._view.read(path)

    def list_dir(self, path: str) -> List[str]:
        """As the view itself. How it was is noted before."""
        if path not in self.notes:
            self.stat(path)
        return self._view.list_dir(path)


def _stamp(status: Optional[os.stat_result]) -> Stamp:
    if status is None:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class Kept(Generic[Value]):
    """Values by key, each with what it was worked out from."""

    def __init__(self) -> None:
        self._kept: Dict[Hashable, Tuple[Value, Dict[str, Stamp]]] = {}

    def get(self, key: Hashable, view: View, make: Callable[[Noting], Value]) -> Value:
        """The value that was kept, or a new one.

        :param key: all that it depends on beside files: of a process, its pid and its start time.
        :param view: where the files are looked at now.
        :param make: works the value out from files that it reads through the view that it is given, and from the key.
        """
        if key in self._kept:
            value, notes = self._kept[key]
            if all(_stamp(view.stat(path)) == stamp for path, stamp in notes.items()):
                return value
            del self._kept[key], value  # before another as large is made
        noting = Noting(view)
        with _no_collection():
            value = make(noting)
        if noting.settled:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[key] = value, noting.notes
        return value


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Without the garbage collector, which would look at each of 200,000 objects again and again: none is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
