"""A document root of another user for each test."""
from tests.lab.hostile_site import site

__all__ = ["site"]
