"""The responder for the end of a route: a file where that takes writes, or a listener of our own."""
import contextlib
import os
from typing import TYPE_CHECKING
from typing import Any
from typing import Callable
from typing import Optional
from typing import Tuple
from typing import Union

from certbot_autowebroot.responders import PublishError
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.responders.webroot import WebrootResponder
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Program
from certbot_autowebroot.route import Vacant
from certbot_autowebroot.system import mounts
from certbot_autowebroot.system.views import View

if TYPE_CHECKING:
    from certbot_autowebroot.responders.standalone import Listeners


class Responders:
    """Makes the responders of one order, which share a journal and listeners.

    :param port: the port that the CA's port 80 leads to.
    :param address: the only address to listen on there (``--http-01-address``); empty for all.
    """

    def __init__(self, journal: Journal, port: int, address: str) -> None:
        self._journal = journal
        self._port = port
        self._address = address
        self._listeners: Optional[Listeners] = None

    def at(self, end: Union[Directory, Vacant], program: Optional[Program],
           view_of: Callable[[Optional[Program]], View]) -> Any:
        """The responder for an end.

        :param program: in whose view a directory's path is meant; None for our own view.
        :raises PublishError: there can be none.
        """
        if isinstance(end, Directory):
            try:
                view = view_of(program)
            except OSError as error:
                raise PublishError(f"{program} has ended or cannot be inspected: {error}") from error
            return WebrootResponder(*where_it_takes_writes(view, end, program), self._journal)
        return self._listening(end)

    def _listening(self, end: Vacant) -> Any:
        # Not imported before somebody is to listen: acme's server takes as long to import as a probe takes.
        from certbot_autowebroot.responders import standalone
        if self._listeners is None:
            self._listeners = standalone.Listeners()
        if end.endpoint.port == self._port and not end.endpoint.is_loopback:
            self._listeners.listen_at_front([end.endpoint], self._address)
        else:
            self._listeners.listen_at(end.endpoint)
        return standalone.StandaloneResponder(self._listeners, end.path)

    def stop(self) -> None:
        """Listen no more. Never raises; may be called again."""
        if self._listeners is not None:
            self._listeners.stop()


def where_it_takes_writes(view: View, directory: Directory, program: Optional[Program]) -> Tuple[View, Directory]:
    """A volume that is read-only in a container is often writable on the host: the same directory by another path."""
    if view.is_host or program is None:
        return view, directory
    try:
        fd = view.open(directory.root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # the responder finds out, and says it
        return view, directory
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, fd)
        found = mounts.host_path(program.pid, directory.root) if mounts.is_read_only(fd) else None
        if found and os.path.samestat(os.fstat(fd), os.stat(found)):
            return view.on_host(), directory._replace(root=PathInView(found))
    return view, directory
