"""Child processes that share the memory of this one."""
import os
import traceback
import warnings
from typing import Callable


def start(act: Callable[[], object]) -> int:
    """Run a function in a child, which ends with status 0 if it returns; returns the pid."""
    with warnings.catch_warnings():
        # Python 3.12 warns if there are threads, and pytest-xdist has one. The child does not use it.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child != 0:
        return child
    try:
        act()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)
