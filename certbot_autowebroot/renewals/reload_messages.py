"""What ``reload`` has found and done, in sentences that a person can act on."""
import os
from typing import Sequence

from certbot_autowebroot.renewals.forecast import Served
from certbot_autowebroot.renewals.forecast import Shown
from certbot_autowebroot.renewals.lineages import Lineage

#: So many names stand in one sentence.
_NAMED = 5

SOMEBODY = "the program that listens there"
NOT_VISIBLE = "who it is cannot be seen; root could see and reload it"
IN_A_CONTAINER = ("it runs in a container, where its configuration cannot be tested from here, and a broken one would "
                  "end it: reload it there")
NO_LINEAGE = ("which certificate has been renewed? Certbot says so to a deploy hook (RENEWED_LINEAGE); else give "
              "--lineage, or the names of a certificate")


def nobody(names: Sequence[str]) -> str:
    """There is no endpoint to look at."""
    return f"this machine has no address where {_list(names)} could be served on port 443"


def found(answers: Sequence[Served]) -> str:
    """What a server shows that is not to be reloaded; all of one endpoint, and the same."""
    first = answers[0]
    where = f"{first.endpoint} for {_names(answers)}"
    if first.shown is Shown.NOBODY:
        return f"nobody listens on {where}"
    if first.shown is Shown.NONE:
        return f"no certificate could be had from {where}: {first.error}"
    if first.shown is Shown.OTHER:
        return f"{where} shows a certificate that is not of this lineage; nothing was reloaded for it"
    return f"{where} shows the current certificate"


def not_known(unit: str) -> str:
    """A program that we know nothing of; its unit may."""
    return "how this program is reloaded is not known here: reload it in its own way" + (
        f", perhaps by systemctl reload {unit}" if unit else "")


def broken_lineage(reason: str) -> str:
    """The new certificate cannot be used by anybody."""
    return f"nothing was reloaded: {reason}"


def broken(complaint: str) -> str:
    """What a server's own test says."""
    return "its own test of the configuration on disk fails:\n  " + complaint.replace("\n", "\n  ")


def given_up_root(complaint: str) -> str:
    """A reload would end it."""
    return "it has given up root's rights, and a reload would end it, so start it anew. With the rights that it has, " \
        + broken(complaint)


def refused(error: OSError) -> str:
    """The kernel did not let us."""
    return f"it cannot be told: {error.strerror or error}"


def a_bug(error: Exception) -> str:
    """What should not happen."""
    return f"something went wrong that should not, which is a bug: {error!r}"


def not_told(server: str, problem: str, answers: Sequence[Served]) -> str:
    """A server that goes on with the older certificate."""
    return f"{_older(answers)}, and {server} was not reloaded: {problem}"


def told(server: str, how: str) -> str:
    """A server, and how it was told."""
    return f"{server} was reloaded ({how})"


def reloaded(servers: Sequence[str], answers: Sequence[Served]) -> str:
    """Done."""
    return f"{', '.join(servers)}; {answers[0].endpoint} shows the new certificate for {_names(answers)}"


def in_vain(servers: Sequence[str], answers: Sequence[Served], patience: float, lineage: Lineage) -> str:
    """It was told, and it does not show."""
    first = answers[0]
    done = f"{', '.join(servers)}, and after {patience:.0f} s"
    if first.shown is Shown.NOBODY:
        return f"{done} nobody listens on {first.endpoint} any more: look at its log, and start it"
    if first.shown is Shown.NONE:
        return f"{done} no certificate could be had from {first.endpoint} for {_names(answers)}: {first.error}"
    return (f"{done} {_older(answers)}: see whether its configuration names the files of "
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


def not_ours(name: str, config_dir: str) -> str:
    """No lineage has this name."""
    return f"{name}: no certificate below {config_dir} is for this name"


def no_certificate(file: str, error: Exception) -> str:
    """A lineage without a certificate."""
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else "there is no certificate in it"
    return f"{file} cannot be read: {reason}"
