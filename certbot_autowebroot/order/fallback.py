"""Run other authenticators of Certbot for the identifiers of an order that we cannot answer.

A plugin is used as Certbot itself uses it: made with the configuration, prepared, asked to perform, and to clean up in
every case. Only those that the user has chosen run. ``wire``, which is ours, is used in the same way.
"""
import argparse
import ipaddress
import json
import logging
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Sequence
from typing import Tuple

from certbot import errors

from certbot_autowebroot.order import other_authenticators
from certbot_autowebroot.order import wire_obstacles
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.other_authenticators import WIRE
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.settings import as_setting

logger = logging.getLogger(__name__)

#: Seconds for what an authenticator has published to come back: after a graceful reload, workers with the old
#: configuration go on for a moment, and reading 10,000 sites takes nginx some seconds.
PATIENCE = 10.0
#: The same for the wire: a table is complete when it has been made.
WIRE_PATIENCE = 1.0
_PAUSE = 0.2
#: Checks whether a reload has lost our own tokens: a worker with the old configuration may answer as before.
_CHECKS = 5

#: Of the challenges, those that the CA would not get yet, and why; phrases.
Unserved = Callable[[List[Any]], Mapping[Any, str]]


class Answers(NamedTuple):
    """What other authenticators did, by challenge (Certbot's).

    :ivar responses: to the CA, for the challenges that are answered.
    :ivar answered_by: the name of the authenticator, for the same.
    :ivar rejected: why authenticators that the user has chosen do not answer; phrases that begin with their names.
    """

    responses: Dict[Any, Any]
    answered_by: Dict[Any, str]
    rejected: Dict[Any, List[str]]


