"""The next run removes all that a killed run has left."""
from tests.security import killwalk
from tests.security import tracing


def test_killed_at_each_change() -> None:
    """Killed before each call that changes something: the next run removes the leftovers, and succeeds."""
    walked = killwalk.walk(tracing.CHANGING)
    assert walked.failures == []
    assert walked.left > 100
    assert sum(walked.steps.values()) > walked.left
