"""The sentences of ``check``: what would happen to names and lineages, where requests end, which certificates show."""
import os
import shlex
from typing import List
from typing import Sequence

from certbot.compat import misc

from certbot_autowebroot.order import messages
from certbot_autowebroot.order import tree
from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.renewals.forecast import Forecast
from certbot_autowebroot.renewals.forecast import NameForecast
from certbot_autowebroot.renewals.forecast import Outlook
from certbot_autowebroot.renewals.forecast import Served
from certbot_autowebroot.renewals.forecast import Shown
from certbot_autowebroot.renewals.lineages import Lineage
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import Program

NO_HOOK = "warning: no hook reloads the server after a renewal, so visitors would go on seeing the old certificate"
NEITHER = "autowebroot would fail too:"
WILDCARD = "a wildcard name needs dns-01, which none of autowebroot, standalone and webroot can do"
NO_NAME = "this is no host name: a host name has letters, digits, hyphens and dots"
NO_WEBROOT = "its renewal configuration names no directory for it (webroot_map)"
NO_LINEAGES = "No certificates have been issued into {config_dir}: it has no renewal configurations."


def not_installed(authenticator: str) -> str:
    """The lineage's authenticator is none of the installed plugins."""
    return f"the authenticator {authenticator} is not installed with this Certbot: see certbot plugins"


def lineage(found: Forecast, proved: bool) -> str:
    """What would happen to a lineage, in one line."""
    said = {Outlook.GOOD: "would be renewed" if proved else "should be renewed (nothing is proved)",
            Outlook.FROM_INSIDE: "would be renewed, seen from inside",
            Outlook.UNPROVEN: "may be renewed, which could not be proved from here",
            Outlook.UNJUDGED: "cannot be judged here", Outlook.UNKNOWN: "could not be checked",
            Outlook.FAILS: "would fail"}[found.outlook]
    kind = f" ({found.lineage.authenticator})" if found.lineage.authenticator else ""
    days = found.days_left
    left = "" if days is None else f"; {days} days left" if days >= 0 else f"; it expired {-days} days ago"
    return f"{found.lineage.name}: {said}{kind}{left}"


def why(found: Forecast) -> List[str]:
    """What concerns a lineage's renewal as a whole."""
    lines = []
    if found.lineage.problem:
        lines.append(f"{found.lineage.problem}{' (run it as root)' if found.lineage.hidden else ''}")
    if not found.lineage.autorenew:
        lines.append("its renewal is disabled (autorenew = False)")
    if found.in_the_way:
        lines.append(f"standalone cannot listen on port {found.lineage.port}: it is held by "
                     f"{', '.join(found.in_the_way)}")
    if found.hooks and found.outlook is not Outlook.GOOD:
        lines.append("its pre-hook runs first, and this check does not run it: " + ", ".join(found.hooks))
    return lines


def why_name(name: NameForecast) -> str:
    """Why one name of a lineage would fail, or where it was proven; empty where the tree shows it."""
    outcome = name.outcome
    if name.outlook is Outlook.FROM_INSIDE:
        return ""
    if name.reason or name.outlook is not Outlook.GOOD or outcome is None or not outcome.proof.served:
        return name.reason
    files = list({tree.test_file(place): None for places in outcome.proof.served.values() for place in places})
    return f"{' and '.join(files)} came back through {', '.join(map(str, outcome.proof.served))}"


def mending(found: Forecast, version: Sequence[int], options: Sequence[str]) -> str:
    """The command or the line that lets ``autowebroot`` renew a lineage.

    :param version: Certbot's.
    :param options: options of this command line that Certbot needs too.
    """
    name = found.lineage.name
    if tuple(version) >= (2, 3):
        return shlex.join(["certbot", "reconfigure", "--cert-name", name, "-a", "autowebroot", *options])
    return f"authenticator = autowebroot (in {found.lineage.conf}, instead of {found.lineage.authenticator})"


def adding_hook(found: Forecast, version: Sequence[int], options: Sequence[str], command: str) -> str:
    """The command or the line that adds a deploy hook to a lineage.

    :param version: Certbot's.
    :param options: options of this command line that Certbot needs too.
    :param command: the hook.
    """
    if tuple(version) >= (2, 3):
        return shlex.join(["certbot", "reconfigure", "--cert-name", found.lineage.name, "--deploy-hook", command,
                           *options])
    return f"renew_hook = {command} (in {found.lineage.conf}, below [renewalparams])"


def reloading(found: Forecast, command: str) -> str:
    """The command that reloads the servers of a lineage.

    :param command: the one that reloads servers.
    """
    return f"{command} --lineage {shlex.quote(os.path.dirname(found.lineage.certificate_file))}"


