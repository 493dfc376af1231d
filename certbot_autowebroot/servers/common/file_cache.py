"""Cache of values computed from a server's files, valid while the files do not change.

``certbot renew`` makes a new plugin object for each lineage, and there may be hundreds. The plugin reads the
configuration of ten thousand sites for the first lineage. For each other one it compares the status of every file and
directory, which takes a twentieth of the time.
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
#: Device, inode, size, mtime and ctime in nanoseconds; None for a missing file.
Stamp = Optional[Tuple[int, int, int, int, int]]

#: Seconds since the last change from which on a file is cacheable. A younger file may change again without another
#: time: the kernel's clock for files has ticks of up to 10 ms, some file systems round to 2 seconds.
MIN_AGE = 2.0
#: No machine runs more web servers at once; a long-lived process sees many start and end.
_MAX_VALUES = 16


class RecordingView(View):
    """A view that records the status of every file read through it.

    :ivar stamps: the recorded status, by path.
    :ivar cacheable: no file changed within :data:`MIN_AGE`, and all files on which the value depends are recorded.
    """

    def __init__(self, view: View) -> None:
        super().__init__(-1, confined=not view.is_host)
        self._view = view
        self.stamps: Dict[str, Stamp] = {}
        self.cacheable = True
        # A change after this moment counts as well: another program may read the files meanwhile.
        self._newest_ctime = time.time() - MIN_AGE

    def open(self, path: str, flags: int) -> int:
        """As :class:`View`, not recorded."""
        return self._view.open(path, flags)

    def stat(self, path: str) -> Optional[os.stat_result]:
        """As :class:`View`, recorded."""
        status = self._view.stat(path)
        if path not in self.stamps:
            self.stamps[path] = _stamp(status)
            if status is not None and status.st_ctime > self._newest_ctime:
                self.cacheable = False
        return status

    def read(self, path: str) -> bytes:
        """As :class:`View`, recorded first."""
        if path not in self.stamps:
            self.stat(path)
        return self._view.read(path)

    def list_dir(self, path: str) -> List[str]:
        """As :class:`View`, recorded first."""
        if path not in self.stamps:
            self.stat(path)
        return self._view.list_dir(path)


def _stamp(status: Optional[os.stat_result]) -> Stamp:
    if status is None:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class FileCache(Generic[Value]):
    """Values by key, each with the files from which it was computed."""

    def __init__(self) -> None:
        self._values: Dict[Hashable, Tuple[Value, Dict[str, Stamp]]] = {}

    def get(self, key: Hashable, view: View, make: Callable[[RecordingView], Value]) -> Value:
        """The cached value, or a new one.

        :param key: everything beside the files that decides the value: for a process, its pid and its start time.
        :param view: the view in which to compare the files now.
        :param make: computes the value from the key and from files that it reads through its argument.
        """
        if key in self._values:
            value, stamps = self._values[key]
            if all(_stamp(view.stat(path)) == stamp for path, stamp in stamps.items()):
                return value
            del self._values[key], value  # before make() builds another of this size
        recording = RecordingView(view)
        with _no_collection():
            value = make(recording)
        if recording.cacheable:
            if len(self._values) >= _MAX_VALUES:
                self._values.clear()
            self._values[key] = value, recording.stamps
        return value


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Without the garbage collector, which would visit each of 200,000 objects again and again: none is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
