"""Values that Certbot saves with a lineage: each one string, for a list is corrupted at the second renewal."""
import json
import os
from typing import Any


def as_setting(value: Any) -> str:
    """A value as JSON, on one line; empty for an empty one.

    Sorted, so that the file changes only with its meaning. Without a percent sign: Certbot reads ``%(word)s`` as the
    value of another setting (configobj, "String Interpolation"), and passes over a lineage where there is none.
    """
    return json.dumps(value, sort_keys=True).replace("%", "\\u0025") if value else ""


def absolute(path: str) -> str:
    """``--autowebroot-path`` as it means the same at night: a renewal has another working directory than a shell."""
    return ":".join(os.path.abspath(os.path.expanduser(root)) if root[0] != "/" else root.rstrip("/") or "/"
                    for root in path.split(":") if root)
