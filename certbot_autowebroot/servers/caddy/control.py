"""Caddy: its admin API loads the running configuration once more, and tests it meanwhile."""
from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import IReloads
from certbot_autowebroot.interfaces import ReloadError
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.servers.caddy import admin
from certbot_autowebroot.system.processes import Process

moduleProvides(IReloads)

tolerates_bad_config = True


def main_process(process: Process) -> Process:
    """The process itself: Caddy has no workers."""
    return process


def config_error(process: Process) -> str:
    """None: the reload is the test."""
    return ""


def reload(process: Process, endpoint: Endpoint) -> str:
    """Load the running configuration, not the one on disk, which somebody may be editing."""
    try:
        running = admin.running(process, endpoint)
    except admin.AdminError as error:
        raise ReloadError(f"{error} to us: reload it by {process.name} reload where it runs, or start it anew") \
            from error
    try:
        admin.load(process, running)
    except admin.AdminError as error:
        raise ReloadError(f"it goes on with what it has, for it says: {error}") from error
    return "its admin API"
