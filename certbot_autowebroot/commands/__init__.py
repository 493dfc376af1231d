"""The commands of ``certbot-autowebroot``, a module each: its arguments (``add_to``), what it does (``run``)."""
