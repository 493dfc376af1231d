"""The interfaces of web servers and responders.

Certbot 2.0 and up no longer uses zope.interface. It is used here for the interfaces that other packages may implement:
they have one page to read, and ``zope.interface.verify.verifyClass`` to test against.
"""
from typing import NamedTuple
from typing import Tuple

from zope.interface import Attribute
from zope.interface import Interface

from certbot_autowebroot.route import Source


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


class ILogsErrors(IWebServer):
    """A web server whose running process writes down why it refuses a request."""

    def logged_errors(process, request):
        """What the process has logged of a request that has just failed: the server's own sentences, the latest last.

        :param certbot_autowebroot.system.processes.Process process: as for :meth:`IWebServer.ask`.
        :param certbot_autowebroot.route.Request request: as it reached the program; other clients' lines do not count.
        :rtype: sequence of str
        """


class Edit(NamedTuple):
    """Lines for one place in a file of a configuration.

    :ivar line: the number of the line before which they belong; 0 for the end of the file.
    :ivar inside: a regular expression for the beginning of a section on that line: they are its first lines.
    :ivar instead: they belong in place of that line.
    :ivar instead_of_block: a regular expression for the beginning, on that line, of the block in braces in place of
        which they belong.
    """

    file: str
    line: int
    lines: Tuple[str, ...]
    inside: str = ""
    instead: bool = False
    instead_of_block: str = ""


class SiteLines(NamedTuple):
    """Lines of configuration that make one site serve a directory for challenges.

    :ivar source: the section that they belong into, or the line beside which they belong.
    :ivar lines: the lines.
    :ivar where: where to put them; follows "put these lines".
    :ivar then: what to do afterwards; follows "then:" and, where a line names the directory, the command that makes it.
    :ivar at_the_end: a section for the end of the file, which the lines name.
    :ivar besides: what to do besides, where a line of the site wins against these; follows the lines.
    :ivar edits: the same for a program: so it can be checked whether they help. Without any, they are not checked.
    """

    source: Source
    lines: Tuple[str, ...]
    where: str
    then: str
    at_the_end: Tuple[str, ...] = ()
    besides: str = ""
    edits: Tuple[Edit, ...] = ()


class IHasSnippet(Interface):
    """Knows the lines of configuration with which a web server serves one directory for challenges.

    Optional. A class in the entry point group implements it beside :class:`IWebServer`.
    """

    def for_site(process, request, trail, directory):
        """The lines for the site that answers a request, as a remedy for a name that fails.

        :param certbot_autowebroot.system.processes.Process process: as for :meth:`IWebServer.ask`.
        :param certbot_autowebroot.route.Request request: as it reached the program.
        :param certbot_autowebroot.route.Trail trail: what :meth:`IWebServer.ask` returned with its answer.
        :param str directory: an absolute path that needs no quotes.
        :returns: :class:`SiteLines`; or an iterable of several that may help, the one that changes least first; or None
            where lines cannot help. Of several, the first is taken with which the request ends in a directory.
        """

    def for_every_site(directory):
        """The output of ``certbot-autowebroot snippet``: lines for all sites, and comments that say where they go.

        :param str directory: an absolute path that needs no quotes.
        :rtype: str
        """


class ForwardingError(Exception):
    """A server cannot forward challenges in this form; the text is a sentence."""


class IForwardsChallenges(Interface):
    """Knows the lines with which a web server sends challenges to other machines: ``snippet --to`` and ``--peers``.

    Optional. A class in the entry point group implements it beside :class:`IWebServer`. Each method returns lines for
    all sites, and comments that say where they go. A host is a name or an address, IPv6 without brackets.
    """

    def redirect(host):
        """Lines that redirect the CA to a host with a public name.

        :rtype: str
        """

    def proxy(host):
        """Lines that pass each challenge on to a host, with the Host header of the request.

        :rtype: str
        """

    def ask_peers(peers, directory):
        """Lines that serve a file of the directory, and ask one peer after another for a file that is not there.

        A request to a peer has the header ``X-Autowebroot-Peer``, and a request with it goes to no peer. A peer that
        is down is passed over.

        :param peers: hosts; the machine itself may be among them.
        :type peers: sequence of str
        :param str directory: an absolute path that needs no quotes.
        :rtype: str
        :raises ForwardingError: the server cannot.
        """


class ReloadError(Exception):
    """A server cannot be tested or reloaded from here; the text is a phrase that says why, and what to do."""


class IReloads(Interface):
    """Knows how a web server tests its configuration, and how it is reloaded: for ``certbot-autowebroot reload``.

    Optional. A class in the entry point group implements it beside :class:`IWebServer`.
    """

    tolerates_bad_config = Attribute(
        "Whether a reload of a broken configuration changes nothing: then the server may be reloaded without a test.")

    def main_process(process):
        """The process that gets the signal: the master of a worker.

        :param certbot_autowebroot.system.processes.Process process: one that listens.
        :rtype: certbot_autowebroot.system.processes.Process
        """

    def config_error(process):
        """The first lines of what the server's own test says of the configuration on disk; empty where that is good.

        :param process: the main process.
        :raises ReloadError: it could not be tested.
        """

    def reload(process, endpoint):
        """Reload it gracefully, and return how, such as ``SIGHUP to process 42``. It need not be done by then.

        :param process: the main process.
        :param certbot_autowebroot.route.Endpoint endpoint: where it listens.
        :raises ReloadError: it cannot be reloaded.
        :raises OSError: it has ended, or we lack the right.
        """


class IRestarts(IReloads):
    """A web server that starts anew in the same process when it is reloaded, without root's rights if it has none left.

    Optional, in place of :class:`IReloads`.
    """

    def finish_reload(process, endpoint):
        """Do what is left to do after a reload, also after one by systemd; return what was done, or an empty string.

        :param process: the main process.
        :param endpoint: as of :meth:`IReloads.reload`.
        """

    def config_error_of_command(command):
        """As :meth:`IReloads.config_error`, for a server that systemd is to start with a command, as root.

        :param command: a sequence of arguments, the first of which is the path of the program.
        :raises ReloadError: it could not be tested.
        """


class IResponder(Interface):
    """Answers challenges somewhere: in a directory, on a socket."""

    def publish(content):
        """Serve ``content`` (bytes). Raises :class:`certbot_autowebroot.responders.PublishError`."""

    def withdraw():
        """Take back exactly what :meth:`publish` did. May be called more than once; never raises."""
