"""The sentences of ``reload``."""
import os
from typing import Sequence

from certbot_autowebroot.renewals import messages
from certbot_autowebroot.renewals.forecast import Served
from certbot_autowebroot.renewals.forecast import Shown
from certbot_autowebroot.renewals.lineages import Lineage

#: The number of names in one sentence.
_NAMED = 5

UNNAMED = "the program that listens there"
NOT_VISIBLE = "only root can see which program it is, and reload it"
IN_A_CONTAINER = ("it runs in a container, where its configuration cannot be tested from here, and a broken one would "
                  "end it: reload it there")
NO_LINEAGE = ("which certificate was renewed? Certbot tells a deploy hook (RENEWED_LINEAGE); by hand, give --lineage "
              "or the names of a certificate")


def no_address(names: Sequence[str]) -> str:
    """There is no endpoint to check."""
    return f"this machine has no address where {_list(names)} could be served on port 443"


def not_reloaded(answers: Sequence[Served], lineage: Lineage) -> str:
    """What a server shows that need not be reloaded; the same answer of one endpoint for several names."""
    first = answers[0]
    where = f"{first.endpoint} for {_names(answers)}"
    if first.shown is Shown.NO_LISTENER:
        return f"no program listens on {where}"
    if first.shown is Shown.NO_CERTIFICATE:
        return f"no certificate could be had from {where}: {first.error}"
    if first.other_lineage:
        return (f"{where} shows the certificate of the lineage {first.other_lineage} for the same names; nothing was "
                f"reloaded for it; {messages.deleting(lineage)}")
    if first.shown is Shown.OTHER:
        return f"{where} shows a certificate that is not of this lineage; nothing was reloaded for it"
    return f"{where} shows the current certificate"


def not_known(unit: str) -> str:
    """A program that we know nothing of; its systemd unit may."""
    return "how this program is reloaded is not known here: reload it in its own way" + (
        f", perhaps by systemctl reload {unit}" if unit else "")


def broken_lineage(reason: str) -> str:
    """No server can use the new certificate."""
    return f"nothing was reloaded: {reason}"


def config_error(error: str) -> str:
    """A server's own test of its configuration fails."""
    return "its own test of the configuration on disk fails:\n  " + error.replace("\n", "\n  ")


def needs_root(error: str) -> str:
    """A server that cannot read its key again without root's rights: a reload would end it."""
    return "it has given up root's rights, and a reload would end it, so restart it. With the rights that it has, " \
        + config_error(error)


def signal_refused(error: OSError) -> str:
    """The kernel refused the signal."""
    return f"it cannot be signalled: {error.strerror or error}"


def bug(error: Exception) -> str:
    """An exception that should not happen."""
    return f"an unexpected error, which is a bug: {error!r}"


def failed(server: str, problem: str, answers: Sequence[Served]) -> str:
    """A server that goes on with the older certificate."""
    return f"{_older(answers)}, and {server} was not reloaded: {problem}"


def done(server: str, how: str) -> str:
    """A server, and how it was reloaded."""
    return f"{server} was reloaded ({how})"


def reloaded(servers: Sequence[str], answers: Sequence[Served]) -> str:
    """A server that shows the new certificate."""
    return f"{', '.join(servers)}; {answers[0].endpoint} shows the new certificate for {_names(answers)}"


def without_effect(servers: Sequence[str], answers: Sequence[Served], patience: float, lineage: Lineage) -> str:
    """A server that was reloaded and does not show the new certificate."""
    first = answers[0]
    after = f"{', '.join(servers)}, and after {patience:.0f} s"
    if first.shown is Shown.NO_LISTENER:
        return f"{after} no program listens on {first.endpoint} any more: read its log, and start it"
    if first.shown is Shown.NO_CERTIFICATE:
        return f"{after} no certificate could be had from {first.endpoint} for {_names(answers)}: {first.error}"
    return (f"{after} {_older(answers)}: check whether its configuration names the files of "
            f"{os.path.dirname(lineage.certificate_file)}, or passes TLS on to another server")


def _older(answers: Sequence[Served]) -> str:
    shown = answers[0].certificate
    until = f", until {shown.not_after:%Y-%m-%d}," if shown else ""
    return f"{answers[0].endpoint} still shows an older certificate{until} for {_names(answers)}"


def _names(answers: Sequence[Served]) -> str:
    return _list([answer.name for answer in answers])


def _list(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def unknown_name(name: str, config_dir: str) -> str:
    """No lineage has this name."""
    return f"{name}: no certificate below {config_dir} is for this name"


def hidden_lineages(name: str, problems: Sequence[str]) -> str:
    """A lineage that we may not read may have this name."""
    return f"{name}: it is not known which certificate is for this name: {problems[0]} (run it as root)"


def no_certificate(file: str, error: Exception) -> str:
    """A lineage without a certificate."""
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else "there is no certificate in it"
    return f"{file} cannot be read: {reason}" + (" (run it as root)" if isinstance(error, PermissionError) else "")
