"""Many calls at once: one that waits for a timeout delays no other."""
from typing import Callable
from typing import Iterator
from typing import Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_MAX_THREADS = 16


def each(act: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Call ``act`` with each item; yields the results in the order of the items."""
    if len(items) < 2:
        yield from map(act, items)
        return
    from concurrent import futures  # late for speed: most orders have one name, and the import takes a millisecond
    with futures.ThreadPoolExecutor(_MAX_THREADS) as pool:
        yield from pool.map(act, items)
