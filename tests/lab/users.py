"""A call as an ordinary user."""
import os
import pickle
import pwd
import time
import traceback
from typing import Any
from typing import Callable

NOBODY = pwd.getpwnam("nobody")


def as_nobody(act: Callable[[], Any]) -> Any:
    """The result of a call in a process of an ordinary user."""
    # A thread that has ended for Python may still hold a lock of OpenSSL's: in a fork it would never release it.
    for _ in range(100):
        if len(os.listdir("/proc/self/task")) == 1:
            break
        time.sleep(0.01)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY.pw_gid)
            os.setuid(NOBODY.pw_uid)
            os.write(writer, pickle.dumps(act()))
        except BaseException:
            os.write(writer, pickle.dumps(traceback.format_exc()))
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        result = pickle.loads(file.read())  # noqa: S301 - our own child's
    os.waitpid(child, 0)
    return result
