"""The fixtures of tests with a real CA and a real Certbot."""
from tests.lab.fixtures import ca
from tests.lab.fixtures import certbot
from tests.lab.fixtures import reusing_ca
from tests.lab.orders import place

__all__ = ["ca", "certbot", "place", "reusing_ca"]
