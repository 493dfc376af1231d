"""The seams of the house: what a server module and a responder offer to the solver.

Certbot 2.0 and up no longer uses zope.interface; here it carries these two seams, so that third parties have one
page to read and ``zope.interface.verify.verifyClass`` to test against.
"""
from zope.interface import Attribute
from zope.interface import Interface


class IWebServer(Interface):
    """Knows one web server program: from a process to "where does this request go?".

    Registered by a class in the entry point group ``certbot_autowebroot.web_servers``. Its instances are made once
    per order, without arguments, and may keep what they have read for as long.
    """

    name = Attribute("What a person calls the program, such as ``nginx``.")

    def recognises(process):
        """Whether this process (:class:`~certbot_autowebroot.system.processes.Process`) is one of this program.

        :rtype: bool
        """

    def ask(process, request):
        """Where the configuration that this process runs with sends a request.

        What is read from files goes through ``process.view``, for the process may have another view of the file
        system. Nothing is executed that could change the machine, and nothing is raised for a bad configuration:
        what cannot be known is :class:`~certbot_autowebroot.route.Unknown`.

        :param certbot_autowebroot.system.processes.Process process: one that :meth:`recognises` said yes to.
        :param certbot_autowebroot.route.Request request: as it reaches the program.
        :returns: a non-empty sequence of :data:`~certbot_autowebroot.route.Destination`: alternatives, the
            likeliest first. A probe decides between them.
        """


class ILogsMisses(IWebServer):
    """A web server whose running process writes down where it looked for a file in vain.

    That is right even where the configuration on disk is another than the one that runs: edited and not reloaded.
    """

    def missed(process, request):
        """Where the process looked for the file of a request that has just failed.

        :param certbot_autowebroot.system.processes.Process process: as for :meth:`IWebServer.ask`.
        :param certbot_autowebroot.route.Request request: as it reached the program; its token is in the file's name.
        :rtype: sequence of :class:`~certbot_autowebroot.route.Directory`
        """


class IResponder(Interface):
    """Answers challenges somewhere: in a directory, on a socket."""

    def publish(content):
        """Serve ``content`` (bytes). Raises :class:`certbot_autowebroot.responders.PublishError`."""

    def withdraw():
        """Take back exactly what :meth:`publish` did. May be called more than once; never raises."""
