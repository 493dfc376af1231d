"""What would happen to lineages, and which certificates are shown: what ``check`` says beside the roads of names."""
import os
import shlex
from typing import List
from typing import Sequence

from certbot_autowebroot import explain
from certbot_autowebroot.forecast import Forecast
from certbot_autowebroot.forecast import NameForecast
from certbot_autowebroot.forecast import Outlook
from certbot_autowebroot.forecast import Served
from certbot_autowebroot.forecast import Shown

NO_HOOK = "warning: no hook reloads the server after a renewal, so visitors would go on seeing the old certificate"
NEITHER = "autowebroot would fail too:"
NO_LINEAGES = "No certificates have been issued into {config_dir}: it has no renewal configurations."


def not_installed(authenticator: str) -> str:
    """Certbot does not know it."""
    return f"the authenticator {authenticator} is not installed with this Certbot: see certbot plugins"


def lineage(found: Forecast, proved: bool) -> str:
    """What would happen to a lineage, in one line."""
    said = {Outlook.GOOD: "would be renewed" if proved else "should be renewed (nothing is proved)",
            Outlook.UNPROVEN: "may be renewed, which could not be proved from here",
            Outlook.UNJUDGED: "not ours to judge", Outlook.UNKNOWN: "could not be looked at",
            Outlook.FAILS: "would fail"}[found.outlook]
    kind = f" ({found.lineage.authenticator})" if found.lineage.authenticator else ""
    days = found.days_left
    left = "" if days is None else f"; {days} days left" if days >= 0 else f"; it ran out {-days} days ago"
    return f"{found.lineage.name}: {said}{kind}{left}"


def why(found: Forecast) -> List[str]:
    """What one should know of a lineage's renewal beside its names."""
    lines = []
    if found.lineage.problem:
        lines.append(f"{found.lineage.problem}{' (root could look)' if found.lineage.hidden else ''}")
    if not found.lineage.autorenew:
        lines.append("its renewal is switched off (autorenew = False)")
    if found.in_the_way:
        lines.append(f"standalone cannot listen on port {found.lineage.port}: it is held by "
                     f"{', '.join(found.in_the_way)}")
    if found.hooks and found.outlook is not Outlook.GOOD:
        lines.append("its pre-hook runs first, and that was not run here: " + ", ".join(found.hooks))
    return lines


def why_name(name: NameForecast) -> str:
    """Why one name of a lineage would fail, or where it was proven; empty where the tree says it."""
    inquiry = name.inquiry
    if name.reason or name.outlook is not Outlook.GOOD or inquiry is None or not inquiry.winners:
        return name.reason
    files = list({explain.test_file(place): None for winners in inquiry.winners.values() for place in winners})
    return f"{' and '.join(files)} came back through {', '.join(map(str, inquiry.winners))}"


def mending(found: Forecast, version: Sequence[int], options: Sequence[str]) -> str:
    """The one thing that mends a lineage which ``autowebroot`` could renew.

    :param version: Certbot's.
    :param options: those of the command line that Certbot needs too.
    """
    name = found.lineage.name
    if tuple(version) >= (2, 3):
        return shlex.join(["certbot", "reconfigure", "--cert-name", name, "-a", "autowebroot", *options])
    return f"authenticator = autowebroot (in {found.lineage.conf}, instead of {found.lineage.authenticator})"


def adding_hook(found: Forecast, version: Sequence[int], options: Sequence[str], command: str) -> str:
    """The one thing that has the server reloaded after each renewal of a lineage.

    :param version: Certbot's.
    :param options: those of the command line that Certbot needs too.
    :param command: the hook.
    """
    if tuple(version) >= (2, 3):
        return shlex.join(["certbot", "reconfigure", "--cert-name", found.lineage.name, "--deploy-hook", command,
                           *options])
    return f"renew_hook = {command} (in {found.lineage.conf}, below [renewalparams])"


def reloading(found: Forecast, command: str) -> str:
    """The one thing that has visitors see the current certificate.

    :param command: what reloads servers.
    """
    return f"{command} --lineage {shlex.quote(os.path.dirname(found.lineage.certificate_file))}"


def shown(alike: Sequence[Served]) -> str:
    """What a server on 443 shows for names; the same for all of them."""
    served = alike[0]
    where = f"{served.door} for {explain.named([one.name for one in alike])}"
    if served.shown is Shown.NOBODY:
        return f"nobody listens on {where}"
    if served.shown is Shown.NONE or served.certificate is None:
        return f"no certificate could be had from {where}: {served.error}"
    until = f"{served.certificate.not_after:%Y-%m-%d}"
    return {Shown.CURRENT: f"{where} shows the current certificate",
            Shown.STALE: f"{where} still shows an older certificate, until {until}: reload that server"
            }.get(served.shown, f"{where} shows a certificate that is not of this lineage, until {until}")


def summary(names: Sequence[NameForecast], forecasts: Sequence[Forecast], with_names: bool = False) -> str:
    """Many in one line.

    :param with_names: name those that are not good, too.
    """
    what = "name" if names else "lineage"
    found = [(name.name, name.outlook) for name in names] + [(one.lineage.name, one.outlook) for one in forecasts]
    said = {Outlook.GOOD: "good", Outlook.UNPROVEN: "not proved", Outlook.UNJUDGED: "not ours to judge",
            Outlook.UNKNOWN: "not looked at", Outlook.FAILS: "would fail"}
    parts = []
    for outlook, text in said.items():
        those = [name for name, its in found if its is outlook]
        wrong = with_names and outlook not in (Outlook.GOOD, Outlook.UNJUDGED)
        parts += [f"{len(those)} {text}{f' ({explain.named(those)})' if wrong else ''}"] if those else []
    counted = ": ".join(filter(None, [f"{len(found)} {what}{'s' if len(found) != 1 else ''}", ", ".join(parts)]))
    besides = {"run out": [one.lineage.name for one in forecasts if one.is_expired],
               "an older certificate is shown": [one.lineage.name for one in forecasts if one.is_stale]}
    return "; ".join([counted, *(f"{text}: {explain.named(those) if with_names else len(those)}"
                                 for text, those in besides.items() if those)])