class Fallbacks:
    """The other authenticators of one order.

    :param config: Certbot's configuration, which every plugin gets.
    :param option: the value of ``--autowebroot-fallback``.
    :param own: our own class: an authenticator that is its own fallback would never end.
    :param journal: for what is published on the wire.
    """

    def __init__(self, config: Any, option: str, own: type, journal: Journal) -> None:
        self._config = config
        self._option = option
        self._own = own
        self._journal = journal
        self._endpoints: Dict[Any, List[Endpoint]] = {}
        self._entry_points = other_authenticators.installed()
        self._made: Dict[str, Any] = {}
        self._unusable: Dict[str, str] = {}
        self._performed: Dict[str, List[Any]] = {}

    def restore_options(self, saved: str) -> str:
        """Give the authenticators the options of last time, where the user gives no others now.

        Certbot saves every plugin's options with a lineage, but restores those of its authenticator and installer
        alone, and drops the rest at the next renewal. So we save them in an option of our own.

        :param saved: what this method returned last time; a person may have edited it.
        :returns: all options that differ from their defaults, as JSON.
        :raises ValueError: ``saved`` cannot be read.
        """
        try:
            before = dict(json.loads(saved or "{}"))
        except (TypeError, RecursionError) as error:
            raise ValueError(str(error)) from error
        chosen = self._chosen_plugins()
        prefixes = tuple(name.replace("-", "_") + "_" for name in chosen)
        options = {option: value for option, value in before.items() if option.startswith(prefixes)}
        for name in chosen:
            for option, default in self._options(name).items():
                if option in before and getattr(self._config, option, default) == default:
                    setattr(self._config, option, before[option])
                value = getattr(self._config, option, default)
                if value != default and isinstance(value, (str, int, float, list, dict)):
                    options[option] = value
        return as_setting(options)

    def recover(self) -> None:
        """Have the authenticators roll back what their killed run has left in a configuration: making one does it."""
        for name in self._chosen_plugins():
            self._prepare(name)

    def unknown(self) -> List[str]:
        """The names in the option that no plugin has; nothing is loaded for it."""
        return [name for name in other_authenticators.order(self._option, [])
                if name not in self._entry_points and name != WIRE]

    def installed(self) -> List[str]:
        """The authenticators that are installed beside ourselves, and ``wire`` where this machine can do it."""
        authenticators = [WIRE] if wire_obstacles.is_possible_here() else []
        for name, entry_point in self._entry_points.items():
            if name == WIRE:  # ours is asked in its place
                continue
            try:
                plugin_class = entry_point.load()
            except Exception:
                logger.debug("The plugin %s cannot be loaded:", name, exc_info=True)
                continue
            if _is_authenticator(plugin_class) and not issubclass(plugin_class, self._own):
                authenticators.append(name)
        return sorted(authenticators)

    def answer(self, outcomes: Mapping[Any, Outcome], unserved: Unserved) -> "Answers":
        """Have other authenticators publish challenges that we cannot, each proven before the CA asks.

        :param outcomes: of the identifiers that we cannot answer, by challenge (Certbot's).
        """
        self._endpoints = {achall: outcome.front.endpoints for achall, outcome in outcomes.items()}
        answers = Answers({}, {}, {achall: [] for achall in outcomes})
        waiting = {}
        for achall, outcome in outcomes.items():
            waiting[achall], unfit = other_authenticators.candidates(self._option, outcome, self._entry_points)
            answers.rejected[achall] += unfit
        while any(waiting.values()):
            # Certbot's nginx and Apache plugins share one checkpoint. Making one rolls back what the other has changed,
            # which it takes for an interrupted run: so all that come next are made before any of them performs.
            for first in {left[0] for left in waiting.values() if left}:
                self._prepare(first)
            name = other_authenticators.next_of(waiting.values())
            batch = [achall for achall, left in waiting.items() if left[:1] == [name]]
            # Certbot's two refuse all challenges of a call that has one for an IP address.
            batch = [achall for achall in batch if _is_address(outcomes[achall]) == _is_address(outcomes[batch[0]])]
            responses, reasons = self._perform(name, batch, unserved)
            for achall in batch:
                waiting[achall] = [] if achall in responses else waiting[achall][1:]
                if achall in responses:
                    answers.responses[achall], answers.answered_by[achall] = responses[achall], name
                else:
                    answers.rejected[achall].append(
                        f"the authenticator {name}: {reasons[achall]}{self._looked_elsewhere(name, outcomes[achall])}")
        for achall in self._perform_again(list(answers.responses), unserved):
            del answers.responses[achall]
            answers.rejected[achall].append(f"the authenticator {answers.answered_by.pop(achall)}: another that was "
                                            "needed for other names undid what it had done")
        return answers

    def lost_meanwhile(self, achalls: List[Any], unserved: Unserved) -> List[Any]:
        """Of our own challenges, those that are lost by another authenticator's reload of a server.

        The server may read another directory now: its configuration had been edited and not reloaded.
        """
        lost = list(unserved(achalls))
        for _ in range(_CHECKS if self._made.keys() - {WIRE} else 0):
            if lost or not achalls:
                break
            time.sleep(_PAUSE)
            lost = list(unserved(achalls))
        return lost

    def cleanup(self, achalls: Iterable[Any]) -> None:
        """Have each authenticator clean up what it has published for these. Never raises; may be called again."""
        wanted = set(achalls)
        for name in list(self._performed):
            self._clean(name, [achall for achall in self._performed[name] if achall in wanted])

    def hints(self, achalls: Sequence[Any]) -> List[str]:
        """The authenticators' own hints on challenges that the CA could not validate."""
        hints = []
        for name, performed in self._performed.items():
            failed = [achall for achall in achalls if achall in performed]
            if failed and hasattr(self._made[name], "auth_hint"):
                hints.append(f"{name}: {self._made[name].auth_hint(failed)}")
        return hints

    def _chosen_plugins(self) -> List[str]:
        """The plugins that may be asked. ``wire`` is none: it has no options, and the journal knows what it left."""
        names = other_authenticators.order(self._option, list(other_authenticators.BELONGS_TO.values()))
        return [name for name in names if name != WIRE]

    def _prepare(self, name: str) -> None:
        """Make a plugin ready to perform, or find out why it cannot be used; once."""
        if name in self._made or name in self._unusable:
            return
        try:
            plugin = self._new_wire() if name == WIRE else self._load(name)(self._config, name)
            from acme import challenges  # late for speed: check needs no acme, which takes 0.1 seconds
            if challenges.HTTP01 not in plugin.get_chall_pref("www.example.com"):
                raise errors.PluginError("it cannot do http-01")
            plugin.prepare()
            self._made[name] = plugin
        except Exception as error:
            self._unusable[name] = _said_by(error)

    def _new_wire(self) -> Any:
        from certbot_autowebroot.order.wire_fallback import WireFallback  # only who has chosen it has to pay for it
        if WIRE in self._entry_points:
            logger.warning("--autowebroot-fallback wire is the answer on the wire of autowebroot itself; the plugin "
                           "wire of another package is not asked.")
        return WireFallback(self._journal, self._endpoints)

    def _load(self, name: str) -> Any:
        if name not in self._entry_points:
            raise errors.PluginError("no plugin has this name")
        try:
            plugin_class = self._entry_points[name].load()
        except Exception as error:
            raise errors.PluginError(f"it cannot be loaded: {error!r}") from error
        if not _is_authenticator(plugin_class):
            raise errors.PluginError("this plugin is no authenticator")
        if issubclass(plugin_class, self._own):
            raise errors.PluginError("a fallback cannot be autowebroot itself")
        return plugin_class

    def _perform(self, name: str, batch: List[Any], unserved: Unserved) -> Tuple[Dict[Any, Any], Dict[Any, str]]:
        """The responses of one authenticator for the challenges that are served, and why each other has none.

        What is not served is cleaned up.
        """
        if name in self._unusable:
            return {}, dict.fromkeys(batch, self._unusable[name])
        logger.info("Asking the authenticator %s to answer where autowebroot cannot.", name)
        self._performed[name] = [*self._performed.get(name, ()), *batch]  # first: whatever comes, it is cleaned up
        try:
            responses = {achall: response for achall, response in zip(batch, self._made[name].perform(list(batch)))
                         if response}
        except Exception as error:
            self._clean(name, batch)
            return {}, dict.fromkeys(batch, _said_by(error))
        deadline = time.monotonic() + (WIRE_PATIENCE if name == WIRE else PATIENCE)
        missing = unserved(list(responses))
        while missing and time.monotonic() < deadline:
            time.sleep(_PAUSE)
            missing = unserved(list(missing))
        answered = {achall: response for achall, response in responses.items() if achall not in missing}
        self._clean(name, [achall for achall in batch if achall not in answered])
        return answered, {achall: "what it has published did not come back"
                          + (f": {missing[achall]}" if achall in missing else "") for achall in batch}

    def _perform_again(self, answered: List[Any], unserved: Unserved) -> List[Any]:
        """Where one authenticator has undone what another had done, have all that answered perform once more.

        :returns: the challenges that are lost for good.
        """
        if not unserved(answered):
            return []
        performed = {name: achalls for name, achalls in self._performed.items() if achalls}
        self.cleanup(answered)
        for name, batch in performed.items():
            self._perform(name, batch, unserved)
        lost = list(unserved(answered))
        self.cleanup(lost)
        return lost

    def _clean(self, name: str, achalls: List[Any]) -> None:
        if not achalls:
            return
        self._performed[name] = [achall for achall in self._performed[name] if achall not in achalls]
        try:
            self._made[name].cleanup(achalls)
        except Exception as error:
            logger.error("The authenticator %s could not clean up: %s", name, _said_by(error))
            logger.debug("Traceback:", exc_info=True)

    def _looked_elsewhere(self, name: str, outcome: Outcome) -> str:
        """A line about the option without which an authenticator edits another configuration than the one that runs."""
        from certbot_autowebroot.order import remedies  # only a failure has to pay for it
        option = remedies.server_root(name, [route for routes in outcome.routes.values() for route in routes])
        setting = option.lstrip("-").replace("-", "_")
        looked_in = getattr(self._config, setting, None)
        if not option or not looked_in or looked_in != self._options(name).get(setting):
            return ""
        return f"\nIt looked in {looked_in}. Where the server's configuration is elsewhere, add {option} DIR"

    def _options(self, name: str) -> Dict[str, Any]:
        """The options of an authenticator as Certbot keeps them, with their defaults."""
        parser = argparse.ArgumentParser(add_help=False)
        try:
            self._entry_points[name].load().inject_parser_options(parser, name)
            return vars(parser.parse_args([]))
        except Exception:  # perform() gives the reason when the authenticator is needed
            logger.debug("The options of %s cannot be read:", name, exc_info=True)
            return {}


def _is_address(outcome: Outcome) -> bool:
    try:
        return bool(ipaddress.ip_address(outcome.identifier))
    except ValueError:
        return False


def _is_authenticator(plugin_class: Any) -> bool:
    """By what it can do: before Certbot 2, a plugin need not derive from ``certbot.interfaces.Authenticator``."""
    return isinstance(plugin_class, type) and all(
        hasattr(plugin_class, method) for method in ("prepare", "get_chall_pref", "perform", "cleanup"))


def _said_by(error: Exception) -> str:
    """An error in one line or more, as its author meant it; with its type, where it has not come by design."""
    return str(error).strip().rstrip(".") if isinstance(error, errors.Error) else repr(error)
