"""What other packages have registered, by entry points."""
from typing import Any
from typing import List


def registered(group: str) -> List[Any]:
    """The entry points of a group, in the order in which Python finds their packages."""
    from importlib import metadata
    found: Any = metadata.entry_points()
    # Python 3.9 returns a mapping of groups; select() came with 3.10.
    return list(found.select(group=group) if hasattr(found, "select") else found.get(group, ()))
