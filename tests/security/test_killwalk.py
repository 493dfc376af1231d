"""The next run removes all that a killed run has left."""
import pytest

from tests.security import killwalk
from tests.security import tracing

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("scenario, least", list(zip(killwalk.SCENARIOS, (40, 40, 15, 30, 0, 0))),
                         ids=[f"{prepare.__name__}, {act.__name__}" for prepare, act, _ in killwalk.SCENARIOS])
def test_killed_at_each_change(scenario: killwalk.Scenario, least: int) -> None:
    """Killed before each call that changes something: the next run removes the leftovers, and succeeds."""
    walked = killwalk.walk(tracing.CHANGING, [scenario])
    assert walked.failures == []
    assert walked.left >= least
    assert sum(walked.steps.values()) > walked.left
