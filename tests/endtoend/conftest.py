"""The fixtures of tests with a real CA and a real Certbot."""
from tests.lab.fallbacks import application
from tests.lab.fallbacks import calls
from tests.lab.fallbacks import nginx
from tests.lab.fixtures import ca
from tests.lab.fixtures import certbot
from tests.lab.fixtures import reusing_ca
from tests.lab.orders import place
from tests.lab.outside_orders import orders
from tests.lab.outside_orders import outside

__all__ = ["application", "ca", "calls", "certbot", "nginx", "orders", "outside", "place", "reusing_ca"]
