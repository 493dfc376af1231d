"""The Certbot plugin: options, perform, cleanup.

Every Certbot command imports this module, whatever plugin it uses: it imports nothing that Certbot has not loaded
already, and must not raise. The work, and all that it needs, is imported in :meth:`Authenticator.perform`.
"""
import argparse
import logging
import sys
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Type

from acme import challenges
from certbot import errors
from certbot import interfaces
from certbot.compat import misc
from certbot.compat import os
from certbot.plugins import common

from certbot_autowebroot import settings

logger = logging.getLogger(__name__)

#: The number of names in the command that an error ends with.
_MAX_CHECKED = 5


class Authenticator(common.Plugin, interfaces.Authenticator):
    """Answers http-01 through the running web server that serves the name, or itself where port 80 is free."""

    description = ("Works whether port 80 is free or taken: finds the directory from which the running web server "
                   "serves each name, or answers itself. Changes no server configuration")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._solver: Optional[Any] = None
        self._fallbacks: Optional[Any] = None
        self._challenges: Dict[Any, Any] = {}
        self._unanswered: List[str] = []

    @classmethod
    def add_parser_arguments(cls, add: Callable[..., None]) -> None:
        """Define our options; Certbot puts ``autowebroot-`` before each."""
        add("path", metavar="DIR[:DIR...]", default=settings.SHARED_DIRECTORY,
            help="Directories to try before looking at the web server: the document root of the names, or a directory "
                 "that is served for all of them. Like every other place, each is used only after a test file in it "
                 f"came back from the web server. {settings.SHARED_DIRECTORY} is tried where it exists: see "
                 "`certbot-autowebroot snippet`.")
        add("unproven", choices=("try", "refuse"), default="try",
            help="What to do when it cannot be proved from this machine that the CA will be answered (an allow-list "
                 "refuses this machine, a redirect leads to another one): try with a warning, or refuse.")
        add("fallback", metavar="NAME[,NAME...]", default="",
            help="Other installed authenticators, such as nginx or apache, for the names that no directory and no free "
                 "port is found for, in this order until one is proven to answer. These edit the web server's "
                 "configuration, reload it, and edit it back. wire: catch the CA's requests by nftables before they "
                 "reach the server, which is neither edited nor reloaded (Linux, root). auto: wire where this machine "
                 "can do it, else the one that belongs to the program which holds the port. none: never, and do not "
                 "ask.")
        add("fallback-options", default="", help=argparse.SUPPRESS)  # saved by the plugin itself, as JSON
        add("resolver", metavar="ADDRESS", default="",
            help="The only name server to ask for the names' addresses, as a CA sees them (default: this machine's "
                 "own). A public one is asked only with this option.")
        add("nodes", metavar="ADDRESS[,ADDRESS...]", default="",
            help="All machines to which a balancer sends the names' requests: each must return the test file before "
                 "the CA is asked. One that answers with something else stops the order.")
        add("addresses", default="", help=argparse.SUPPRESS)  # saved by the plugin itself, as JSON
        add("roots", default="",
            help="Where each name was served from last time, as JSON; the plugin itself saves it in the renewal "
                 "configuration.")

    def prepare(self) -> None:
        """Remove what a killed run left behind. Decide nothing: pre-hooks, which may stop the server, run after this.

        :meth:`perform` need not follow: a run that is killed while it waits for the CA leaves a valid authorization,
        and where the CA reuses that, Certbot has no challenge for us. What Certbot then saves has to be right.
        """
        if self._option("path") not in ("", settings.SHARED_DIRECTORY):
            for note in settings.path_notes("--autowebroot-path", self._option("path")):
                logger.warning("%s.", note)
            path = settings.absolute_paths(self._option("path"))
            if path != self._option("path"):  # Certbot saves what is set
                setattr(self.config, self.dest("path"), path)
        if os.path.isdir(self._journal_directory):  # else nothing was ever made, and nothing is imported for it
            for sentence in self._new_journal().sweep():
                logger.info("%s", sentence)
        if self._option("fallback") not in ("", "none"):
            fallbacks = self._new_fallbacks(self._option("fallback"))
            # Certbot's own authenticators recover when they are made, and only a fallback makes them.
            if os.path.isdir(self.config.temp_checkpoint_dir):
                fallbacks.recover()
        if self.config.authenticator == self.name and getattr(self.config, "webroot_map", None):
            self._remember({})  # Certbot saves a webroot_map for the webroot plugin alone

    def more_info(self) -> str:
        """What the plugin does; after an order, also what it did for each name."""
        from certbot_autowebroot.order import messages
        general = ("autowebroot checks the machine at the moment of the renewal: where port 80 is free, it answers "
                   "there itself; where it is taken, it puts the challenge file where the running web server serves it "
                   "from, and proves that with a test file before the CA is asked.")
        return "\n".join([general, *map(messages.answered, self._outcomes(self._challenges))])

    def get_chall_pref(self, identifier: str) -> Iterable[Type[challenges.Challenge]]:
        """Only http-01: a wildcard name needs dns-01, and so another plugin."""
        return [challenges.HTTP01]

    def perform(self, achalls: List[Any]) -> List[challenges.ChallengeResponse]:
        """Publish all challenges, each proven to be served, or raise one error that names every failing name."""
        from certbot.display import util as display

        from certbot_autowebroot.order import messages
        from certbot_autowebroot.order import progress
        from certbot_autowebroot.settings import as_setting
        notices = progress.Notices()
        solver = self._new_solver([_name(achall) for achall in achalls], notices.show)
        responses = {}
        for achall in achalls:
            responses[achall], validation = achall.response_and_validation()
            self._challenges[achall] = _challenge(achall, validation)
        with notices:
            unanswered = solver.solve([self._challenges[achall] for achall in achalls])
        fallback = self._option("fallback")
        if unanswered and not fallback:
            fallback = self._ask([solver.outcomes[challenge.identifier] for challenge in unanswered])
        if fallback not in ("", "none"):
            notices.show(progress.OTHERS, 0, 1)
            with notices:
                unanswered = self._fall_back(solver, fallback, unanswered, responses)
        failing = [solver.outcomes[challenge.identifier] for challenge in unanswered]
        if failing and not (self.config.allow_subset_of_names and len(failing) < len(achalls)):
            raise errors.PluginError(messages.order_stopped(
                failing, self._fallbacks.installed() if self._fallbacks is not None else (),
                self._check_command([several[0].identifier for several in messages.alike(failing)[:_MAX_CHECKED]])))
        self._unanswered = [outcome.identifier for outcome in failing]
        for text in messages.failures(failing):
            logger.warning("%s", text)
        for outcome in self._outcomes(achalls):
            if outcome in failing:
                continue
            if outcome.verdict.value == "unproven" and not outcome.answered_by:
                logger.warning("%s", messages.unproven(outcome))
            display.notify(messages.answered(outcome))
        self._remember(solver.proven_directories())
        # Certbot saves this with the lineage only once the CA has agreed.
        setattr(self.config, self.dest("addresses"), as_setting(
            {outcome.identifier: outcome.front.addresses for outcome in self._outcomes(achalls)
             if (outcome.front.remote or outcome.verdict.value == "proven from inside") and outcome not in failing}))
        return [responses[achall] for achall in achalls]

    def cleanup(self, achalls: List[Any]) -> None:
        """Withdraw what was published for these, item by item. Never raises: that would mask the first error."""
        if self._solver is not None:
            self._solver.withdraw([self._challenges[achall] for achall in achalls if achall in self._challenges])
        if self._fallbacks is not None:
            self._fallbacks.cleanup(achalls)

    def auth_hint(self, failed_achalls: List[Any]) -> str:
        """What was done for the names that the CA could not validate, and what to check now."""
        from certbot_autowebroot.order import messages
        others = self._fallbacks.hints(failed_achalls) if self._fallbacks is not None else []
        return "\n".join([messages.hint(self._outcomes(failed_achalls), self.config.http01_port, self._unanswered),
                          *others])

    def _option(self, option: str) -> str:
        """The value of an option. Certbot reads ``None`` and ``True`` in a renewal configuration as Python's."""
        value = self.conf(option)
        return "" if value is None else str(value)

    def _outcomes(self, achalls: Iterable[Any]) -> List[Any]:
        found = self._solver.outcomes if self._solver is not None else {}
        return [found[_name(achall)] for achall in achalls if _name(achall) in found]

    def _new_solver(self, names: Sequence[str], progress: Callable[[str, int, int], None]) -> Any:
        from certbot_autowebroot.order.candidates import OrderOptions
        from certbot_autowebroot.order.solver import Solver
        memory = self._remembered()
        port, address = self._front()
        options = OrderOptions(port=port, address=address,
                               hints={name: self._hints(name, memory) for name in names},
                               refuse_unproven=self._option("unproven") == "refuse",
                               resolver=_ip_address("autowebroot-resolver", self._option("resolver")),
                               nodes=[_ip_address("autowebroot-nodes", node)
                                      for node in settings.nodes(self._option("nodes"))])
        self._challenges = {}
        self._solver = Solver(options, self._new_journal(), progress)
        return self._solver

    def _front(self) -> Tuple[int, str]:
        """``--http-01-port`` and ``--http-01-address``, checked: Certbot accepts any number and any word."""
        port = self.config.http01_port
        if not 0 < port < 65536:
            raise errors.PluginError(f"--http-01-port {port}: there is no such port.")
        return port, _ip_address("http-01-address", self.config.http01_address or "")

    def _check_command(self, names: Sequence[str]) -> str:
        """The command that checks these names as this run did."""
        from certbot_autowebroot.system import own_command
        port, address = self._front()
        path, fallback, work_dir = self._option("path"), self._option("fallback"), self.config.work_dir
        return own_command.check(names, {
            "--http-01-port": "" if port == 80 else str(port), "--http-01-address": address,
            "--path": "" if path == settings.SHARED_DIRECTORY else path, "--resolver": self._option("resolver"),
            "--nodes": self._option("nodes"), "--fallback": "" if fallback == "none" else fallback,
            "--work-dir": "" if work_dir == misc.get_default_folder("work") else work_dir})

    @property
    def _journal_directory(self) -> str:
        return os.path.join(self.config.work_dir, "autowebroot")

    def _new_journal(self) -> Any:
        from certbot_autowebroot.responders.journal import Journal
        return Journal(self._journal_directory)

    def _ask(self, failing: List[Any]) -> str:
        """Ask once whether other authenticators may answer what we cannot; the answer is saved with the lineage."""
        has_terminal = self.config.force_interactive or (sys.stdin.isatty() and sys.stdout.isatty())
        if self.config.noninteractive_mode or not has_terminal:
            return ""
        from certbot_autowebroot.order import questions
        option = questions.ask(failing)
        if option:
            setattr(self.config, self.dest("fallback"), option)
        return option

    def _fall_back(self, solver: Any, fallback: str, unanswered: List[Any], responses: Dict[Any, Any]) -> List[Any]:
        """Have other authenticators answer what we cannot; returns what is left unanswered."""
        self._fallbacks = self._new_fallbacks(fallback)
        if not unanswered:
            for name in self._fallbacks.unknown():
                logger.warning("--autowebroot-fallback %s: no plugin has this name. Authenticators that are installed "
                               "here: %s.", name, ", ".join(self._fallbacks.installed()))
            return []
        left = {achall: solver.outcomes[challenge.identifier] for achall, challenge in self._challenges.items()
                if challenge in unanswered}

        def unserved(achalls: List[Any]) -> Dict[Any, str]:
            missing = solver.unserved([self._challenges[achall] for achall in achalls])
            return {achall: missing[self._challenges[achall]] for achall in achalls
                    if self._challenges[achall] in missing}
        solver.publish_where_proven(unanswered)
        answers = self._fallbacks.answer(left, unserved)
        responses.update(answers.responses)
        for achall, outcome in left.items():
            solver.note_other_authenticators(outcome.identifier, answers.answered_by.get(achall, ""),
                                             answers.rejected[achall])
        failing = [self._challenges[achall] for achall in left if achall not in answers.responses]
        solver.withdraw(failing)
        ours = [achall for achall in self._challenges if achall not in left]
        lost = [self._challenges[achall] for achall in self._fallbacks.lost_meanwhile(ours, unserved)]
        solver.withdraw(lost)
        return failing + list(solver.solve(lost))

    def _new_fallbacks(self, option: str) -> Any:
        from certbot_autowebroot.order.fallback import Fallbacks
        fallbacks = Fallbacks(self.config, option, type(self), self._new_journal())
        try:
            options = fallbacks.restore_options(self._option("fallback-options"))
        except ValueError as error:
            logger.warning("autowebroot_fallback_options in the renewal configuration is ignored, it cannot be read: "
                           "%s", error)
        else:
            setattr(self.config, self.dest("fallback-options"), options)
        return fallbacks

    def _hints(self, name: str, memory: Dict[str, List[Any]]) -> List[Any]:
        """The directories that are tried before any configuration is read: the user's, then those of last time."""
        from certbot_autowebroot.order.hints import given
        return [*given(self._option("path"), "--autowebroot-path"), *memory.get(name, [])]

    def _remembered(self) -> Dict[str, List[Any]]:
        """Where each name was served from last time."""
        from certbot_autowebroot.order.hints import Hint
        from certbot_autowebroot.order.hints import remembered
        try:
            memory = remembered(self._option("roots"))
        except ValueError as error:
            logger.warning("autowebroot_roots in the renewal configuration is ignored, it cannot be read: %s", error)
            memory = {}
            setattr(self.config, self.dest("roots"), "")  # warn once
        # A lineage of the webroot plugin, at our first renewal of it. The directory may have moved: it is only a hint.
        for name, root in (getattr(self.config, "webroot_map", None) or {}).items():
            if root not in [hint.root for hint in memory.get(name, [])]:
                memory.setdefault(name, []).append(Hint(root, "the lineage's webroot_map"))
        return memory

    def _remember(self, proven: Dict[str, List[Tuple[str, str]]]) -> None:
        from certbot_autowebroot.settings import as_setting
        # Names that are not of this order, or that our listener answered, keep the hints that they had.
        before = {name: [(hint.root, hint.directory) for hint in hints] for name, hints in self._remembered().items()}
        setattr(self.config, self.dest("roots"), as_setting({**before, **proven}))


def _name(achall: Any) -> str:
    """The identifier. ``achall.domain`` warns from Certbot 5.3 on, and is None there for an IP address."""
    identifier = getattr(achall, "identifier", None)
    return str(identifier.value if identifier is not None else achall.domain)


def _challenge(achall: Any, validation: str) -> Any:
    from certbot_autowebroot.order.solver import Challenge
    return Challenge(_name(achall), achall.chall.encode("token"), validation.encode("ascii"))


def _ip_address(option: str, text: str) -> str:
    """The value of an option that is an IP address or empty."""
    import ipaddress
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError:
        raise errors.PluginError(f"--{option} {text}: this is no IP address.") from None
