"""Processes of our own that share what we have in memory."""
import os
import traceback
import warnings
from typing import Callable


def start(act: Callable[[], object]) -> int:
    """Do something in a child, which ends with status 0 where it comes to its end; returns its pid."""
    with warnings.catch_warnings():
        # Python 3.12 warns where there are threads, and a distributed test run has one. The child uses none of it.
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
