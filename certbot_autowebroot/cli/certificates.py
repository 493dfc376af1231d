"""The output of ``check --certificates-only``: which certificate is shown for each name, and what is wrong with it."""
import json
from datetime import datetime
from typing import Any
from typing import Dict
from typing import Iterator
from typing import Sequence
from typing import Tuple

from certbot_autowebroot.cli import report
from certbot_autowebroot.renewals import visitors
from certbot_autowebroot.renewals.forecast import Outlook
from certbot_autowebroot.renewals.forecast import Served
from certbot_autowebroot.renewals.visitors import NameCertificates


def exit_status(found: Sequence[NameCertificates], now: datetime) -> int:
    """0 all good, 1 something is wrong with what is shown, 2 this machine could not be asked."""
    return 1 if any(name.problems(now) for name in found) else 0 if all(name.answers for name in found) else 2


def tree(found: NameCertificates, now: datetime) -> Iterator[report.Line]:
    """A name, and what each endpoint shows for it."""
    outlook = Outlook.FAILS if found.problems(now) else Outlook.GOOD if found.answers else Outlook.UNKNOWN
    yield report.Line(visitors.summary(found, now), 0, outlook)
    for served in found.answers:
        yield report.Line(visitors.answer(served), 1)


def as_json(found: Sequence[NameCertificates], now: datetime) -> str:
    """Everything, for programs: check.schema.json describes each member."""
    return json.dumps({**report.head(exit_status(found, now), False, now), "certificates": [
        {"name": name.name, "problems": name.problems(now), "served": list(map(_served, name.answers))}
        for name in found]}, indent=2)


def _served(served: Served) -> Dict[str, Any]:
    return {**report.json_of_endpoint(served.endpoint), "error": served.error,
            "certificate": None if served.certificate is None else report.json_of_certificate(served.certificate)}


def nagios(found: Sequence[NameCertificates], now: datetime) -> Tuple[int, str]:
    """The exit status and the line of a plugin."""
    status, word = {0: (0, "OK"), 1: (2, "CRITICAL"), 2: (3, "UNKNOWN")}[exit_status(found, now)]
    days = [certificate.days_left(now) for name in found for certificate in name.certificates]
    wrong = [name for name in found if name.problems(now) or not name.answers]
    said = "; ".join(visitors.summary(name, now) for name in wrong or found)
    return status, f"AUTOWEBROOT {word} - {said}" + (f" | days_left={min(days)}" if days else "")
