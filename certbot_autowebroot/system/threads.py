"""Many questions at once: one that is never answered holds up only itself."""
from typing import Callable
from typing import Iterator
from typing import Sequence
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")

_AT_ONCE = 16


def each(act: Callable[[Item], Found], items: Sequence[Item]) -> Iterator[Found]:
    """Call ``act`` with each item; what it returns, as it comes, in the order of the items."""
    if len(items) < 2:
        yield from map(act, items)
        return
    from concurrent import futures  # most orders have one name, and this takes a millisecond
    with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(act, items)
