"""A lineage, and units of a systemd that does not run here."""
from tests.lab.orders import names
from tests.lab.orders import place
from tests.lab.reloading import no_hook
from tests.lab.reloading import site
from tests.lab.reloading import unit

__all__ = ["names", "no_hook", "place", "site", "unit"]
