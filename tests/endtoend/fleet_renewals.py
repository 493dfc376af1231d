"""Renewals of a name that three machines serve; Certbot runs on one of them.

Run it with ``python -m tests.endtoend.fleet_renewals --count 50``. The machines stand behind a balancer, or are all in
DNS, and their web servers have the lines of ``certbot-autowebroot snippet``. Then one of them is down, and then one
lacks the lines. Each row is the number of renewals that end as docs/fleet.rst says.
"""
import argparse
import sys
import tempfile
from pathlib import Path
from typing import Callable
from typing import Iterator
from typing import NamedTuple
from typing import Tuple

from tests.lab import net
from tests.lab.nginx import public_directory
from tests.lab.outside import Outside
from tests.lab.outside_orders import Orders
from tests.lab.public_fleet import ADDRESSES
from tests.lab.public_fleet import BEHIND_BALANCER
from tests.lab.public_fleet import FRONTS
from tests.lab.public_fleet import SERVERS
from tests.lab.public_fleet import PublicFleet

_UNPROVEN = "it could not be proved from here that the CA will be answered"


class Row(NamedTuple):
    """The renewals of one situation: how many ended as expected, and how."""

    front: str
    form: str
    situation: str
    ending: str
    good: int
    runs: int

    def __str__(self) -> str:
        return f"{self.front:9}{self.form:9}{self.situation:25}{self.ending:37}{self.good:3} of {self.runs}"


def renewals(orders: Orders, form: str, front: str, count: int) -> Iterator[Row]:
    """Renew so many times in each situation."""
    last = len(ADDRESSES) - 1
    with PublicFleet(orders, form, front) as fleet:
        orders.issue(*fleet.options)
        for situation, change, back in (
                ("all have the lines", None, None),
                ("one is down", fleet.go_down, fleet.come_back),
                ("one lacks the lines", lambda number: _without_lines(fleet, number), None)):
            if change:
                change(last)
            ending, renew = _expected(orders, front, situation)
            yield Row(front, form, situation, ending, sum(_as_expected(renew) for _ in range(count)), count)
            if back:
                back(last)


def _without_lines(fleet: PublicFleet, number: int) -> None:
    fleet.stop(number)
    fleet.start_without_lines(number)


def _expected(orders: Orders, front: str, situation: str) -> Tuple[str, Callable[[], object]]:
    """How a renewal ends in words, and a renewal that raises AssertionError if it does not."""
    address = ADDRESSES[-1]
    renew = ("renew", "--force-renewal")
    if situation == "all have the lines":
        return "issued", lambda: _issued(orders, False)
    if situation == "one lacks the lines":
        reason = f"the node {address} does not send the challenges" if front == BEHIND_BALANCER else \
            f"also resolves to {address}, where another server answers"
        return "refused, naming it", lambda: orders.refuse(reason, address, command=renew)
    if front == BEHIND_BALANCER:  # which passes over a machine that is down
        return "issued, with a warning that names it", lambda: _issued(orders, True)
    refusing = (*renew, "--autowebroot-unproven", "refuse")
    return "refused with unproven = refuse", lambda: orders.refuse(f"resolves to {address}, which does not answer",
                                                                   command=refusing)


def _issued(orders: Orders, with_warning: bool) -> None:
    printed = orders.renew()
    assert (_UNPROVEN in printed) == with_warning, printed
    assert not with_warning or f"the node {ADDRESSES[-1]} does not answer" in printed


def _as_expected(renew: Callable[[], object]) -> bool:
    try:
        renew()
    except AssertionError as error:
        print(error, file=sys.stderr)
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.endtoend.fleet_renewals", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="renewals of each row (default: %(default)s)")
    count = parser.parse_args().count
    net.enter_private_namespace()
    good = True
    for front in FRONTS:
        for form in SERVERS:
            with tempfile.TemporaryDirectory() as directory, public_directory() as place:
                ca, certbot = Path(directory, "ca"), Path(directory, "certbot")
                ca.mkdir()
                with Outside(ca) as outside:
                    for row in renewals(Orders(outside, certbot, place), form, front, count):
                        print(row, flush=True)
                        good = good and row.good == row.runs
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
