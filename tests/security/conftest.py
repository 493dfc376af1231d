"""A document root of another user, and a FIFO that records whether it is opened."""
from tests.lab.hostile_site import bell
from tests.lab.hostile_site import site

__all__ = ["bell", "site"]
