"""The command ``certbot-autowebroot``."""
