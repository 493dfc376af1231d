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

#: The labels of a metric, and its value.
Sample = Tuple[Dict[str, str], int]


def metrics(names: Sequence[NameForecast], forecasts: Sequence[Forecast], status: int, now: datetime) -> str:
    """All metrics, each with its lines HELP and TYPE.

    :param status: the exit status of the command.
    :param now: when the check ended.
    """
    with_certificate = [(found, found.lineage.certificate) for found in forecasts if found.lineage.certificate]
    every: List[Tuple[str, str, List[Sample]]] = [
        ("check_info", "The version of certbot-autowebroot", [({"version": __version__}, 1)]),
        ("check_time_seconds", "When the check ended, in seconds since 1970", [({}, int(now.timestamp()))]),
        ("check_exit_status", "The exit status of certbot-autowebroot check", [({}, status)]),
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
    ]
    return "\n".join(line for name, help_text, samples in every if samples
                     for line in _metric(f"autowebroot_{name}", help_text, samples))


def _metric(name: str, help_text: str, samples: Sequence[Sample]) -> List[str]:
    return [f"# HELP {name} {help_text}.", f"# TYPE {name} gauge",
            *(f"{name}{_labels(labels)} {value}" for labels, value in samples)]


def _labels(labels: Dict[str, str]) -> str:
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return console.printable(value).replace("\\", "\\\\").replace('"', '\\"')
