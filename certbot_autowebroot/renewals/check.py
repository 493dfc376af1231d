"""Check what a renewal would do now, and which certificates port 443 shows."""
import ipaddress
import os
import re
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from datetime import timezone
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple

from certbot_autowebroot import settings
from certbot_autowebroot.order import other_authenticators
from certbot_autowebroot.order.candidates import OrderOptions
from certbot_autowebroot.order.progress import Progress
from certbot_autowebroot.renewals import forecast
from certbot_autowebroot.renewals import messages
from certbot_autowebroot.renewals import served_certificates
from certbot_autowebroot.renewals.forecast import Forecast
from certbot_autowebroot.renewals.forecast import NameForecast
from certbot_autowebroot.renewals.forecast import Outlook
from certbot_autowebroot.renewals.judge import JUDGED
from certbot_autowebroot.renewals.judge import Judge
from certbot_autowebroot.renewals.lineages import Lineage
from certbot_autowebroot.renewals.lineages import is_wildcard
from certbot_autowebroot.responders.journal import Journal
from certbot_autowebroot.route import CA_PORTS
from certbot_autowebroot.routing.host import Host

_NAME = re.compile(r"[a-z0-9_.-]+", re.ASCII)


@dataclass(frozen=True)
class Options:
    """The user's options.

    :ivar port: the port that the CA's port 80 leads to; None for the lineage's, or 80.
    :ivar address: the only local address that counts; None for the lineage's, or all.
    :ivar path: directories to try, as in ``--autowebroot-path``; empty for the lineage's, or the shared directory.
    :ivar write: publish test files; else the configurations alone are followed.
    :ivar resolver: the only name server to ask; empty for the host's own.
    :ivar nodes: the machines that must each return the test file; empty for the lineage's.
    :ivar fallback: as ``--autowebroot-fallback``; empty for the lineage's.
    """

    port: Optional[int] = None
    address: Optional[str] = None
    path: str = ""
    write: bool = True
    resolver: str = ""
    nodes: Sequence[str] = ()
    fallback: str = ""


class Check:
    """Checks names and lineages. Nothing is left behind, and no CA is asked."""

    def __init__(self, options: Options, journal: Journal, progress: Progress = lambda stage, done, of: None) -> None:
        self._options = options
        self._journal = journal
        self._progress = progress
        self._hosts: Dict[str, Host] = {}

    def names(self, names: Sequence[str]) -> List[NameForecast]:
        """What would happen to each of these names with our own authenticator."""
        proper: Dict[str, str] = {}
        wrong: Dict[str, str] = {}
        for name in names:
            try:
                proper[name] = identifier(name)
            except ValueError as error:
                wrong[name] = str(error)
        arrival = OrderOptions(self._options.port or CA_PORTS["http"], self._options.address or "",
                               resolver=self._options.resolver, nodes=self._options.nodes)
        judged = dict(zip(proper, self._judge(arrival).names(list(proper.values()))))
        return _as_this_user([judged[name] if name in judged
                              else NameForecast(name, Outlook.FAILS, reason=wrong[name])
                              for name in dict.fromkeys(names)])

    def lineages(self, lineages: Sequence[Lineage], hooks: Sequence[str] = ()) -> List[Forecast]:
        """What would happen to each of these lineages with its own authenticator.

        :param hooks: the pre-hooks that run before the renewal of every lineage.
        """
        arrivals: Dict[Tuple[object, ...], List[Lineage]] = {}
        forecasts: Dict[str, Forecast] = {}
        for lineage in map(self._with_options, lineages):
            installed = other_authenticators.is_installed(lineage.authenticator)
            if lineage.autorenew and not lineage.problem and not installed:
                lineage = replace(lineage, problem=messages.not_installed(lineage.authenticator))
            if lineage.problem:
                outlook = Outlook.UNKNOWN if lineage.hidden else Outlook.FAILS
                forecasts[lineage.conf] = Forecast(lineage, outlook)
            elif lineage.authenticator not in JUDGED or not lineage.autorenew:
                forecasts[lineage.conf] = Forecast(lineage, Outlook.UNJUDGED)
            else:
                forecasts[lineage.conf] = Forecast(lineage, Outlook.GOOD)  # in this order; judged below
                at = self._arrival(lineage)
                arrivals.setdefault((at.port, at.address, at.resolver, at.nodes), []).append(lineage)
        for group in arrivals.values():
            for found in self._judge(self._arrival(group[0])).lineages(group):
                forecasts[found.lineage.conf] = found
                if not found.in_the_way:
                    found.names = _as_this_user(found.names)
                    found.outlook = forecast.worst([name.outlook for name in found.names])
        served = served_certificates.served([found.lineage for found in forecasts.values()], self._host(""),
                                            self._progress)
        now = datetime.now(timezone.utc)
        for found in forecasts.values():
            lineage = found.lineage
            found.served = served.get(lineage.conf, [])
            found.days_left = lineage.certificate.days_left(now) if lineage.certificate else None
            found.hooks = ((lineage.pre_hook,) if lineage.pre_hook else ()) + (
                tuple(hooks) if lineage.directory_hooks else ())
            may_be_stopped = lineage.authenticator in ("standalone", "autowebroot") and not lineage.problem
            if found.outlook is Outlook.FAILS and found.hooks and may_be_stopped:
                found.outlook = Outlook.UNJUDGED  # a hook may stop the very server that is in the way
        return list(forecasts.values())

    def _with_options(self, lineage: Lineage) -> Lineage:
        """The command line overrides the renewal configuration, as with Certbot."""
        address = lineage.address if self._options.address is None else self._options.address
        return replace(lineage, port=self._options.port or lineage.port, address=address)

    def _arrival(self, lineage: Lineage) -> OrderOptions:
        resolver = self._options.resolver or lineage.options.get("resolver", "")
        nodes = self._options.nodes or settings.nodes(lineage.options.get("nodes", ""))
        return OrderOptions(lineage.port, lineage.address, resolver=resolver, nodes=tuple(nodes))

    def _judge(self, arrival: OrderOptions) -> Judge:
        options = self._options
        return Judge(arrival, options.path, options.write, options.fallback, self._journal, self._progress,
                     self._host(arrival.resolver))

    def _host(self, resolver: str) -> Host:
        """One snapshot of this host for all lineages: their names are looked up once."""
        return self._hosts.setdefault(resolver, Host(resolver))


def identifier(name: str) -> str:
    """A name as the CA requests it: lower case, without a final dot.

    :raises ValueError: http-01 cannot validate it; the text says why.
    """
    try:
        return str(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        pass
    if is_wildcard(name):
        raise ValueError(messages.WILDCARD)
    from certbot import errors  # late for speed: with acme and requests, 0.1 seconds
    from certbot import util
    try:
        proper = util.enforce_domain_sanity(name)
    except errors.ConfigurationError as error:
        raise ValueError(str(error)) from None
    if not _NAME.fullmatch(proper):
        raise ValueError(messages.NO_NAME)
    return proper


def _as_this_user(names: List[NameForecast]) -> List[NameForecast]:
    return names if os.geteuid() == 0 else [forecast.without_root(name) for name in names]
