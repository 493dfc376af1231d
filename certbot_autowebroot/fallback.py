"""Other authenticators of Certbot's, for the names of an order that we find no way for.

What is installed is told by the entry points. A plugin is used as Certbot itself uses it: made with the configuration,
prepared, asked to perform, and to clean up in every case. None runs that the user has not chosen.
"""
import argparse
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

from acme import challenges
from certbot import errors

from certbot_autowebroot import processes
from certbot_autowebroot.entry_points import registered
from certbot_autowebroot.proof import Inquiry
from certbot_autowebroot.proof import Verdict
from certbot_autowebroot.route import Program

logger = logging.getLogger(__name__)

#: Among the names of authenticators: whichever belongs to the program that holds the port.
AUTO = "auto"
#: Instead of names: the user was asked, and wants none.
NONE = "none"
#: Which authenticator edits the configuration of which program, by the name of its executable.
BELONGS_TO = {"nginx": "nginx", "apache2": "apache", "httpd": "apache"}
#: Seconds for what an authenticator has published to come back: after a graceful reload, workers with the old
#: configuration go on for a moment.
PATIENCE = 5.0

#: Of the challenges, those that a front door does not answer yet.
Unserved = Callable[[List[Any]], List[Any]]


class Unusable(Exception):
    """An authenticator that cannot be used; the text says why."""


def names(said: str) -> List[str]:
    """The names in ``--autowebroot-fallback``, in their order."""
    found = [name.strip() for name in said.split(",")]
    return [name for name in dict.fromkeys(found) if name and name != NONE]


def fitting(inquiry: Inquiry) -> List[str]:
    """The installed authenticators that belong to the programs which hold the port where a name fails.

    Only those at the front: an authenticator makes its server listen on the port where the CA comes in. And none for a
    server in a container: it would edit another server's configuration, ours.
    """
    holders = [route.hops[0].program for door in inquiry.doors.endpoints
               if inquiry.verdict_of(door) is not Verdict.PROVEN
               for route in inquiry.routes.get(door, ()) if route.hops]
    found = dict.fromkeys(BELONGS_TO[holder.name] for holder in holders
                          if holder.name in BELONGS_TO and _is_on_the_host(holder))
    installed = _installed() if found else {}
    return [name for name in found if name in installed]


def offers(inquiries: Sequence[Inquiry]) -> Dict[str, List[Inquiry]]:
    """By authenticator that fits, the names that it may answer for."""
    found: Dict[str, List[Inquiry]] = {}
    for inquiry in inquiries:
        for name in fitting(inquiry):
            found.setdefault(name, []).append(inquiry)
    return found


def order(said: str, fits: Sequence[str]) -> List[str]:
    """The authenticators to try for a name, in their order.

    :param said: ``--autowebroot-fallback``.
    :param fits: what ``auto`` stands for.
    """
    return list(dict.fromkeys(name for word in names(said) for name in (fits if word == AUTO else [word])))


