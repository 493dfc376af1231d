"""What the controls of all servers share: the main process of a worker, and signals.

Whether a server may be reloaded without a test is seen in real servers whose configuration on disk is broken: nginx,
HAProxy's master and Caddy go on with what they have. Apache httpd and lighttpd end.
"""
import os
import signal
from typing import Callable

from certbot_autowebroot.system import processes
from certbot_autowebroot.system.processes import Process


def ancestor(process: Process, is_main: Callable[[Process], bool] = lambda process: False) -> Process:
    """The first process upwards that is the main one, else the last one of the same program."""
    while not is_main(process):
        parent = processes.process(process.parent)
        if parent is None or parent.name != process.name:
            break
        process = parent
    return process


def send(process: Process, number: signal.Signals) -> str:
    """Send a signal; returns which one to whom.

    :raises OSError: the process has ended, or we lack the right.
    """
    if processes.start_time_of(process.pid) != process.start_time:
        raise ProcessLookupError(f"{process.program} has ended")
    os.kill(process.pid, number)
    return f"{number.name} to process {process.pid}"
