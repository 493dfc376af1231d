"""Remove what a killed run may leave: a process that hangs, a table where the kernel knows no owners of tables."""
import json
import os
import signal
from typing import Dict
from typing import List
from typing import NamedTuple

from certbot_autowebroot.responders.wire.child import OWN_NETWORK
from certbot_autowebroot.responders.wire.child import WireProcess
from certbot_autowebroot.responders.wire.rules import TABLE
from certbot_autowebroot.system import namespaces
from certbot_autowebroot.system import processes


class Leftover(NamedTuple):
    """A table that was about to be made.

    :ivar number: names it in the journal.
    :ivar network: the number of its network namespace; 0 for our own.
    """

    number: int
    name: str
    network: int


def parse(text: bytes) -> List[Leftover]:
    """The tables that a journal's text says are there."""
    tables: Dict[int, Leftover] = {}
    for line in text.split(b"\n"):
        try:
            fields = json.loads(line)
            if "gone" in fields:
                tables.pop(fields["number"], None)
            elif TABLE.fullmatch(fields["table"]):
                tables[fields["number"]] = Leftover(int(fields["number"]), fields["table"], int(fields["network"]))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            pass  # a footprint, or torn by a kill or a full disk
    return list(tables.values())


def remove(table: Leftover) -> bool:
    """End what has made a table, and delete the table; whether there was any of it.

    :raises OSError: it cannot be deleted.
    """
    makers = [pid for pid in processes.all_pids() if _is_maker(pid, table.name)]
    for pid in makers:
        os.kill(pid, signal.SIGKILL)  # at the end of the run it ends by itself: what is still there hangs
    network = namespaces.others().get(table.network) if table.network else OWN_NETWORK
    if network is None:
        return bool(makers)  # the container is gone, and its tables with it
    process = WireProcess(network, table.name)
    try:
        return bool(process.ask({"delete": True})["existed"] or makers)
    finally:
        process.stop()


def _is_maker(pid: int, table: str) -> bool:
    """By its arguments and its user: any user can start a process with these arguments."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.fsencode(table) in file.read().split(b"\0") and os.fstat(file.fileno()).st_uid == os.geteuid()
    except OSError:
        return False
