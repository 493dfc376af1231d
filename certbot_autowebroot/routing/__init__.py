"""Where a request goes on this host."""
