"""Other authenticators of Certbot's at work, for the names of an order that we find no way for.

A plugin is used as Certbot itself uses it: made with the configuration, prepared, asked to perform, and to clean up in
every case. None runs that the user has not chosen.
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
from typing import Sequence
from typing import Tuple

from acme import challenges
from certbot import errors

from certbot_autowebroot.order import other_authenticators
from certbot_autowebroot.order.inquiry import Inquiry
from certbot_autowebroot.settings import as_setting

logger = logging.getLogger(__name__)

#: Seconds for what an authenticator has published to come back: after a graceful reload, workers with the old
#: configuration go on for a moment, and reading 10,000 sites takes nginx some seconds.
PATIENCE = 10.0
_PAUSE = 0.2
#: How often it is looked whether a reload has lost what is ours: such a worker may answer as before.
_LOOKS = 5

#: Of the challenges, those that a front door does not answer yet.
Unserved = Callable[[List[Any]], List[Any]]


class Fallbacks:
    """The other authenticators of one order.

    :param config: Certbot's configuration, which every plugin gets.
    :param said: ``--autowebroot-fallback``.
    :param own: our own class: an authenticator that is its own fallback would never come to an end.
    """

    def __init__(self, config: Any, said: str, own: type) -> None:
        self._config = config
        self._said = said
        self._own = own
        self._entry_points = other_authenticators.installed()
        self._made: Dict[str, Any] = {}
        self._unusable: Dict[str, str] = {}
        self._performed: Dict[str, List[Any]] = {}

    def restore_options(self, kept: str) -> str:
        """Give the authenticators the options that they had last time, where the user has not said others now.

        Certbot saves every plugin's options, but restores those of the authenticator and the installer alone.

        :param kept: what this method returned last time; a person may have edited it.
        :returns: all options that are not as by default, as JSON.
        :raises ValueError: ``kept`` cannot be read.
        """
        try:
            found = dict(json.loads(kept or "{}"))
        except (TypeError, RecursionError) as error:
            raise ValueError(str(error)) from error
        chosen = other_authenticators.order(self._said, list(other_authenticators.BELONGS_TO.values()))
        prefixes = tuple(name.replace("-", "_") + "_" for name in chosen)
        told = {option: value for option, value in found.items() if option.startswith(prefixes)}
        for name in chosen:
            for option, default in self._options(name).items():
                if option in found and getattr(self._config, option, default) == default:
                    setattr(self._config, option, found[option])
                value = getattr(self._config, option, default)
                if value != default and isinstance(value, (str, int, float, list, dict)):
                    told[option] = value
        return as_setting(told)

    def recover(self) -> None:
        """Have those that edit configurations take back what a killed run of theirs has left: to make one does it."""
        for name in other_authenticators.order(self._said, list(other_authenticators.BELONGS_TO.values())):
            self._prepare(name)

    def unknown(self) -> List[str]:
        """Which names were said that no plugin has; nothing is loaded for it."""
        return [name for name in other_authenticators.order(self._said, []) if name not in self._entry_points]

    def installed(self) -> List[str]:
        """The authenticators that are installed beside ourselves."""
        found = []
        for name, entry_point in sorted(self._entry_points.items()):
            try:
                plugin_class = entry_point.load()
            except Exception:
                logger.debug("The plugin %s cannot be loaded:", name, exc_info=True)
                continue
            if _is_authenticator(plugin_class) and not issubclass(plugin_class, self._own):
                found.append(name)
        return found

    def answer(self, inquiries: Mapping[Any, Inquiry], unserved: Unserved) -> Dict[Any, Any]:
        """Have other authenticators publish challenges that we cannot, each proven before the CA is told.

        What came of it is written into the inquiries.

        :param inquiries: by challenge (Certbot's), what was found out about its name.
        :returns: the responses to the CA for those that are answered.
        """
        responses: Dict[Any, Any] = {}
        waiting = {}
        for achall, inquiry in inquiries.items():
            waiting[achall], useless = other_authenticators.candidates(self._said, inquiry, self._entry_points)
            inquiry.set_aside += useless
        while any(waiting.values()):
            # Certbot's nginx and Apache plugins share one checkpoint. To make one takes back what the other has done in
            # vain, as it seems to it; so all that are next are made before any of them performs.
            for first in {left[0] for left in waiting.values() if left}:
                self._prepare(first)
            name = other_authenticators.next_of(waiting.values())
            batch = [achall for achall, left in waiting.items() if left[:1] == [name]]
            # Certbot's two refuse all challenges that they are given together with one for an IP address.
            batch = [achall for achall in batch if _is_address(inquiries[achall]) == _is_address(inquiries[batch[0]])]
            answered, reason = self._perform(name, batch, unserved)
            responses.update(answered)
            for achall in batch:
                waiting[achall] = [] if achall in answered else waiting[achall][1:]
                if achall in answered:
                    inquiries[achall].answered_by = name
                else:
                    inquiries[achall].set_aside.append(
                        f"the authenticator {name}: {reason}{self._looked_elsewhere(name, inquiries[achall])}")
        for achall in self._perform_again(list(responses), unserved):
            del responses[achall]
            inquiries[achall].set_aside.append(f"the authenticator {inquiries[achall].answered_by}: another that was "
                                               "needed for other names undid what it had done")
            inquiries[achall].answered_by = ""
        return responses

    def lost_meanwhile(self, achalls: List[Any], unserved: Unserved) -> List[Any]:
        """Of the challenges that are answered without them, those that their reload of a server has lost.

        It may look elsewhere now: it had been edited and not reloaded.
        """
        lost = unserved(achalls)
        for _ in range(_LOOKS if self._made else 0):
            if lost or not achalls:
                break
            time.sleep(_PAUSE)
            lost = unserved(achalls)
        return lost

    def cleanup(self, achalls: Iterable[Any]) -> None:
        """Have each authenticator take back what it has published for these. Never raises; may be called again."""
        wanted = set(achalls)
        for name in list(self._performed):
            self._clean(name, [achall for achall in self._performed[name] if achall in wanted])

    def hints(self, achalls: Sequence[Any]) -> List[str]:
        """What the authenticators themselves say of challenges that the CA could not validate."""
        found = []
        for name, performed in self._performed.items():
            failed = [achall for achall in achalls if achall in performed]
            if failed and hasattr(self._made[name], "auth_hint"):
                found.append(f"{name}: {self._made[name].auth_hint(failed)}")
        return found

    def _prepare(self, name: str) -> None:
        """Make a plugin ready to perform, or find out why it cannot be used; once."""
        if name in self._made or name in self._unusable:
            return
        try:
            plugin = self._load(name)(self._config, name)
            if challenges.HTTP01 not in plugin.get_chall_pref("www.example.com"):
                raise errors.PluginError("it cannot do http-01")
            plugin.prepare()
            self._made[name] = plugin
        except Exception as error:
            self._unusable[name] = _said_by(error)

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

    def _perform(self, name: str, batch: List[Any], unserved: Unserved) -> Tuple[Dict[Any, Any], str]:
        """The responses of one authenticator for those challenges that come back, and why there is none for others.

        What does not come back is cleaned up.
        """
        if name in self._unusable:
            return {}, self._unusable[name]
        logger.info("Asking the authenticator %s to answer where autowebroot found no way.", name)
        self._performed[name] = [*self._performed.get(name, ()), *batch]  # first: whatever comes, it is cleaned up
        try:
            responses = {achall: response for achall, response in zip(batch, self._made[name].perform(list(batch)))
                         if response}
        except Exception as error:
            self._clean(name, batch)
            return {}, _said_by(error)
        deadline = time.monotonic() + PATIENCE
        missing = unserved(batch)
        while missing and time.monotonic() < deadline:
            time.sleep(_PAUSE)
            missing = unserved(missing)
        answered = {achall: response for achall, response in responses.items() if achall not in missing}
        self._clean(name, [achall for achall in batch if achall not in answered])
        return answered, "what it has published did not come back"

    def _perform_again(self, answered: List[Any], unserved: Unserved) -> List[Any]:
        """Where one authenticator has undone what another had done, have those that answered do it once more.

        :returns: the challenges that are lost for good.
        """
        if not unserved(answered):
            return []
        performed = {name: achalls for name, achalls in self._performed.items() if achalls}
        self.cleanup(answered)
        for name, batch in performed.items():
            self._perform(name, batch, unserved)
        lost = unserved(answered)
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

    def _looked_elsewhere(self, name: str, inquiry: Inquiry) -> str:
        """A line about the option without which an authenticator edits another configuration than the one that runs."""
        from certbot_autowebroot.order import remedies  # only a failure has to pay for it
        option = remedies.server_root(name, [route for routes in inquiry.routes.values() for route in routes])
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
        except Exception:  # it is of no use then, and perform() says why when it is needed
            logger.debug("The options of %s cannot be told:", name, exc_info=True)
            return {}


def _is_address(inquiry: Inquiry) -> bool:
    try:
        return bool(ipaddress.ip_address(inquiry.name))
    except ValueError:
        return False


def _is_authenticator(plugin_class: Any) -> bool:
    """By what it can do: before Certbot 2, a plugin need not derive from ``certbot.interfaces.Authenticator``."""
    return isinstance(plugin_class, type) and all(
        hasattr(plugin_class, method) for method in ("prepare", "get_chall_pref", "perform", "cleanup"))


def _said_by(error: Exception) -> str:
    """An error in one line or more, as its author meant it; with its type, where it has not come by design."""
    return str(error).strip().rstrip(".") if isinstance(error, errors.Error) else repr(error)