def next_of(waiting: Iterable[Sequence[str]]) -> str:
    """Which authenticator is to be asked next, of those that come first for some name.

    Each is asked once for all names that it is meant for, as Certbot does: so one that another name has yet to come to
    waits for it.
    """
    lists = [names for names in waiting if names]
    firsts = [names[0] for names in lists]
    return next((name for name in firsts if not any(name in names[1:] for names in lists)), firsts[0])


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
        self._entry_points = _installed()
        self._made: Dict[str, Any] = {}
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
        chosen = order(self._said, list(BELONGS_TO.values()))
        prefixes = tuple(name.replace("-", "_") + "_" for name in chosen)
        told = {option: value for option, value in found.items() if option.startswith(prefixes)}
        for name in chosen:
            for option, default in self._options(name).items():
                if option in found and getattr(self._config, option, default) == default:
                    setattr(self._config, option, found[option])
                value = getattr(self._config, option, default)
                if value != default and isinstance(value, (str, int, float, list, dict)):
                    told[option] = value
        return json.dumps(told, sort_keys=True) if told else ""

    def unknown(self) -> List[str]:
        """Which names were said that no plugin has; nothing is loaded for it."""
        return [name for name in names(self._said) if name != AUTO and name not in self._entry_points]

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
        waiting = {achall: self._order(inquiry) for achall, inquiry in inquiries.items()}
        while any(waiting.values()):
            name = next_of(waiting.values())
            batch = [achall for achall, left in waiting.items() if left[:1] == [name]]
            answered: Dict[Any, Any] = {}
            reason = "what it has published did not come back"
            try:
                self._prepare(name, inquiries[batch[0]].name)
                answered = self._perform(name, batch, unserved)
            except Unusable as error:
                reason = str(error)
            for achall in batch:
                if achall in answered:
                    inquiries[achall].answered_by = name
                    waiting[achall] = []
                else:
                    inquiries[achall].set_aside.append(f"the authenticator {name}: {reason}")
                    waiting[achall] = waiting[achall][1:]
            responses.update(answered)
        return responses

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

    def _order(self, inquiry: Inquiry) -> List[str]:
        if not inquiry.doors.endpoints:
            return []  # nothing could be proven
        found = order(self._said, fitting(inquiry) if AUTO in names(self._said) else [])
        if not found:
            inquiry.set_aside.append(f"{AUTO}: no authenticator is installed that belongs to who holds the port")
        return found

    def _prepare(self, name: str, identifier: str) -> None:
        """Make a plugin ready to perform.

        :raises Unusable: it cannot be used.
        """
        if name in self._made:
            return
        plugin_class = self._load(name)
        try:
            plugin = plugin_class(self._config, name)
            can_do = list(plugin.get_chall_pref(identifier))
            if challenges.HTTP01 in can_do:
                plugin.prepare()
        except Exception as error:
            raise Unusable(_said_by(error)) from error
        if challenges.HTTP01 not in can_do:
            raise Unusable("it cannot do http-01")
        self._made[name] = plugin

    def _load(self, name: str) -> Any:
        if name not in self._entry_points:
            raise Unusable("no plugin has this name")
        try:
            plugin_class = self._entry_points[name].load()
        except Exception as error:
            raise Unusable(f"it cannot be loaded: {_said_by(error)}") from error
        if not _is_authenticator(plugin_class):
            raise Unusable("this plugin is no authenticator")
        if issubclass(plugin_class, self._own):
            raise Unusable("a fallback cannot be autowebroot itself")
        return plugin_class

    def _perform(self, name: str, batch: List[Any], unserved: Unserved) -> Dict[Any, Any]:
        """The responses of one authenticator for those challenges that come back; the others are cleaned up.

        :raises Unusable: it has failed.
        """
        plugin = self._made[name]
        self._performed[name] = [*self._performed.get(name, ()), *batch]  # first: whatever comes, it is cleaned up
        logger.info("Asking the authenticator %s to answer where autowebroot found no way.", name)
        try:
            responses = {achall: response for achall, response in zip(batch, plugin.perform(list(batch))) if response}
        except Exception as error:
            self._clean(name, batch)
            raise Unusable(_said_by(error)) from error
        deadline = time.monotonic() + PATIENCE
        missing = unserved(batch)
        while missing and time.monotonic() < deadline:
            time.sleep(0.2)
            missing = unserved(missing)
        answered = {achall: response for achall, response in responses.items() if achall not in missing}
        self._clean(name, [achall for achall in batch if achall not in answered])
        return answered

    def _clean(self, name: str, achalls: List[Any]) -> None:
        if not achalls:
            return
        self._performed[name] = [achall for achall in self._performed[name] if achall not in achalls]
        try:
            self._made[name].cleanup(achalls)
        except Exception as error:
            logger.error("The authenticator %s could not clean up: %s", name, _said_by(error))
            logger.debug("Traceback:", exc_info=True)

    def _options(self, name: str) -> Dict[str, Any]:
        """The options of an authenticator as Certbot keeps them, with their defaults."""
        parser = argparse.ArgumentParser(add_help=False)
        try:
            self._entry_points[name].load().inject_parser_options(parser, name)
            return vars(parser.parse_args([]))
        except Exception:  # it is of no use then, and perform() says why when it is needed
            logger.debug("The options of %s cannot be told:", name, exc_info=True)
            return {}


def _installed() -> Dict[str, Any]:
    """The entry points of Certbot's plugins, by name."""
    return {entry_point.name: entry_point for entry_point in registered("certbot.plugins")}


def _is_authenticator(plugin_class: Any) -> bool:
    """By what it can do: before Certbot 2, a plugin need not derive from ``certbot.interfaces.Authenticator``."""
    return isinstance(plugin_class, type) and all(
        hasattr(plugin_class, method) for method in ("prepare", "get_chall_pref", "perform", "cleanup"))


def _is_on_the_host(program: Program) -> bool:
    """Whether a program has our view of the file system; no for one that has ended."""
    process = processes.process(program.pid) if program.pid else None
    try:
        return process is not None and process.view.is_host
    except OSError:
        return False


def _said_by(error: Exception) -> str:
    """An error in one line or more, as its author meant it; with its type, where it has not come by design."""
    return str(error).strip().rstrip(".") if isinstance(error, errors.Error) else repr(error)
