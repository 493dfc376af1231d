"""Structured values that Certbot saves with a lineage, each one string: a list is corrupted at the second renewal."""
import json
from typing import Any


def as_setting(value: Any) -> str:
    """A value as JSON, on one line; empty for an empty one.

    Sorted, so that the file changes only with its meaning. Without a percent sign: Certbot reads ``%(word)s`` as the
    value of another setting (configobj, "String Interpolation"), and passes over a lineage where there is none.
    """
    return json.dumps(value, sort_keys=True).replace("%", "\\u0025") if value else ""
