"""Which certificate visitors get for a name, at each machine that serves it. *Pure*: no file of Certbot's is needed."""
import ipaddress
from dataclasses import dataclass
from datetime import datetime
from typing import List
from typing import Tuple

from certbot_autowebroot.order.messages import named
from certbot_autowebroot.renewals.forecast import Served
from certbot_autowebroot.renewals.forecast import Shown
from certbot_autowebroot.renewals.lineages import Certificate


@dataclass(frozen=True)
class NameCertificates:
    """The certificates that are shown for one name.

    :ivar answers: of each endpoint; empty where this machine has no address.
    """

    name: str
    answers: Tuple[Served, ...]

    @property
    def certificates(self) -> List[Certificate]:
        """The different ones."""
        return list({one.certificate.fingerprint: one.certificate for one in self.answers if one.certificate}.values())

    def problems(self, now: datetime) -> List[str]:
        """What is wrong with them; phrases. None where every endpoint shows the same valid certificate."""
        none = [str(one.endpoint) for one in self.answers if one.certificate is None]
        return [*([f"no certificate at {named(none)}"] if none else []),
                *([f"{len(self.certificates)} different certificates are shown"] if len(self.certificates) > 1 else []),
                *(f"the certificate {one.fingerprint[:16]} has expired" for one in self.certificates
                  if one.not_after <= now),
                *(f"the certificate {one.fingerprint[:16]} is not for {self.name}" for one in self.certificates
                  if not is_for(one, self.name))]


def is_for(certificate: Certificate, name: str) -> bool:
    """Whether a certificate is for a name or an address: ``*`` stands for one label (RFC 9525 section 6.3)."""
    try:
        wanted = {str(ipaddress.ip_address(name))}
    except ValueError:
        wanted = {name.lower(), f"*.{name.lower().partition('.')[2]}"}
    return not wanted.isdisjoint(one.lower() for one in certificate.names)


def summary(found: NameCertificates, now: datetime) -> str:
    """What is shown for a name, in one line."""
    if not found.answers:
        return f"{found.name}: this machine has no address at which it could be asked"
    problems = found.problems(now)
    if problems:
        return f"{found.name}: {'; '.join(problems)}"
    same = f", the same at all {len(found.answers)} addresses" if len(found.answers) > 1 else ""
    return f"{found.name}: one certificate is shown{same}"


def answer(served: Served) -> str:
    """What one endpoint shows."""
    certificate = served.certificate
    if served.shown is Shown.NO_LISTENER:
        return f"no program listens on {served.endpoint}"
    if certificate is None:
        return f"no certificate could be had from {served.endpoint}: {served.error}"
    return (f"{served.endpoint}: until {certificate.not_after:%Y-%m-%d %H:%M} UTC, issuer {certificate.issuer}, serial "
            f"{certificate.serial}, SHA-256 {certificate.fingerprint}")
