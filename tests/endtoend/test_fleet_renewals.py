"""Renewals on one of three machines; ``python -m tests.endtoend.fleet_renewals`` runs fifty."""
import pytest

from tests.endtoend.fleet_renewals import renewals
from tests.lab.outside_orders import Orders
from tests.lab.public_fleet import BEHIND_BALANCER
from tests.lab.public_fleet import IN_DNS

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(("front", "form"), [(BEHIND_BALANCER, "--to"), (IN_DNS, "--peers")])
def test_renewals(front: str, form: str, orders: Orders) -> None:
    """Issued, or refused before the CA is asked, as docs/fleet.rst says."""
    rows = list(renewals(orders, form, front, 1))
    assert len(rows) == 3
    assert [str(row) for row in rows if row.good != row.runs] == []
