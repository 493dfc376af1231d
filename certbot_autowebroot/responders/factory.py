"""Choose the responder for the end of a route: a file in a directory, or a listener of this process."""
import contextlib
import os
from dataclasses import replace
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
from certbot_autowebroot.system.views import View

if TYPE_CHECKING:
    from certbot_autowebroot.responders.standalone import Listeners


class Responders:
    """Makes the responders of one order, which share a journal and listeners.

    :param port: the local port behind the CA's port 80 (``--http-01-port``).
    :param address: the only address to listen on at that port (``--http-01-address``); empty for all.
    """

    def __init__(self, journal: Journal, port: int, address: str) -> None:
        self._journal = journal
        self._port = port
        self._address = address
        self._listeners: Optional[Listeners] = None

    def at(self, end: Union[Directory, Vacant], program: Optional[Program],
           view_of: Callable[[Optional[Program]], View]) -> Any:
        """The responder for an end.

        :param program: the program whose view the directory's path belongs to; None for the host's view.
        :raises PublishError: the program has ended, or the endpoint cannot be bound.
        """
        if isinstance(end, Directory):
            try:
                view = view_of(program)
            except OSError as error:
                raise PublishError(f"{program} has ended or cannot be inspected: {error}") from error
            return WebrootResponder(*writable(view, end, program), self._journal)
        return self._standalone(end)

    def _standalone(self, end: Vacant) -> Any:
        # Late for speed: to import acme's server takes as long as a probe.
        from certbot_autowebroot.responders import standalone
        if self._listeners is None:
            self._listeners = standalone.Listeners()
        if end.endpoint.port == self._port and not end.endpoint.is_loopback:
            self._listeners.listen_at_front([end.endpoint], self._address)
        else:
            self._listeners.listen_at(end.endpoint)
        return standalone.StandaloneResponder(self._listeners, end.path)

    def stop(self) -> None:
        """Stop listening. Never raises; may be called again."""
        if self._listeners is not None:
            self._listeners.stop()


def writable(view: View, directory: Directory, program: Optional[Program]) -> Tuple[View, Directory]:
    """The directory, or its host path if it is a volume that is read-only in the container and writable on the host."""
    if view.is_host or program is None:
        return view, directory
    from certbot_autowebroot.system import mounts  # late for speed: only a container has other mounts
    try:
        fd = view.open(directory.root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # the responder reports it
        return view, directory
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, fd)
        path = mounts.host_path(program.pid, directory.root) if mounts.is_read_only(fd) else None
        if path and os.path.samestat(os.fstat(fd), os.stat(path)):
            return view.on_host(), replace(directory, root=PathInView(path))
    return view, directory
