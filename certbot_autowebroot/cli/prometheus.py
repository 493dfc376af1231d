"""The output of ``check`` for Prometheus: its text format, version 0.0.4, as a textfile collector reads it."""
from datetime import datetime
from typing import Dict
from typing import List
from typing import Sequence
from typing import Tuple

from certbot_autowebroot import __version__
from certbot_autowebroot.cli import console
from certbot_autowebroot.renewals.forecast import Forecast
from certbot_autowebroot.renewals.forecast import NameForecast
from certbot_autowebroot.renewals.visitors import NameCertificates

#: The labels of a metric, and its value.
Sample = Tuple[Dict[str, str], int]
#: Its name, its help and its samples.
Metric = Tuple[str, str, List[Sample]]


def metrics(names: Sequence[NameForecast], forecasts: Sequence[Forecast], status: int, now: datetime) -> str:
    """The metrics of names and lineages.

    :param status: the exit status of the command.
    :param now: when the check ended.
    """
    with_certificate = [(found, found.lineage.certificate) for found in forecasts if found.lineage.certificate]
    return _text([
        *_of_check(status, now),
        ("name_outlook", "1 for the outlook of each name",
         [({"name": name.name, "outlook": name.outlook.value}, 1) for name in names]),
        ("lineage_outlook", "1 for the outlook of each lineage",
         [({"lineage": found.lineage.name, "authenticator": found.lineage.authenticator,
            "outlook": found.outlook.value}, 1) for found in forecasts]),
        ("certificate_not_after_seconds", "When the current certificate expires, in seconds since 1970",
         [({"lineage": found.lineage.name}, int(certificate.not_after.timestamp()))
          for found, certificate in with_certificate if certificate]),
        ("certificate_stale", "1 if a server still shows an older certificate of the lineage",
         [({"lineage": found.lineage.name}, int(found.is_stale)) for found, _ in with_certificate]),
    ])


def metrics_of_certificates(found: Sequence[NameCertificates], status: int, now: datetime) -> str:
    """The metrics of ``--certificates-only``."""
    shown = [(served, served.certificate) for name in found for served in name.answers]
    return _text([
        *_of_check(status, now),
        ("served_certificate_problem", "1 if something is wrong with the certificates that are shown for the name",
         [({"name": name.name}, int(bool(name.problems(now) or not name.answers))) for name in found]),
        ("served_certificate_not_after_seconds", "When the certificate expires that an address shows for the name",
         [({"name": served.name, "address": str(served.endpoint), "sha256": certificate.fingerprint},
           int(certificate.not_after.timestamp())) for served, certificate in shown if certificate]),
    ])


def _of_check(status: int, now: datetime) -> List[Metric]:
    """The metrics of every check."""
    return [("check_info", "The version of certbot-autowebroot", [({"version": __version__}, 1)]),
            ("check_time_seconds", "When the check ended, in seconds since 1970", [({}, int(now.timestamp()))]),
            ("check_exit_status", "The exit status of certbot-autowebroot check", [({}, status)])]


def _text(metrics: Sequence[Metric]) -> str:
    """Metrics, each with its lines HELP and TYPE."""
    return "\n".join(line for name, help_text, samples in metrics if samples
                     for line in _metric(f"autowebroot_{name}", help_text, samples))


def _metric(name: str, help_text: str, samples: Sequence[Sample]) -> List[str]:
    return [f"# HELP {name} {help_text}.", f"# TYPE {name} gauge",
            *(f"{name}{_labels(labels)} {value}" for labels, value in samples)]


def _labels(labels: Dict[str, str]) -> str:
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return console.printable(value).replace("\\", "\\\\").replace('"', '\\"')
