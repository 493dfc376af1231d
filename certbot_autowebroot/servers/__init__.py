"""One package per web server, with all that is known of it."""
