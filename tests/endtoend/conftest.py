"""The fixtures of tests with a real CA and a real Certbot."""
from tests.lab.fixtures import ca
from tests.lab.fixtures import certbot
from tests.lab.fixtures import reusing_ca
from tests.lab.orders import place
from tests.lab.outside_orders import orders
from tests.lab.outside_orders import outside

__all__ = ["ca", "certbot", "orders", "outside", "place", "reusing_ca"]