def deleting(lineage: Lineage) -> str:
    """The advice for a lineage that may be unused."""
    config_dir = os.path.dirname(os.path.dirname(os.path.dirname(lineage.certificate_file)))
    elsewhere = ["--config-dir", config_dir] if config_dir != misc.get_default_folder("config") else []
    command = shlex.join(["certbot", "delete", "--cert-name", lineage.name, *elsewhere])
    return f"if no server uses the lineage {lineage.name}, delete it with: {command}"


def shown(alike: Sequence[Served]) -> str:
    """What a server on 443 shows for several names, the same for all of them."""
    served = alike[0]
    where = f"{served.endpoint} for {messages.named([one.name for one in alike])}"
    if served.shown is Shown.NO_LISTENER:
        return f"no program listens on {where}"
    if served.shown is Shown.NO_CERTIFICATE or served.certificate is None:
        return f"no certificate could be had from {where}: {served.error}"
    until = f"{served.certificate.not_after:%Y-%m-%d}"
    if served.other_lineage:
        return f"{where} shows the certificate of the lineage {served.other_lineage} for the same names, until {until}"
    return {Shown.CURRENT: f"{where} shows the current certificate",
            Shown.STALE: f"{where} still shows an older certificate, until {until}: reload that server"
            }.get(served.shown, f"{where} shows a certificate that is not of this lineage, until {until}")


def summary(names: Sequence[NameForecast], forecasts: Sequence[Forecast], with_names: bool = False) -> str:
    """All names or lineages in one line.

    :param with_names: list the ones that are not good.
    """
    what = "name" if names else "lineage"
    found = [(name.name, name.outlook) for name in names] + [(one.lineage.name, one.outlook) for one in forecasts]
    words = {Outlook.GOOD: "good", Outlook.FROM_INSIDE: "good from inside", Outlook.UNPROVEN: "not proved",
             Outlook.UNJUDGED: "cannot be judged here", Outlook.UNKNOWN: "not checked", Outlook.FAILS: "would fail"}
    parts = []
    for outlook, text in words.items():
        those = [name for name, its in found if its is outlook]
        wrong = with_names and outlook not in (Outlook.GOOD, Outlook.UNJUDGED)
        parts += [f"{len(those)} {text}{f' ({messages.named(those)})' if wrong else ''}"] if those else []
    counted = ": ".join(filter(None, [f"{len(found)} {what}{'s' if len(found) != 1 else ''}", ", ".join(parts)]))
    besides = {"expired": [one.lineage.name for one in forecasts if one.is_expired],
               "an older certificate is shown": [one.lineage.name for one in forecasts if one.is_stale]}
    return "; ".join([counted, *(f"{text}: {messages.named(those) if with_names else len(those)}"
                                 for text, those in besides.items() if those)])


def asked_instead(authenticators: Sequence[str]) -> str:
    """What a renewal would do about a name that autowebroot cannot answer itself."""
    return (f"a renewal would ask the authenticator {' or '.join(authenticators)} (autowebroot_fallback), which a "
            "check cannot try")


def on_the_wire(seconds: float, segments: int, doubts: str) -> str:
    """How a name was answered on the wire.

    :param doubts: why that is not simply good; a clause, or empty.
    """
    doubt = f"; {doubts}" if doubts else ""
    return (f"answered on the wire (autowebroot_fallback), whose table was there for {seconds:.2f} seconds and caught "
            f"{segments} segments{doubt}")


def outlook(found: NameForecast, proved: bool) -> str:
    """What would happen to one name."""
    if found.outcome is None:
        return f"would fail: {found.reason}"
    text = {Outlook.GOOD: "good, a test file came back" if proved else
            "should be good (nothing was written, so nothing is proved)",
            Outlook.FROM_INSIDE: "good from inside",
            Outlook.UNPROVEN: "could not be proved from here",
            Outlook.UNKNOWN: "could not be checked (run it as root)"}.get(found.outlook, "would fail")
    return f"{text}: {found.reason}" if found.reason else text


def holder(program: Program, endpoint: Endpoint) -> str:
    """The program that holds a port."""
    return f"{program} at {endpoint}"


def webroot_tried(root: str, outcome: Outcome) -> str:
    """What became of the test file in a directory of webroot_map."""
    for place in outcome.places:
        if isinstance(place.end, Directory) and place.end.root == root:
            refused = outcome.proof.publish_errors.get(place.key)
            served = outcome.was_served(place)
            return refused.rstrip(".") if refused else \
                f"{tree.test_file(place)} {'came back' if served else 'did not come back'}"
    return ""


def webroot_elsewhere(root: str) -> str:
    """A directory of webroot_map that the configurations do not lead to; no test file was put into it."""
    return f"webroot would put the file into {root}{CHALLENGE_PATH[:-1]}, and the request does not end there"
