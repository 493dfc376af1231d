"""A Certbot authenticator that looks at the machine at renewal time and answers where the live server serves."""

__version__ = "0.1.0"
